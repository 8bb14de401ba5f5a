"""Hands and their sides out of what a file holds, whatever its form."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

MISSING = ('', 'na', 'n/a', '#n/a', '<na>', 'nan', 'null', 'none')
_SIDES = {'right': 1.0, 'left': 0.0, 'r': 1.0, 'l': 0.0, 'true': 1.0, 'false': 0.0}
_LONGEST = 1e15
_UNKNOWN = (None, [], *MISSING)


class Content(NamedTuple):
  """What a file holds.

  Attributes:
    joints: (N, 21, 3) in the file's order.
    sides: N of `side`, or None if the file does not tell.
    order: the joint order that the file names, or None.
    unclear: why nothing but a given order tells which joint is which, or None.
    notes: what of the file was left out, or guessed.
    unit: m, cm or mm if the file tells it, or None.
  """

  joints: np.ndarray
  sides: list[float] | None = None
  order: str | None = None
  unclear: str | None = None
  notes: tuple[str, ...] = ()
  unit: str | None = None


def as_hands(values: Any) -> np.ndarray:
  """(N, 21, 3) float64 from (N, 21, 3), (N, 63) or one hand (21, 3).

  Raises:
    ValueError: the values have another shape or are no numbers.
  """
  values = np.asarray(values)
  if values.dtype.kind not in 'iufO':
    raise ValueError(f'joints are of type {values.dtype}, expected numbers')
  try:
    values = values.astype(np.float64)
  except (TypeError, OverflowError) as error:
    raise ValueError(f'not all joints are numbers ({error})') from None
  values[np.isinf(values)] = np.nan
  if (most := np.abs(np.nan_to_num(values)).max(initial=0)) > _LONGEST:
    raise ValueError(f'joints reach {most:.3g}, which is no length in any unit')
  if values.shape == (21, 3):
    values = values[None]
  if values.ndim == 2 and values.shape[1] == 63:
    values = values.reshape(-1, 21, 3)
  if values.ndim != 3 or values.shape[1:] != (21, 3) or not len(values):
    raise ValueError(
      f'joints have the shape {values.shape}, expected (N, 21, 3) or (N, 63) with N > 0'
    )
  return values


def side(value: Any) -> float:
  """1 for a right hand, 0 for a left one, NaN if it is not told.

  Args:
    value: right, left, r or l in any case; true, false, 1 or 0; nothing; or MediaPipe's
      objects and lists around one of these.

  Raises:
    ValueError: it is something else.
  """
  inner = value
  while isinstance(inner, Mapping | list) and inner:
    inner = _category(inner) if isinstance(inner, Mapping) else inner[0]
  if isinstance(inner, str):
    inner = _SIDES.get(inner.strip().lower(), inner.strip().lower())
  if inner in _UNKNOWN or inner != inner:
    return math.nan
  if str(inner) in ('0', '1', '0.0', '1.0', 'True', 'False'):
    return float(inner)
  raise ValueError(f'the side of a hand is {value!r:.60}, expected right or left')


def is_side(cell: str) -> bool:
  """Whether a word tells a side; a number may count hands."""
  return cell.strip().lower() in ('right', 'left', 'r', 'l', *MISSING)


def _category(entry: Mapping) -> Any:
  entry = plain_keys(entry)
  for key in ('categoryname', 'label', 'classification'):
    if key in entry:
      return entry[key]
  raise ValueError(f'the side of a hand is {entry!r:.60}, expected right or left')


def is_missing(cell: str) -> bool:
  """Whether a cell stands for a value that is not there."""
  return cell.strip().lower() in MISSING


def plain_keys(entry: Mapping) -> dict[str, Any]:
  """An object whose keys are spelt alike, whichever language wrote it."""
  return {plain(key): value for key, value in entry.items()}


def plain(name: str) -> str:
  """A name in lower case, without spaces, underscores and the like."""
  return re.sub(r'[\W_]', '', name.lower())


def as_sides(told: list[float] | None, complete: np.ndarray) -> np.ndarray | None:
  """(N,) bool from values of `side`, or None if none of them is told.

  Hands (N,) that are not complete need none.

  Raises:
    ValueError: there are more or fewer, or some are not told.
  """
  if told is None or np.isnan(told).all():
    return None
  count = len(complete)
  if len(told) != count or np.isnan(told)[complete].any():
    raise ValueError(
      f'which hands are right is not told by {count} values of 1 (right) and 0 (left)'
    )
  return np.asarray(told, bool)
