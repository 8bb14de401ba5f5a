"""InterHand2.6M as generated folders of its layout."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bmc_jax import skeleton
from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import interhand
from tests.fixtures import readers

WIDTH, HEIGHT = 64, 96
FOCAL, PRINCPT = (60.0, 61.0), (30.0, 50.0)
INTRINSICS = np.array([[60, 0, 30], [0, 61, 50], [0, 0, 1]])
NAME = 'Capture0/0390_dh_touchROM/cam400026/image69148.jpg'
ORDER = np.argsort(skeleton.JOINT_ORDERS['interhand'])


def _hands():
  """A right and a left hand (2, 21, 3) in metres before the camera."""
  right, left = readers.make_hands(1, 2)
  return np.stack([right, left * [-1, 1, 1]])


def _write(
  path, split='test', folder=None, hand_type='interacting', unseen=(), name=NAME
):
  """One image of both hands; the rows `unseen` are not valid."""
  turn = Rotation.from_euler('xyz', [0.3, -0.8, 0.2])
  place = np.array([-415.0, 132.0, 60.0])
  seen = _hands()[:, ORDER].reshape(42, 3) * 1000
  world = turn.inv().apply(seen) + place
  valid = [[int(i not in unseen)] for i in range(42)]
  image = {'id': 5, 'file_name': name, 'width': WIDTH, 'height': HEIGHT}
  image |= {'capture': 0, 'subject': 1, 'camera': '400026', 'frame_idx': 69148}
  row = {'id': 9, 'image_id': 5, 'bbox': [1, 1, 9, 9], 'joint_valid': valid}
  row |= {'hand_type': hand_type, 'hand_type_valid': 1}
  camera = {'campos': place.tolist(), 'camrot': turn.as_matrix().tolist()}
  camera |= {'focal': FOCAL, 'princpt': PRINCPT}
  contents = {
    'data': {'images': [image], 'annotations': [row]},
    'camera': {'0': {key: {'400026': value} for key, value in camera.items()}},
    'joint_3d': {'0': {'69148': {'world_coord': world.tolist()}}},
  }
  target = path / 'annotations' / (folder or split)
  target.mkdir(parents=True, exist_ok=True)
  for kind, content in contents.items():
    (target / f'InterHand2.6M_{split}_{kind}.json').write_text(json.dumps(content))
  readers.write_image(path / 'images' / split / NAME, WIDTH, HEIGHT)


def test_both_hands_are_built_and_project_on_their_keypoints(tmp_path):
  source = tmp_path / 'source'
  _write(source, unseen=(4,))  # the tip of the right index finger
  path = build_lib.build('interhand', tmp_path / 'out', source=source)
  built = sources.TfdsSource(str(path), 'test')
  assert len(built) == 2
  for i, (hand, side) in enumerate(zip(_hands(), ('right', 'left'), strict=True)):
    example = built[i]
    assert example['sample_id'] == f'{NAME[:-4]}_{side}'
    assert example['is_right'] == (side == 'right')
    seen = example['visibility'] > 0
    tip = skeleton.JOINT_NAMES.index('index_tip')
    np.testing.assert_array_equal(~seen, (np.arange(21) == tip) & (side == 'right'))
    sign = 1 if side == 'right' else -1  # sources mirror left hands
    np.testing.assert_allclose(
      example['joints_3d'][seen], (hand * [sign, 1, 1])[seen], atol=1e-5
    )
    pixels = readers.slow_projection(hand, INTRINSICS)
    if side == 'left':
      pixels = pixels * [-1, 1] + [WIDTH - 1, 0]
    error = np.linalg.norm(example['keypoints_2d'] - pixels, axis=-1)[seen]
    assert error.max() < 0.5
    own = readers.slow_projection(example['joints_3d'][seen], example['intrinsics'])
    assert np.abs(own - example['keypoints_2d'][seen]).max() < 0.5


@pytest.mark.parametrize('folder', ['train', 'all', 'human_annot'])
def test_both_releases_are_read(tmp_path, folder):
  _write(tmp_path, split='train', folder=folder)
  assert len(interhand.read_records(tmp_path)['train']) == 2


def test_hands_without_a_wrist_and_interacting_ones_are_left_out(tmp_path):
  _write(tmp_path, unseen=(20,))
  (left,) = interhand.read_records(tmp_path)['test']
  assert not left['is_right']
  assert interhand.read_records(tmp_path, hands='single') == {'test': []}
  _write(tmp_path, unseen=range(21), hand_type='left')
  assert len(interhand.read_records(tmp_path, hands='single')['test']) == 1


DAMAGES = {
  'metres': (lambda w: (np.array(w) / 1000).tolist(), 'this looks like metres'),
  'too few rows': (lambda w: w[:41], r'annotation 9 has the shape \(41, 3\)'),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_joints_of_another_form_are_refused(tmp_path, name):
  spoil, expected = DAMAGES[name]
  _write(tmp_path)
  cameras = tmp_path / 'annotations/test/InterHand2.6M_test_camera.json'
  file = tmp_path / 'annotations/test/InterHand2.6M_test_joint_3d.json'
  content = json.loads(file.read_text())
  content['0']['69148']['world_coord'] = spoil(content['0']['69148']['world_coord'])
  file.write_text(json.dumps(content))
  with pytest.raises(ValueError, match=expected):
    interhand.read_records(tmp_path)
  cameras.write_text('{"0": {"campos": {}, "camrot": {}}}')
  with pytest.raises(ValueError, match="annotation 9 is of '400026', which the files"):
    interhand.read_records(tmp_path)


def test_another_folder_is_one_sentence(tmp_path):
  with pytest.raises(FileNotFoundError, match='must be the folder of InterHand2.6M'):
    interhand.read_records(tmp_path)
  with pytest.raises(
    ValueError, match="hands is 'dominant'; it must be each or single"
  ):
    interhand.read_records(tmp_path, hands='dominant')
