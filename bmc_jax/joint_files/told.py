"""What files of any form tell of their hands beside the joints: sides, order, unit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bmc_jax import skeleton
from bmc_jax.joint_files.arrays import is_side, side

# Of keys, arrays and columns, as `arrays.plain_keys` spells them.
_LEFT_KEYS = ('isleft', 'sideisleft')
# These may also count hands, or hold something else: words alone tell a side.
WORD_KEYS = ('hand', 'side', 'handtype', 'handside')
SIDE_KEYS = (
  'handedness',
  'multihandedness',
  'isright',
  'sideisright',
  *_LEFT_KEYS,
  *WORD_KEYS,
)
ORDER_KEYS = ('jointorder', 'order')
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
  return [_side(key, value) for value in values]


def _side(key: str, value: Any) -> float:
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
