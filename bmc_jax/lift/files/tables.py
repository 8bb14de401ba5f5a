"""2D keypoints in tables (CSV): a hand a row, or a joint a row; DeepLabCut's, too."""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.joint_files import tables
from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files.arrays import plain
from bmc_jax.lift.files import content as content_lib
from bmc_jax.lift.files.content import Content, Hand

_TRUST = 'confidence|conf|score|likelihood|visibility|visible|presence|prob'
# What a column of a joint holds, behind or before its name.
_BEHIND = re.compile(rf'(.*?)[ _.-]*(?:({_TRUST})|(?<![a-z])([cvp])|([xyz]))', re.I)
_BEFORE = re.compile(rf'(?:({_TRUST})|([cvp])(?=[ _.-]|\d)|([xyz])(?![a-z]))(.*)', re.I)
_UNSET = ('visibility', 'visible', 'presence')  # MediaPipe writes 0 for hands
_JOINT_COLUMNS = (
  *('landmark', 'landmarkid', 'landmarkindex', 'landmarkidx', 'landmarkname', 'joint'),
  *('jointid', 'jointindex', 'jointname', 'keypoint', 'keypointid', 'keypointname'),
  *('kp', 'point', 'pointid', 'bodypart', 'lm', 'id', 'name'),
)
_NUM_JOINTS = skeleton.NUM_JOINTS
_WIDTHS = (2 * _NUM_JOINTS, 3 * _NUM_JOINTS)
_NOT_JOINTS = re.compile(
  r'|(frame|image|img|hand|track|person|row|video|sample)?_?(index|idx|max)', re.I
)


class _Column(NamedTuple):
  """What a column of a joint holds: x, y, z or a confidence."""

  joint: str
  what: str


def read_csv(file: Path) -> Content:
  """Hands of a table.

  Raises:
    ValueError: the table has another form.
  """
  header, rows = tables.read_rows(file)
  if header is None:
    return _without_header(rows)
  if header[0].lower() == 'scorer':
    header, rows = _of_deeplabcut(header, rows)
  if not rows:
    raise ValueError('it has a header, but no hand')
  plain_names = [plain(name) for name in header]
  if {'x', 'y'} <= set(plain_names):
    return _joint_a_row(plain_names, rows)
  return _hand_a_row(header, rows)


def _of_deeplabcut(header, rows) -> tuple[list[str], list[list[str]]]:
  """One header in place of the three or four of DeepLabCut: names, then coordinates."""
  kinds = [row[0].strip().lower() for row in rows[:3]]
  if kinds[:2] != ['bodyparts', 'coords']:
    raise ValueError(
      'below scorer it has no rows bodyparts and coords; of several individuals export '
      'one file for each'
    )
  names = [f'{a}_{b}' for a, b in zip(rows[0][1:], rows[1][1:], strict=True)]
  return ['frame', *names], rows[2:]


def _without_header(rows) -> Content:
  """Values of joint after joint, maybe behind a growing number of the frame."""
  numbers, frames = np.array(tables.as_numbers(rows)), None
  if numbers.shape[1] - 1 in _WIDTHS:
    frames, numbers = numbers[:, 0], numbers[:, 1:]
    if np.any(frames % 1) or np.any(np.diff(frames) < 0):  # not for NaN
      raise ValueError('its first column is no growing number of a frame')
  if numbers.shape[1] not in _WIDTHS:
    raise ValueError(
      f'each row has {numbers.shape[1]} values, but 42 (x, y) or 63 (x, y, confidence) '
      'are needed, or a first line that names the columns'
    )
  points = content_lib.as_points(
    numbers.reshape(len(rows), _NUM_JOINTS, -1), 'the table'
  )
  names = range(len(rows)) if frames is None else frames.astype(int).tolist()
  return Content(
    'CSV', [Hand(hand, name) for hand, name in zip(points, names, strict=True)]
  )


def _hand_a_row(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Content:
  columns = {i: c for i, name in enumerate(header) if (c := _column(name))}
  places: dict[str, dict[str, int]] = {}
  for i, (joint, what) in columns.items():
    if what in places.setdefault(joint, {}):
      raise ValueError(f'two columns hold {what} of joint {joint!r:.40}')
    places[joint][what] = i
  joints = [joint for joint, held in places.items() if {'x', 'y'} <= held.keys()]
  used = {i for joint in joints for i in places[joint].values()}
  other = [i for i in range(len(header)) if i not in used]
  numbers = np.full((len(rows), len(joints), 3), math.nan)
  for j, joint in enumerate(joints):
    held = places[joint]
    for k, what in enumerate('xyc'):
      if what in held:
        cells = tables.as_numbers([[row[held[what]]] for row in rows])
        numbers[:, j, k] = np.ravel(cells)
      else:
        numbers[:, j, k] = 1
  by_visibility = any(
    plain(header[i]).endswith(_UNSET) or plain(header[i]).startswith(_UNSET)
    for i in used
  )
  if by_visibility and not np.nan_to_num(numbers[..., 2]).any():
    numbers[..., 2] = 1
  parts, order, unclear = _parts(joints)
  told = _told([plain(header[i]) for i in other], rows, other)
  hands = [
    Hand(hand[chosen], t.frame, t.side if math.isnan(side) else side, t.size, t.person)
    for hand, t in zip(numbers, told, strict=True)
    for side, chosen in parts
  ]
  left_out = ['z'] if any(column.what == 'z' for column in columns.values()) else []
  left_out += [joint for joint in places if joint not in joints]
  notes = (f'columns of {", ".join(left_out):.60} left out',) if left_out else ()
  return Content('CSV', hands, order, unclear, notes)


def _parts(joints: list[str]):
  """Side and columns of each hand, the order of joints, and why it is unclear."""
  by_side = [[j for j in joints if content_lib.side_in(j) == side] for side in (0, 1)]
  groups = {math.nan: joints}
  if len(joints) != _NUM_JOINTS and all(len(g) == _NUM_JOINTS for g in by_side):
    groups = dict(enumerate(by_side))
  elif len(joints) == _NUM_JOINTS:
    groups = {content_lib.side_in_names(joints): joints}
  else:
    raise ValueError(
      f'its columns name x and y of {len(joints)} joints, but a hand has 21, and two '
      'hands have left or right in their names'
    )
  parts, order, unclear = [], None, None
  for side, names in groups.items():
    ordered, order, unclear = tables.joint_order(names)
    parts.append((float(side), [joints.index(name) for name in ordered]))
  return parts, order, unclear


def _joint_a_row(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Content:
  """Rows of one joint each, which hands are made of by frame, person and side."""
  column = next((name for name in _JOINT_COLUMNS if name in header), None)
  if column is None:
    raise ValueError(
      'each row is one joint, but no column landmark or joint tells which one'
    )
  trust = next((name for name in header if re.fullmatch(f'{_TRUST}|[cv]', name)), None)
  needed = [header.index(name) for name in ('x', 'y', *([trust] if trust else []))]
  numbers = np.array(tables.as_numbers([[row[i] for i in needed] for row in rows]))
  if trust in _UNSET and not np.nan_to_num(numbers[:, 2]).any():
    numbers = numbers[:, :2]
  points = content_lib.as_points(numbers, 'the table')[0]
  joints = [row[header.index(column)].strip() for row in rows]
  places, order, unclear = _places(joints)
  other = [i for i, name in enumerate(header) if i not in needed and name != column]
  hands: dict[tuple, Hand] = {}
  seen: set[tuple] = set()
  told = _told([header[i] for i in other], rows, other, count=False)
  for point, joint, t in zip(points, joints, told, strict=True):
    key = (t.frame, t.person, str(t.side))
    if (*key, joint) in seen:
      raise ValueError(
        f'joint {joint!r:.40} of frame {t.frame} is there twice; columns frame and '
        'hand tell pictures and hands apart'
      )
    seen.add((*key, joint))
    empty = np.full((_NUM_JOINTS, 3), math.nan)
    hands.setdefault(key, t._replace(points=empty)).points[places[joint]] = point
  return Content('CSV', list(hands.values()), order, unclear)


def _places(joints: Iterable[str]):
  """Where a hand has the joint of each name, their order, and why it is unclear."""
  names = list(dict.fromkeys(joints))
  if all(name.isdecimal() and int(name) < _NUM_JOINTS for name in names):
    return {name: int(name) for name in names}, None, None
  if len(names) != _NUM_JOINTS:
    raise ValueError(f'it names {len(names)} joints, but a hand has 21')
  ordered, order, unclear = tables.joint_order(names)
  return {name: place for place, name in enumerate(ordered)}, order, unclear


def _told(
  names: Sequence[str],
  rows: Sequence[Sequence[str]],
  columns: Sequence[int],
  count: bool = True,
) -> list[Hand]:
  """What columns beside the joints tell of each row, as hands without points."""
  nothing = np.empty((0, 3))
  sides: dict[str, list[float]] = {}
  for name, column in zip(names, columns, strict=True):
    cells = [row[column] for row in rows]
    told = told_lib.key_sides(name, cells) if name in told_lib.SIDE_KEYS else None
    if told is not None:
      sides[name] = told
  agreed = told_lib.agreed_sides(sides, len(rows)) or [math.nan] * len(rows)
  found = []
  for number, (row, side) in enumerate(zip(rows, agreed, strict=True)):
    cells = {name: row[i].strip() for name, i in zip(names, columns, strict=True)}
    cells = {name: cell for name, cell in cells.items() if cell}
    frame, person = content_lib.frame_in(cells), content_lib.person_in(cells)
    if person is None and 'hand' not in sides and 'hand' in cells:
      person = content_lib.as_number(cells['hand'])
    frame = number if frame is None and count else frame
    found.append(Hand(nothing, frame, side, content_lib.size_in(cells), person))
  return found


def _column(name: str) -> _Column | None:
  """The joint of a column, in lower case, and what it holds; None if it is of none."""
  if _NOT_JOINTS.fullmatch(name.strip()):
    return None
  if match := _BEHIND.fullmatch(name.strip()):
    joint, *kinds = match.groups()
  elif match := _BEFORE.fullmatch(name.strip()):
    *kinds, joint = match.groups()
  else:
    return None
  joint = joint.strip(' _.-').lower()
  trust, letter, axis = kinds
  what = axis.lower() if axis else 'c'
  return _Column(joint, what) if joint else None
