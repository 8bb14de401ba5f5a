"""A z-buffer in JAX: which triangle of a mesh each pixel sees, exactly.

Pixel by pixel of their bounding boxes, all triangles at once are tested and the nearest
one is kept by a scattered minimum over whole numbers that hold depth and triangle.
Boxes are as large as the largest triangle's, so triangles come in groups of like size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_FACE_BITS = 12
_NOTHING = np.int32(2**31 - 1)

MAX_TRIANGLES = 2**_FACE_BITS


class Drawn(NamedTuple):
  """The nearest triangle of each pixel, row by row."""

  triangle: Int[Array, '*n']  # -1 where there is none
  depth: Float[Array, '*n']  # in 2**18 steps; the farthest one where there is none


class Hits(NamedTuple):
  """What pixels see of their triangles."""

  shares: Float[Array, '3 n']  # of its corners at the pixel, perspective corrected
  depth: Float[Array, '*n']  # in the unit of the corners


def rasterize(
  corners: Float[Array, '3 t 3'],
  size: int,
  *,
  groups: Sequence[int],
  depths: tuple[Array | float, Array | float],
  perspective: bool = True,
) -> Drawn:
  """Finds the nearest triangle of each pixel.

  Args:
    corners: of all triangles: corner, triangle, then x and y in pixels (centres at
      whole numbers) and depth, which grows away from the viewer.
    size: side of the image.
    groups: how many triangles are in each group, in their order; they sum to t.
    depths: the nearest and the farthest one to tell apart; what is not between them is
      not drawn.
    perspective: whether it is the inverse of depth that is linear in the image.

  Returns:
    what each of the size * size pixels sees.
  """
  buffer = jnp.full(size * size, _NOTHING)
  start = 0
  for count in groups:
    part = corners[:, start : start + count]
    buffer = _draw(buffer, part, start, size, depths, perspective)
    start += count
  near, far = (1 / d if perspective else d for d in depths)
  step = (buffer >> _FACE_BITS).astype(jnp.float32) / (2.0**18 - 1)
  depth = near + jnp.minimum(step, 1.0) * (far - near)
  return Drawn(
    triangle=jnp.where(buffer == _NOTHING, -1, buffer & (MAX_TRIANGLES - 1)),
    depth=1 / depth if perspective else depth,
  )


def _draw(buffer, corners, first, size, depths, perspective):
  """Draws one group of triangles into a buffer of depths and numbers."""
  x, y, z = jnp.moveaxis(corners, 2, 0)  # (3, t) each
  near, far = (1 / d if perspective else d for d in depths)
  depth = 1 / z if perspective else z
  seen = jnp.all((z > depths[0]) & (z < depths[1]), axis=0)
  # Edge functions: e_i = a_i px + b_i py + c_i is twice the area of the triangle that a
  # pixel makes with the edge across corner i.
  x1, x2, y1, y2 = x[(1, 2, 0), :], x[(2, 0, 1), :], y[(1, 2, 0), :], y[(2, 0, 1), :]
  a, b, c = y1 - y2, x2 - x1, x1 * y2 - x2 * y1
  area = c.sum(axis=0)
  seen &= jnp.abs(area) > 1e-12
  inverse = 1 / jnp.where(seen, area, 1.0)[None]
  a, b, c = a * inverse, b * inverse, c * inverse
  # Depth is linear in the image too: 2**18 steps between near and far.
  steps = (2.0**18 - 1) / (far - near)
  slope = [jnp.sum(e * (depth - near) * steps, axis=0) for e in (a, b, c)]
  left, top = (jnp.clip(jnp.ceil(jnp.min(v, axis=0)), 0, size) for v in (x, y))
  right, bottom = (
    jnp.clip(jnp.floor(jnp.max(v, axis=0)), -1, size - 1) for v in (x, y)
  )
  width = jnp.max(jnp.where(seen & (bottom >= top), right - left + 1, 0))
  height = jnp.max(jnp.where(seen & (right >= left), bottom - top + 1, 0))
  width, height = width.astype(jnp.int32), height.astype(jnp.int32)
  number = first + jnp.arange(x.shape[1], dtype=jnp.int32)

  def draw_pixel(carry):
    step, buffer = carry
    px, py = left + step % width, top + step // width
    inside = seen & (px <= right) & (py <= bottom)
    for i in range(3):
      inside &= a[i] * px + b[i] * py + c[i] >= -1e-5
    code = (slope[0] * px + slope[1] * py + slope[2]).astype(jnp.int32)
    code = jnp.clip(code, 0, 2**18 - 1) * MAX_TRIANGLES + number
    place = jnp.where(inside, py * size + px, size * size).astype(jnp.int32)
    return step + 1, buffer.at[place].min(code, mode='drop')

  return jax.lax.while_loop(
    lambda carry: carry[0] < width * height, draw_pixel, (jnp.int32(0), buffer)
  )[1]


def hits(corners: Float[Array, 'n 3 3'], pixels: Float[Array, '2 n']) -> Hits:
  """Where on its triangle each pixel looks, for a perspective camera.

  Args:
    corners: of each pixel's triangle: x and y in pixels, depth.
    pixels: x and y.
  """
  x, y, z = corners.transpose(2, 1, 0)
  x, y = x - pixels[:1], y - pixels[1:]
  after, before = (1, 2, 0), (2, 0, 1)
  # The area across from a corner over the corner's depth.
  areas = [
    (x[i] * y[j] - x[j] * y[i]) / z[k]
    for k, (i, j) in enumerate(zip(after, before, strict=True))
  ]
  total = areas[0] + areas[1] + areas[2]
  total = jnp.where(total == 0, 1.0, total)
  shares = jnp.stack([jnp.clip(a / total, 0.0, 1.0) for a in areas])
  return Hits(shares=shares, depth=jnp.sum(shares * z, axis=0))
