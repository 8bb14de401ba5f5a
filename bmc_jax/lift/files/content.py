"""Hands with 2D keypoints as the readers of all forms hand them over."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.joint_files import names as names_lib
from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files.arrays import plain_keys

_WIDTH_KEYS = ('imagewidth', 'width', 'framewidth', 'imgwidth')
_HEIGHT_KEYS = ('imageheight', 'height', 'frameheight', 'imgheight')
_SIZE_KEYS = ('imagesize', 'framesize', 'resolution')
# Where the hands of whole bodies begin, by the number of keypoints, left and right:
# COCO-WholeBody's and Halpe's.
_WHOLE_BODIES = {133: (91, 112), 136: (94, 115)}


class Hand(NamedTuple):
  """A hand of a file.

  Attributes:
    points: (21, 3) x, y and confidence in the file's order; NaN where a value is
      missing.
    frame: the name or number of its picture, or None if the file does not tell.
    side: 1 right, 0 left, NaN not told.
    size: width and height of its picture in pixels, or None.
    person: its number or name, such as that of a track, or None.
    box: (4,) left, top, right, bottom, or None.
    own_3d: (21, 3) canonical joints of the tool's own 3D hand, or None.
  """

  points: np.ndarray
  frame: int | str | None = None
  side: float = math.nan
  size: tuple[float, float] | None = None
  person: int | str | None = None
  box: np.ndarray | None = None
  own_3d: np.ndarray | None = None


class Content(NamedTuple):
  """What a file holds.

  Attributes:
    form: what messages call it: MediaPipe, OpenPose...
    hands: all of them, with those that have no keypoint.
    order: the joint order that the file names, or None.
    unclear: why nothing but a given order tells which joint is which, or None.
    notes: what of the file was left out, or guessed.
    pixel_center: both coordinates of the first pixel's centre, where coordinates are
      pixels.
    scores: whether confidences are scores of a network, which may exceed 1.
  """

  form: str
  hands: list[Hand]
  order: str | None = None
  unclear: str | None = None
  notes: tuple[str, ...] = ()
  pixel_center: float = 0.0
  scores: bool = False


def as_points(values: Any, where: str) -> np.ndarray:
  """(n, k, 3) float64: x, y and confidence of one or more hands; None is missing.

  Args:
    values: (k, 2), (k, 3), (n, k, 2) or (n, k, 3).
    where: what the message calls them.

  Raises:
    ValueError: they are something else.
  """
  try:
    points = np.asarray(values)
  except ValueError:  # lists of different lengths
    points = np.asarray(None)
  if points.dtype.kind == 'O' and points.ndim:
    try:
      points = points.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
      points = np.asarray(None)
  if points.dtype.kind not in 'iuf':
    raise ValueError(f'{where}: its keypoints are no even table of numbers')
  points = points[None] if points.ndim == 2 else points
  if points.ndim != 3 or points.shape[2] not in (2, 3):
    raise ValueError(
      f'{where}: its keypoints have the shape {points.shape}, but 21 times x, y, or x, '
      'y and confidence, are needed'
    )
  points = points.astype(np.float64)
  if points.shape[2] == 2:
    points = np.concatenate([points, np.ones_like(points[..., :1])], axis=2)
  return points


def from_flat(values: Any, where: str) -> np.ndarray:
  """(k, 3) x, y and confidence from a flat list of them.

  Raises:
    ValueError: it is none, or no multiple of three long.
  """
  if not isinstance(values, list) or len(values) % 3:
    raise ValueError(
      f'{where}: its keypoints are no list of x, y, confidence for each of them'
    )
  return as_points([values[i : i + 3] for i in range(0, len(values), 3)], where)[0]


def hands_of(
  points: np.ndarray, names: Sequence[str] | None, where: str
) -> list[tuple[np.ndarray, float, bool]]:
  """The hands among the keypoints of a hand, two hands or a whole body.

  Args:
    points: (k, 3) x, y, confidence.
    names: of all k keypoints, or None.
    where: what messages call them.

  Returns:
    Of each hand its points (21, 3), its side, and whether names brought them into the
    canonical order.

  Raises:
    ValueError: there are other numbers of keypoints, or their names tell no hand.
  """
  count = len(points)
  if names is not None and len(names) != count:
    raise ValueError(f'{where} has {count} keypoints, but {len(names)} names of them')
  if count == skeleton.NUM_JOINTS:
    if names is None:
      return [(points, math.nan, False)]
    return [_in_order(points, names, side_in_names(names))]
  if count in _WHOLE_BODIES:
    left, right = (range(s, s + 21) for s in _WHOLE_BODIES[count])
    parts = {0.0: list(left), 1.0: list(right)}
  elif names is not None:
    parts = {
      number: [i for i, name in enumerate(names) if side_in(name) == number]
      for number in (0.0, 1.0)
    }
  else:
    raise ValueError(
      f'{where} has {count} keypoints, but a hand has 21 and a whole body 133 (or '
      '136); two hands need names of the keypoints'
    )
  hands = []
  for number, chosen in parts.items():
    if names is None or count in _WHOLE_BODIES:
      hands.append((points[chosen], number, True))
    else:
      named = [names[i] for i in chosen]
      hands.append(_in_order(points[chosen], named, number))
  return hands


def _in_order(points, names, number) -> tuple[np.ndarray, float, bool]:
  """Points by their names; numbers do not tell whose they are."""
  order = list(names_lib.canonical_order(names))
  return points[order], number, not names_lib.are_numbers(names)


def side_in(name: str) -> float:
  """The side that the name of a keypoint, a category or a file tells, or NaN."""
  told = [
    number for number, word in enumerate(('left', 'right')) if word in name.lower()
  ]
  return float(told[0]) if len(told) == 1 else math.nan


def side_in_names(names: Sequence[str]) -> float:
  """The side that all of the names tell, or NaN."""
  sides = {side_in(name) for name in names}
  return sides.pop() if len(sides) == 1 else math.nan


def size_in(entry: Mapping[str, Any]) -> tuple[float, float] | None:
  """Width and height of the picture that an object tells, or None.

  Raises:
    ValueError: it tells them as something else than numbers of pixels.
  """
  keys = plain_keys(entry)
  told = [
    next((keys[key] for key in names if keys.get(key) is not None), None)
    for names in (_WIDTH_KEYS, _HEIGHT_KEYS)
  ]
  if None in told:
    told = next((keys[key] for key in _SIZE_KEYS if keys.get(key) is not None), None)
  return None if told is None else as_size(told)


def as_size(value: Any) -> tuple[float, float]:
  """A width and a height.

  Raises:
    ValueError: these are no two numbers of pixels.
  """
  try:
    width, height = (float(length) for length in value)
  except (TypeError, ValueError, OverflowError):
    width = height = math.nan
  if not (1 <= width < 1e6 and 1 <= height < 1e6):  # not for NaN
    raise ValueError(
      f'the size of a picture is {value!r:.60}, but its width and height in pixels are '
      'needed'
    )
  return width, height


def box_in(value: Any, *, is_xywh: bool) -> np.ndarray | None:
  """A box as left, top, right, bottom (4,), or None if it is no four numbers."""
  if isinstance(value, list) and len(value) == 1:  # mmpose's
    value = value[0]
  if not isinstance(value, list) or len(value) != 4:
    return None
  try:
    box = np.asarray(value, np.float64)
  except (TypeError, ValueError, OverflowError):
    return None
  if is_xywh:
    box[2:] += box[:2]
  return box if np.isfinite(box).all() else None


def agreed_name(named: Sequence[bool]) -> str | None:
  """The order of hands of which each was brought into the canonical one, or None.

  Raises:
    ValueError: some were, and others not.
  """
  if len(set(named)) > 1:
    raise ValueError('not all hands name their joints in the same way')
  return 'canonical' if any(named) else None


_NAME_KEYS = (
  *('filename', 'imagename', 'imagepath', 'file', 'image', 'img', 'input', 'video'),
  *('picture', 'path', 'name'),
)
_NUMBER_KEYS = (
  *('frame', 'frameid', 'frameindex', 'frameidx', 'framenumber', 'frameno', 'framenum'),
  *('imageid', 'imageindex', 'index', 'idx', 'row', ''),
)
_PERSON_KEYS = ('trackid', 'personid', 'handid', 'handindex', 'track', 'person', 'idx')


def frame_in(keys: Mapping[str, Any]) -> int | str | None:
  """The picture that an object or a row tells: its name, its number, or `name#number`.

  Args:
    keys: as `plain_keys` spells them.
  """
  name = next((keys[key] for key in _NAME_KEYS if _is_name(keys.get(key))), None)
  number = next((keys[key] for key in _NUMBER_KEYS if _is_name(keys.get(key))), None)
  if name is None or number is None:
    return as_number(number if name is None else name)
  return f'{name}#{number}'


def person_in(keys: Mapping[str, Any]) -> int | str | None:
  """The number or name of a person, hand or track that is told, or None."""
  for key in _PERSON_KEYS:
    value = keys.get(key)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if _is_name(value) and value != -1:
      return as_number(value)
  return None


def as_number(name: Any) -> int | str | None:
  """A name, one of nothing but digits as their number; None if it is neither."""
  if isinstance(name, str) and name.strip().isdecimal():
    return int(name)
  return name if _is_name(name) else None


def _is_name(value: Any) -> bool:
  return isinstance(value, int | str) and not isinstance(value, bool) and value != ''


def told_side(entry: Mapping[str, Any]) -> float:
  """The side of the one hand that an object is of, or NaN.

  Raises:
    ValueError: keys of it tell something else than a side, or contradict each other.
  """
  (side,) = told_lib.result_sides(plain_keys(entry), 1, 0)
  return side
