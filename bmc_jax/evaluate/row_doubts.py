"""Predicted hands that are in the order of some other list of images."""

import math

import numpy as np

_PLENTY, _SOME = 1000, 200
_CLEARLY = 0.5
_LEAST_ROWS, _UNRELATED = 10, 0.8
_REMEDY = (
  'hands must be in the order of the images of the ground truth, as its lists name them'
)


def find(
  hands: np.ndarray, truth: np.ndarray, labelled: np.ndarray, unit: str
) -> list[str]:
  """The doubt that hands belong to other rows than those in which they stand.

  Args:
    hands: (N, 21, d) predictions; with d of 3 they count about their centroids.
    truth: (N, 21, d) in the same unit.
    labelled: (N, 21) bool, of the joints that count.
    unit: of both.

  Returns:
    A sentence without a full stop if the error is more than halved by reading the hands
    in reverse or one row off (all, or those from a row on or up to one), or if each
    lies far closer to the truth of another row; or else nothing.
  """
  last = len(hands) - 1
  rows = np.arange(0, len(hands), math.ceil(len(hands) / _PLENTY))
  counted = labelled[rows]
  weight = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)

  def errors(other) -> np.ndarray:
    difference = hands[other] - truth[rows]
    if hands.shape[-1] == 3:
      centre = np.sum(weight[..., None] * difference, axis=1, keepdims=True)
      difference = difference - centre
    distance = np.where(counted, np.linalg.norm(difference, axis=-1), 0)
    return distance.sum(axis=1)

  if not counted.any():
    return []
  others = {
    'from the last row to the first': last - rows,
    'one row later': np.minimum(rows + 1, last),
    'one row earlier': np.maximum(rows - 1, 0),
  }
  of_each = errors(rows)
  read = {how: errors(other) for how, other in others.items()}
  own = of_each.sum() / counted.sum()
  best, how = min((each.sum() / counted.sum(), how) for how, each in read.items())
  if best < _CLEARLY * own:
    aligned = 'centroid-aligned ' * (hands.shape[-1] == 3)
    return [
      f'read {how} its {aligned}error would be {best:.1f} {unit}, not {own:.1f} '
      f'{unit}: {_REMEDY}'
    ]
  for how in list(others)[1:]:
    if part := _shifted_part(of_each, read[how]):
      start, end = rows[part[0]], rows[part[1]]
      return [
        f'the hands from row {start} to row {end} would have less than half their '
        f'error if they were read {how}, as if a row were missing or there were one '
        f'too many: {_REMEDY}'
      ]
  if _is_shuffled(hands, truth, labelled):
    return [
      'nearly all hands are far closer to the truth of other rows, each to that of '
      f'another one, than to that of their own: {_REMEDY}'
    ]
  return []


def _shifted_part(own: np.ndarray, read: np.ndarray) -> tuple[int, int] | None:
  """The first and last of the hands up to one, or from one on, that fit in other rows.

  Args:
    own: (n,) errors of hands in their rows.
    read: (n,) as they are read one row off.
  """
  gain = _CLEARLY * own - read
  first = int(np.argmax(np.cumsum(gain[::-1])[::-1]))
  end = int(np.argmax(np.cumsum(gain))) + 1
  for part in ((first, len(gain)), (0, end)):
    inside = gain[slice(*part)]
    if len(inside) >= _LEAST_ROWS and np.mean(inside > 0) > _UNRELATED:
      return part[0], part[1] - 1
  return None


def _is_shuffled(hands, truth, labelled) -> bool:
  """Whether the truth of a hand's own row is no closer to it than that of any other.

  The mean pose, or one of a few, lies close to the same few rows; of noise no row is.
  """
  whole = labelled.all(axis=1) & np.isfinite(hands).all(axis=(1, 2))
  hands, truth = hands[whole], truth[whole]
  if len(hands) < _LEAST_ROWS:
    return False
  some = np.arange(0, len(hands), math.ceil(len(hands) / _SOME))
  if hands.shape[-1] == 3:
    hands, truth = (a - a.mean(axis=1, keepdims=True) for a in (hands, truth))
  hands, truth = hands[some].reshape(len(some), -1), truth.reshape(len(truth), -1)
  # Of all with all: (a - b)^2 = a^2 + b^2 - 2 ab.
  squares = np.sum(hands**2, axis=1)[:, None] + np.sum(truth**2, axis=1)
  distance = np.sqrt(np.maximum(squares - 2 * hands @ truth.T, 0))
  own = distance[np.arange(len(some)), some]
  closer = np.median(distance.min(axis=1)) < _CLEARLY * np.median(own)
  unrelated = np.median(own) > _UNRELATED * np.median(distance)
  each = len(np.unique(distance.argmin(axis=1))) > _UNRELATED * len(some)
  return bool(closer and unrelated and each)
