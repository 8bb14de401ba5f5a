"""STB's original layout: cameras, the wrist, the splits, and what may be wrong."""

import shutil

import cv2
import numpy as np
import pytest
import scipy.io

from bmc_jax import kinematics, skeleton
from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import stb
from tests.fixtures import readers

FRAMES = 2
SEQUENCES = [f'B{i}{kind}' for i in range(1, 7) for kind in ('Counting', 'Random')]
# As the dataset's README lists them, after the palm.
README_ORDER = [
  f'{finger}_{part}'
  for finger in ('little', 'ring', 'middle', 'index', 'thumb')
  for part in ('mcp', 'pip', 'dip', 'tip')
]
README_THUMB = {'mcp': 'cmc', 'pip': 'mcp', 'dip': 'ip', 'tip': 'tip'}


def _label(joints) -> np.ndarray:
  """A hand (21, 3) in the order of the labels, with a palm centre for the wrist."""
  at = skeleton.JOINT_NAMES.index
  rows = [(joints[at('wrist')] + joints[at('ring_mcp')]) / 2]
  for name in README_ORDER:
    finger, part = name.split('_')
    part = README_THUMB[part] if finger == 'thumb' else part
    rows.append(joints[at(f'{finger}_{part}')])
  return np.array(rows)


def _write_layout(path):
  """A tree of the full structure; joints (N, 21, 3) in metres of each sequence."""
  (path / 'labels').mkdir(parents=True)
  hands = {}
  turn = cv2.Rodrigues(np.array([0.00531, -0.01196, 0.00301]))[0]
  for number, sequence in enumerate(SEQUENCES):
    joints = readers.make_hands(number, FRAMES, bone=0.04) * [-1, 1, 1]
    hands[sequence] = joints
    labels = 1000 * np.array([_label(hand) for hand in joints])
    # README: x_depth = R x_color + t.
    in_depth = np.einsum('ij,nkj->nki', turn, labels) + [-24.0381, -0.4563, -1.2326]
    for suffix, label in (('BB', labels), ('SK', in_depth)):
      file = path / 'labels' / f'{sequence}_{suffix}.mat'
      scipy.io.savemat(file, {'handPara': label.transpose(2, 1, 0)})
    for frame in range(FRAMES):
      for prefix in ('BB_left', 'BB_right', 'SK_color', 'SK_depth'):
        image = path / 'images' / sequence / f'{prefix}_{frame}.png'
        readers.write_image(image, 640, 480, 20 * number + frame)
  return hands


@pytest.fixture(scope='module')
def layout(tmp_path_factory):
  path = tmp_path_factory.mktemp('stb')
  return path, _write_layout(path)


@pytest.fixture
def damaged(layout, tmp_path):
  """A copy that a test may spoil."""
  return shutil.copytree(layout[0], tmp_path / 'source')


@pytest.fixture
def real_labels(test_data):
  file = test_data / 'data' / 'stb_layout' / 'labels' / 'B1Counting_BB.mat'
  if not file.is_file():
    pytest.skip('no real samples of STB')
  return scipy.io.loadmat(file)['handPara'].transpose(2, 1, 0)


def test_background_1_is_for_testing(layout):
  splits = stb.read_records(layout[0], cameras=('sk',))
  names = {
    split: list(dict.fromkeys(r['sample_id'].split('/')[0] for r in records))
    for split, records in splits.items()
  }
  assert names == {'train': SEQUENCES[2:], 'test': SEQUENCES[:2]}
  assert len(splits['train']) == 10 * FRAMES and len(splits['test']) == 2 * FRAMES


def test_both_images_of_the_stereo_pair_are_taken_unless_told_otherwise(layout):
  records = stb.read_records(layout[0])['test']
  images = [r['image'].name for r in records if r['image'].parent.name == 'B1Random']
  assert images == [f'BB_{s}_{i}.png' for s in ('left', 'right') for i in range(FRAMES)]


@pytest.mark.parametrize(
  ('camera', 'prefix', 'shift', 'intrinsics'),
  [
    ('bb_left', 'BB_left', 0, (822.79041, 822.79041, 318.47345, 250.31296)),
    ('bb_right', 'BB_right', 0.120054, (822.79041, 822.79041, 318.47345, 250.31296)),
    ('sk', 'SK_color', 0, (607.92271, 607.88192, 314.78337, 236.42484)),
  ],
)
def test_joints_are_metres_in_the_frame_of_the_camera(
  layout, camera, prefix, shift, intrinsics
):
  path, hands = layout
  fx, fy, cx, cy = intrinsics
  record = stb.read_records(path, cameras=(camera,))['train'][3]  # B2Random, frame 1
  assert record['image'] == path / 'images' / 'B2Random' / f'{prefix}_1.png'
  joints = hands['B2Random'][1] - [shift, 0, 0]
  np.testing.assert_allclose(record['joints_3d'], joints, atol=1e-6)
  pixels = readers.slow_projection(joints, [[fx, 0, cx], [0, fy, cy], [0] * 3])
  np.testing.assert_allclose(record['keypoints_2d'], pixels, atol=1e-3)
  assert record['is_right'] == 0 and record['has_joints_3d'] == 1


def test_the_wrist_is_that_of_the_pose_file(real_labels, test_data):
  # The hand of the tracker is rigid from the wrist to the knuckles, so its distances
  # are the same in both, although the file holds other frames.
  joints = stb.to_canonical(real_labels)
  poses = 1000 * np.load(test_data / 'data' / 'poses' / 'stb_train_joints.npy')
  for knuckle in (1, 5, 9, 13, 17):
    ours, theirs = (
      np.linalg.norm(hands[:, knuckle] - hands[:, 0], axis=-1)
      for hands in (joints, poses)
    )
    np.testing.assert_allclose(ours, np.median(theirs), atol=2e-3)


def test_the_hand_is_a_left_one(real_labels):
  # Fingers bend towards the palm, at the PIP by 0 to 90 degrees in STB's tracker.
  joints = stb.to_canonical(real_labels)[::50]
  both = np.stack([skeleton.mirror(joints), joints])
  flexion = np.asarray(kinematics.joint_angles(both))[:, :, 1:, 1, 0]
  as_left, as_right = np.rad2deg(flexion)
  assert -1 < as_left.min() and as_left.max() < 91
  assert as_right.min() < -80 and as_right.max() < 1


def _delete(path, name):
  (path / name).unlink()


def _change(path, name, change):
  file = path / 'labels' / name
  hands = scipy.io.loadmat(file)['handPara']
  scipy.io.savemat(file, {'handPara': change(hands)})


DAMAGES = {
  'no labels': (
    lambda p: shutil.rmtree(p / 'labels'),
    'has no folder labels',
  ),
  'a sequence without labels': (
    lambda p: _delete(p, 'labels/B4Random_BB.mat'),
    'B4Random_BB.mat is missing',
  ),
  'an image too few': (
    lambda p: _delete(p, 'images/B1Counting/BB_right_1.png'),
    'holds 1 images BB_right_N.png, but B1Counting_BB.mat has the labels of frames 0 '
    'to 1',
  ),
  'an image too many': (
    lambda p: readers.write_image(
      p / 'images' / 'B1Counting' / 'BB_left_2.png', 640, 480
    ),
    'holds 3 images BB_left_N.png',
  ),
  'a label that is cut off': (
    lambda p: (p / 'labels' / 'B3Random_BB.mat').write_bytes(b'MATLAB'),
    'B3Random_BB.mat cannot be read as a MATLAB file',
  ),
  'another variable': (
    lambda p: scipy.io.savemat(p / 'labels' / 'B3Random_BB.mat', {'hand': 1}),
    'B3Random_BB.mat has no handPara',
  ),
  'another shape': (
    lambda p: _change(p, 'B3Random_BB.mat', lambda h: h.transpose(2, 1, 0)),
    r'handPara has the shape \(2, 21, 3\), but \(3, 21, N\) is needed',
  ),
  'NaN': (
    lambda p: _change(p, 'B3Random_BB.mat', lambda h: np.where(h > 600, np.nan, h)),
    'handPara holds a value that is not finite',
  ),
  'metres': (
    lambda p: _change(p, 'B3Random_BB.mat', lambda h: h / 1000),
    'this looks like metres, not millimetres',
  ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_each_kind_of_damage_has_its_sentence(damaged, name):
  spoil, expected = DAMAGES[name]
  spoil(damaged)
  with pytest.raises((ValueError, FileNotFoundError), match=expected) as error:
    stb.read_records(damaged)
  assert str(damaged) in str(error.value) and str(error.value).endswith('.')


@pytest.mark.parametrize('cameras', [(), ('sk', 'left')])
def test_unknown_cameras_are_refused(layout, cameras):
  with pytest.raises(ValueError, match='choose from bb_left, bb_right, sk'):
    stb.read_records(layout[0], cameras=cameras)


def test_a_part_is_read_if_asked_for(damaged):
  _delete(damaged, 'labels/B1Random_BB.mat')
  _delete(damaged, 'images/B1Counting/BB_right_0.png')
  names = [r['sample_id'] for r in stb.read_records(damaged, partial=True)['test']]
  assert names == [
    f'B1Counting/bb_{name}' for name in ('left/0000', 'left/0001', 'right/0001')
  ]


def test_an_incomplete_copy_is_not_built(damaged, tmp_path, capsys):
  _delete(damaged, 'images/B5Random/BB_left_0.png')
  arguments = ['stb', '--source', str(damaged)]
  message = readers.failure(arguments, tmp_path / 'out', capsys)
  assert 'holds 1 images BB_left_N.png' in message and '--partial' in message


def test_the_layout_is_built_end_to_end(layout, tmp_path):
  arguments = ['stb', '--source', str(layout[0]), '--out', str(tmp_path)]
  assert build_lib.main([*arguments, '--cameras', 'bb_left,sk']) == 0
  train = sources.TfdsSource(str(tmp_path), 'train')
  test = sources.TfdsSource(str(tmp_path), 'test')
  assert (len(train), len(test)) == (20 * FRAMES, 4 * FRAMES)
  example = test[FRAMES + 1]  # mirrored on reading
  assert example['sample_id'] == 'B1Counting/sk/0001' and example['is_right'] == 0
  joints = layout[1]['B1Counting'][1] * [-1, 1, 1]
  np.testing.assert_allclose(example['joints_3d'], joints, atol=1e-6)


def test_the_real_stereo_pair_is_built_and_joints_lie_on_the_hand(test_data, tmp_path):
  source = test_data / 'data' / 'stb_layout'
  if not source.is_dir():
    pytest.skip('no real samples of STB')
  path = build_lib.build('stb', tmp_path, source=source, partial=True)
  pair = sources.TfdsSource(str(path), 'test')
  assert len(pair) == 2
  for index in range(2):
    example = pair[index]
    pixels = readers.slow_projection(example['joints_3d'], example['intrinsics'])
    np.testing.assert_allclose(example['keypoints_2d'], pixels, atol=0.5)
    # Skin is redder than blue; the wallpaper around the hand is not.
    columns, rows = np.rint(pixels).astype(int).T
    skin = example['image'][rows, columns].astype(float)
    assert np.mean(skin[:, 0] > skin[:, 2] + 20) > 0.85
  # The same point in both cameras: a rectified pair has the same rows.
  left, right = pair[0]['keypoints_2d'], pair[1]['keypoints_2d']
  np.testing.assert_allclose(left[:, 1], right[:, 1], atol=0.01)
