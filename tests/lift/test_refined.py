"""Depth of a pose network and of the lifter together."""

import dataclasses
import math

import numpy as np
import pytest

from bmc_jax.lift.lifter import LiftedHands
from bmc_jax.lift.refined import refine_depth, refine_predictions
from bmc_jax.predict import HandPrediction
from tests.fixtures.hands import INTRINSICS
from tests.fixtures.lifters import project, random_lifter, seen_hands

TRUTH, POINTS = seen_hands(5, 6)
RAYS = TRUTH / TRUTH[..., 2:]


def _bone(joints):
  return np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)


def _at_depth(relative, root):
  """Hands on the same rays."""
  return RAYS * (relative + root[:, None])[..., None]


class Lifter:
  """Gives hands that are known, at half their size."""

  def __init__(self, joints, mean_error):
    self.joints, self.mean_error = joints / 2, mean_error / 2

  def __call__(self, points, *, intrinsics, is_right, check_camera):
    assert not check_camera  # they are those of the pictures
    np.testing.assert_allclose(points, POINTS, atol=0.01)
    error = np.log(10) * np.full((6, 21), self.mean_error)
    return LiftedHands(self.joints, points, error, intrinsics, np.ones(6, bool))


def test_the_surer_one_counts_more():
  relative = TRUTH[..., 2] - TRUTH[:, :1, 2]
  rng = np.random.default_rng(0)
  off = 0.001 * rng.normal(size=(6, 21)) * (np.arange(21) > 0)
  network = _at_depth(relative + off, TRUTH[:, 0, 2])
  for share in (0.0, 0.2, 0.5, 1.0):  # of the lifter, which knows
    # Weights are those of the inverse squares.
    ratio = math.inf if share == 1 else math.sqrt(share / (1 - share))
    lifter = Lifter(TRUTH, 0.001)
    unit = _bone(network)
    error = np.median(0.001 * ratio / unit)
    found = refine_depth(lifter, network, INTRINSICS, depth_error=max(error, 1e-9))
    np.testing.assert_allclose(_bone(found), unit, rtol=1e-5)
    depth = found[..., 2] - found[:, :1, 2]
    expected = relative + (1 - share) * off
    # Noise makes bones longer; depths are compared but for the hand's size.
    depth *= ((depth * expected).sum(1) / (depth**2).sum(1))[:, None]
    np.testing.assert_allclose(depth, expected, atol=2e-4)


def test_keypoints_and_the_reference_bone_stay():
  for is_right in (True, np.array([1, 0, 1, 0, 0, 1], bool)):
    found = refine_depth(
      random_lifter(), TRUTH, INTRINSICS, depth_error=1.0, is_right=is_right
    )
    np.testing.assert_allclose(project(found, INTRINSICS), POINTS, atol=0.05)
    np.testing.assert_allclose(_bone(found), _bone(TRUTH), rtol=1e-5)
    assert np.abs(found - TRUTH).max() > 1e-3
  bones = refine_depth(random_lifter(), TRUTH / 0.03, INTRINSICS, depth_error=1.0)
  right = refine_depth(random_lifter(), TRUTH, INTRINSICS, depth_error=1.0)
  np.testing.assert_allclose(0.03 * bones, right, atol=1e-5)  # in any unit


def test_hands_behind_the_camera_stay_as_they_are():
  behind = TRUTH.copy()
  behind[2, 7, 2] = -0.1
  found = refine_depth(random_lifter(), behind, INTRINSICS, depth_error=1.0)
  np.testing.assert_array_equal(found[2], behind[2])
  assert np.isfinite(found).all() and np.all(found[[0, 1, 3]] != behind[[0, 1, 3]])


@pytest.mark.parametrize('error', [0.0, -1.0, math.nan])
def test_an_error_that_is_none_is_refused(error):
  with pytest.raises(ValueError, match='it must be above 0'):
    refine_depth(random_lifter(), TRUTH, INTRINSICS, depth_error=error)


def test_predictions_keep_all_but_their_depth():
  sides, other = (True, False), INTRINSICS * [[2, 1, 1], [1, 2, 1], [1, 1, 1]]
  hands = [
    HandPrediction(
      joints, points, 0.5, 'refined', 0.03, side, camera, np.array([0, 0, 9, 9])
    )
    for joints, points, side, camera in zip(
      TRUTH, POINTS, sides, (INTRINSICS, other), strict=False
    )
  ]
  behind = TRUTH[2] - [0, 0, 1.0]
  hands.append(dataclasses.replace(hands[0], joints_3d=behind))
  found = refine_predictions(random_lifter(), hands, depth_error=1.0)
  for one, hand in zip(found[:2], hands, strict=False):
    alone = refine_depth(
      *(random_lifter(), hand.joints_3d, hand.intrinsics),
      depth_error=1.0,
      is_right=hand.is_right,
    )
    np.testing.assert_allclose(one.joints_3d, alone, atol=1e-5)
    assert one.root_depth_from == 'lifted' and one.keypoints_2d is hand.keypoints_2d
  assert found[2] is hands[2]
  assert refine_predictions(random_lifter(), [], depth_error=1.0) == []
