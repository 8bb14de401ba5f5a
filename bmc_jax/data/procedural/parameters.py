"""Checks of the plain parameters that hands and pictures are drawn from."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


def check_values(
  options: Any, *, positive: Sequence[str], probabilities: Sequence[str]
) -> None:
  """Raises a ValueError for a value of a dataclass that has no meaning.

  Args:
    options: numbers are not negative, and pairs of numbers do not fall. Fields whose
      default is something else are not looked at.
    positive: pairs of numbers above 0.
    probabilities: numbers from 0 to 1.
  """
  for field in dataclasses.fields(options):
    name, value = field.name, getattr(options, field.name)
    if _is_pair(field.default):
      least = 0.0 if name in positive else -np.inf
      if not _is_pair(value) or not least < value[0] <= value[1] < np.inf:
        above = ' above 0' if name in positive else ''
        raise ValueError(
          f'{name} is {value}; it must be two numbers{above}, the smaller one first.'
        )
    elif _is_number(field.default):
      if not _is_number(value) or not 0 <= value < np.inf:
        raise ValueError(f'{name} is {value}; it must be a number of at least 0.')
      if name in probabilities and value > 1:
        raise ValueError(f'{name} is {value}; it must be a probability.')


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pair(value: Any) -> bool:
  return isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
