"""From the numbers of files to pixels: what is missing, a share, or neither."""

from collections.abc import Sequence

import numpy as np

from bmc_jax.lift.files.content import Hand

# Coordinates of a whole file up to this are shares of the picture, of which hands may
# lie partly outside; those of pixels are more.
_SHARES = 3.0
# Shares below 0 are of joints beyond the picture's edge; 3D joints in metres, relative
# to the wrist or to the middle of the picture, and shares from -1 on, are as often
# negative as not.
_MOST_NEGATIVE = 0.3
_MOST_PIXELS = 1e5
# How far beyond the picture, in parts of its size, and how many keypoints are there.
_MARGIN, _OUTSIDE = 0.2, 0.5


def confidences(points: np.ndarray, scores: bool) -> tuple[np.ndarray, list[str]]:
  """Confidence (N, 21) of points (N, 21, 3), 0 for missing ones, and notes.

  Missing are those at NaN, at exactly 0, 0, or without confidence.

  Args:
    points: x, y and confidence.
    scores: whether these are scores of a network, which are cut at 1.

  Raises:
    ValueError: an infinite coordinate, or a third number that is no confidence.
  """
  if np.isinf(points).any():
    hand = int(np.argmax(np.isinf(points).any(axis=(1, 2))))
    raise ValueError(f'hand {hand} has a number that is infinite')
  x, y, trust = np.moveaxis(points, -1, 0)
  missing = np.isnan(points).any(axis=-1)
  trust = np.where(missing, 0, trust)
  least, most = trust.min(initial=0), trust.max(initial=0)
  if least < 0 or most > 1 and not scores:
    wrong = least if least < 0 else most
    raise ValueError(
      f'the third number of its keypoints is up to {wrong:.4g} and so no confidence '
      'from 0 to 1: these may be 3D joints; give x, y, or x, y and confidence'
    )
  notes = []
  if most > 1 and not np.isin(trust, (0, 1, 2)).all():
    notes.append(f'{int(np.sum(trust > 1))} scores above 1 taken as 1')
  zero = (x == 0) & (y == 0)
  if count := int(np.sum(zero & (trust > 0))):
    notes.append(
      f'{count} keypoint{"s" * (count > 1)} at exactly 0, 0 taken as missing'
    )
  return np.where(zero, 0, np.minimum(trust, 1)), notes


def sizes(hands: Sequence[Hand], given: tuple[float, float] | None) -> np.ndarray:
  """(N, 2) width and height of the hands' pictures, NaN if nobody tells.

  Raises:
    ValueError: a file tells another size than is given.
  """
  for hand in hands:
    if given and hand.size and hand.size != given:
      raise ValueError(
        f'it tells pictures of {hand.size[0]:g} x {hand.size[1]:g} pixels, but '
        f'{given[0]:g} x {given[1]:g} are given'
      )
  unknown = (np.nan, np.nan)
  return np.array([hand.size or given or unknown for hand in hands], np.float64)


def to_pixels(
  points: np.ndarray, confidence: np.ndarray, sizes: np.ndarray, center: float
) -> np.ndarray:
  """Keypoints (N, 21, 2) in pixels with centres at integers; missing ones are 0, 0.

  Args:
    points: (N, 21, 2) in pixels, or in shares of the picture.
    confidence: (N, 21), 0 where they are missing.
    sizes: (N, 2) of the pictures, or NaN.
    center: both coordinates of the first pixel's centre, where these are pixels.

  Raises:
    ValueError: they are neither, or the size of a picture is needed and missing.
  """
  there = confidence > 0
  seen = points[there]
  low, high = seen.min(), seen.max()
  if max(-low, high) > _MOST_PIXELS:
    raise ValueError(
      f'its keypoints lie from {low:.4g} to {high:.4g}, where no picture has pixels'
    )
  if max(-low, high) > _SHARES:
    pixels = points - center
  else:
    if np.mean(seen < 0) > _MOST_NEGATIVE:
      raise ValueError(
        f'its keypoints lie from {low:.3g} to {high:.3g}: these are neither pixels nor '
        'shares of a picture, but 3D joints or centred ones; give 2D keypoints'
      )
    if np.isnan(sizes).any():
      raise ValueError(
        f'its keypoints lie from {low:.3g} to {high:.3g}, so they are shares of the '
        'picture (or 3D joints in metres, which are no 2D keypoints), but the size of '
        'the pictures is not told; give --image-size width,height'
      )
    pixels = points * sizes[:, None] - 0.5
  return np.where(there[..., None], pixels, 0)


def doubts(
  keypoints: np.ndarray, confidence: np.ndarray, sizes: np.ndarray
) -> tuple[str, ...]:
  """What keypoints (N, 21, 2) in pixels contradict, without a full stop."""
  there = confidence > 0
  size, margin = sizes[:, None], _MARGIN * sizes[:, None]
  beyond = ((keypoints < -margin) | (keypoints > size + margin)).any(axis=-1) & there
  share = beyond.sum() / there.sum()
  if share <= _OUTSIDE:
    return ()
  return (
    f'{share:.0%} of the keypoints lie outside of the pictures, whose size may be '
    'another',
  )
