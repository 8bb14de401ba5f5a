"""What hands tell of their third numbers: whether these are a third coordinate at all.

As in `evidence`: sentences without a full stop, or None where nothing speaks against.
"""

import math

import numpy as np

from bmc_jax import skeleton
from bmc_jax.limits.evidence import WRONG_SHARE, bones_of, sample

# Hands seen from the front are flat: 3.6 % is the least of the same hands, the median
# of each of these sets is 41 % and more.
_FLAT = 0.03
_PIXELS = 20.0
# How the bones of the same hand differ from image to image, as the deviation of the
# logarithm of their proportions: at most 0.10 where joints are labelled and 0.20 for
# MediaPipe's world landmarks, 0.25 and more for 2D points with a confidence.
_UNSTEADY, _NO_HAND, _MANY_POSES = 0.22, 0.5, 10
_TYPICAL = np.log([1.2, 1, 0.9, 1, *4 * [2.8, 1, 0.7, 0.7]])
# The best factor of z leaves some part of that deviation. Of STB, RHD, DexYCB and the
# photos it left 0.95 and more, of MediaPipe's 3D hands 0.87, and its factors were 0.55
# to 1.2; of the same hands in pixels beside millimetres or centimetres 0.1 to 0.6. A
# single hand of the first three left 0.66 of its difference from the typical one, and
# was at most 0.19 from it (MediaPipe's: 0.53, 0.7); 2.5D hands were up to 0.8.
_FACTORS = np.exp(np.linspace(-np.log(30), np.log(30), 35))
_OTHER_FACTOR, _LEFT_OVER, _ODD_HAND = 1.3, 0.65, 0.3
_STEADY = 0.05, 0.15
_ROOTS = (*(f'the {name}' for name in skeleton.JOINT_NAMES), 'the mean of the joints')


def doubt_depth(joints: np.ndarray) -> str | None:
  """Says why the third numbers of points are no third coordinates.

  2D detectors give (x, y, confidence), annotation tools (x, y, visibility), MediaPipe's
  image landmarks (x, y, depth from the wrist) in shares of the image, others pixels and
  a depth in the camera: all of them are 21 times three numbers. Not told are pixels
  beside a depth in a unit in which a pixel is about as long as that.

  Args:
    joints: (N, 21, 3) canonical joints in any unit; hands with NaN or of no size tell
      nothing.

  Returns:
    The message, or None.
  """
  hands = sample(joints)
  size = np.ptp(hands[..., :2], axis=1).max(axis=-1)
  hands, size = hands[size > 0], size[size > 0]
  if not len(hands):
    return None
  third = hands[..., 2]
  if _is_confidence(hands, size):
    return (
      'these are 2D points, whose third number is a confidence or a visibility and no '
      'coordinate; 3D joints are needed'
    )
  flatness = float(np.median(np.ptp(third, axis=1) / size))
  if flatness < _FLAT:
    return (
      f'the hands are flat: along z they measure {flatness:.2g} of what they do along '
      'x and y, so that these are 2D points, or z is in another unit; 3D joints in one '
      'unit are needed'
    )
  root = _root_of_depth(hands, size)
  if root:
    return (
      f'z is 0 at {root} but x and y are not, as in 2.5D points and in the image '
      'landmarks of MediaPipe (pixels or shares of the image, and a depth from there '
      'on); give 3D joints, as its world landmarks are, or, if these are 3D joints in '
      'one unit, subtract that place from all three'
    )
  factor = _factor_of_depth(hands)
  if factor:
    return (
      f'the hands keep their proportions only where z is multiplied by {factor:.2g}: '
      'z is in another unit than x and y, as in 2.5D points (pixels or shares of the '
      'image, and a depth in metres, centimetres or millimetres); give 3D joints, from '
      'a camera by geometry.backproject'
    )
  return None


def _root_of_depth(hands: np.ndarray, size: np.ndarray) -> str | None:
  """The place from which z is measured in hands (n, 21, 3), but x and y are not.

  Where z is rounded to more than a thousandth of the hand, a joint may have 0 by chance
  in hands about the origin: some have to lie on one side of it, as pixels do.
  """
  places = np.concatenate([hands, hands.mean(axis=1, keepdims=True)], axis=1)
  x_y, z = np.abs(places[..., :2]).max(axis=-1), np.abs(places[..., 2])
  least = np.repeat(1e-9 * size[:, None], len(_ROOTS), axis=1)
  least[:, 0] = 1e-5 * size  # MediaPipe's wrist is not exactly at 0
  is_origin = (z <= least) & (x_y <= 1e-2 * size[:, None])
  is_root = (z <= least) & ~is_origin & ~is_origin.any(axis=1, keepdims=True)
  digits = math.floor(-math.log10(1e-3 * np.median(size)))
  if (hands[..., 2] == hands[..., 2].round(digits)).all():
    signs = np.sign(hands[..., :2])
    if (signs == signs[:, :1]).all(axis=(1, 2)).mean() < WRONG_SHARE:
      return None
  found = np.flatnonzero(is_root.mean(axis=0) > 0.9)
  return _ROOTS[found[0]] if len(found) else None


def _factor_of_depth(hands: np.ndarray) -> float | None:
  """By what z has to be multiplied in hands (n, 21, 3) to make them hands, or None.

  Bones of other directions have other lengths where z is in another unit: from hand to
  hand the same bone differs, and in each the proportions are those of no hand.
  """
  tried = [1.0, *_FACTORS]
  bones = np.array([_proportions(hands * [1, 1, factor]) for factor in tried])
  odd = np.median((bones - _TYPICAL).std(axis=-1), axis=-1)
  best = int(odd.argmin())
  if odd[0] > _ODD_HAND and _is_other(odd, best):
    return tried[best]
  if len(hands) < _MANY_POSES:
    return None
  unsteady = np.median(bones.std(axis=1), axis=-1)
  best, (least, most) = int(unsteady.argmin()), _STEADY
  if unsteady[0] > least and unsteady[best] < most and _is_other(unsteady, best):
    return tried[best]
  return None


def _is_other(deviations: np.ndarray, best: int) -> bool:
  """Whether the best factor is far from 1, and much better than it."""
  is_far = best > 0 and abs(np.log(_FACTORS[best - 1])) > np.log(_OTHER_FACTOR)
  return bool(is_far and deviations[best] < _LEFT_OVER * deviations[0])


def _proportions(hands: np.ndarray) -> np.ndarray:
  """Logarithms (n, 20) of the bones' lengths, of median 0 in each of (n, 21, 3)."""
  bones = np.log(np.maximum(bones_of(hands), 1e-9)).reshape(len(hands), 20)
  return bones - np.median(bones, axis=1, keepdims=True)


def _is_confidence(hands: np.ndarray, size: np.ndarray) -> bool:
  """Whether the third numbers of hands (n, 21, 3) of sizes (n,) are confidences."""
  third = hands[..., 2]
  if np.isin(third, (0, 1, 2)).all():
    return True
  if third.min() < 0 or third.max() > 1:
    return False
  if np.median(size) > _PIXELS:
    return True
  if hands.min() < -0.05 or hands.max() > 1.05:
    return False
  bones = _proportions(hands)
  unsteady = np.median(bones.std(axis=0)) > _UNSTEADY and len(hands) >= _MANY_POSES
  return bool(unsteady or np.median((bones - _TYPICAL).std(axis=1)) > _NO_HAND)
