"""What takes light away: a map of depths as the key light sees them, and what stands
before the surroundings of a pixel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from bmc_jax import geometry
from bmc_jax.data.procedural.mesh import raster, scene

_SHADOW_SIZE = 64  # texels of the light's map
_REACH = (0.006, 0.018)  # metres: what is so near takes ambient light away


def dot(vectors: Float[Array, '3 n'], direction: Array) -> Float[Array, '*n']:
  """Inner products of vectors with one direction, or with one each."""
  x, y, z = (vectors[i] * direction[i] for i in range(3))
  return x + y + z


def surroundings(
  depth: Float[Array, '*n'],
  found: Bool[Array, '*n'],
  scale: Float[Array, ''],
  size: int,
) -> Float[Array, '2 m']:
  """Mean depths of what is around each place, near and farther, at half resolution.

  Args:
    depth: of the pixels of an image, row by row, metres.
    found: whether there is a surface.
    scale: pixels a metre.
    size: side of the image, an even number.
  """
  half = size // 2
  mask = found.astype(jnp.float32)
  image, mask = (
    x.reshape(half, 2, half, 2).sum(axis=(1, 3)) for x in (depth * mask, mask)
  )
  steps = jnp.arange(half, dtype=jnp.float32)

  def mean(radius):
    offset = (steps[:, None] - steps[None]) / jnp.maximum(0.5 * radius * scale, 0.35)
    kernel = jnp.exp(-0.5 * offset * offset)
    weight = kernel @ mask @ kernel.T
    return (kernel @ image @ kernel.T / jnp.maximum(weight, 1e-6)).reshape(-1)

  return jnp.stack([mean(radius) for radius in _REACH])


def openness(
  means: Float[Array, '2 m'],
  depth: Float[Array, '*n'],
  number: Int[Array, '*n'],
  size: int,
) -> Float[Array, '*n']:
  """How much of the ambient light reaches pixels: less where their surroundings are
  nearer to the camera than themselves.
  """
  place = number // size // 2 * (size // 2) + number % size // 2
  reach = np.array(_REACH, np.float32)[:, None]
  sunk = jnp.clip((depth[None] - means[:, place]) / reach, 0.0, 1.2)
  return jnp.prod(1 - 0.55 * sunk, axis=0)


class LightMap(NamedTuple):
  """What the key light sees."""

  depth: Array  # (m,) along the light, row by row
  axes: Float[Array, '3 3']  # its picture's x and y, and away from it
  centre: Float[Array, '3']
  scale: Array  # texels a metre
  light: Float[Array, '3']  # unit vector to it


def cast(
  surface: scene.Surface, joints: Float[Array, '21 3'], light: Float[Array, '3']
) -> LightMap:
  """Draws the depths of surfaces as the key light sees them.

  Args:
    surface: from `scene.build`.
    joints: of the hand.
    light: unit vector to it.
  """
  side = geometry.normalize(jnp.cross(light, jnp.array([0.37, 0.21, 0.9])))
  axes = jnp.stack([side, jnp.cross(light, side), -light])
  centre = joints.mean(axis=0)
  reach = 0.035 + jnp.max(jnp.linalg.norm(joints - centre[None], axis=1))
  scale = 0.5 * _SHADOW_SIZE / reach
  middle = np.array([0.5 * _SHADOW_SIZE, 0.5 * _SHADOW_SIZE, 0.0], np.float32)
  to_map = jnp.stack([scale, scale, 1.0])
  vertices = (surface.vertices - centre[None]) @ axes.T * to_map[None] + middle[None]
  shape = scene.topology()
  far = 2.0 * reach
  drawn = raster.rasterize(
    vertices[shape.triangles].transpose(1, 0, 2),
    _SHADOW_SIZE,
    groups=shape.groups,
    depths=(-far, far),
    perspective=False,
  )
  return LightMap(drawn.depth, axes, centre, scale, light)


def lit(
  seen: LightMap,
  place: Float[Array, '3 n'],
  normal: Float[Array, '3 n'],
  softness: Float[Array, ''],
) -> Float[Array, '*n']:
  """Share of the key light that reaches places of a surface, 0 to 1; shadows grow
  darker over a depth of `softness`.
  """
  local = place - seen.centre[:, None]
  u = dot(local, seen.axes[0]) * seen.scale + 0.5 * _SHADOW_SIZE
  v = dot(local, seen.axes[1]) * seen.scale + 0.5 * _SHADOW_SIZE
  # A surface does not shade itself: less so where light grazes it.
  slope = 1 - jnp.abs(dot(normal, seen.light))
  depth = dot(local, seen.axes[2]) - 0.003 - 0.008 * slope

  def blocked(du, dv):
    column = jnp.round(u + du).astype(jnp.int32)
    row = jnp.round(v + dv).astype(jnp.int32)
    inside = (column >= 0) & (column < _SHADOW_SIZE) & (row >= 0) & (row < _SHADOW_SIZE)
    blocker = seen.depth[jnp.where(inside, row * _SHADOW_SIZE + column, 0)]
    share = jnp.clip((depth - blocker) / softness, 0.0, 1.0)
    return jnp.where(inside, share, 0.0)

  taps = ((-0.6, -0.3), (0.6, 0.3), (-0.3, 0.6), (0.3, -0.6))
  shadow = 1 - sum(blocked(*tap) for tap in taps) / len(taps)
  return jax.lax.optimization_barrier(shadow)
