"""Hands in tables (CSV): one hand a row."""

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.files import read_text
from bmc_jax.console.tables import counted
from bmc_jax.joint_files import names as names_lib
from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files import trust as trust_lib
from bmc_jax.joint_files.arrays import Content, as_hands, is_missing, plain

_AXES = 'xyz'
_NUM_VALUES = 3 * skeleton.NUM_JOINTS
_MANY_COLUMNS = 8
_WORD_COLUMNS = (*told_lib.ORDER_KEYS, *told_lib.UNIT_KEYS)
_KNOWN_COLUMNS = (*_WORD_COLUMNS, *told_lib.WORD_KEYS)
_TRUST = '|'.join(key for key in trust_lib.KEYS if len(key) > 1)
# Columns beside the joints that need no word of the user, but one to the user.
_OTHER_COLUMNS = re.compile(
  r'|index|idx|id|no|nr|row|unnamed\d*|(frame|image|sample|hand|subject|video|file)'
  r'(id|idx|index|no|nr|num|number|name|path)?|time(stamp)?(ms|us|ns|s)?|date|path|name|'
  r'sequence|seq|split|label|'
  rf'({_TRUST})[a-z0-9]*|[a-z0-9]*({_TRUST})'
)


def read_csv(file: Path) -> Content:
  """One hand a row; a first row that is mostly words names the columns.

  Raises:
    ValueError: the table has another form.
  """
  header, rows = read_rows(file)
  width = len(header or ())
  if header is None:
    return _without_header(rows)
  if sorted(name.lower() for name in header if len(name) == 1) == list(_AXES):
    raise ValueError(
      'each row is one joint; put the 21 joints of a hand into one row, with columns '
      f'{skeleton.JOINT_NAMES[0]}_x, {skeleton.JOINT_NAMES[0]}_y...'
    )
  sides, left_out, trust = {}, [], {}
  joints = {found[0].lower() for found in map(_coordinate, header) if found}
  words: dict[str, list[str]] = {}
  for column in reversed(range(width)):
    name = plain(header[column])
    cells = [row[column] for row in rows]
    told = told_lib.key_sides(name, cells) if name in told_lib.SIDE_KEYS else None
    if told is not None:
      sides[header[column]] = told
    elif name in _WORD_COLUMNS and not any(map(is_number, cells)):
      words[name] = cells
    elif (
      (joint := trust_lib.joint_of(header[column], joints))
      or _OTHER_COLUMNS.fullmatch(name)
      or name in _KNOWN_COLUMNS
    ):
      left_out.insert(0, header[column] or f'number {column + 1}')
      if joint or name in trust_lib.KEYS:
        trust[joint] = [trust_lib.number(cell) for cell in cells]
    else:
      continue
    del header[column]
    rows = [row[:column] + row[column + 1 :] for row in rows]
  order, unclear = told_lib.order(_cells(words, told_lib.ORDER_KEYS))
  unit, notes = told_lib.unit(_cells(words, told_lib.UNIT_KEYS))
  numbers = np.array(as_numbers(rows)).reshape(len(rows), len(header))
  columns, named, nameless = _coordinate_columns(header)
  hands = as_hands(numbers[:, columns])
  hands, missing = _trusted(hands, trust, [header[column] for column in columns])
  if named:  # where the columns have been is of no matter
    order, unclear = named, None
  elif order:
    nameless = None
  return Content(
    hands,
    told_lib.agreed_sides(sides, len(rows)),
    order,
    unclear or nameless,
    (*_left_out(left_out), *missing, *notes),
    unit,
  )


def read_rows(file: Path) -> tuple[list[str] | None, list[list[str]]]:
  """The names of the columns, if the first row has them, and the rows.

  Raises:
    ValueError: there is none, or rows have different lengths.
  """
  lines = csv.reader(io.StringIO(read_text(file), newline=''))
  rows = [row for row in lines if any(cell.strip() for cell in row)]
  width = len(rows[0])
  header = None
  if _is_header(rows[0]):
    header, rows = [cell.strip() for cell in rows[0]], rows[1:]
  for number, row in enumerate(rows):
    if len(row) != width:
      raise ValueError(
        f'hand {number} has {counted(len(row), "value")}, but the first line has '
        f'{width}'
      )
  return header, rows


def _trusted(hands: np.ndarray, trust: dict[str | None, list[float]], names: list[str]):
  """Hands (N, 21, 3) without joints that a column of theirs, or of the row, denies.

  Args:
    hands: from columns of these names.
    trust: values (N,) by joint in lower case; None is the row.
    names: (63,).
  """
  if not trust:
    return hands, ()
  found = np.full(hands.shape[:2], np.nan)
  for place, name in enumerate(names[:: len(_AXES)]):
    joint = _coordinate(name)
    if joint and joint[0].lower() in trust:
      found[:, place] = trust[joint[0].lower()]
  if (row := np.array(trust.get(None, 0))).any():
    found = np.where(row[:, None] == 0, 0, np.nan_to_num(found, nan=1))
  return trust_lib.without(hands, found)


def _cells(columns: dict[str, list[str]], names: Sequence[str]) -> list[str]:
  return [cell for name in names for cell in columns.get(name, ())]


def _left_out(columns: list[str]) -> tuple[str, ...]:
  if len(columns) > _MANY_COLUMNS:
    return (f'{len(columns)} columns ({", ".join(columns[:3])}, ...) left out',)
  named = f'column{"s" * (len(columns) > 1)} {", ".join(columns)}'
  return (f'the {named} left out',) if columns else ()


def _is_header(cells: Sequence[str]) -> bool:
  """Whether cells are mostly words, or number the columns as pandas does."""
  if 2 * sum(map(is_number, cells)) < len(cells):
    return True
  numbers = [cell.strip() for cell in cells if cell.strip().isdecimal()]
  return numbers == [str(i) for i in range(_NUM_VALUES)]


def _without_header(rows: list[list[str]]) -> Content:
  """Values of joint after joint, maybe behind a number of the row or frame."""
  numbers, notes = np.array(as_numbers(rows)), ()
  if numbers.shape[1] == _NUM_VALUES + 1:
    first = numbers[:, 0]
    if np.any(first % 1) or np.any(np.diff(first) <= 0) or len(first) < 2:
      raise ValueError(
        f'each row has {_NUM_VALUES + 1} values, and the first one is no growing '
        f'number of a row or frame; {_NUM_VALUES} are needed, or a first line that '
        'names the columns'
      )
    numbers, notes = numbers[:, 1:], ('the first column, which counts, left out',)
  return Content(as_hands(numbers), notes=notes)


def as_numbers(rows: list[list[str]]) -> list[list[float]]:
  """Cells as numbers, NaN where one is missing.

  Raises:
    ValueError: a cell is no number; the message counts rows as hands.
  """
  return [[_number(cell, hand) for cell in row] for hand, row in enumerate(rows)]


def _number(cell: str, hand: int) -> float:
  if not is_number(cell):
    raise ValueError(
      f'hand {hand} holds {cell!r:.40}, which is no number; values are separated by '
      'commas, and a missing one is left empty'
    )
  return math.nan if is_missing(cell) else float(cell)


def is_number(cell: str) -> bool:
  """Whether a cell holds a number, or stands for a missing one."""
  try:
    float('nan' if is_missing(cell) else cell)
  except ValueError:
    return False
  return True


def _coordinate_columns(
  header: list[str],
) -> tuple[list[int], str | None, str | None]:
  """The columns of x, y, z of joint after joint, and what their names tell.

  Names such as `wrist_x`, `x0` or `7.z` are followed, however the columns are sorted:
  joints by name (`names.canonical_order`), or by their number.

  Returns:
    The columns, the order that the names tell, and why they tell nothing.
  """
  every = list(range(len(header)))
  coordinates = [_coordinate(name) for name in header]
  if not any(coordinates):
    by_number = names_lib.number_places(header)
    return by_number or every, None, None if by_number else _nameless(header)
  spelling: dict[str, str] = {}
  places: dict[str, dict[str, int]] = {}
  for column, (name, coordinate) in enumerate(zip(header, coordinates, strict=True)):
    if coordinate is None:
      raise ValueError(f'the column {name!r:.40} is no coordinate; leave it out')
    joint, axis = coordinate
    spelling.setdefault(joint.lower(), joint)
    if axis in places.setdefault(joint.lower(), {}):
      raise ValueError(f'two columns hold {axis} of joint {joint!r:.40}')
    places[joint.lower()][axis] = column
  for joint, axes in places.items():
    if len(axes) != len(_AXES):
      raise ValueError(f'the header does not name x, y and z of joint {joint!r:.40}')
  joints, order, unclear = joint_order(list(spelling.values()))
  columns = [places[joint.lower()][axis] for joint in joints for axis in _AXES]
  return columns, order, unclear


def joint_order(joints: list[str]) -> tuple[list[str], str | None, str | None]:
  """Names of joints sorted by what they say, the order that they tell, and why none."""
  if len(joints) != skeleton.NUM_JOINTS:
    return joints, None, None  # their number is told
  by_number = names_lib.number_places(joints)
  if by_number:
    return [joints[place] for place in by_number], None, None
  try:
    places = names_lib.canonical_order(joints)
  except ValueError as error:
    return joints, None, str(error)
  return [joints[place] for place in places], 'canonical', None


def _nameless(header: Sequence[str]) -> str:
  return (
    f'the columns ({", ".join(header[:3])}, ...) do not name joints and axes; name '
    f'them as in {skeleton.JOINT_NAMES[0]}_x'
  )


def _coordinate(name: str) -> tuple[str, str] | None:
  """Joint and axis of a column: ('wrist', 'x') of wrist_x, wristx, x_wrist, x-wrist."""
  lower = name.lower()
  if re.match('[xyz](?![a-z])', lower):
    joint, axis = name[1:], lower[0]
  elif lower.endswith(tuple(_AXES)):
    joint, axis = name[:-1], lower[-1]
  else:
    return None
  return joint.strip(' _.-'), axis
