"""Where rays meet the solid of a hand, and what lies there: sphere tracing in JAX.

A ray first meets single parts, in closed form, and then walks by the signed distance
of the joined solid to its smooth surface. Vectors are tuples of three arrays over the
pixels, which lets XLA fuse a whole distance into one loop.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from bmc_jax.data.procedural.body import Part

_STEPS = 4  # of sphere tracing
_MARGIN = 0.003  # metres by which blending may lift the surface over its parts
_FAR = 10.0  # metres: a ray that meets nothing

Vector = tuple[Array, Array, Array]


class Surface(NamedTuple):
  """Averages over the parts at surface points, each an array over the pixels."""

  normal: Vector
  inner: Vector
  materials: Vector  # weights of skin, sleeve and object


def dot(u, v):
  """Dot product of vectors: tuples of arrays, or arrays (3,) of numbers."""
  return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def step(point, direction, length) -> Vector:
  """Points moved along directions."""
  return tuple(p + length * d for p, d in zip(point, direction, strict=True))


def unit(v) -> Vector:
  """Vectors scaled to length 1."""
  inverse = jax.lax.rsqrt(dot(v, v) + 1e-12)
  return tuple(c * inverse for c in v)


def _offset(part: Part, point):
  """Vector from the nearest point of a part's axis, its length, the radius there."""
  axis = part.end - part.start
  local = tuple(point[i] - part.start[i] for i in range(3))
  along = jnp.clip(dot(local, axis / (dot(axis, axis) + 1e-12)), 0.0, 1.0)
  offset = tuple(local[i] - along * axis[i] for i in range(3))
  radius = part.start_radius + along * (part.end_radius - part.start_radius)
  return offset, jnp.sqrt(dot(offset, offset) + 1e-12), radius


def _over_parts(function, init, body: Part):
  """Folds `function(state, part)` over the parts: a loop, so that it compiles fast."""
  return jax.lax.scan(lambda state, part: (function(state, part), None), init, body)[0]


def distance(body: Part, point):
  """Signed distance to the joined solid, metres; smooth minimum over the parts."""

  def join(result, part):
    _, length, radius = _offset(part, point)
    single = length - radius
    near = jnp.maximum(1 - jnp.abs(result - single) / part.blend, 0.0)
    return jnp.minimum(result, single) - 0.25 * part.blend * near * near

  return _over_parts(join, jnp.full_like(point[0], _FAR), body)


def surface(body: Part, point, sharpness=0.0025) -> Surface:
  """Averages the parts' properties at surface points, by nearness."""

  def add(sums, part):
    offset, length, radius = _offset(part, point)
    # On the surface the nearest part is at most slightly inside: no overflow.
    weight = jnp.exp(-jnp.clip((length - radius) / sharpness, -30.0, 30.0))
    terms = [o / length for o in offset]
    terms += [part.inner[i] for i in range(3)]
    terms += [jnp.where(part.material == i, 1.0, 0.0) for i in range(3)]
    return [s + weight * t for s, t in zip(sums, terms, strict=True)]

  sums = _over_parts(add, [jnp.zeros_like(point[0])] * 9, body)
  total = sums[6] + sums[7] + sums[8] + 1e-20
  return Surface(unit(sums[:3]), unit(sums[3:6]), tuple(m / total for m in sums[6:]))


def _hit(body: Part, ray):
  """Where rays from the camera meet the parts: metres along them, `_FAR` for none.

  Returns:
    The first meeting with a part, and with a part widened by `_MARGIN`.
  """

  def meet(nearest, part):
    axis = part.end - part.start
    axis_axis, start_axis = dot(axis, axis), -dot(part.start, axis)
    start_start = dot(part.start, part.start)
    ray_axis, ray_start = dot(ray, axis), -dot(ray, part.start)
    a = jnp.maximum(axis_axis - ray_axis * ray_axis, 1e-12)
    b = axis_axis * ray_start - start_axis * ray_axis
    # A cone is taken for a cylinder with its radius where the ray passes closest.
    passing = jnp.clip((start_axis - b / a * ray_axis) / axis_axis, 0.0, 1.0)
    radius = part.start_radius + passing * (part.end_radius - part.start_radius)
    b_end = dot(ray, part.end)
    end_end = dot(part.end, part.end)

    def first(widened):
      c = axis_axis * (start_start - widened * widened) - start_axis * start_axis
      discriminant = b * b - a * c
      side = (-b - jnp.sqrt(jnp.maximum(discriminant, 0.0))) / a
      along = start_axis + side * ray_axis
      # Beyond the ends of the cylinder the ball around the nearer end counts.
      at_start = along < 0
      middle = jnp.where(at_start, -ray_start, b_end)
      ball = middle * middle - jnp.where(at_start, start_start, end_end)
      ball = ball + widened * widened
      on_ball = jnp.where(ball > 0, middle - jnp.sqrt(jnp.maximum(ball, 0.0)), _FAR)
      on_side = (along > 0) & (along < axis_axis)
      hit = jnp.where(on_side, side, on_ball)
      return jnp.where((discriminant > 0) & (part.start_radius > 0), hit, _FAR)

    return (
      jnp.minimum(nearest[0], first(radius)),
      jnp.minimum(nearest[1], first(radius + _MARGIN)),
    )

  return _over_parts(meet, (jnp.full_like(ray[0], _FAR),) * 2, body)


def trace(body: Part, ray, pixel):
  """Finds the joined solid along rays.

  Args:
    body: the solid.
    ray: unit directions.
    pixel: width of a pixel at distance 1.

  Returns:
    The distance along the rays, metres, and the coverage of the pixels.
  """
  exact, widened = _hit(body, ray)
  is_hit = exact < _FAR

  def walk(_, state):
    travelled, closest = state
    ahead = distance(body, step((0.0, 0.0, 0.0), ray, travelled))
    return travelled + ahead, jnp.minimum(closest, ahead)

  # From a part the way leads back to the skin that blending lays over it; a ray that
  # meets none passes through the widened ones, where blending may have filled a gap.
  start = jnp.where(is_hit, exact, widened)
  travelled, closest = jax.lax.fori_loop(0, _STEPS, walk, (start, start))
  gap = jnp.maximum(closest, 0.0) / (start * pixel)
  coverage = jnp.where(is_hit, 1.0, jnp.clip(1.1 - gap, 0.0, 1.0))
  return jnp.clip(travelled, start - 0.02, start + 0.03), coverage * (start < _FAR)
