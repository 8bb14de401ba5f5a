"""Pose files: what is read from them, and how wrong ones are refused."""

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.data import pose_files, sources
from tests.fixtures.examples import make_joints
from tests.fixtures.hands import random_hands

CAMERA = {
  'fx': 600.0,
  'fy': 610.0,
  'cx': 300.0,
  'cy': 250.0,
  'width': 640,
  'height': 480,
}
WIDE = CAMERA | {'cx': 1490.0, 'cy': 1490.0, 'width': 2980, 'height': 2980}
# Where the HO3D order keeps the canonical joints, written out from its definition.
HO3D_FINGERS = {
  'index': (1, 2, 3, 17),
  'middle': (4, 5, 6, 18),
  'little': (7, 8, 9, 20),
  'ring': (10, 11, 12, 19),
  'thumb': (13, 14, 15, 16),
}


def _one_sentence(error) -> str:
  text = str(error.value)
  assert '\n' not in text and text.rstrip().endswith('.')
  return text


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


def test_a_camera_of_another_image_is_refused_or_told(tmp_path, monkeypatch):
  path = _save(tmp_path / 'p.npy', _poses())
  normalised = CAMERA | {'fx': 1.4, 'fy': 1.4, 'cx': 0.5, 'cy': 0.5}
  with pytest.raises(ValueError, match='multiply fx, cx by its width') as error:
    sources.PoseSetSource(path, camera=normalised)
  _one_sentence(error)
  told = []
  monkeypatch.setattr(
    pose_files.logging, 'warning', lambda text, *values: told.append(text % values)
  )
  sources.PoseSetSource(path, camera=CAMERA)
  assert not told
  other = CAMERA | {'width': 2 * CAMERA['width'], 'height': 2 * CAMERA['height']}
  sources.PoseSetSource(path, camera=other)
  assert 'is far from the middle of the image' in told[0]


def test_a_range_of_poses_is_kept(tmp_path):
  joints = _poses()
  path = _save(tmp_path / 'p.npy', joints)
  kept = sources.PoseSetSource(path, camera=CAMERA, rows=(1, 5), every=2)
  batch = kept.batch(range(2))
  np.testing.assert_array_equal(batch['joints_3d'], joints[[1, 3]])
  assert batch['sample_id'].tolist() == ['p/000001', 'p/000003']
  named = str(tmp_path / 'p.npz')
  np.savez(named, joints_canonical=joints, subject=np.array([1, 1, 1, 2, 2, 2]))
  source = sources.PoseSetSource(named, camera=CAMERA, rows=(2, 6), subjects=[1])
  assert [source[i]['sample_id'] for i in range(len(source))] == ['p/000002']
  with pytest.raises(ValueError, match='no pose of these subjects is among the rows'):
    sources.PoseSetSource(named, camera=CAMERA, rows=(3, 6), subjects=[1])


def test_poses_left_out_are_told_once_however_often_they_are_opened(tmp_path, caplog):
  joints = _poses()
  joints[:2, :, 0] += 0.4
  path = _save(tmp_path / 'p.npy', joints)
  with caplog.at_level('WARNING', logger='absl'):
    for every in (1, 1, 2, 1):
      sources.PoseSetSource(path, camera=CAMERA, every=every)
  first, second = (record.getMessage() for record in caplog.records)
  assert '2 of 6 poses lie outside' in first and '1 of 3 poses' in second


@pytest.mark.parametrize(
  ('change', 'options', 'message'),
  [
    (lambda j: j[:, :20], {}, r'shape \(6, 20, 3\), expected \(N, 21, 3\)'),
    (lambda j: j[..., :2], {}, r'shape \(6, 21, 2\), expected \(N, 21, 3\)'),
    (lambda j: j * 1000, {}, 'looks like millimetres, not metres'),
    (
      lambda j: j * np.array([1, 1, 1000, 1, 1, 1])[:, None, None],
      {},
      '1 of 6 hands, first hand 2, are in another unit than metres',
    ),
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
    (lambda j: j, {'rows': 3}, r'rows is 3; it must be \(first, end\) .* <= 6'),
    (lambda j: j, {'rows': (3, 3)}, r'rows is \(3, 3\); it must be'),
    (lambda j: j, {'rows': (0, 7)}, r'rows is \(0, 7\); it must be'),
    (lambda j: j, {'rows': (0.0, 2.0)}, r'rows is \(0.0, 2.0\); it must be'),
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


def test_a_missing_pose_file_is_one_sentence_with_the_place_of_the_samples(tmp_path):
  missing = str(tmp_path / 'p.npy')
  with pytest.raises(
    FileNotFoundError, match='data/poses .*BMC_JAX_TEST_DATA'
  ) as error:
    sources.PoseSetSource(missing, camera=CAMERA)
  assert missing in _one_sentence(error)


def test_a_folder_in_the_place_of_a_pose_file_is_one_sentence(tmp_path):
  with pytest.raises(ValueError, match='is a folder; give the path of a') as error:
    sources.PoseSetSource(str(tmp_path), camera=CAMERA)
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


@pytest.mark.parametrize('poses', ['rhd', 'stb', 'dexycb'])
def test_a_wrong_joint_order_is_noticed_and_a_right_one_is_not(
  test_data, tmp_path, poses
):
  file = next((test_data / 'data' / 'poses').glob(f'{poses}*'), None)
  if file is None:
    pytest.skip('no real samples of poses')
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
      options = {'camera': WIDE, 'order': given}
      if given == order:
        assert len(sources.PoseSetSource(path, **options))
        continue
      with pytest.raises(
        ValueError, match=f'(in the order|so that) .*{order}.* probab'
      ) as error:
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
    pytest.skip('no real samples of poses')
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


def _bent(count=30):
  """Right hands whose fingers tell their side, in metres, before the camera."""
  joints = random_hands(2, count, spread=10).joints
  return 0.02 * joints + np.array([0, 0, 0.6])


def test_sides_that_hands_contradict_are_warned_of_once(tmp_path, caplog):
  sides = np.arange(30) % 2 > 0
  joints = np.where(sides[:, None, None], _bent(), _bent() * [-1, 1, 1])
  ho3d = skeleton.reorder(joints, 'canonical', 'ho3d')
  path = _save(tmp_path / 'right.npz', ho3d, side_is_right=sides)
  pose_files.load_poses(path, camera=CAMERA)
  assert 'correct side_is_right' not in caplog.text
  path = _save(tmp_path / 'swapped.npz', ho3d, side_is_right=~sides)
  for _ in range(2):
    pose_files.load_poses(path, camera=CAMERA)
  assert caplog.text.count('correct side_is_right') == 1
  assert '30 of the 30 hands whose fingers tell their side' in caplog.text


def test_points_with_a_confidence_are_no_poses(tmp_path):
  points = _bent()
  pixels = points[..., :2] / points[..., 2:] * 600 + 300
  score = np.random.default_rng(0).uniform(0.3, 1, (30, 21, 1))
  path = _save(tmp_path / 'p.npy', np.concatenate([pixels, score], axis=-1))
  with pytest.raises(ValueError, match='whose third number is a confidence') as error:
    pose_files.load_poses(path, camera=CAMERA)
  _one_sentence(error)
