"""Sources: what is read from prepared directories and pose files, and how they fail."""

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.data import example as example_lib
from bmc_jax.data import sources
from tests.fixtures_data import encode_png, make_example, make_joints, prepare

CAMERA = {
  'fx': 600.0,
  'fy': 610.0,
  'cx': 300.0,
  'cy': 250.0,
  'width': 640,
  'height': 480,
}
# Where the HO3D order keeps the canonical joints, written out from its definition.
HO3D_FINGERS = {
  'index': (1, 2, 3, 17),
  'middle': (4, 5, 6, 18),
  'little': (7, 8, 9, 20),
  'ring': (10, 11, 12, 19),
  'thumb': (13, 14, 15, 16),
}


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """A dataset of 5 hands, the last two of them left ones."""
  examples = [make_example(i, is_right=i < 3) for i in range(5)]
  path = prepare(
    tmp_path_factory.mktemp('data'), {'train': examples, 'test': examples[:2]}
  )
  return path, examples


def _one_sentence(error) -> str:
  text = str(error.value)
  assert '\n' not in text and text.rstrip().endswith('.')
  return text


def test_prepared_examples_come_back_as_they_were_written(prepared):
  path, examples = prepared
  source = sources.TfdsSource(path, 'train')
  assert len(source) == 5
  for written, read in zip(examples[:3], (source[i] for i in range(3)), strict=True):
    assert read['sample_id'] == written['sample_id']
    for name in ('image', *example_lib.LABEL_SHAPES):
      np.testing.assert_array_equal(read[name], written[name])
      assert read[name].dtype == written[name].dtype


def test_left_hands_are_mirrored_on_reading(prepared):
  path, examples = prepared
  read = sources.TfdsSource(path, 'train')[4]
  np.testing.assert_array_equal(read['image'], examples[4]['image'][:, ::-1])
  np.testing.assert_array_equal(
    read['joints_3d'][:, 0], -examples[4]['joints_3d'][:, 0]
  )
  assert read['is_right'] == 0


def test_a_batch_is_its_examples_stacked(prepared):
  source = sources.TfdsSource(prepared[0], 'train')
  batch = source.batch([4, 0])
  assert batch['is_right'].tolist() == [0, 1]
  assert batch['sample_id'].tolist() == ['hand_0004', 'hand_0000']
  np.testing.assert_array_equal(batch['image'][0], source[4]['image'])


def test_labels_alone_are_the_same_as_with_images(prepared):
  spec = {'kind': 'tfds', 'path': prepared[0], 'split': 'train'}
  whole = sources.open_source(spec | {'image_size': 40}).batch(range(5))
  labels = sources.open_source(spec | {'image_size': 40, 'with_image': False})
  assert 'image' not in labels[0]
  for name, value in labels.batch(range(5)).items():
    np.testing.assert_array_equal(value, whole[name])


def test_resizing_on_the_host_keeps_the_projection(prepared):
  source = sources.TfdsSource(prepared[0], 'train', image_size=48)
  for index in range(5):
    example = source[index]
    assert example['image'].shape == (48, 48, 3)
    homogeneous = example['joints_3d'] @ example['intrinsics'].T
    np.testing.assert_allclose(
      homogeneous[:, :2] / homogeneous[:, 2:], example['keypoints_2d'], atol=1e-3
    )


@pytest.mark.parametrize('with_image', [True, False])
def test_weak_labels_cannot_leak(prepared, with_image):
  weak = sources.open_source(
    {
      'kind': 'tfds',
      'path': prepared[0],
      'split': 'train',
      'labels': '2d',
      'with_image': with_image,
    }
  )
  batch = weak.batch(range(5))
  assert not batch['joints_3d'].any() and not batch['has_joints_3d'].any()
  assert not weak[0]['joints_3d'].any() and not weak[0]['has_joints_3d'].any()
  assert batch['keypoints_2d'].any()


def test_the_parent_folder_and_sliced_and_summed_splits_work(prepared):
  parent = prepared[0].removesuffix('/tiny_hands/1.0.0')
  lengths = {
    split: len(sources.TfdsSource(parent, split))
    for split in ('train[:3]', 'train+test', 'all')
  }
  assert lengths == {'train[:3]': 3, 'train+test': 7, 'all': 7}


def test_a_missing_directory_is_one_sentence(tmp_path):
  with pytest.raises(FileNotFoundError, match='does not exist; prepare it') as error:
    sources.TfdsSource(str(tmp_path / 'nowhere'), 'train')
  _one_sentence(error)


def test_a_folder_without_a_dataset_is_one_sentence(tmp_path):
  (tmp_path / 'incomplete.ABC_1.0.0').mkdir()
  (tmp_path / 'incomplete.ABC_1.0.0' / 'dataset_info.json').write_text('{}')
  with pytest.raises(FileNotFoundError, match='holds no prepared dataset') as error:
    sources.TfdsSource(str(tmp_path), 'train')
  _one_sentence(error)


def test_a_missing_split_is_one_sentence(prepared):
  with pytest.raises(ValueError, match="no split 'valid'; it has test, train") as error:
    sources.TfdsSource(prepared[0], 'valid')
  _one_sentence(error)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'split': None}, 'split of .* is None; it must be a text'),
    ({'split': 'train[:0]'}, r"The split 'train\[:0\]' of .* is empty"),
    ({'split': 'train[99:]'}, r"The split 'train\[99:\]' of .* cannot be read"),
    ({'split': 'train[a]'}, r"The split 'train\[a\]' of .* cannot be read"),
    ({'image_size': 0}, 'image_size is 0; it must be a whole number'),
    ({'image_size': 2.5}, 'image_size is 2.5; it must be'),
    ({'image_size': 'a', 'with_image': False}, "image_size is 'a'; it must be"),
    ({'path': __file__}, 'is a file; a folder is needed'),
  ],
)
def test_a_wrong_tfds_specification_is_one_sentence(prepared, options, message):
  spec = {'kind': 'tfds', 'path': prepared[0], 'split': 'train'}
  with pytest.raises(ValueError, match=message) as error:
    sources.open_source(spec | options)
  _one_sentence(error)


def test_an_undecodable_image_is_named(tmp_path):
  examples = [make_example(i) for i in range(2)]
  broken = encode_png(examples[1]['image'])[:40]
  path = prepare(tmp_path, {'train': [examples[0], examples[1] | {'image': broken}]})
  source = sources.TfdsSource(path, 'train')
  with pytest.raises(ValueError, match="'hand_0001' .* cannot be decoded") as error:
    source.batch([0, 1])
  _one_sentence(error)


@pytest.mark.parametrize(
  ('spec', 'message'),
  [
    ({'kind': 'coco'}, "kind is 'coco'; it must be 'tfds' or 'poses'"),
    (
      {'kind': 'tfds', 'path': '.', 'spilt': 'train'},
      "no key 'spilt'; it has path, spl",
    ),
    ({'kind': 'poses', 'camera': CAMERA}, "needs the key 'path'"),
    ({'kind': 'tfds', 'path': '.', 'split': 'a', 'labels': '4d'}, "labels is '4d'"),
    ({'kind': 'poses', 'path': 'no.npy', 'camera': CAMERA}, 'no.npy does not exist'),
    ({'kind': 'poses', 'path': __file__, 'camera': CAMERA}, 'must end in .npy or .npz'),
  ],
)
def test_a_wrong_specification_is_one_sentence(spec, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
    sources.open_source(spec)
  _one_sentence(error)


def _poses(count=6) -> np.ndarray:
  return np.stack([make_joints(np.random.default_rng(i)) for i in range(count)])


def _save(path, joints, **fields) -> str:
  if fields:
    np.savez(path, joints_ho3d=joints, **fields)
  else:
    np.save(path, joints)
  return str(path)


def test_poses_are_projected_with_the_camera(tmp_path):
  joints = _poses()
  source = sources.PoseSetSource(_save(tmp_path / 'p.npy', joints), camera=CAMERA)
  batch = source.batch(range(6))
  np.testing.assert_array_equal(batch['joints_3d'], joints)
  u = 600 * joints[..., 0] / joints[..., 2] + 300
  v = 610 * joints[..., 1] / joints[..., 2] + 250
  np.testing.assert_allclose(batch['keypoints_2d'], np.stack([u, v], -1), atol=1e-3)
  assert source[3]['sample_id'] == 'p/000003' and source[3]['is_right'].shape == (1,)
  assert all(v.dtype == np.float32 for k, v in batch.items() if k != 'sample_id')


def test_left_hands_of_another_order_become_canonical_right_hands(tmp_path):
  canonical = _poses()
  ho3d = np.zeros_like(canonical)
  ho3d[:, 0] = canonical[:, 0]
  for finger, places in zip(
    ('thumb', 'index', 'middle', 'ring', 'little'), range(1, 21, 4), strict=True
  ):
    ho3d[:, list(HO3D_FINGERS[finger])] = canonical[:, places : places + 4]
  left = ho3d * [-1, 1, 1]
  side = np.array([True, False] * 3)
  path = _save(
    tmp_path / 'p.npz',
    np.where(side[:, None, None], ho3d, left),
    side_is_right=side,
    subject=np.array([1, 1, 2, 2, 3, 3]),
  )
  batch = sources.PoseSetSource(path, camera=CAMERA).batch(range(6))
  np.testing.assert_allclose(batch['joints_3d'], canonical, atol=1e-7)
  assert batch['is_right'].tolist() == [1, 0, 1, 0, 1, 0]
  # The mirrored camera: a point at x = 0 is seen as far from the other border.
  assert batch['intrinsics'][:, 0, 2].tolist() == [300, 339, 300, 339, 300, 339]
  chosen = sources.PoseSetSource(path, camera=CAMERA, subjects=(1, 3), every=3)
  assert [chosen[i]['sample_id'] for i in range(len(chosen))] == [
    'p/000000',
    'p/000005',
  ]


def test_poses_outside_the_image_or_behind_the_camera_are_left_out(tmp_path):
  joints = _poses()
  joints[1, :, 0] += 0.4
  joints[2, :, 2] *= -1
  path = _save(tmp_path / 'p.npy', joints)
  source = sources.PoseSetSource(path, camera=CAMERA)
  assert [source[i]['sample_id'][-1] for i in range(len(source))] == [
    '0',
    '3',
    '4',
    '5',
  ]
  with pytest.raises(ValueError, match='1 poses lie behind the camera') as error:
    sources.PoseSetSource(path, camera=CAMERA, drop_outside=False)
  _one_sentence(error)


@pytest.mark.parametrize(
  ('change', 'options', 'message'),
  [
    (lambda j: j[:, :20], {}, r'shape \(6, 20, 3\), expected \(N, 21, 3\)'),
    (lambda j: j[..., :2], {}, r'shape \(6, 21, 2\), expected \(N, 21, 3\)'),
    (lambda j: j * 1000, {}, 'looks like millimetres, not metres'),
    (lambda j: j * np.nan, {}, 'not finite'),
    (lambda j: j + [9, 0, 0], {}, 'no pose lies inside the image'),
    (lambda j: j, {'order': 'h36m'}, "unknown joint order 'h36m'; known are ait"),
    (lambda j: j, {'subjects': (1,)}, 'no array "subject"'),
    (lambda j: j[:0], {}, r'shape \(0, 21, 3\), expected .* with N > 0'),
    (lambda j: np.full(j.shape, 'x'), {}, 'joints are of type <U1, expected numbers'),
    (lambda j: j, {'subjects': 1}, 'subjects is 1; it must be a list'),
    (lambda j: j, {'subjects': 'one'}, "subjects is 'one'; it must be a list"),
    (lambda j: j, {'every': 0}, 'every is 0; it must be a whole number from 1 on'),
    (lambda j: j, {'every': -1}, 'every is -1; it must be'),
    (lambda j: j, {'every': 1.5}, 'every is 1.5; it must be'),
    (lambda j: j, {'camera': {'fx': 1.0}}, 'the camera needs fx, fy'),
    (lambda j: j, {'camera': 600.0}, 'the camera needs fx, .* got 600.0'),
    (lambda j: j, {'camera': CAMERA | {'cx': np.nan}}, "camera's cx is nan; it must"),
    (lambda j: j, {'camera': CAMERA | {'fx': 'x'}}, "camera's fx is 'x'; it must be"),
  ],
)
def test_a_wrong_pose_file_is_one_sentence(tmp_path, change, options, message):
  path = _save(tmp_path / 'p.npy', change(_poses()))
  with pytest.raises(ValueError, match=message) as error:
    sources.open_source({'kind': 'poses', 'path': path, 'camera': CAMERA} | options)
  _one_sentence(error)


def test_a_damaged_pose_file_is_one_sentence(tmp_path):
  for name in ('p.npy', 'p.npz'):
    (tmp_path / name).write_bytes(b'PK nothing of the kind')
    with pytest.raises(ValueError, match='no readable NumPy file') as error:
      sources.PoseSetSource(str(tmp_path / name), camera=CAMERA)
    _one_sentence(error)


def test_a_pose_file_of_the_other_form_is_told_apart(tmp_path):
  _save(tmp_path / 'p.npy', _poses())
  _save(tmp_path / 'q.npz', _poses(), subject=np.arange(6))
  (tmp_path / 'p.npy').rename(tmp_path / 'p.npz')
  (tmp_path / 'q.npz').rename(tmp_path / 'q.npy')
  for name, form in (('p.npz', '.npy'), ('q.npy', '.npz')):
    with pytest.raises(ValueError, match=f'{name}: by its .* {form} file') as error:
      sources.PoseSetSource(str(tmp_path / name), camera=CAMERA)
    _one_sentence(error)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'side_is_right': np.array(['0'] * 6)}, 'side_is_right holds something other'),
    ({'side_is_right': np.full(6, -1)}, 'side_is_right holds something other'),
    ({'side_is_right': np.full(6, np.nan)}, 'side_is_right holds something other'),
    ({'side_is_right': np.ones(5)}, r'side_is_right has shape \(5,\), expected \(6,\)'),
    ({'subject': np.ones(7)}, r'subject has shape \(7,\), expected \(6,\)'),
    ({'subject': np.ones((6, 1))}, r'subject has shape \(6, 1\), expected \(6,\)'),
  ],
)
def test_wrong_fields_of_a_pose_file_are_one_sentence(tmp_path, fields, message):
  path = _save(tmp_path / 'p.npz', _poses(), **fields)
  with pytest.raises(ValueError, match=message) as error:
    sources.PoseSetSource(path, camera=CAMERA)
  _one_sentence(error)


def test_an_order_must_not_contradict_the_name_of_the_array(tmp_path):
  joints = skeleton.reorder(_poses(), 'canonical', 'ho3d')
  path = _save(tmp_path / 'p.npz', joints, subject=np.arange(6))
  with pytest.raises(ValueError, match="'rhd', but .* joints_ho3d; leave") as error:
    sources.PoseSetSource(path, camera=CAMERA, order='rhd')
  _one_sentence(error)
  same = sources.PoseSetSource(path, camera=CAMERA, order='mano')  # another name
  assert len(same) == 6


# Canonical and STB's order are the same bones, with the fingers in reverse.
ORDERS = ('canonical', 'ho3d', 'rhd', 'stb', 'interhand', 'ait')
TWINS = {'canonical', 'stb'}


@pytest.mark.parametrize('poses', ['rhd', 'stb', 'dexycb'])
def test_a_wrong_joint_order_is_noticed_and_a_right_one_is_not(
  test_data, tmp_path, poses
):
  file = next((test_data / 'data' / 'poses').glob(f'{poses}*'), None)
  if file is None:
    pytest.skip('no pose sets among the real samples')
  content = np.load(file)
  joints = content
  if file.suffix == '.npz':
    joints = skeleton.reorder(content['joints_ho3d'], 'ho3d')
  joints = joints[:: len(joints) // 50]
  for order in ORDERS:
    path = _save(
      tmp_path / f'{order}.npy', skeleton.reorder(joints, 'canonical', order)
    )
    for given in ORDERS:
      options = {'camera': CAMERA | {'width': 1e6, 'height': 1e6}, 'order': given}
      if given == order or {given, order} == TWINS:
        assert len(sources.PoseSetSource(path, **options))
        continue
      with pytest.raises(ValueError, match=f'in the order .*{order}.* probab') as error:
        sources.PoseSetSource(path, **options)
      _one_sentence(error)


def test_unknown_subjects_are_named(tmp_path):
  path = _save(tmp_path / 'p.npz', _poses(), subject=np.arange(6))
  with pytest.raises(
    ValueError, match=r'subjects \[9\]; it has those of 0, 1'
  ) as error:
    sources.PoseSetSource(path, camera=CAMERA, subjects=[9])
  _one_sentence(error)


def test_public_pose_sets_are_hands_seen_by_their_cameras(test_data):
  poses = test_data / 'data' / 'poses'
  if not poses.is_dir():
    pytest.skip('no pose sets among the real samples')
  dexycb = {'fx': 616.64, 'fy': 616.26, 'cx': 308.55, 'cy': 248.52}
  source = sources.PoseSetSource(
    str(poses / 'dexycb_subjects01-08.npz'),
    camera=dexycb | {'width': 640, 'height': 480},
    every=10,
  )
  batch = source.batch(range(len(source)))
  assert 0.7 < len(source) / 5065 < 0.9
  assert 0.3 < batch['is_right'].mean() < 0.7
  # Fingers bend towards the palm. In a right hand the palm is where the cross product
  # of the index and the little finger's root bones points; left hands that were not
  # mirrored would bend the other way.
  joints = batch['joints_3d']
  index, little = (joints[:, k] - joints[:, 0] for k in (5, 17))
  bend = joints[:, 12] - joints[:, 9]
  to_palm = np.einsum('bi,bi->b', np.cross(index, little), bend) > 0
  for side in (0, 1):
    assert np.mean(to_palm[batch['is_right'] == side]) > 0.9
