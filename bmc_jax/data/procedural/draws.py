"""Random numbers handed out one after the other from two arrays.

A compiled program with a call of the generator for each of forty numbers takes minutes
to compile; one with two calls takes seconds.
"""

import math

import jax
from jaxtyping import Array, PRNGKeyArray


class Draws:
  """The random numbers of one example, in the order in which they are asked for."""

  def __init__(self, key: PRNGKeyArray, *, normal: int, uniform: int):
    """Draws so many numbers of each kind at once; asking for more is an error."""
    keys = jax.random.split(key)
    self._normal = jax.random.normal(keys[0], (normal,))
    self._uniform = jax.random.uniform(keys[1], (uniform,))
    self._used = {'normal': 0, 'uniform': 0}

  def normal(self, *shape: int) -> Array:
    """Standard normal numbers."""
    return self._take('normal', self._normal, shape)

  def uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> Array:
    """Numbers in [low, high)."""
    return low + (high - low) * self._take('uniform', self._uniform, shape)

  def chance(self, probability: float, shape: tuple[int, ...] = ()) -> Array:
    """True with a probability."""
    return self.uniform(0.0, 1.0, shape) < probability

  def _take(self, kind: str, numbers: Array, shape: tuple[int, ...]) -> Array:
    start, count = self._used[kind], math.prod(shape)
    if start + count > numbers.size:
      raise ValueError(f'More than {numbers.size} {kind} numbers are asked for.')
    self._used[kind] = start + count
    return numbers[start : start + count].reshape(shape)
