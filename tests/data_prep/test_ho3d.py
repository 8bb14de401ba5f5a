"""HO-3D: the layouts of both versions, their labels, and every way to fail."""

import pickle
import shutil

import cv2
import numpy as np
import pytest

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import ho3d
from tests.fixtures import readers
from tests.fixtures.examples import make_joints

CAMERA = np.array([[614.6, 0, 320.3], [0, 614.1, 238.5], [0, 0, 1]])
# Where HO-3D keeps the joints of each finger, base to tip.
FINGERS = (
  (13, 14, 15, 16),
  (1, 2, 3, 17),
  (4, 5, 6, 18),
  (10, 11, 12, 19),
  (7, 8, 9, 20),
)
VERSIONS = {'ho3d_v2': '.png', 'ho3d_v3': '.jpg'}
READERS = {'ho3d_v2': ho3d.read_records_v2, 'ho3d_v3': ho3d.read_records_v3}


def _as_stored(joints):
  """Joints (21, 3) of OpenCV's axes and canonical order as HO-3D stores them."""
  stored = np.zeros((21, 3), np.float32)
  stored[0] = joints[0]
  for finger, places in enumerate(FINGERS):
    stored[list(places)] = joints[1 + 4 * finger : 5 + 4 * finger]
  return stored * [1, -1, -1]


def _project(joints):
  points = joints @ CAMERA.T
  return points[:, :2] / points[:, 2:]


HANDS = [make_joints(np.random.default_rng(i)) for i in range(5)]


def _write_frame(folder, number, joints, ending):
  for name in ('rgb', 'meta', 'depth'):
    (folder / name).mkdir(parents=True, exist_ok=True)
  image = np.full((480, 640, 3), 10 * number, np.uint8)
  cv2.imwrite(str(folder / 'rgb' / f'{number:04d}{ending}'), image)
  meta = {
    'camMat': CAMERA,
    'handJoints3D': joints,
    'handBeta': np.zeros(10),
    'objName': '021_bleach_cleanser',
    'objLabel': 12,
    'handVertContact': np.zeros(778, bool),
    'handBoundingBox': [10, 20, 30, 40],
  }
  path = folder / 'meta' / f'{number:04d}.pkl'
  path.write_bytes(pickle.dumps(meta, protocol=2))


def _write_layout(path, ending):
  """Frames of which one is not listed and has no hand; the lists are not sorted."""
  for sequence, number, hand in (('MC1', 0, 0), ('ABF10', 1, 1), ('ABF10', 2, 2)):
    _write_frame(path / 'train' / sequence, number, _as_stored(HANDS[hand]), ending)
  _write_frame(path / 'train' / 'ABF10', 3, None, ending)
  for number, hand in ((0, 3), (1, 4)):
    wrist = _as_stored(HANDS[hand])[0]
    _write_frame(path / 'evaluation' / 'SM1', number, wrist, ending)
  (path / 'train.txt').write_text('MC1/0000\nABF10/0001\nABF10/0002\n')
  (path / 'evaluation.txt').write_text('SM1/0001\nSM1/0000')


@pytest.fixture(scope='module', params=sorted(VERSIONS))
def layout(request, tmp_path_factory):
  """The dataset's name and the folder of its layout."""
  path = tmp_path_factory.mktemp('layout') / request.param.replace('ho3d', 'HO3D')
  _write_layout(path, VERSIONS[request.param])
  return request.param, path


@pytest.fixture
def damaged(tmp_path):
  """A layout of version 3 that a test may spoil."""
  _write_layout(tmp_path / 'source', '.jpg')
  return tmp_path / 'source'


def _examples(records):
  return {e['sample_id']: e for e in map(ho3d.read_example, records)}


def test_training_joints_come_to_opencv_axes_and_canonical_order(layout):
  name, path = layout
  examples = _examples(READERS[name](path)['train'])
  assert list(examples) == ['train/MC1/0000', 'train/ABF10/0001', 'train/ABF10/0002']
  for example, joints in zip(examples.values(), HANDS, strict=False):
    np.testing.assert_allclose(example['joints_3d'], joints, atol=1e-6)
    np.testing.assert_allclose(example['keypoints_2d'], _project(joints), atol=1e-3)
    np.testing.assert_allclose(example['intrinsics'], CAMERA, rtol=1e-6)
    assert example['is_right'] == 1 and example['has_joints_3d'] == 1
    assert example['visibility'].all()
    image = path / f'{example["sample_id"]}'
    image = image.parent / 'rgb' / f'{image.name}{VERSIONS[name]}'
    assert example['image'] == image.read_bytes()


def test_evaluation_has_the_wrist_alone_in_the_order_of_the_list(layout):
  name, path = layout
  examples = _examples(READERS[name](path.parent)['evaluation'])
  assert list(examples) == ['evaluation/SM1/0001', 'evaluation/SM1/0000']
  for example, joints in zip(examples.values(), (HANDS[4], HANDS[3]), strict=True):
    np.testing.assert_allclose(example['joints_3d'][0], joints[0], atol=1e-6)
    wrist = _project(joints)[0]
    np.testing.assert_allclose(example['keypoints_2d'][0], wrist, atol=1e-3)
    assert example['visibility'].tolist() == [1] + 20 * [0]
    assert not example['joints_3d'][1:].any() and example['has_joints_3d'] == 0


@pytest.mark.parametrize('wrist', [(0.4, 0, -0.5), (0, -0.3, -0.5)])
def test_a_wrist_outside_of_the_image_is_not_visible(damaged, wrist):
  _write_frame(damaged / 'evaluation' / 'SM1', 0, np.array(wrist), '.jpg')
  (damaged / 'evaluation.txt').write_text('SM1/0000')
  (example,) = _examples(ho3d.read_records_v3(damaged)['evaluation']).values()
  assert not example['visibility'].any()
  np.testing.assert_allclose(example['joints_3d'][0], np.array(wrist) * [1, -1, -1])


def test_a_wrist_behind_the_camera_is_told(damaged, tmp_path, capsys):
  _write_frame(damaged / 'evaluation' / 'SM1', 0, np.array([0, 0, 0.5]), '.jpg')
  message = _failure(damaged, tmp_path, capsys)
  assert '0000.pkl: the wrist lies behind the camera (depth -0.5 m)' in message


def test_a_build_holds_both_splits(layout, tmp_path):
  name, path = layout
  built = build_lib.build(name, tmp_path, source=path)
  train = sources.TfdsSource(str(built), 'train')
  assert [train[i]['sample_id'] for i in range(3)][0] == 'train/MC1/0000'
  np.testing.assert_allclose(train[2]['joints_3d'], HANDS[2], atol=1e-6)
  evaluation = sources.TfdsSource(str(built), 'evaluation')
  assert evaluation[0]['sample_id'] == 'evaluation/SM1/0001' and len(evaluation) == 2
  assert evaluation[0]['image'].shape == (480, 640, 3)
  assert (built / 'contact_sheet.png').is_file()


def test_evaluation_is_cropped_around_the_published_box(layout, tmp_path):
  name, path = layout
  built = build_lib.build(
    name, tmp_path, source=path, splits=['evaluation'], crop_size=60
  )
  example = sources.TfdsSource(str(built), 'evaluation')[1]
  assert example['image'].shape == (60, 60, 3)
  # The box is 20 px wide: the crop takes 32 around its middle, (20, 30).
  expected = (_project(HANDS[3])[0] - [20, 30]) * 60 / 32 + 29.5
  np.testing.assert_allclose(example['keypoints_2d'][0], expected, atol=1)


def _failure(source, tmp_path, capsys, name='ho3d_v3') -> str:
  arguments = [name, '--source', str(source)]
  return readers.failure(arguments, tmp_path / 'out', capsys)


@pytest.mark.parametrize(
  ('meta', 'expected'),
  [
    ({'handJoints3D': None}, '0001.pkl has no handJoints3D'),
    ({'camMat': None}, '0001.pkl has no camMat'),
    ({'camMat': np.eye(4)}, 'camMat has the shape (4, 4), but (3, 3) is needed'),
    (
      {'handJoints3D': np.zeros((16, 3))},
      'handJoints3D has the shape (16, 3), but (21',
    ),
    ({'handJoints3D': np.full((21, 3), np.nan)}, 'holds a value that is not finite'),
    ({'handJoints3D': HANDS[0]}, "'train/ABF10/0001': a joint has depth"),
    (
      {'handJoints3D': _as_stored(HANDS[0]) * 1000},
      'looks like millimetres, not metres',
    ),
  ],
)
def test_wrong_annotations_are_one_sentence(damaged, tmp_path, capsys, meta, expected):
  path = damaged / 'train' / 'ABF10' / 'meta' / '0001.pkl'
  path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | meta))
  assert expected in _failure(damaged, tmp_path, capsys)


def test_a_hostile_pickle_is_not_run(damaged, tmp_path, capsys):
  trace = tmp_path / 'trace'
  path = damaged / 'train' / 'MC1' / 'meta' / '0000.pkl'
  path.write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(trace).encode())
  message = _failure(damaged, tmp_path, capsys)
  assert f'{path} was not read, because it asks for os.system' in message
  assert not trace.exists()


@pytest.mark.parametrize(
  ('content', 'expected'),
  [
    ('', 'train.txt lists no frames'),
    ('MC1/0000 ABF10/0001 MC1/0000', 'train.txt names a frame twice'),
    ('../../other/0000', "'../../other/0000' is not of the form SEQUENCE/NNNN"),
    ('/MC1/0000', "'/MC1/0000' is not of the form"),
    ('MC1/0000 MC1/0001', '2 of the 8 files that the annotations name are missing'),
  ],
)
def test_wrong_lists_are_one_sentence(damaged, tmp_path, capsys, content, expected):
  (damaged / 'train.txt').write_text(content)
  assert expected in _failure(damaged, tmp_path, capsys)


@pytest.mark.parametrize('file', ['rgb/0001.jpg', 'meta/0001.pkl'])
def test_a_missing_file_is_named(damaged, tmp_path, capsys, file):
  path = damaged / 'train' / 'ABF10' / file
  path.unlink()
  message = _failure(damaged, tmp_path, capsys)
  assert 'files that the annotations name are missing' in message
  assert f'the first of them {path}; get a complete copy.' in message
  arguments = ['ho3d_v3', '--source', str(damaged), '--out', str(tmp_path / 'out')]
  assert build_lib.main([*arguments, '--max-bad', '1']) == 0
  assert f'left out: The file {path} is missing' in capsys.readouterr().out


def test_the_other_version_or_folder_is_one_sentence(damaged, tmp_path, capsys):
  message = _failure(damaged, tmp_path, capsys, 'ho3d_v2')
  assert '0000.png' in message and 'version 3 .jpg files' in message
  shutil.rmtree(damaged / 'evaluation')
  message = _failure(damaged / 'train', tmp_path, capsys)
  assert (
    'neither train.txt nor evaluation.txt; it must be the folder HO3D_v3' in message
  )


def test_real_samples_are_built_with_their_labels_on_the_hands(test_data, tmp_path):
  source = test_data / 'data' / 'ho3d_layout'
  if not source.is_dir():
    pytest.skip('no real samples of HO-3D')
  path = build_lib.build('ho3d_v3', tmp_path, source=source)
  hands = sources.TfdsSource(str(path), 'train')
  assert len(hands) == 2
  for example in map(hands.__getitem__, range(len(hands))):
    points = example['joints_3d'] @ example['intrinsics'].T
    error = points[:, :2] / points[:, 2:] - example['keypoints_2d']
    assert np.linalg.norm(error, axis=1).max() < 0.5
    # The joints lie on skin, which is redder than blue; the hand is the only one.
    v, u = np.rint(example['keypoints_2d']).astype(int).T[::-1]
    skin = example['image'][v, u].astype(float)
    assert np.mean(skin[:, 0] > skin[:, 2] + 20) > 0.9
    assert np.mean(example['image'][..., 0] > example['image'][..., 2] + 20.0) < 0.3
