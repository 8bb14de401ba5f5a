"""Cameras as files tell them: which are read, refused or doubted."""

import numpy as np
import pytest

from bmc_jax.data import cameras

MATRIX = [[480.0, 0, 135], [0, 481, 103], [0, 0, 1]]
FLAT = [480, 481, 135, 103]


@pytest.mark.parametrize(
  'told',
  [
    MATRIX,
    FLAT,
    np.ravel(MATRIX).tolist(),
    np.c_[MATRIX, np.zeros(3)].tolist(),
    np.c_[MATRIX, np.zeros(3)].ravel().tolist(),
    np.block([[np.array(MATRIX), np.zeros((3, 1))], [np.eye(4)[3]]]).tolist(),
    {'fx': 480, 'fy': 481, 'ppx': 135, 'ppy': 103, 'coeffs': [0]},
    {'focal': [480, 481], 'princpt': [135, 103]},
    {'K': MATRIX},
    {'camera_matrix': {'rows': 3, 'cols': 3, 'data': np.ravel(MATRIX).tolist()}},
  ],
)
def test_cameras_are_read_in_the_forms_that_tools_write(told):
  assert cameras.is_camera(told)
  np.testing.assert_array_equal(cameras.read_camera(told, 'K').matrix, MATRIX)


def test_an_object_tells_its_images_skew_and_what_is_not_used():
  told = {'fx': 480, 'fy': 481, 'cx': 135, 'cy': 103, 'skew': 2}
  read = cameras.read_camera(told | {'width': 256, 'height': 250, 'dist': [1]}, 'K')
  assert read.size == (256, 250) and read.unused == ('dist',)
  assert read.matrix[0, 1] == 2


@pytest.mark.parametrize(
  ('told', 'message'),
  [
    (np.transpose(MATRIX).tolist(), 'is a transposed matrix, as MATLAB has them'),
    ([0, 0, 128, 128], 'focal lengths 0 and 0; they must be positive'),
    ([480, -480, 128, 128], 'focal lengths 480 and -480'),
    (np.c_[MATRIX, [9, 0, 0]].tolist(), 'projection matrix with a translation'),
    ([[0, 480, 103], [480, 0, 135], [0, 0, 1]], 'is no camera: a 3 x 3 matrix'),
    ([1, 2, 3], 'is no camera: a 3 x 3 matrix'),
    ([480, 481, np.nan, 103], 'is no camera: a 3 x 3 matrix'),
    ({'fx': 480, 'fy': 481}, 'is no camera: a 3 x 3 matrix'),
    ({'fx': 'x', 'fy': 481, 'cx': 1, 'cy': 1}, 'is no camera: a 3 x 3 matrix'),
    ({'focal': [1, 2, 3], 'princpt': [135, 103]}, 'is no camera'),
    ({'K': MATRIX, 'width': 'w', 'height': 1}, "it holds 'w', no number"),
    ('photo', 'is no camera: a 3 x 3 matrix'),
    ({}, 'is no camera: a 3 x 3 matrix'),
    ([[480, 300, 135], [0, 480, 103], [0, 0, 1]], 'has the skew 300 beside a focal'),
    ({'fx': 480, 'fy': 481, 'cx': 1, 'cy': 1, 'skew': -1e9}, 'has the skew -1e+09'),
  ],
)
def test_what_is_no_camera_is_refused_in_a_sentence(told, message):
  with pytest.raises(ValueError, match='^K ') as error:
    cameras.read_camera(told, 'K')
  assert message in str(error.value)


@pytest.mark.parametrize('count', [3, 4])
def test_as_many_cameras_as_numbers_are_not_taken_for_one(count):
  assert not cameras.is_camera([FLAT] * count)


@pytest.mark.parametrize(
  ('told', 'message'),
  [
    ([1.9, 1.9, 0.5, 0.4], "parts of the image's size: multiply fx, cx by its width"),
    ([26, 26, 127.5, 99.5], 'not millimetres'),
    ({'K': MATRIX, 'width': 1280, 'height': 720}, 'those of images of 1280x720 pixels'),
  ],
)
def test_a_camera_that_no_such_image_has_is_refused(told, message):
  with pytest.raises(ValueError, match=message):
    cameras.check_for_image(cameras.read_camera(told, 'K'), 256, 200)


@pytest.mark.parametrize(
  ('told', 'size', 'kinds'),
  [
    (FLAT, (256, 256), []),
    ([924, 924, 640, 362], (1280, 720), []),
    ([924, 924, 640, 362], (256, 256), ['principal point']),
    ([924, 924, 640, 362], (720, 1280), ['principal point']),
    ([600, 600, 320, 240], (1280, 960), ['principal point']),
    ([616, 616, 41, 47], (96, 96), []),
    ([70, 70, 128, 128], (256, 256), ['focal length']),
    ([9000, 9000, 128, 128], (256, 256), ['focal length']),
    ([185, 328, 128, 128], (256, 256), ['aspect']),
  ],
)
def test_cameras_of_other_images_are_doubted_and_right_ones_are_not(told, size, kinds):
  camera = cameras.read_camera(told, 'K')
  cameras.check_for_image(camera, *size)
  found = cameras.doubts(camera.matrix, *size)
  assert list(found) == kinds
  assert all(f'{size[0]}x{size[1]}' in sentence for sentence in found.values())
