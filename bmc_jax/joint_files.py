"""Files of 3D hand joints from any detector or dataset.

| ending | form |
| --- | --- |
| `.npy` | (N, 21, 3), (N, 63), or one hand (21, 3) |
| `.npz` | the same as the array `joints_<order>`, or the only array of such a shape; \
with `is_right` or `side_is_right` (N,) |
| `.csv` | 63 columns x, y, z of joint after joint, with or without a header; with a \
header also a column `is_right` (1, 0) or `handedness` (right, left) |
| `.json` | nested lists as in `.npy`, points also as {"x", "y", "z"}; or MediaPipe's \
results, an object or a list of them, with `worldLandmarks` or `landmarks` and \
`handedness` (with or without underscores) |

A missing value (an empty cell, `nan`, `null`) is NaN; no hand is left out.
"""

import csv
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmc_jax import kinematics, skeleton

_ORDER_POSES = 10
_ORDER_MARGIN = 0.95
_SIDES = {'right': 1.0, 'left': 0.0}
_SIDE_NAMES = ('is_right', 'side_is_right')
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
_HANDEDNESS_KEYS = ('handedness', 'multihandedness')


class JointFile(NamedTuple):
  """The hands of a file.

  Attributes:
    joints_3d: (N, 21, 3) float64 in canonical order and the file's unit, left hands as
      they are; NaN where a value is missing.
    is_right: (N,) bool, or None if the file does not tell.
  """

  joints_3d: np.ndarray
  is_right: np.ndarray | None

  @property
  def complete(self) -> np.ndarray:
    """Which hands (N,) have all joints."""
    return np.asarray(np.isfinite(self.joints_3d).all(axis=(1, 2)))


def read_joints(path: str | os.PathLike, order: str | None = None) -> JointFile:
  """Reads 3D joints from a file of one of the forms above.

  Args:
    path: the file.
    order: joint order, a key of `skeleton.JOINT_ORDERS`; None takes it from the name of
      an array `joints_<order>`, or else the canonical order.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it has another form, holds no hand, or its joints are clearly in another
      order.
  """
  file = Path(path).expanduser()
  readers = {'.npy': _read_npy, '.npz': _read_npz, '.csv': _read_csv}
  readers['.json'] = _read_json
  if not file.is_file():
    raise FileNotFoundError(f'There is no file of joints {path}.')
  if file.suffix not in readers:
    raise ValueError(f'{path}: joints are read from {", ".join(readers)} files.')
  try:
    values, is_right, named = readers[file.suffix](file)
    joints = _as_hands(values)
    sides = None if is_right is None else _as_sides(is_right, len(joints))
    order = _agreed_order(order, named)
    joints = skeleton.reorder(joints, order)
  except (ValueError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(f'{path}: {str(error).rstrip(".")}.') from error
  found = JointFile(joints, sides)
  check_order(
    path,
    skeleton.reorder(joints[found.complete], 'canonical', order),
    order,
    'name it with --order',
  )
  return found


def _agreed_order(order: str | None, named: str | None) -> str:
  """The order asked for, which must not contradict the array's name."""
  agreed = order or named or 'canonical'
  known = skeleton.JOINT_ORDERS
  if named and agreed in known and known[agreed] != known[named]:
    raise ValueError(f'the order asked for is {order!r}, the array is joints_{named}')
  return agreed


def _as_hands(values) -> np.ndarray:
  """(N, 21, 3) from any of the shapes above."""
  values = np.asarray(values)
  if values.dtype.kind not in 'iufO':
    raise ValueError(f'joints are of type {values.dtype}, expected numbers')
  values = values.astype(np.float64)
  if values.shape == (21, 3):
    values = values[None]
  if values.ndim == 2 and values.shape[1] == 63:
    values = values.reshape(-1, 21, 3)
  if values.ndim != 3 or values.shape[1:] != (21, 3) or not len(values):
    raise ValueError(
      f'joints have the shape {values.shape}, expected (N, 21, 3) or (N, 63) with N > 0'
    )
  return values


def _as_sides(is_right, count: int) -> np.ndarray:
  sides = np.asarray(is_right)
  if sides.shape != (count,) or not np.isin(sides, (0, 1)).all():
    raise ValueError(
      f'which hands are right is not told by {count} values of 1 (right) and 0 (left)'
    )
  return sides.astype(bool)


def _read_npy(file: Path):
  content = np.load(file)
  if not isinstance(content, np.ndarray):
    raise ValueError('by its content this is a .npz file; rename it')
  return content, None, None


def _read_npz(file: Path):
  content = np.load(file)
  if isinstance(content, np.ndarray):
    raise ValueError('by its content this is a .npy file; rename it')
  arrays = {name: content[name] for name in content.files}
  names = [name for name in arrays if name.startswith('joints_')]
  names = names or [
    name
    for name, array in arrays.items()
    if array.shape[-2:] == (21, 3) or array.shape[1:] == (63,)
  ]
  if len(names) != 1:
    raise ValueError(
      f'expected one array of joints, found {", ".join(names) or "none"}; call it '
      'joints_<order>, such as joints_mediapipe'
    )
  named = names[0].removeprefix('joints_')
  sides = [arrays[name] for name in _SIDE_NAMES if name in arrays]
  known = named if named in skeleton.JOINT_ORDERS else None
  return arrays[names[0]], (sides[0] if sides else None), known


def _read_csv(file: Path):
  with file.open(newline='', encoding='utf-8-sig') as opened:
    rows = [row for row in csv.reader(opened) if any(cell.strip() for cell in row)]
  if not rows:
    raise ValueError('the file is empty')
  header, sides = None, None
  if not all(_is_number(cell) for cell in rows[0]):
    header, rows = [cell.strip().lower() for cell in rows[0]], rows[1:]
  for number, row in enumerate(rows):
    if len(row) != len(header or rows[0]):
      raise ValueError(
        f'hand {number} has {len(row)} values, the first line has others'
      )
  if header:
    for name in ('is_right', 'handedness'):
      if name in header:
        column = header.index(name)
        sides = [_side(row.pop(column)) for row in rows]
        break
  return [[_number(cell) for cell in row] for row in rows], sides, None


def _number(cell: str) -> float:
  if not _is_number(cell):
    raise ValueError(f'{cell!r} is no number')
  return float(cell) if cell.strip() else math.nan


def _is_number(cell: str) -> bool:
  try:
    float(cell.strip() or 'nan')
  except ValueError:
    return False
  return True


def _side(value) -> float:
  """1 for a right hand, 0 for a left one, from a name, a number or MediaPipe's form."""
  while isinstance(value, list) and value:
    value = value[0]
  if isinstance(value, Mapping):
    value = _plain_keys(value)
    value = value.get('categoryname', value.get('label'))
  if isinstance(value, str) and not _is_number(value):
    return _SIDES.get(value.strip().lower(), math.nan)
  return float(value) if value is not None else math.nan


def _plain_keys(entry: Mapping) -> dict:
  """An object whose keys are spelt alike, whichever language wrote it."""
  return {key.lower().replace('_', ''): value for key, value in entry.items()}


def _read_json(file: Path):
  try:
    content = json.loads(file.read_text())
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise ValueError(f'this is not valid JSON ({error})') from None
  results = content if isinstance(content, list) else [content]
  if not any(
    isinstance(result, Mapping) and not _is_point(result) for result in results
  ):
    return _coordinates(content), None, None
  hands, sides = [], []
  for result in results:
    if not isinstance(result, Mapping):
      raise ValueError(f'expected objects with landmarks, found {result!r:.40}')
    keys = _plain_keys(result)
    key = next((name for name in _HAND_KEYS if name in keys), None)
    if key is None:
      raise ValueError(
        f'expected an entry worldLandmarks, landmarks or joints, found '
        f'{", ".join(result) or "none"}'
      )
    found = _coordinates(keys[key])
    if found:  # an image without a hand has an empty list
      found = _as_hands(found)
      hands.append(found)
      name = next((name for name in _HANDEDNESS_KEYS if name in keys), None)
      told = keys[name] if name else [None] * len(found)
      sides += [_side(one) for one in (told if isinstance(told, list) else [told])]
  if not hands:
    raise ValueError('it holds no hand')
  unknown = np.isnan(sides).all()
  return np.concatenate(hands), (None if unknown else sides), None


def _is_point(value) -> bool:
  return isinstance(value, Mapping) and {'x', 'y', 'z'} <= set(value)


def _coordinates(value):
  """Nested lists of numbers: points {x, y, z} become [x, y, z], null becomes NaN."""
  if _is_point(value):
    value = [value['x'], value['y'], value['z']]
  if isinstance(value, list):
    return [_coordinates(entry) for entry in value]
  return math.nan if value is None else value


def check_order(path, joints: np.ndarray, order: str, remedy: str) -> None:
  """Raises a ValueError if the bones are clearly shorter in another joint order.

  A wrong order draws bones between joints that are no neighbours. A fist can hide that,
  so the ninth decile of the poses' summed bones counts: where public poses were given
  in a wrong order, the right one was shorter by 9% and more; where they were given
  in the right one, no other was shorter by more than 3%. `canonical` and `stb` have the
  same bones and cannot be told apart.

  Args:
    path: named in the message.
    joints: (N, 21, 3) in the given order; under `_ORDER_POSES` poses pass unseen.
    order: the given order.
    remedy: what to do, the end of the message.
  """
  if len(joints) < _ORDER_POSES:
    return
  sample = joints[:: math.ceil(len(joints) / 1000)]  # plenty
  lengths = {}
  for name in skeleton.JOINT_ORDERS:
    bones = kinematics.bone_lengths(skeleton.reorder(sample, name))
    lengths[name] = float(np.quantile(np.sum(bones, axis=(1, 2)), 0.9))
  shortest = min(lengths.values())
  if shortest < _ORDER_MARGIN * lengths[order]:
    likely = [
      name for name in lengths if math.isclose(lengths[name], shortest, rel_tol=1e-5)
    ]
    raise ValueError(
      f'{path}: in the joint order {order!r} the bones are '
      f'{lengths[order] / shortest - 1:.0%} longer than in the order '
      f'{" or ".join(likely)}, which is probably the right one; {remedy}.'
    )
