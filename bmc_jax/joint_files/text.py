"""Hands in text files: tables (CSV), and JSON with MediaPipe's results among it."""

import csv
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax import skeleton
from bmc_jax.joint_files.arrays import Content, as_hands, plain_keys, side

SIDE_NAMES = ('is_right', 'side_is_right', 'handedness')
_AXES = 'xyz'
# Of JSON objects, in lower case and without underscores; the first one found counts.
_HAND_KEYS = (
  'worldlandmarks',
  'handworldlandmarks',
  'multihandworldlandmarks',
  'landmarks',
  'handlandmarks',
  'multihandlandmarks',
  'joints3d',
  'joints',
)
_SIDE_KEYS = ('handedness', 'multihandedness', 'isright', 'sideisright')


def read_csv(file: Path) -> Content:
  """One hand a row; a first row that is mostly words names the columns.

  Raises:
    ValueError: the table has another form.
  """
  with file.open(newline='', encoding='utf-8-sig') as opened:
    rows = [row for row in csv.reader(opened) if any(cell.strip() for cell in row)]
  if not rows:
    raise ValueError('the file is empty')
  header, sides, order = [], None, None
  if 2 * sum(map(_is_number, rows[0])) < len(rows[0]):
    header, rows = [cell.strip().lower() for cell in rows[0]], rows[1:]
  width = len(header or rows[0])
  for number, row in enumerate(rows):
    if len(row) != width:
      raise ValueError(
        f'hand {number} has {len(row)} values, but the first line has {width}'
      )
  told = [name for name in SIDE_NAMES if name in header]
  if told:
    column = header.index(told[0])
    header.pop(column)
    sides = [side(row.pop(column)) for row in rows]
  numbers = [[_number(cell, hand) for cell in row] for hand, row in enumerate(rows)]
  if header:
    columns, order = _coordinate_columns(header)
    numbers = np.array(numbers).reshape(len(rows), len(header))[:, columns]
  return Content(as_hands(numbers), sides, order)


def _number(cell: str, hand: int) -> float:
  if not _is_number(cell):
    raise ValueError(
      f'hand {hand} holds {cell!r:.40}, which is no number; values are separated by '
      'commas, and a missing one is left empty'
    )
  return float(cell) if cell.strip() else math.nan


def _is_number(cell: str) -> bool:
  try:
    float(cell.strip() or 'nan')
  except ValueError:
    return False
  return True


def _coordinate_columns(header: list[str]) -> tuple[list[int], str | None]:
  """The columns of x, y, z of joint after joint, and the order that the names tell.

  Names such as `wrist_x`, `x0` or `7.z` are followed, however the columns are sorted:
  joints by their number, or those of `skeleton.JOINT_NAMES` by name, or else as they
  come. Names without any axis say nothing, so that the columns count as they stand.
  """
  coordinates = [_coordinate(name) for name in header]
  if not any(coordinates):
    return list(range(len(header))), None
  places: dict[str, dict[str, int]] = {}
  for column, (name, coordinate) in enumerate(zip(header, coordinates, strict=True)):
    if coordinate is None:
      raise ValueError(f'the column {name!r:.40} is no coordinate; leave it out')
    joint, axis = coordinate
    if axis in places.setdefault(joint, {}):
      raise ValueError(f'two columns hold {axis} of joint {joint!r:.40}')
    places[joint][axis] = column
  for joint, axes in places.items():
    if len(axes) != len(_AXES):
      raise ValueError(f'the header does not name x, y and z of joint {joint!r:.40}')
  joints = list(places)
  order = None
  if set(joints) == set(skeleton.JOINT_NAMES):
    joints, order = list(skeleton.JOINT_NAMES), 'canonical'
  elif all(re.search(r'\d+$', joint) for joint in joints):
    joints.sort(key=lambda joint: int(re.findall(r'\d+$', joint)[0]))
  return [places[joint][axis] for joint in joints for axis in _AXES], order


def _coordinate(name: str) -> tuple[str, str] | None:
  """Joint and axis of a column: ('wrist', 'x') of wrist_x, wristx, x_wrist, x-wrist."""
  if re.match('[xyz](?![a-z])', name):
    joint, axis = name[1:], name[0]
  elif name.endswith(tuple(_AXES)):
    joint, axis = name[:-1], name[-1]
  else:
    return None
  return joint.strip(' _.-'), axis


def read_json(file: Path) -> Content:
  """Nested lists, points {x, y, z}, or objects with landmarks or joints.

  Raises:
    ValueError: it is no JSON, or of another form.
  """
  try:
    return _read_results(json.loads(file.read_text(encoding='utf-8-sig')))
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise ValueError(f'this is not valid JSON ({error})') from None
  except RecursionError:
    raise ValueError('its lists are nested too deeply to be hands') from None


def _read_results(content: Any) -> Content:
  order = None
  if isinstance(content, Mapping) and isinstance(content.get('hands'), list):
    order, content = content.get('joint_order'), content['hands']  # bmc_jax.predict's
  results = content if isinstance(content, list) else [content]
  if not any(_is_result(result) for result in results):
    return Content(as_hands(_coordinates(content)))
  hands: list[np.ndarray] = []
  sides: list[float] = []
  for number, result in enumerate(results):
    if not _is_result(result):
      raise ValueError(f'expected objects with landmarks, found {result!r:.40}')
    keys = plain_keys(result)
    key = next((name for name in _HAND_KEYS if name in keys), None)
    if key is None:
      raise ValueError(
        f'expected an entry worldLandmarks, landmarks or joints, found '
        f'{", ".join(result) or "none"}'
      )
    values = _coordinates(keys[key])
    if values:  # an image without a hand has an empty list
      hands.append(as_hands(values))
      sides += _result_sides(keys, len(hands[-1]), number)
  if not hands:
    raise ValueError('it holds no hand')
  return Content(np.concatenate(hands), sides, order)


def _result_sides(keys: dict[str, Any], count: int, number: int) -> list[float]:
  """The sides of the hands of one result; one alone is that of all its hands."""
  told = next((keys[name] for name in _SIDE_KEYS if name in keys), None)
  if not isinstance(told, list) or not told:
    return [side(told)] * count
  if len(told) != count:
    raise ValueError(f'result {number} has {count} hands, but {len(told)} sides')
  return [side(one) for one in told]


def _is_result(value: Any) -> bool:
  return isinstance(value, Mapping) and not {'x', 'y', 'z', 'landmark'} & set(value)


def _coordinates(value: Any) -> Any:
  """Nested lists of numbers: points {x, y, z} become [x, y, z], null becomes NaN."""
  if isinstance(value, Mapping):
    if set(value) == {'landmark'}:  # MediaPipe's older Python results
      return _coordinates(value['landmark'])
    if not set(_AXES) <= set(value):
      raise ValueError(f'{dict(value)!r:.40} is no point with x, y and z')
    value = [value[axis] for axis in _AXES]
  if isinstance(value, list):
    return [_coordinates(entry) for entry in value]
  return math.nan if value is None else value
