"""Vectors as three arrays, one per component.

With the hands in the last axis of each, every operation runs over long rows, which
compilers vectorise; a trailing axis of 3 would be several times slower on a CPU.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from bmc_jax import geometry
from bmc_jax.skeleton import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Vector:
  """Vectors of equal shape: one array for each component."""

  x: Array
  y: Array
  z: Array

  def map(self, function: Callable[[Array], Array]) -> Vector:
    """Applies a function to each component."""
    return Vector(function(self.x), function(self.y), function(self.z))

  def __getitem__(self, index) -> Vector:
    return self.map(lambda component: component[index])

  def __add__(self, other: Vector) -> Vector:
    return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

  def __sub__(self, other: Vector) -> Vector:
    return Vector(self.x - other.x, self.y - other.y, self.z - other.z)

  def __rmul__(self, factor: Array | float) -> Vector:
    return self.map(lambda component: factor * component)


def dot(u: Vector, v: Vector) -> Array:
  """u . v."""
  return u.x * v.x + u.y * v.y + u.z * v.z


def cross(u: Vector, v: Vector) -> Vector:
  """u x v."""
  return Vector(
    u.y * v.z - u.z * v.y,
    u.z * v.x - u.x * v.z,
    u.x * v.y - u.y * v.x,
  )


def norm(u: Vector) -> Array:
  """|u|, with gradient 0 at zero."""
  return geometry.safe_sqrt(dot(u, u))


def normalize(u: Vector, *, eps: float = 0.0) -> Vector:
  """u / |u|; zero, with gradient 0, where |u| <= eps."""
  length = norm(u)
  undefined = length <= eps
  scale = jnp.where(undefined, 0, 1 / jnp.where(undefined, 1, length))
  return scale * u


def where(condition: Array, u: Vector, v: Vector) -> Vector:
  """u where the condition holds, v elsewhere."""
  return jax.tree.map(lambda a, b: jnp.where(condition, a, b), u, v)


def concatenate(vectors: list[Vector]) -> Vector:
  """One after another, along the first axis."""
  return jax.tree.map(lambda *components: jnp.concatenate(components), *vectors)
