"""Lifted hands smoothed over time, and put where a track has short gaps."""

import dataclasses
import re

import numpy as np

from bmc_jax.lift import tracks
from bmc_jax.lift.lifter import LiftedHands
from bmc_jax.lift.results import Results

_SHORTEST = 1e-4  # seconds from one picture of a video to the next


def smooth_hands(results: Results, fps: float) -> tuple[Results, str]:
  """Smooths every hand over time and bridges short gaps.

  Args:
    results: the hands.
    fps: by how much the numbers of pictures grow in a second.

  Returns:
    The hands in the order of time, and in a sentence how much less they tremble.

  Raises:
    ValueError: the pictures have no order of time, or are too far apart.
  """
  numbers = tracks.frame_numbers(results.frames)
  if numbers is None:
    raise ValueError(
      '--smooth needs pictures in the order of time, whose names differ in a number '
      f'only: here are {results.frames[0]!r} and others.'
    )
  step = _usual_step(numbers, fps)
  since_first = (numbers - numbers.min()) / fps
  lifted = np.flatnonzero(np.isfinite(results.hands.joints_3d).all(axis=(1, 2)))
  joints_3d = results.hands.joints_3d.copy()
  source, added, trembling = [], [], []
  for track in tracks.split_tracks(
    numbers[lifted],
    results.is_right[lifted],
    [results.person[row] for row in lifted.tolist()],
    joints_3d[lifted, 0],
  ):
    rows = lifted[track]
    seconds = since_first[rows]
    before = joints_3d[rows]
    joints_3d[rows] = tracks.smooth(before, seconds)
    trembling.append([tracks.jitter(j, seconds) for j in (before, joints_3d[rows])])
    times, between = tracks.bridge(joints_3d[rows], seconds, step)
    source.append(rows[np.searchsorted(seconds, times) - 1])
    added.append((numbers.min() + np.rint(times * fps).astype(int), between))
  new_numbers, between = (np.concatenate(part) for part in zip(*added, strict=True))
  merged = _merge(
    results, numbers, joints_3d, np.concatenate(source), new_numbers, between
  )
  return merged, _describe(np.array(trembling))


def _usual_step(numbers: np.ndarray, fps: float) -> float:
  """Seconds from one picture to the next."""
  apart = np.diff(np.unique(numbers))
  step = float(np.quantile(apart, 0.5, method='lower')) if len(apart) else 1.0
  if step / fps > tracks.LONGEST_GAP:
    raise ValueError(
      f'The numbers of pictures grow by {step:.0f}, which takes {step / fps:.3g} s at '
      f'{fps:g} a second: say with --fps by how much they grow in a second.'
    )
  if len(apart) and step / fps < _SHORTEST:
    raise ValueError(
      f'The numbers of pictures grow by {step:.0f}, which at {fps:g} a second takes '
      f'{step / fps:.3g} s, as of no video: say with --fps by how much they grow.'
    )
  return step / fps


def _describe(trembling: np.ndarray) -> str:
  """How much tracks tremble (T, 2), before and after."""
  if not np.isfinite(trembling).any():
    return 'Too few pictures follow each other to measure how joints tremble.'
  before, after = 1e3 * np.nanmedian(trembling, axis=0)
  return (
    f'Smoothing made joints tremble by {after:.2f} mm in place of {before:.2f} mm '
    '(median third difference of their places).'
  )


def _merge(results, numbers, joints_3d, source, new_numbers, between) -> Results:
  """All hands in the order of time.

  Args:
    results: the hands before.
    numbers: (N,) of their pictures.
    joints_3d: (N, 21, 3) of them, smoothed.
    source: (M,) the hands that those between others follow.
    new_numbers: (M,) of their pictures.
    between: (M, 21, 3) of them.
  """
  count = len(numbers)
  origin = np.concatenate([np.arange(count), source])
  numbers = np.concatenate([numbers, new_numbers])
  person = [results.person[row] for row in origin.tolist()]
  is_right = results.is_right[origin]
  bridged = np.arange(len(origin)) >= count
  hands = LiftedHands(*(field[origin] for field in results.hands))
  joints = np.concatenate([joints_3d, between])
  hands = hands._replace(
    joints_3d=joints,
    keypoints_2d=_project(joints, hands.intrinsics),
    # Halfway over a gap nothing is known of the depth but that it was near.
    depth_error=hands.depth_error * np.where(bridged, 2, 1)[:, None],
  )
  keys = list(zip(numbers.tolist(), person, is_right.tolist(), strict=True))
  filled = {key for key, new in zip(keys, bridged, strict=True) if new}
  # A hand with too few keypoints gives way to the one that stands in for it.
  gone = np.isnan(joints).any(axis=(1, 2))
  gone &= np.array([key in filled for key in keys])
  order = np.argsort(numbers, kind='stable')
  order = order[~gone[order]]
  frames = [
    _renumbered(results.frames[row], number) if new else results.frames[row]
    for row, number, new in zip(origin, numbers, bridged, strict=True)
  ]
  return dataclasses.replace(
    results,
    hands=LiftedHands(*(field[order] for field in hands)),
    is_right=is_right[order],
    frames=[frames[row] for row in order],
    person=[person[row] for row in order],
    bridged=bridged[order],
  )


def _renumbered(frame: int | str, number: int) -> int | str:
  """The name of another picture of the same kind."""
  if isinstance(frame, int):
    return int(number)
  old = re.search(r'\d+(?=\D*$)', frame)
  assert old is not None  # of names without numbers nothing is smoothed
  return f'{frame[: old.start()]}{number:0{len(old[0])}d}{frame[old.end() :]}'


def _project(joints: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
  points = np.einsum('nij,nkj->nki', intrinsics, joints)
  return points[..., :2] / points[..., 2:]
