"""MediaPipe's results in JSON, in the many forms in which people keep them.

A walk through objects and lists: what holds landmarks is a result, a list is one of
pictures or of hands, other objects have pictures by their names.
"""

import contextlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files.arrays import as_hands, plain, plain_keys
from bmc_jax.joint_files.json_text import Points
from bmc_jax.lift.files import content as content_lib
from bmc_jax.lift.files.content import Content, Hand

# In the spelling of `plain_keys`; the first one found counts.
_LANDMARKS = ('landmarks', 'handlandmarks', 'multihandlandmarks', 'imagelandmarks')
_KEYPOINTS = ('keypoints2d', 'joints2d', 'points2d', 'keypoints', 'points', 'uv')
_SIDED = {
  f'{side}{rest}': number
  for number, side in enumerate(('left', 'right'))
  for rest in ('handlandmarks', 'hand', '')
}
_WORLD = ('worldlandmarks', 'handworldlandmarks', 'multihandworldlandmarks')
_OF_3D = _WORLD + ('joints3d', 'keypoints3d', 'joints')
_LISTS = ('frames', 'hands', 'results', 'images', 'detections', 'predictions', 'data')
_CONFIDENCES = ('confidence', 'conf', 'score', 'likelihood', 'c')
_FLAT = {42: 2, 63: 3}  # numbers of a hand -> of a point


class _Place(NamedTuple):
  """Where in the file the walk is, and what was told on the way."""

  frame: int | str | None = None
  size: tuple[float, float] | None = None
  side: float = math.nan
  person: int | str | None = None

  def inside(self, keys: dict[str, Any]) -> '_Place':
    """What an object tells beside what those around it do."""
    frame, person = content_lib.frame_in(keys), content_lib.person_in(keys)
    return self._replace(
      frame=self.frame if frame is None else frame,
      size=content_lib.size_in(keys) or self.size,
      person=self.person if person is None else person,
    )


class _KeypointPoints(Points):
  """Points {x, y} with a confidence: NaN where there is none but a `visibility` of 0,
  which is what MediaPipe writes for hands.
  """

  axes = 'xy'

  def point(self, value: Mapping) -> list[Any]:
    told = next(
      (value[key] for key in _CONFIDENCES if value.get(key) is not None), None
    )
    if told is None:
      told = 1.0 if value.get('visibility') is None else value['visibility'] or None
    return [value['x'], value['y'], told]


def read_landmarks(content: Any) -> Content:
  """Hands of MediaPipe, or of any tool that keeps them likewise.

  Raises:
    ValueError: there are none, or they have another form.
  """
  walk = _Walk()
  walk.go(content, _Place())
  if not walk.hands and walk.of_3d:
    raise ValueError(
      f'{walk.of_3d} are 3D joints; give the 2D keypoints, such as landmarks'
    )
  order, unclear = told_lib.order(walk.orders)
  named, nameless = walk.points.order()
  if content_lib.agreed_name(walk.named):
    named, nameless = 'canonical', None
  elif order:
    nameless = None
  notes = ()
  if walk.blank:
    notes = (f'{walk.blank} picture{"s" * (walk.blank > 1)} without a hand',)
  form = 'MediaPipe' if walk.is_mediapipe else 'JSON'
  return Content(form, walk.hands, named or order, unclear or nameless, notes)


class _Walk:
  """Collects hands from nested objects and lists."""

  def __init__(self):
    self.points = _KeypointPoints()
    self.hands: list[Hand] = []
    self.named: list[bool] = []
    self.orders: list[Any] = []
    self.blank = 0
    self.of_3d = ''
    self.is_mediapipe = False

  def go(self, node: Any, place: _Place) -> None:
    """Reads what lies at a place."""
    if node is None or node == [] or node == {}:
      self.blank += place.frame is not None
    elif isinstance(node, list):
      self._list(node, place)
    elif isinstance(node, Mapping):
      self._object(node, place)
    else:
      raise ValueError(f'expected keypoints, found {node!r:.40}')

  def _list(self, node: Any, place: _Place) -> None:
    level = _level(node)
    if not level or level == 4 or level == 3 and place.frame is None:
      for number, entry in enumerate(node):
        frame = number if place.frame is None else place.frame
        self.go(entry, place._replace(frame=frame))
    else:
      self._add(node, {}, place)

  def _object(self, node: Mapping, place: _Place) -> None:
    if _level(node):  # a point, or MediaPipe's older Python results
      self._add(node, {}, place)
      return
    keys = plain_keys(node)
    self.orders += [keys[key] for key in told_lib.ORDER_KEYS if key in keys]
    place = place.inside(keys)
    key = next((key for key in (*_LANDMARKS, *_KEYPOINTS) if key in keys), None)
    inner = next((key for key in _LISTS if isinstance(keys.get(key), list)), None)
    if key and keys[key]:
      self.is_mediapipe |= key in _LANDMARKS
      self._add(keys[key], keys, place, has_depth=key in _LANDMARKS)
    elif key:
      self.go(None, place)
    elif sided := [key for key in _SIDED if key in keys]:
      for key in sided:
        self.is_mediapipe |= key.endswith('landmarks')
        self.go(keys[key], place._replace(side=float(_SIDED[key])))
    elif inner:
      self.go(keys[inner], place)
    elif found := next((name for name in node if plain(name) in _OF_3D), None):
      self.of_3d = found
    elif all(
      value is None or isinstance(value, Mapping | list) for value in node.values()
    ):
      for name, value in node.items():
        self.go(value, place._replace(frame=content_lib.as_number(name)))
    else:
      raise ValueError(
        'expected objects with landmarks or keypoints, found one with '
        f'{", ".join(map(str, node)):.60}'
      )

  def _add(self, value: Any, keys: dict, place: _Place, *, has_depth=False) -> None:
    """Adds the hands of one result."""
    where = 'a hand' if place.frame is None else f'the hand of {place.frame}'
    found = [
      hand
      for points in self._arrays(value, where, has_depth)
      for hand in content_lib.hands_of(points, None, where)
    ]
    sides = told_lib.result_sides(keys, len(found), place.frame)
    box = keys.get('box', keys.get('xywh'))
    box = content_lib.box_in(box, is_xywh='box' not in keys)
    hands_3d = _own_3d(keys, len(found))
    for (points, own, named), told, own_3d in zip(found, sides, hands_3d, strict=True):
      side = next((s for s in (own, told) if not math.isnan(s)), place.side)
      hand = Hand(points, place.frame, side, place.size, place.person, box, own_3d)
      self.hands.append(hand)
      self.named.append(named)

  def _arrays(self, value: Any, where: str, has_depth: bool) -> np.ndarray:
    """(n, k, 3) x, y and confidence of the hands of one result."""
    values = self.points.coordinates(_shaped(value))
    by_object = _holds_objects(value)
    if has_depth and not by_object:
      values = _without_third(values)
    points = content_lib.as_points(values, where)
    if by_object:
      unknown = np.isnan(points[..., 2])
      unset = unknown.all(axis=1, keepdims=True)
      points[..., 2] = np.where(unknown, np.where(unset, 1, 0), points[..., 2])
    return points


def _own_3d(keys: dict, count: int) -> list[np.ndarray | None]:
  """MediaPipe's own 3D hands of a result; they are a help, so that none is an error."""
  key = next((key for key in _WORLD if keys.get(key)), None)
  if key:
    with contextlib.suppress(ValueError, TypeError):
      hands = as_hands(Points().coordinates(keys[key]))
      if len(hands) == count:
        return list(hands)
  return [None] * count


def _is_point(value: Any) -> bool:
  return isinstance(value, Mapping) and 'x' in value and 'y' in value


def _level(value: Any) -> int:
  """1 for a point, 2 for a hand, 3 for hands, 4 for pictures of hands; 0 if there are
  other objects among them, or nothing.
  """
  if isinstance(value, Mapping):
    return 1 if _is_point(value) else 2 if set(value) == {'landmark'} else 0
  if not value:
    return 0
  nested = [entry for entry in value if _nests(entry)]
  if not nested:
    return 2 if len(value) in _FLAT else 1
  levels = [_level(entry) for entry in nested if entry]
  return 1 + max(levels) if levels and min(levels) else 0


def _nests(value: Any) -> bool:
  return isinstance(value, list | Mapping)


def _holds_objects(value: Any) -> bool:
  while isinstance(value, list):
    value = next(filter(None, value), None)
  return isinstance(value, Mapping)


def _shaped(value: Any) -> Any:
  """Hands that are flat lists of numbers as lists of points."""
  if not isinstance(value, list) or not value:
    return value
  if any(map(_nests, value)):
    return [_shaped(entry) for entry in value]
  step = _FLAT.get(len(value))
  return [value[i : i + step] for i in range(0, len(value), step)] if step else value


def _without_third(value: Any) -> Any:
  """Nested lists of points without what follows x and y: a depth, in landmarks."""
  if isinstance(value, list) and any(map(_nests, value)):
    return [_without_third(entry) for entry in value]
  return value[:2] if isinstance(value, list) else value
