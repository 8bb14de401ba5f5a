"""Hands in JSON, with MediaPipe's results among it."""

import contextlib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.files import read_text
from bmc_jax.console.tables import shorten
from bmc_jax.joint_files import names as names_lib
from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files import trust as trust_lib
from bmc_jax.joint_files.arrays import Content, as_hands, is_missing, plain_keys

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
_NAME_KEYS = ('name', 'id')


def read_json(file: Path) -> Content:
  """Nested lists, points {x, y, z}, or objects with landmarks or joints.

  Raises:
    ValueError: it is no JSON, or of another form.
  """
  with _nesting():
    return _read_results(load(file))


def load(file: Path) -> Any:
  """The content of a JSON file.

  Raises:
    ValueError: it is no JSON.
  """
  text = read_text(file)
  with _nesting():
    try:
      return json.loads(text)
    except json.JSONDecodeError as error:
      raise ValueError(f'this is not valid JSON ({error})') from None


@contextlib.contextmanager
def _nesting() -> Iterator[None]:
  try:
    yield
  except RecursionError:
    raise ValueError('its lists are nested too deeply to be hands') from None


def _read_results(content: Any) -> Content:
  outer: dict[str, Any] = {}
  if isinstance(content, Mapping) and isinstance(content.get('hands'), list):
    outer, content = plain_keys(content), content['hands']  # bmc_jax.predict's
  results = content if isinstance(content, list) else [content]
  points = Points(trust_lib.used_keys(content))
  if not any(_is_result(result) for result in results):
    hands = [as_hands(points.coordinates(content))]
    return _content(hands, None, points, [outer])
  hands: list[np.ndarray] = []
  sides: list[float] = []
  tellers = [outer]
  for number, result in enumerate(results):
    if not _is_result(result):
      raise ValueError(f'expected objects with landmarks, found {result!r:.40}')
    keys = plain_keys(result)
    key = next((name for name in _HAND_KEYS if name in keys), None)
    if key is None:
      raise ValueError(
        f'expected an entry worldLandmarks, landmarks or joints, found '
        f'{shorten(list(result)) or "none"}'
      )
    values = points.coordinates(points.trusted(keys[key], keys))
    if values:  # an image without a hand has an empty list
      hands.append(as_hands(values))
      sides += told_lib.result_sides(keys, len(hands[-1]), number)
      tellers.append(keys)
  if not hands:
    raise ValueError('it holds no hand')
  return _content(hands, sides, points, tellers)


def _content(
  hands: list[np.ndarray],
  sides: list[float] | None,
  points: 'Points',
  tellers: list[dict[str, Any]],
) -> Content:
  """What the file holds, with the order and unit that its objects tell."""
  unit, notes = told_lib.unit(_values(tellers, told_lib.UNIT_KEYS))
  joints = np.concatenate(hands)
  notes += points.notes(joints)
  order, nameless = points.order()
  unclear = None
  if not order:  # where named points have been is of no matter
    keys = (*told_lib.ORDER_KEYS, *told_lib.NAME_KEYS)
    joints, order, unclear = told_lib.arranged(joints, _values(tellers, keys))
    nameless = None if order else nameless
  return Content(joints, sides, order, unclear or nameless, notes, unit)


def _values(tellers: list[dict[str, Any]], keys: tuple[str, ...]) -> list[Any]:
  return [teller[key] for teller in tellers for key in keys if key in teller]


def _is_result(value: Any) -> bool:
  return isinstance(value, Mapping) and not {'x', 'y', 'z', 'landmark'} & set(value)


class Points:
  """Reads points, and keeps in mind what their names tell, and which are none."""

  axes = 'xyz'

  def __init__(self, trust: Collection[str] = ()):
    """Takes the keys whose 0 says that a point is not there."""
    self._trust, self._untrusted = set(trust), 0
    self._orders: set[str | None] = set()
    self._unclear: str | None = None

  def order(self) -> tuple[str | None, str | None]:
    """The order that names gave the points, and why they tell nothing.

    Raises:
      ValueError: they tell it of some of the hands alone.
    """
    if len(self._orders) > 1:
      raise ValueError('not all hands name their joints in the same way')
    named = self._unclear is None and self._orders == {'canonical'}
    return ('canonical' if named else None), self._unclear

  def point(self, value: Mapping) -> list[Any]:
    """What is kept of a point."""
    return [value[axis] for axis in self.axes]

  def notes(self, joints: np.ndarray) -> tuple[str, ...]:
    """Which of all joints (N, 21, 3) were left out."""
    hands = int(np.isnan(joints).all(axis=2).any(axis=1).sum())
    return trust_lib.note(self._untrusted, hands)

  def trusted(self, value: Any, result: Mapping) -> Any:
    """The points of a result without those that a list or number beside them denies."""
    for key in self._trust & result.keys():
      value = self._without(value, result[key])
    return value

  def _without(self, value: Any, trust: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {'landmark'}:
      value = value['landmark']
    if trust_lib.is_zero(trust):
      if isinstance(value, list) and value and isinstance(value[0], list | Mapping):
        return [self._without(one, trust) for one in value]
      self._untrusted += 1
      return [None] * len(self.axes if isinstance(value, Mapping) else value)
    if isinstance(value, list) and isinstance(trust, list):
      if len(value) == len(trust):
        return [self._without(*pair) for pair in zip(value, trust, strict=True)]
      if len(value) == 1:
        return [self._without(value[0], trust)]
    return value

  def coordinates(self, value: Any) -> Any:
    """Nested lists of numbers: points {x, y, z} become [x, y, z], null becomes NaN."""
    if isinstance(value, Mapping):
      if set(value) == {'landmark'}:  # MediaPipe's older Python results
        return self.coordinates(value['landmark'])
      if not set(self.axes) <= set(value):
        named = ' and '.join([', '.join(self.axes[:-1]), self.axes[-1]])
        raise ValueError(f'{dict(value)!r:.40} is no point with {named}')
      told = plain_keys(value)
      if any(trust_lib.is_zero(told[key]) for key in self._trust & told.keys()):
        self._untrusted += 1
        return [math.nan] * len(self.axes)
      value = self.point(value)
    if isinstance(value, list):
      return [self.coordinates(entry) for entry in self._sorted(value)]
    if isinstance(value, str) and is_missing(value):
      return math.nan
    return math.nan if value is None else value

  def _sorted(self, points: list[Any]) -> list[Any]:
    """The points of a hand by their names or numbers; other lists as they are."""
    is_hand = len(points) == skeleton.NUM_JOINTS
    if not is_hand or not all(isinstance(p, Mapping) and 'x' in p for p in points):
      return points
    troubles = []
    for key in _NAME_KEYS:
      names = [str(point[key]) for point in points if point.get(key) is not None]
      if not names:
        continue
      if len(names) < len(points):
        troubles.append(f'only {len(names)} of the {len(points)} points have a {key}')
        continue
      by_number = names_lib.number_places(names)
      try:
        places = by_number or names_lib.canonical_order(names)
      except ValueError as error:
        troubles.append(str(error))
        continue
      self._orders.add('numbers' if by_number else 'canonical')
      return [points[place] for place in places]
    self._orders.add(None)
    self._unclear = self._unclear or next(iter(troubles), None)
    return points
