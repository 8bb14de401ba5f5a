"""Cameras given to the lifter in Python are compared with its keypoints."""

import warnings

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.lift import reach
from tests.fixtures.lifters import INTRINSICS, project, random_lifter, seen_hands

_, SEEN = seen_hands(0, 4)


def _camera(fx, fy, cx, cy):
  return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


@pytest.mark.parametrize(
  ('camera', 'told'),
  [
    ((1.9, 1.9, 0.5, 0.5), "parts of the image's size"),
    ((4.2, 4.2, 3.1, 2.3), 'not millimetres'),
  ],
)
def test_a_camera_that_cannot_see_the_keypoints_is_refused(camera, told):
  with pytest.raises(ValueError, match=f'intrinsics and keypoints_2d: .*{told}'):
    random_lifter()(SEEN, intrinsics=_camera(*camera))


def test_the_camera_of_a_frame_is_told_for_keypoints_of_crops():
  crops = SEEN - SEEN.min(axis=1, keepdims=True) + 10
  with pytest.warns(UserWarning, match='as in crops of a frame of about 3000x2000'):
    random_lifter()(crops, intrinsics=_camera(2000, 2000, 1500, 1000))
  each = np.stack([_camera(2000, 2000, 1500 + i, 1000) for i in range(4)])
  with pytest.warns(UserWarning, match='as in crops of a frame of about 3000x2000'):
    random_lifter()(crops, intrinsics=each)


def test_what_is_right_or_missing_is_not_warned_of():
  missing = SEEN.copy()
  missing[0] = np.nan
  missing[1, 3:] = np.nan
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    for points in (SEEN, missing, np.full_like(SEEN, np.nan), SEEN[:0]):
      random_lifter()(points, intrinsics=INTRINSICS)
    crops = SEEN - SEEN.min(axis=1, keepdims=True) + 10
    whole = _camera(2000, 2000, 1500, 1000)
    random_lifter()(crops, intrinsics=whole, check_camera=False)


def test_real_hands_in_whole_frames_are_rarely_doubted(test_data):
  joints = np.load(test_data / 'data' / 'poses' / 'dexycb_subjects01-08.npz')
  joints = skeleton.reorder(joints['joints_ho3d'][::50].astype(float), 'ho3d')
  camera = _camera(615, 615, 318, 241)  # as its cameras are, of 640x480 pixels
  points = project(joints, camera)
  points = points[((points >= 0) & (points < [640, 480])).all(axis=(1, 2))]
  assert len(points) > 500

  def share(points, camera):
    return np.mean([bool(reach.doubt_crops(p[None], camera[None])) for p in points])

  assert share(points, camera) < 0.01
  low, high = points.min(axis=1), points.max(axis=1)
  left_top = (low + high) / 2 - 0.75 * (high - low).max(axis=1, keepdims=True)
  assert share(points - np.maximum(left_top, 0)[:, None], camera) > 0.8
