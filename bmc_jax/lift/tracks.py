"""Hands over time: which of them are one hand, gaps that are bridged, and smoothing.

All of a hand's path is known when it is smoothed: past and future count alike, and
nothing lags, but for the half second at either end of a path, half as much as one way.
"""

import re
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from bmc_jax.predict.smoothing import OneEuroFilter

LONGEST_GAP = 0.5
"""Seconds without a hand over which it is bridged."""


def frame_numbers(frames: Sequence[int | str]) -> np.ndarray | None:
  """The numbers of pictures (N,) int64: their own, or the last ones in their names.

  Returns:
    None where a name has no number, or names differ in more than that.
  """
  if all(isinstance(frame, int) for frame in frames):
    return _as_int64([int(frame) for frame in frames])
  found = [re.fullmatch(r'(.*?)(\d+)(\D*)', str(frame)) for frame in frames]
  if not all(found) or len({(one[1], one[3]) for one in found if one}) != 1:
    return None
  return _as_int64([int(one[2]) for one in found if one])


def _as_int64(numbers: Sequence[int]) -> np.ndarray | None:
  return np.array(numbers) if max(map(abs, numbers)) < 2**63 else None


def split_tracks(
  numbers: np.ndarray,
  is_right: np.ndarray,
  person: Sequence[int | str | None],
  places: np.ndarray,
) -> list[np.ndarray]:
  """Rows of the hands of one person and side, in the order of time.

  Where a picture has several of them, each goes on from the nearest one before.

  Args:
    numbers: (N,) of the pictures.
    is_right: (N,).
    person: N names, or None where it is not told.
    places: (N, 3) of the hands.
  """
  groups: dict[tuple, list[int]] = {}
  for row in np.argsort(numbers, kind='stable'):
    groups.setdefault((str(person[row]), bool(is_right[row])), []).append(int(row))
  return [
    np.array(track)
    for rows in groups.values()
    for track in _follow(np.array(rows), numbers, places)
  ]


def _follow(rows: np.ndarray, numbers: np.ndarray, places: np.ndarray):
  """Tracks of rows in the order of time, of which some are of one picture."""
  tracks: list[list[int]] = []
  for number in np.unique(numbers[rows]):
    here = rows[numbers[rows] == number]
    ends = places[[track[-1] for track in tracks]].reshape(-1, 3)
    away = np.linalg.norm(places[here][:, None] - ends, axis=-1)
    chosen = dict(zip(*linear_sum_assignment(away), strict=True))
    for i, row in enumerate(here.tolist()):
      if i in chosen:
        tracks[chosen[i]].append(row)
      else:
        tracks.append([row])
  return tracks


def bridge(
  joints_3d: np.ndarray, seconds: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
  """Adds the hands of pictures between others, at most `LONGEST_GAP` apart.

  Joints move on straight lines. Where the gap is longer, nothing is invented.

  Args:
    joints_3d: (T, 21, 3) of a track.
    seconds: (T,) that grow.
    step: seconds from one picture to the next.

  Returns:
    Seconds (M,) of the hands that are missing, and the hands (M, 21, 3).
  """
  missing = []
  for before, after in zip(seconds[:-1], seconds[1:], strict=True):
    if after - before <= LONGEST_GAP + step / 2:
      missing += [before + step * i for i in range(1, round((after - before) / step))]
  times = np.array(missing)
  flat = joints_3d.reshape(len(joints_3d), -1)
  columns = [np.interp(times, seconds, column) for column in flat.T]
  return times, np.array(columns).reshape(63, -1).T.reshape(-1, 21, 3)


def smooth(joints_3d: np.ndarray, seconds: np.ndarray) -> np.ndarray:
  """The mean of a One-Euro filter that runs forwards and one that runs backwards.

  Args:
    joints_3d: (T, 21, 3) metres.
    seconds: (T,) that grow.
  """
  forwards, backwards = OneEuroFilter(), OneEuroFilter()
  one = [forwards(j, s) for j, s in zip(joints_3d, seconds, strict=True)]
  other = [
    backwards(j, -s) for j, s in zip(joints_3d[::-1], seconds[::-1], strict=True)
  ]
  return (np.array(one) + np.array(other[::-1])) / 2


def jitter(joints_3d: np.ndarray, seconds: np.ndarray) -> float:
  """How much joints tremble: the median size of their third differences, metres.

  Args:
    joints_3d: (T, 21, 3).
    seconds: (T,); where pictures are missing nothing is measured.

  Returns:
    NaN where less than four pictures follow each other.
  """
  step = np.diff(seconds)
  even = np.isclose(step, np.median(step) if len(step) else 0.0, rtol=0.2)
  whole = even[2:] & even[1:-1] & even[:-2]
  third = np.diff(joints_3d, n=3, axis=0)[whole]
  return float(np.median(np.linalg.norm(third, axis=-1))) if len(third) else np.nan
