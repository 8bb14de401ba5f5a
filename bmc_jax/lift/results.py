"""What becomes of lifted hands: one JSON file, a page, and pictures with them."""

import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.files import to_lists
from bmc_jax.console.outputs import Kind, check_output, write_text
from bmc_jax.console.tables import counted
from bmc_jax.joint_files.flags import Poses
from bmc_jax.lift.lifter import LEAST_PRESENT, LiftedHands
from bmc_jax.limits import HandLimits
from bmc_jax.plausibility import judgement
from bmc_jax.predict.overlays import OverlayFiles
from bmc_jax.report import document
from bmc_jax.report.viewer_page import ViewedHand, write_viewer_page
from bmc_jax.skeleton import JOINT_NAMES

HANDS, PAGE, OVERLAYS = 'hands.json', 'page.html', 'overlays'
WEIGHTS = 'lifter.npz'
MAX_SHOWN = 24
"""Hands on the page, evenly spaced over all."""
ENOUGH = 5
"""Hands of which not all are odd ones."""

_MADE_BY = 'bmc_jax.lift'
_UNITS = {
  'keypoints_2d': "pixels; the first pixel's centre is (0, 0)",
  'joints_3d': 'metres; camera axes: x right, y down, z away from the camera',
  'joints_3d_relative': 'metres from the wrist on; the same axes',
  'depth_error': 'metres: 90 % of the depths relative to the wrist are not further off',
  'intrinsics': 'pixels',
}


@dataclasses.dataclass(frozen=True)
class Results:
  """Lifted hands, and whose they are; rows are hands in the order of the pictures.

  Attributes:
    hands: (N, ...).
    is_right: (N,) bool.
    frames: N names or numbers of pictures.
    person: N names or numbers, None where they are not told.
    bridged: (N,) bool, hands between pictures in which none was found.
    limits: that hands are compared with.
    limits_name: what they are called.
  """

  hands: LiftedHands
  is_right: np.ndarray
  frames: Sequence[int | str]
  person: Sequence[int | str | None]
  bridged: np.ndarray
  limits: HandLimits
  limits_name: str

  @functools.cached_property
  def judged(self) -> judgement.Judgement:
    """What is implausible about the hands."""
    joints = self.hands.joints_3d * 1e3
    joints = np.where(self.is_right[:, None, None], joints, skeleton.mirror(joints))
    whole = np.isfinite(joints).all(axis=(1, 2))
    return judgement.judge(
      Poses(joints, self.is_right, whole, True, 'lifted'), self.limits
    )

  def summary(self) -> list[str]:
    """How many hands there are and how plausible and how sure they are."""
    lifted = np.isfinite(self.hands.joints_3d).all(axis=(1, 2))
    kept = int(np.sum(self.judged.found.judged & ~self.judged.broken.any(axis=1)))
    error = 1e3 * np.median(self.hands.depth_error[lifted, 1:])
    right = int(self.is_right.sum())
    pictures = counted(len(set(self.frames)), 'picture')
    lines = [
      f'{counted(len(lifted), "hand")} ({right} right, {len(lifted) - right} left) in '
      f'{pictures}; {kept} of them keep all limits ({self.limits_name}).',
      f'90 % of the depths relative to the wrist are within {error:.0f} mm, says the '
      'lifter (the median over joints and hands).',
    ]
    if not kept and self.judged.found.judged.sum() >= ENOUGH:
      lines.append(
        'That no hand keeps them tells that something is wrong with all: is the joint '
        'order that of the file, is the side right, are joints labelled as the limits '
        'assume (--limits)?'
      )
    if few := int(np.sum(~lifted)):
      lines.append(
        f'{counted(few, "hand")} with fewer than {LEAST_PRESENT} keypoints, or all of '
        'them in one place, not lifted.'
      )
    if added := int(self.bridged.sum()):
      lines.append(f'{counted(added, "hand")} put where none was found in between.')
    if guessed := int(np.sum(~self.hands.camera_known)):
      whose = '' if guessed == len(lifted) else f' of {counted(guessed, "hand")}'
      lines.append(
        f'The focal length{whose} is a guess, and how far hands are is as uncertain as '
        'that: give it with --intrinsics fx,fy,cx,cy.'
      )
    return lines


def check_outputs(
  out: Path, inputs: Iterable[str | None], pictures: Iterable[Path] = ()
) -> None:
  """Checks, before anything is computed, that nothing of others is written over.

  Args:
    out: the folder.
    inputs: files that are read.
    pictures: that are drawn on.

  Raises:
    ValueError: it would be, or results cannot be written.
  """
  inputs = list(inputs)
  check_output(out / HANDS, _LIFTED, *inputs)
  check_output(out / PAGE, document.PAGES, *inputs)
  OverlayFiles(out / OVERLAYS).check(pictures)


def _is_ours(path: Path) -> bool:
  with path.open('rb') as file:
    return _MADE_BY.encode() in file.read(100)


_LIFTED = Kind('lifted hands', ('.json',), _is_ours)


def write_hands(
  out: Path, results: Results, notes: Sequence[str], doubts: Sequence[str]
) -> None:
  """Writes `hands.json`.

  Args:
    out: the folder.
    results: the hands.
    notes: what of the input was left out, or guessed.
    doubts: what the input contradicts.
  """
  content = {
    'made_by': _MADE_BY,
    'joint_order': 'canonical',
    'joint_names': list(JOINT_NAMES),
    'units': _UNITS,
    'limits': results.limits_name,
    'notes': list(notes),
    'doubts': list(doubts),
    'num_hands': len(results.is_right),
    'hands': [_describe(results, row) for row in range(len(results.is_right))],
  }
  text = json.dumps(content, indent=1)
  write_text(out / HANDS, text, _LIFTED)


def _describe(results: Results, row: int) -> dict[str, Any]:
  hands = LiftedHands(*(field[row] for field in results.hands))
  entry: dict[str, Any] = {'frame': results.frames[row]}
  if results.person[row] is not None:
    entry['person'] = results.person[row]
  lifted = np.isfinite(hands.joints_3d).all()
  entry |= {
    'hand': 'right' if results.is_right[row] else 'left',
    'is_right': int(results.is_right[row]),
    'keypoints_2d': to_lists(hands.keypoints_2d, 2),
    'joints_3d': to_lists(hands.joints_3d, 6),
    'joints_3d_relative': to_lists(hands.joints_3d - hands.joints_3d[:1], 6),
    'depth_error': to_lists(hands.depth_error, 6),
    'intrinsics': to_lists(hands.intrinsics, 4),
    'intrinsics_from': 'given' if hands.camera_known else 'guessed',
    'broken_limits': results.judged.describe(row) if lifted else [],
    'bridged': bool(results.bridged[row]),
  }
  return entry


def shown_rows(results: Results) -> list[int]:
  """The hands that stand on the page, evenly spaced over those that are lifted."""
  lifted = np.flatnonzero(np.isfinite(results.hands.joints_3d).all(axis=(1, 2)))
  count = min(MAX_SHOWN, len(lifted))
  return [
    int(r) for r in lifted[np.linspace(0, len(lifted) - 1, count).round().astype(int)]
  ]


def write_page(
  out: Path,
  results: Results,
  lines: Sequence[str],
  pictures: dict[int, tuple[np.ndarray, np.ndarray]],
) -> None:
  """Writes `page.html`, on which hands turn and bend.

  Args:
    out: the folder.
    results: the hands.
    lines: plain text at its top.
    pictures: by row, an image (H, W, 3) and its camera (3, 3).
  """
  hands = []
  rows = shown_rows(results)
  for row in rows:
    image, camera = pictures.get(row, (None, None))
    error = 1e3 * np.median(results.hands.depth_error[row, 1:])
    side = 'right' if results.is_right[row] else 'left'
    hands.append(
      ViewedHand(
        title=f'{results.frames[row]}, {side} hand',
        joints_3d=results.hands.joints_3d[row],
        is_right=bool(results.is_right[row]),
        image=image,
        intrinsics=camera,
        notes=(f'depths within {error:.0f} mm (90 %)',),
      )
    )
  more = [f'Shown are {len(rows)} of {len(results.is_right)} hands.']
  write_viewer_page(
    out / PAGE,
    'Lifted hands',
    [*lines, *(more if len(rows) < len(results.is_right) else [])],
    hands,
    results.limits,
    command='bmc-jax lift',
  )
