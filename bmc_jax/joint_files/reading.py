"""Files of 3D hand joints from any detector or dataset.

| ending | form |
| --- | --- |
| `.npy` | (N, 21, 3), (N, 63), or one hand (21, 3) |
| `.npz` | the same as the array `joints_<order>`, or the only array of such a shape; \
with one of the sides (N,) |
| `.csv` | 63 columns x, y, z of joint after joint; or a header whose names tell joint \
and axis (`wrist_x`, `PINKY_TIP_y`, `x0`), in any order of the columns; it may add one \
of the sides, and some that are left out (`frame`, `index`, `score`...) |
| `.json` | nested lists as in `.npy`, points also as {"x", "y", "z"}, whose \
`name` or `id` tells the joint; or MediaPipe's \
results, an object or a list of them, with `worldLandmarks`, `landmarks` or `joints`, \
and one of the sides; or predictions.json of \
`bmc_jax.predict` |

The sides are `handedness` (right or left), `is_right` or `is_left` (1 or 0), or `hand`,
`side` or `hand_type` where they are words, with or without underscores. `joint_order`
or `order` (a known one, or 21 names), `joint_names`, and `unit` (m, cm or mm) beside
the joints are listened to. A missing value (an empty cell, `nan`, `NA`, `null`) is NaN,
and so is a joint at exactly 0, 0, 0 that is not the origin of the hands, or whose
visibility, confidence, score or valid is 0 (in a point, a list beside the joints, a
column `wrist_conf`, an array; unless all are). No hand is left out.
"""

import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.tables import counted
from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files import trust as trust_lib
from bmc_jax.joint_files.arrays import Content, as_hands, as_sides, plain_keys
from bmc_jax.joint_files.json_text import read_json
from bmc_jax.joint_files.tables import read_csv
from bmc_jax.limits import depths, evidence

_PLAIN_NAMES = ('3d', 'xyz', 'world', 'cam', 'camera')
DAMAGE = (
  EOFError,
  SyntaxError,
  tokenize.TokenError,
  zipfile.BadZipFile,
  zlib.error,
)
"""What NumPy raises for archives and headers with wrong bytes, beside ValueErrors."""


class JointFile(NamedTuple):
  """The hands of a file.

  Attributes:
    joints_3d: (N, 21, 3) float64 in canonical order and the file's unit, left hands as
      they are; NaN where a value is missing.
    is_right: (N,) bool, or None if the file does not tell.
    notes: what of the file was left out.
    doubts: what the hands contradict, in sentences without a full stop.
    unit: m, cm or mm if the file tells it, or None.
  """

  joints_3d: np.ndarray
  is_right: np.ndarray | None
  notes: tuple[str, ...] = ()
  doubts: tuple[str, ...] = ()
  unit: str | None = None

  @property
  def complete(self) -> np.ndarray:
    """Which hands (N,) have all joints."""
    return np.asarray(np.isfinite(self.joints_3d).all(axis=(1, 2)))


def read_joints(path: str | os.PathLike, order: str | None = None) -> JointFile:
  """Reads 3D joints from a file of one of the forms above.

  Args:
    path: the file.
    order: joint order, a key of `skeleton.JOINT_ORDERS`; None takes it from the name of
      an array `joints_<order>` (`joints_3d` names none) or from a header of names of
      joints, or else the canonical order. Hands that contradict a given order are a
      doubt, those that contradict another one an error.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it has another form, holds no hand, or 2D points, or its joints are
      clearly in another order, or in none that it tells.
  """
  file = Path(path).expanduser()
  readers = {'.npy': _read_npy, '.npz': _read_npz, '.csv': read_csv, '.json': read_json}
  if not file.is_file():
    raise FileNotFoundError(f'There is no file of joints {path}.')
  if file.suffix.lower() not in readers:
    raise ValueError(f'{path}: joints are read from {", ".join(readers)} files.')
  try:
    content = readers[file.suffix.lower()](file)
    agreed = agreed_order(order, content.order)
    if content.unclear and order is None:
      raise ValueError(f'{content.unclear}, or tell their order with --order')
    joints, note = _without_zeros(skeleton.reorder(content.joints, agreed))
    notes = (*content.notes, *note)
    found = JointFile(joints, None, notes, unit=content.unit)
    found = found._replace(is_right=as_sides(content.sides, found.complete))
    seen = found.joints_3d if found.complete.any() else content.joints
    if doubt := depths.doubt_depth(seen):
      raise ValueError(doubt)
  except ValueError as error:
    raise ValueError(f'{path}: {str(error).rstrip(".")}.') from error
  except DAMAGE as error:
    raise ValueError(f'{path}: the file is damaged, or no {file.suffix}.') from error
  doubt = evidence.doubt_order(content.joints[found.complete], agreed)
  if doubt and order is None:
    raise ValueError(f'{path}: {doubt}; name it with --order.')
  return found._replace(doubts=(doubt,) if doubt else ())


def _without_zeros(joints: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
  """Joints (N, 21, 3) with NaN for those stored as 0, 0, 0, and a note of them."""
  missing = evidence.stored_as_zero(joints)
  count, hands = int(missing.sum()), int(missing.any(axis=1).sum())
  if not count:
    return joints, ()
  note = (
    f'{counted(count, "joint")} at exactly 0, 0, 0 in {counted(hands, "hand")} taken '
    'as missing'
  )
  return np.where(missing[..., None], np.nan, joints), (note,)


def agreed_order(order: str | None, named: str | None) -> str:
  """The order asked for, which must not contradict the one that the file names.

  Raises:
    ValueError: it does, or the file names an unknown one.
  """
  known = skeleton.JOINT_ORDERS
  if named and order is None and named not in known:
    raise ValueError(
      f'{named!r} in the name of its array is no known joint order; call the array '
      f'joints_3d and name the order ({", ".join(sorted(known))})'
    )
  agreed = order or named or 'canonical'
  if agreed in known and known.get(named or agreed, known[agreed]) != known[agreed]:
    raise ValueError(f'the order asked for is {order!r}, the joints are named {named}')
  return agreed


def load_numpy(file: Path):
  """An array, or the arrays of an archive.

  Raises:
    ValueError: the file holds something else.
  """
  try:
    return np.load(file)
  except ValueError as error:  # which advises to unpickle it
    raise ValueError('it holds no arrays of numbers as NumPy saves them') from error


def _read_npy(file: Path) -> Content:
  content = load_numpy(file)
  if not isinstance(content, np.ndarray):
    raise ValueError('by its content this is a .npz file; rename it')
  return Content(as_hands(content))


def _read_npz(file: Path) -> Content:
  content = load_numpy(file)
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
  joints = as_hands(arrays[names[0]])
  joints, missing = _trusted(joints, plain_keys(arrays))
  told = told_lib.by_arrays(arrays, len(joints))
  named = names[0].lower().removeprefix('joints_')
  plain = not names[0].startswith('joints_') or named in _PLAIN_NAMES
  if not plain and named in skeleton.JOINT_ORDERS:
    told.orders.append(named)
  joints, order, unclear = told_lib.arranged(joints, told.orders)
  unit, notes = told_lib.unit(told.units)
  return Content(
    joints,
    told.sides,
    order or (None if plain else named),
    unclear,
    (*missing, *notes),
    unit,
  )


def _trusted(joints: np.ndarray, arrays: dict[str, np.ndarray]):
  """Joints without those that an array (N, 21) or (N,) of 0 denies, and a note."""
  notes: tuple[str, ...] = ()
  for key in trust_lib.KEYS:
    trust = arrays.get(key)
    if trust is None or trust.dtype.kind not in 'biuf':
      continue
    if trust.shape == joints.shape[1:2] and len(joints) == 1:
      trust = trust[None]
    if trust.shape in (joints.shape[:2], joints.shape[:1]):
      joints, note = trust_lib.without(joints, trust.reshape(len(joints), -1))
      notes += note
  return joints, notes
