"""Crops around the hand: keypoints, camera and pixels move together."""

import numpy as np
import pytest

from bmc_jax.data import crops
from bmc_jax.data_prep import build as build_lib
from tests.fixtures.examples import DOT_JOINTS, find_dots, make_example


@pytest.mark.parametrize('size', [64, 160])
@pytest.mark.parametrize('index', range(4))
def test_dots_stay_under_their_keypoints(index, size):
  cropped = crops.crop_to_hand(make_example(index, size=160), size)
  assert cropped['image'].shape == (size, size, 3)
  found = find_dots(cropped['image'] / np.float32(255))
  expected = cropped['keypoints_2d'][list(DOT_JOINTS)]
  np.testing.assert_allclose(found, expected, atol=0.3)


@pytest.mark.parametrize('index', range(4))
def test_the_camera_of_the_crop_projects_on_its_keypoints(index):
  cropped = crops.crop_to_hand(make_example(index, size=160), 96)
  points = cropped['joints_3d'] @ cropped['intrinsics'].T
  expected = points[:, :2] / points[:, 2:]
  np.testing.assert_allclose(cropped['keypoints_2d'], expected, atol=1e-3)


def test_the_hand_fills_two_thirds_of_the_crop_and_is_in_its_middle():
  cropped = crops.crop_to_hand(make_example(0, size=160), 300)
  low, high = (f(cropped['keypoints_2d'], axis=0) for f in (np.min, np.max))
  assert np.max(high - low) == pytest.approx(200, abs=5)
  np.testing.assert_allclose((low + high) / 2, 149.5, atol=3)


def test_what_lies_outside_of_the_image_is_black():
  example = make_example(0, size=160)
  example['image'] = np.full_like(example['image'], 200)
  example['keypoints_2d'] = example['keypoints_2d'] + np.float32([100, 0])
  image = crops.crop_to_hand(example, 64)['image']
  assert np.all(image[32, 0] == 200) and np.all(image[32, -1] == 0)


def test_only_labelled_keypoints_count():
  example = make_example(0, size=160)
  example['visibility'][1:] = 0
  cropped = crops.crop_to_hand(example, 32)
  np.testing.assert_allclose(cropped['keypoints_2d'][0], 15.5, atol=0.51)


def test_a_box_of_the_hand_goes_before_the_keypoints():
  example = make_example(0, size=160)
  example['visibility'][:] = 0
  cropped = crops.crop_to_hand(example, 60, np.array([50.0, 60, 70, 90]))
  # 45 px become 60, and the middle of the box (60, 75) that of the crop.
  expected = (example['keypoints_2d'] - [60, 75]) * 60 / 45 + 29.5
  np.testing.assert_allclose(cropped['keypoints_2d'], expected, atol=0.7)


@pytest.mark.parametrize(
  ('visible', 'far', 'expected'),
  [(0, 0, 'no labelled keypoint to crop around'), (1, 1e6, 'spread over 1')],
)
def test_what_cannot_be_cropped_is_one_sentence(visible, far, expected):
  example = make_example(0)
  example['visibility'][:] = visible
  example['keypoints_2d'][3] += far
  with pytest.raises(ValueError, match=f"'hand_0000'.*{expected}"):
    crops.crop_to_hand(example, 64)


def test_a_crop_of_a_few_pixels_is_refused(tmp_path, capsys):
  arguments = ['--source', str(tmp_path), '--out', str(tmp_path), '--crop-size', '3']
  (tmp_path / 'file').touch()
  assert build_lib.main(['hand_graph_cnn_real', *arguments]) == 2
  assert 'crop_size is 3; it must be from 16 to 4096' in capsys.readouterr().err
