"""What files of any form tell of their hands beside the joints: sides, order, unit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.tables import counted
from bmc_jax.joint_files import names as names_lib
from bmc_jax.joint_files.arrays import is_side, plain_keys, side

# Of keys, arrays and columns, as `arrays.plain_keys` spells them.
_LEFT_KEYS = ('isleft', 'sideisleft')
# These may also count hands, or hold something else: words alone tell a side.
WORD_KEYS = ('hand', 'side', 'handtype', 'handside')
SIDE_KEYS = (
  'handedness',
  'multihandedness',
  'handednesses',
  'isright',
  'sideisright',
  *_LEFT_KEYS,
  *WORD_KEYS,
)
ORDER_KEYS = ('jointorder', 'order')
NAME_KEYS = ('jointnames', 'keypointnames', 'landmarknames')
"""Of lists of 21 names; those of `ORDER_KEYS` may be such lists, too."""
UNIT_KEYS = ('unit', 'units')
_UNITS = {
  name: unit
  for unit, names in {
    'm': 'm metre metres meter meters',
    'cm': 'cm centimetre centimetres centimeter centimeters',
    'mm': 'mm millimetre millimetres millimeter millimeters',
  }.items()
  for name in names.split()
}


def key_sides(key: str, values: Sequence[Any]) -> list[float] | None:
  """Values of `arrays.side`, or None if they tell no sides.

  Args:
    key: one of `SIDE_KEYS`.
    values: of that key, one for each hand.

  Raises:
    ValueError: the key tells sides, but a value is none.
  """
  if key in WORD_KEYS:
    if not all(isinstance(value, str) and is_side(value) for value in values):
      return None
  return [side_of(key, value) for value in values]


def side_of(key: str, value: Any) -> float:
  """`arrays.side` of the value of a key, which may ask whether a hand is a left one."""
  is_word = isinstance(value, str) and is_side(value)
  return 1 - side(value) if key in _LEFT_KEYS and not is_word else side(value)


def agreed_sides(told: Mapping[str, list[float]], count: int) -> list[float] | None:
  """The sides of `count` hands that several keys tell, or None.

  Args:
    told: what each key tells; those that tell another number of hands are given back
      as they are, so that `arrays.as_sides` refuses them.
    count: of the hands.

  Raises:
    ValueError: two keys contradict each other.
  """
  agreed: list[float] | None = None
  for sides in told.values():
    if len(sides) != count:
      return sides
    agreed = agreed or [math.nan] * count
    for hand, (one, other) in enumerate(zip(agreed, sides, strict=True)):
      if one == 1 - other:
        raise ValueError(f'{" and ".join(told)} contradict each other at hand {hand}')
      agreed[hand] = other if math.isnan(one) else one
  return agreed


def result_sides(keys: dict[str, Any], count: int, number: int) -> list[float]:
  """The sides of the hands of one result of a detector.

  Args:
    keys: of the result, as `arrays.plain_keys` spells them. One side alone is that of
      all its hands.
    count: of its hands.
    number: of the result, for the message.

  Raises:
    ValueError: there are more sides or fewer, or they contradict each other.
  """
  told: dict[str, list[float]] = {}
  for key in SIDE_KEYS:
    if key not in keys:
      continue
    value = keys[key]
    is_each = isinstance(value, list) and bool(value)
    sides = key_sides(key, value if is_each else [value] * count)
    if sides is None:
      continue
    if len(sides) != count:
      raise ValueError(
        f'result {number} has {counted(count, "hand")}, but '
        f'{counted(len(sides), "side")}'
      )
    told[key] = sides
  return agreed_sides(told, count) or [math.nan] * count


class Told(NamedTuple):
  """What the arrays of a file tell.

  Attributes:
    sides: of each hand, or None.
    orders: of joints, that are named, or lists of names.
    units: that are named.
  """

  sides: list[float] | None
  orders: list[Any]
  units: list[Any]


def by_arrays(arrays: Mapping[str, np.ndarray], count: int) -> Told:
  """What arrays beside `count` hands tell of them; one side alone is that of all.

  Raises:
    ValueError: an array tells sides that are none, or two contradict each other.
  """
  keys = plain_keys(arrays)
  naming = (*ORDER_KEYS, *NAME_KEYS)
  telling = (*SIDE_KEYS, *naming, *UNIT_KEYS)
  values = {key: keys[key].ravel().tolist() for key in telling if key in keys}
  sides: dict[str, list[float]] = {}
  for name in SIDE_KEYS:
    told = key_sides(name, values[name]) if name in values else None
    if told is not None:
      sides[name] = told * (count if len(told) == 1 else 1)
  orders: list[Any] = []
  for name in naming:
    words = values.get(name, [])
    orders += [words] if len(set(words)) > 1 else words  # names of joints, or one
  units = [one for name in UNIT_KEYS for one in values.get(name, ())]
  return Told(agreed_sides(sides, count), orders, units)


def order(values: Sequence[Any]) -> tuple[str | None, str | None]:
  """The joint order that a file tells, and why what it tells is none.

  Raises:
    ValueError: it tells several.
  """
  names = _words(values)
  if len({skeleton.JOINT_ORDERS.get(name, name) for name in names}) > 1:
    raise ValueError(f'it tells several joint orders ({", ".join(names)})')
  if not names or names[0] in skeleton.JOINT_ORDERS:
    return (names[0] if names else None), None
  known = ', '.join(sorted(skeleton.JOINT_ORDERS))
  return None, f'it tells the joint order {names[0]!r:.40}, which is none of {known}'


def arranged(
  joints: np.ndarray, values: Sequence[Any]
) -> tuple[np.ndarray, str | None, str | None]:
  """Joints with their order, and why it is not clear.

  Args:
    joints: (N, 21, 3) as the file has them.
    values: what it tells under `ORDER_KEYS` and `NAME_KEYS`: words, or lists of the
      joints' names, which are followed.

  Raises:
    ValueError: it tells several orders.
  """
  name, unclear = order(values)
  lists = {tuple(map(str, v)) for v in values if isinstance(v, list)}
  lists = {names for names in lists if len(names) == skeleton.NUM_JOINTS}
  lists = {names for names in lists if len(set(names)) > 1}
  if len(lists) > 1:
    raise ValueError('it tells several lists of names of joints')
  for names in lists:
    try:
      places = names_lib.canonical_order(names)
    except ValueError as error:
      return joints, name, None if name else str(error)
    if skeleton.JOINT_ORDERS.get(name or '', places) != places:
      raise ValueError(f'it tells the joint order {name!r}, but other names of joints')
    return joints[:, list(places)], 'canonical', None
  return joints, name, unclear


def unit(values: Sequence[Any]) -> tuple[str | None, tuple[str, ...]]:
  """m, cm, mm or None, and a note of a unit that is another.

  Raises:
    ValueError: a file tells several.
  """
  names = _words(values)
  units = {_UNITS.get(name, name) for name in names}
  if len(units) > 1:
    raise ValueError(f'it tells several units ({", ".join(names)})')
  if units <= set(_UNITS):
    return (units.pop() if units else None), ()
  return None, (f'the unit {names[0]!r:.20}, which is no m, cm or mm, not used',)


def _words(values: Sequence[Any]) -> list[str]:
  """What words there are, in lower case; a number or an object tells nothing."""
  words = [value.strip().lower() for value in values if isinstance(value, str)]
  return list(dict.fromkeys(word for word in words if word))
