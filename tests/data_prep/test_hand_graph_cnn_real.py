"""The real photos of Ge et al. 2019 from their original files, and wrong files."""

import numpy as np
import pytest
import scipy.io

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from tests.fixtures import readers
from tests.fixtures.layouts import BOX, CAMERA, write_params


def _failure(source, out, capsys) -> str:
  arguments = ['hand_graph_cnn_real', '--source', str(source)]
  return readers.failure(arguments, out, capsys)


def test_every_fourth_block_of_twenty_neighbours_is_for_testing(built):
  train = sources.TfdsSource(str(built), 'train').batch(range(65))['sample_id']
  test = sources.TfdsSource(str(built), 'test').batch(range(20))['sample_id']
  assert [int(i) for i in test] == list(range(60, 80))
  assert [int(i) for i in train] == [*range(60), *range(80, 85)]


def test_labels_are_metres_in_the_camera_of_the_crop(built, layout):
  example = sources.TfdsSource(str(built), 'train')[30]
  joints = layout[1][30]
  # The stored hand is a left one: x and u come back mirrored.
  assert example['is_right'] == 0
  np.testing.assert_allclose(example['joints_3d'] * [-1, 1, 1], joints, atol=1e-6)
  frame = joints[:, :2] / joints[:, 2:] * CAMERA[:2] + CAMERA[2:]
  crop = (frame - BOX[:2]) * 256 / 480
  expected = np.stack([255 - crop[:, 0], crop[:, 1]], axis=-1)
  np.testing.assert_allclose(example['keypoints_2d'], expected, atol=1e-3)


def test_a_missing_photo_is_one_sentence(damaged, tmp_path, capsys):
  (damaged / 'images' / '00002.jpg').unlink()
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert '3 images and the 4 entries of image_path do not match' in message
  assert "(for example 'images/00002.jpg')" in message


@pytest.mark.parametrize('name', ['{outside}', 'images/../../00000.jpg'])
def test_no_photo_is_read_from_elsewhere(damaged, tmp_path, capsys, name):
  outside = tmp_path / '00000.jpg'
  outside.write_bytes((damaged / 'images' / '00000.jpg').read_bytes())
  names = [f'images/{i:05d}.jpg' for i in range(1, 4)]
  write_params(damaged, 4, image_path=[name.format(outside=outside), *names])
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert 'do not match one to one' in message and '00000.jpg' in message


def test_a_photo_named_twice_in_the_place_of_another_is_noticed(
  damaged, tmp_path, capsys
):
  (damaged / 'images' / '00000.jpg').unlink()
  names = [f'images/{i:05d}.jpg' for i in (1, 1, 2, 3)]
  write_params(damaged, 4, image_path=names)
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert "do not match one to one (for example 'images/00001.jpg')" in message


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    (lambda joints: joints * 10, 'this looks like millimetres, not centimetres'),
    (lambda joints: joints * [1, 1, -1], 'in front of the camera'),
    (lambda joints: joints[:, :20], 'pose_gt has shape (4, 20, 3), expected'),
    (lambda joints: joints[:3], 'pose_gt has shape (3, 21, 3), expected'),
  ],
)
def test_wrong_joints_are_one_sentence(damaged, tmp_path, capsys, change, expected):
  joints = scipy.io.loadmat(damaged / 'pose_gt.mat')['pose_gt']
  scipy.io.savemat(damaged / 'pose_gt.mat', {'pose_gt': change(joints)})
  assert expected in _failure(damaged, tmp_path / 'out', capsys)


@pytest.mark.parametrize(
  ('changed', 'expected'),
  [
    ({'bbox': np.zeros((4, 4))}, 'bbox holds a crop without width or height'),
    ({'bbox': np.full((4, 4), np.nan)}, 'bbox holds something other than finite num'),
    ({'cam_param': np.full((4, 4), 'x')}, 'cam_param holds something other'),
  ],
)
def test_wrong_cameras_are_one_sentence(damaged, tmp_path, capsys, changed, expected):
  write_params(damaged, 4, **changed)
  assert expected in _failure(damaged, tmp_path / 'out', capsys)


@pytest.mark.parametrize('size', [0, 20, 129, 300])
def test_a_matlab_file_that_is_cut_off_is_named(damaged, tmp_path, capsys, size):
  file = damaged / 'pose_gt.mat'
  file.write_bytes(file.read_bytes()[:size])
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert f'{file} cannot be read as a MATLAB file' in message


def test_a_matlab_file_of_another_kind_is_one_sentence(damaged, tmp_path, capsys):
  (damaged / 'pose_gt.mat').write_bytes(b'nothing')
  assert 'cannot be read' in _failure(damaged, tmp_path / 'out', capsys)
  scipy.io.savemat(damaged / 'pose_gt.mat', {'joints': np.zeros(3)})
  assert 'has no pose_gt' in _failure(damaged, tmp_path / 'out', capsys)


def test_real_photos_are_built_end_to_end(test_data, tmp_path):
  source = test_data / 'data' / 'hand_graph_cnn_real' / 'real_world_testset'
  if not source.is_dir():
    pytest.skip('no real samples of photos')
  path = build_lib.build('hand_graph_cnn_real', tmp_path, source=source)
  photos = sources.TfdsSource(str(path), 'all')
  batch = photos.batch(range(len(photos)))
  assert batch['image'].shape == (len(photos), 256, 256, 3)
  assert np.all((batch['keypoints_2d'] > 0) & (batch['keypoints_2d'] < 255))
  assert not batch['is_right'].any()
  # Joints lie on skin, which is redder than blue, and the corners do not.
  rows = np.rint(batch['keypoints_2d']).astype(int)
  index = np.arange(len(photos))[:, None]
  skin = batch['image'][index, rows[..., 1], rows[..., 0]].astype(float)
  corners = batch['image'][:, :8, :8].reshape(len(photos), -1, 3).astype(float)
  assert np.mean(skin[..., 0] > skin[..., 2] + 20) > 0.9
  assert np.mean(corners[..., 0] > corners[..., 2] + 20) < 0.2
