"""What hands tell of their third numbers, against what is said."""

import json

import numpy as np
import pytest

from bmc_jax import limits
from bmc_jax.limits import depths
from tests.fixtures.hands import as_users_call, random_hands

HANDS = random_hands(3, 200, spread=10).joints
CAMERA = np.array([[610.0, 0, 318], [0, 608, 242], [0, 0, 1]])


def _in_pixels(joints):
  """(N, 21, 2) of hands 80 cm away."""
  points = (0.03 * joints + [0, 0, 0.8]) @ CAMERA.T
  return points[..., :2] / points[..., 2:]


def _with(points, third):
  third = np.broadcast_to(np.asarray(third), points.shape[:2])
  return np.concatenate([points, third[..., None]], axis=-1)


def _two_dimensional():
  """Kinds of 21 times three numbers that are no 3D joints, and what is said of them."""
  rng = np.random.default_rng(0)
  pixels, depth = _in_pixels(HANDS), 0.03 * HANDS[..., 2]
  from_wrist = depth - depth[:, :1]
  score = rng.uniform(0.2, 1, HANDS.shape[:2])
  marks = rng.integers(0, 3, score.shape)
  shares = pixels / [640, 480]
  return {
    'pixels, confidence': (_with(pixels, score), 'confidence'),
    'pixels, high confidence': (_with(pixels, 0.98 + 0.02 * score), 'confidence'),
    'pixels, visibility': (_with(pixels, marks), 'confidence'),
    'pixels, 0': (_with(pixels, 0), 'confidence'),
    'pixels, 1000': (_with(pixels, 1000), 'the hands are flat'),
    'shares, confidence': (_with(shares, score), 'confidence'),
    'shares, visibility': (_with(shares, 2), 'confidence'),
    'pixels, metres': (_with(pixels, 0.8 + depth), 'confidence|flat'),
    'image landmarks': (_with(shares, 1.2 * from_wrist), 'z is 0 at the wrist'),
    'in pixels': (_with(pixels, 760 * from_wrist), 'z is 0 at the wrist'),
    'in whole mm': (_with(pixels, 1e3 * from_wrist).round(), 'z is 0 at the wrist'),
    'from a knuckle': (
      _with(pixels, 1e3 * (depth - depth[:, 9:10])),
      'z is 0 at the middle_mcp but x and y are not, as in 2.5D',
    ),
    'beside x, y in the camera': (
      np.concatenate([30 * HANDS + [90, -70, 0], from_wrist[..., None]], -1)[
        ..., [0, 1, 3]
      ]
      * [1, 1, 1e3],
      'z is 0 at the wrist',
    ),
    'wide, centimetres': (_with(pixels, 80 + 100 * depth), 'z is multiplied by [6-9]'),
    'small, millimetres': (_with(0.4 * pixels, 1e3 * depth + 800), 'by 0.[23]'),
    'large, millimetres': (_with(3 * pixels, 1e3 * depth + 800), 'by [23]'),
    'shares of a crop, metres': (
      _with(pixels / 256, 0.8 + depth),
      'multiplied by [23]',
    ),
    'from the mean': (
      _with(pixels, 1e3 * (depth - depth.mean(axis=1, keepdims=True))),
      'z is 0 at the mean of the joints',
    ),
  }


@pytest.mark.parametrize('kind', _two_dimensional())
def test_points_without_depth_are_no_hands(kind):
  points, sentence = _two_dimensional()[kind]
  with pytest.raises(ValueError, match=sentence), as_users_call():
    limits.fit_limits(points)
  for few in (points[:1], points[:12]):
    is_hard = kind.startswith(('shares, conf', 'shares of', 'small', 'large'))
    assert (is_hard and len(few) == 1) or depths.doubt_depth(few), kind


@pytest.mark.parametrize('scale', [1, 1e-3, 1e3])
def test_hands_in_any_unit_and_a_camera_are_hands(scale):
  hands = scale * (0.03 * HANDS + [0.1, -0.1, 0.5])
  assert depths.doubt_depth(hands) is None
  assert all(depths.doubt_depth(hand[None]) is None for hand in hands)


def test_hands_of_a_noisy_depth_are_hands():
  noise = [0.003, 0.003, 0.01] * np.random.default_rng(0).normal(size=HANDS.shape)
  assert depths.doubt_depth(0.03 * HANDS + [0.1, -0.1, 0.5] + noise) is None


def test_a_detectors_own_3d_hands_are_hands(test_data):
  for path in sorted((test_data / 'data' / 'detections').glob('*.json')):
    found = json.loads(path.read_text()).values()
    hands = [
      [[point[axis] for axis in 'xyz'] for point in result['worldLandmarks']]
      for result in found
      if result
    ]
    hands = np.array(hands, np.float64)
    assert depths.doubt_depth(hands) is None, path.name
    wrong = [i for i in range(len(hands)) if depths.doubt_depth(hands[i : i + 1])]
    assert not wrong, path.name
