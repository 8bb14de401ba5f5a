"""Joints that a file says are none: their visibility, confidence or the like is 0."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from bmc_jax.console.tables import counted
from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files.arrays import plain

# Of keys, arrays and columns, as `arrays.plain_keys` spells them.
KEYS = (
  *('visibility', 'visible', 'confidence', 'conf', 'presence', 'score', 'likelihood'),
  *('probability', 'prob', 'valid', 'isvalid', 'v', 'c', 'p'),
)
_BETWEEN = ' _.-'


def used_keys(content: Any) -> set[str]:
  """Which of `KEYS` mean something in JSON: those that are not 0 everywhere.

  MediaPipe's hands have a visibility and a presence of 0, whatever is seen.
  """
  if isinstance(content, list):
    return set().union(*map(used_keys, content))
  if not isinstance(content, Mapping):
    return set()
  found: set[str] = set()
  for name, value in content.items():
    key = plain(name)
    if key in KEYS and not _is_zero_everywhere(value):
      found.add(key)
    if key not in told_lib.SIDE_KEYS:  # a score of theirs is none of joints
      found |= used_keys(value)
  return found


def _is_zero_everywhere(value: Any) -> bool:
  if isinstance(value, list):
    return all(map(_is_zero_everywhere, value))
  return value is None or is_zero(value)


def is_zero(value: Any) -> bool:
  """Whether a number, a word or a truth value says that something is not there."""
  if isinstance(value, str):
    return number(value) == 0
  return isinstance(value, int | float) and value == 0


def number(cell: str) -> float:
  """The value of a cell; NaN if it tells nothing."""
  try:
    return float({'false': '0', 'true': '1'}.get(cell.strip().lower(), cell))
  except ValueError:
    return np.nan


def joint_of(column: str, joints: Collection[str]) -> str | None:
  """Whose trust a column holds: 'wrist' of wrist_conf or v_wrist; None if nobody's.

  Args:
    column: its name.
    joints: in lower case.
  """
  name = column.strip().lower()
  for key in KEYS:
    for base in (name.removesuffix(key), name.removeprefix(key)):
      if base != name and base.strip(_BETWEEN) in joints:
        return base.strip(_BETWEEN)
  return None


def without(
  joints: np.ndarray, trust: np.ndarray | None
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Joints (N, 21, 3) with NaN for those that are not there, and a note of them.

  Args:
    joints: in any order.
    trust: (N, 21) or (N, 1), in the same one; where all of it is 0 it means nothing.
  """
  if trust is None or not np.nan_to_num(trust).any():
    return joints, ()
  missing = np.broadcast_to(trust == 0, joints.shape[:2])
  joints = np.where(missing[..., None], np.nan, joints)
  return joints, note(int(missing.sum()), int(missing.any(axis=1).sum()))


def note(count: int, hands: int) -> tuple[str, ...]:
  """What is told of missing joints; nothing of none."""
  if not count:
    return ()
  return (
    f'{counted(count, "joint")} of a visibility or confidence of 0 in '
    f'{counted(hands, "hand")} taken as missing',
  )
