"""A whole hand's box from its fingertips."""

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.data import crops
from bmc_jax.data_prep import fingertips
from tests.fixtures import readers

INTRINSICS = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])
ALL = np.ones((1, 5))


def _keypoints(joints) -> np.ndarray:
  """Pixels (N, 21, 2) of hands (N, 21, 3)."""
  return np.array([readers.slow_projection(hand, INTRINSICS) for hand in joints])


def _crops(boxes):
  """Centres (N, 2) and sides (N,) of the crops around boxes."""
  low, high = boxes[:, :2], boxes[:, 2:]
  return (low + high) / 2, crops.SCALE * (high - low).max(axis=1)


def _show(joints, boxes) -> tuple[float, float]:
  """The share of crops that hold the wrist, and the hands' median part of a crop."""
  centres, sides = _crops(boxes)
  keypoints = _keypoints(joints)
  wrist = np.abs(keypoints[:, 0] - centres).max(axis=1) < sides / 2
  return wrist.mean(), float(np.median(np.ptp(keypoints, axis=1).max(axis=1) / sides))


def test_real_hands_are_framed_as_hands_by_their_fingertips(test_data):
  poses = np.load(test_data / 'data' / 'poses' / 'dexycb_subjects01-08.npz')
  rows = np.flatnonzero(poses['subject'] <= 4)[::170]
  joints = skeleton.reorder(poses['joints_ho3d'][rows], 'ho3d')
  right = poses['side_is_right'][rows] > 0
  assert min(right.sum(), (~right).sum()) > 30
  for side in (True, False):
    hands = joints[right == side]
    tips = hands[:, fingertips.TIPS]
    known = ALL.repeat(len(tips), 0)
    found = fingertips.hand_boxes(tips, known, INTRINSICS, is_right=side)
    wrists, part = _show(hands, found)
    assert wrists > 0.88 and 0.6 < part < 0.72
    points = _keypoints(tips)
    alone = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    wrists, part = _show(hands, alone)
    assert wrists < 0.7 and part > 0.75


def test_a_mirrored_hand_has_the_mirrored_box():
  tips = readers.make_hands(0, 6)[:, fingertips.TIPS]
  known = ALL.repeat(6, 0)
  right = fingertips.hand_boxes(tips, known, INTRINSICS, is_right=True)
  left = fingertips.hand_boxes(tips * [-1, 1, 1], known, INTRINSICS, is_right=False)
  mirrored = 2 * INTRINSICS[0, 2] - left[:, [2, 1, 0, 3]]
  np.testing.assert_allclose(right[:, [0, 2]], mirrored[:, [0, 2]], atol=1e-6)
  np.testing.assert_allclose(right[:, [1, 3]], left[:, [1, 3]], atol=1e-6)


@pytest.mark.parametrize('count', [1, 2, 3, 4])
def test_boxes_hold_the_tips_that_are_known_and_are_as_large_as_a_hand(count):
  tips = readers.make_hands(1, 1)[:, fingertips.TIPS]
  known = (np.arange(5) < count)[None]
  tips[~known] = 0
  (box,) = fingertips.hand_boxes(tips, known, INTRINSICS, is_right=True)
  points = _keypoints(tips[:, :count])[0]
  assert (points >= box[:2] - 1e-6).all() and (points <= box[2:] + 1e-6).all()
  metres = (box[2:] - box[:2]).max() * tips[0, :count, 2].mean() / 600
  assert 0.05 < metres < 0.25
