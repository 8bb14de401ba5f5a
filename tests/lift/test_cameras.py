"""Cameras that are given for keypoints of pictures whose size nobody tells."""

import numpy as np
import pytest

from bmc_jax.lift import cameras
from tests.fixtures.lifters import random_lifter
from tests.lift.test_sides import make_file

POINTS = np.random.default_rng(0).uniform(100, 400, (3, 21, 2))


def _lift(intrinsics):
  found = make_file([1, 1, 1])._replace(keypoints_2d=POINTS)
  return cameras.lift_hands(
    random_lifter(),
    found,
    np.ones(3, bool),
    intrinsics=cameras.parse_intrinsics(intrinsics),
  )


def test_a_camera_is_compared_with_how_far_the_keypoints_reach(capsys):
  with pytest.raises(ValueError, match="are parts of the image's size: multiply fx"):
    _lift('1.9,1.9,1,1')
  _lift('500,500,0,0')
  assert 'the principal point (0, 0) is far from the middle' in capsys.readouterr().err
  for camera in ('500,500,250,250', '2000,2000,1500,1000'):  # hands in a corner
    hands = _lift(camera)
    assert np.isfinite(hands.joints_3d).all() and not capsys.readouterr().err
