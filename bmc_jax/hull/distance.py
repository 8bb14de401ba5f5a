"""Distance of joint angles to their convex hulls (paper section 3.1)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bmc_jax import geometry
from bmc_jax.skeleton import Array, as_float

TWO_PI = 2 * np.pi
_TINY = 1e-30


def hull_distance(
  points: Float[Array, '*b 5 3 2'], hulls: Float[Array, '5 3 v 2']
) -> Float[Array, '*b 5 3']:
  """Euclidean distance of angles to their hulls, 0 inside (paper section 3.1).

  Flexion is periodic: the distance is the least over turns of -2 pi, 0 and 2 pi.

  Args:
    points: (*b, 5, 3, 2) flexion and abduction, radians.
    hulls: (5, 3, v, 2) convex polygons, counter-clockwise; a polygon of fewer than v
      corners repeats its last one.

  Returns:
    (*b, 5, 3) radians. The gradient is 0 inside and a unit vector outside.
  """
  points = as_float(points)
  hulls = jnp.asarray(hulls, points.dtype)
  # The distance is a minimum over edges and turns, so its gradient is that of the
  # nearest one (Danskin's theorem): search without gradient, then differentiate a
  # single edge instead of storing all of them for the backward pass.
  edge, turn, inside = _nearest_edge(*jax.lax.stop_gradient((points, hulls)))
  start = _select(hulls, edge)
  offset = points + turn - start
  direction = _select(jnp.roll(hulls, -1, axis=-2), edge) - start
  length_squared = jnp.sum(direction * direction, axis=-1)
  along = geometry.safe_divide(jnp.sum(offset * direction, axis=-1), length_squared)
  separation = offset - jnp.clip(along, 0, 1)[..., None] * direction
  distance_squared = jnp.sum(separation * separation, axis=-1)
  return geometry.safe_sqrt(jnp.where(inside, 0, distance_squared))


def _select(hulls, index):
  """The corner of each bone's hull that has the index: (*b, 5, 3, 2)."""
  fingers, bones = np.ogrid[:5, :3]
  return hulls[fingers, bones, index]


def _nearest_edge(points, hulls):
  """Which edge of its hull each point is nearest to, after which turn of flexion.

  Returns:
    Index of the edge (*b, 5, 3), shift of the point (*b, 5, 3, 2), and whether the
    point, so shifted, is inside.
  """
  batch = points.shape[:-3]
  # Turns, bones, then the batch as the last axis, which vectorises.
  flexion, abduction = jnp.moveaxis(points.reshape(-1, 15, 2), (2, 1), (0, 1))
  turns = jnp.array([-TWO_PI, 0.0, TWO_PI], points.dtype)
  px, py = flexion[None] + turns[:, None, None], abduction[None]
  corners = hulls.reshape(15, -1, 2).transpose(1, 2, 0)[:, :, None, :, None]

  def visit(best, edge):
    least, nearest, winding = best
    index, (sx, sy), (ex, ey) = edge
    ux, uy, vx, vy = px - sx, py - sy, ex - sx, ey - sy
    along = (ux * vx + uy * vy) / jnp.maximum(vx * vx + vy * vy, _TINY)
    along = jnp.clip(along, 0, 1)
    dx, dy = ux - along * vx, uy - along * vy
    distance_squared = dx * dx + dy * dy
    nearer = distance_squared < least
    # Inside is where the polygon winds around the point. "Left of every edge" is the
    # same on paper, but rounding turns an edge of nearly equal corners any way, and
    # such an edge would put all points outside.
    side = vx * uy - vy * ux
    start_above, end_above = sy > py, ey > py
    upward = ~start_above & end_above & (side > 0)
    downward = start_above & ~end_above & (side < 0)
    return (
      jnp.where(nearer, distance_squared, least),
      jnp.where(nearer, index, nearest),
      winding + upward - downward,
    ), None

  shape = jnp.broadcast_shapes(px.shape, py.shape)
  count = corners.shape[0]
  first = (
    jnp.full(shape, jnp.inf, points.dtype),
    jnp.zeros(shape, jnp.int32),
    jnp.zeros(shape, jnp.int32),
  )
  edges = (jnp.arange(count, dtype=jnp.int32), corners, jnp.roll(corners, -1, axis=0))
  (least, nearest, winding), _ = jax.lax.scan(visit, first, edges)
  inside = winding > 0
  turn = jnp.argmin(jnp.where(inside, -1, least), axis=0)
  chosen = jax.tree.map(
    lambda x: jnp.take_along_axis(x, turn[None], axis=0)[0].T.reshape(*batch, 5, 3),
    (nearest, inside),
  )
  shift = turns[turn].T.reshape(*batch, 5, 3)
  return chosen[0], jnp.stack([shift, jnp.zeros_like(shift)], -1), chosen[1]
