"""Distance of joint angles to their convex hulls (paper section 3.1)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bmc_jax import geometry
from bmc_jax.skeleton import Array, as_float

DISTANCES = ('euclidean', 'chordal_l1')
TWO_PI = 2 * np.pi
_TINY = 1e-30


def check_distance(distance: str) -> None:
  """Raises ValueError if there is no such distance."""
  if distance not in DISTANCES:
    raise ValueError(
      f'The distance to a hull is {distance!r}; choose one of {DISTANCES}.'
    )


def hull_distance(
  points: Float[Array, '*b 5 3 2'],
  hulls: Float[Array, '5 3 v 2'],
  *,
  distance: str = 'euclidean',
) -> Float[Array, '*b 5 3']:
  """Distance of angles to their hulls, 0 inside (paper section 3.1).

  Flexion is periodic: the nearest point q of a hull is that of the nearest of all
  turns of p by 2 pi. 'euclidean' is |p - q|, in radians; its gradient is a unit vector
  outside. 'chordal_l1' is |cos p - cos q|_1 + |sin p - sin q|_1 with the
  same q: about the L1 distance near the hull, and bounded far away from it.

  Args:
    points: (*b, 5, 3, 2) flexion and abduction, radians.
    hulls: (5, 3, v, 2) convex polygons, counter-clockwise; a polygon of fewer than v
      corners repeats its last one.
    distance: one of `DISTANCES`.

  Returns:
    (*b, 5, 3), with gradient 0 inside.

  Raises:
    ValueError: an unknown distance.
  """
  flexion, abduction = jnp.moveaxis(as_float(points), (-1, -2, -3), (0, 1, 2))
  result = angle_distance(flexion, abduction, hulls, distance)
  return jnp.moveaxis(result, (0, 1), (-1, -2))


def angle_distance(
  flexion: Float[Array, '3 5 *b'],
  abduction: Float[Array, '3 5 *b'],
  hulls: Float[Array, '5 3 v 2'],
  distance: str,
) -> Float[Array, '3 5 *b']:
  """`hull_distance` with the batch last, which CPUs vectorise."""
  check_distance(distance)
  corners = jnp.asarray(hulls, flexion.dtype).T  # (2, v, 3, 5)
  # The distance is a minimum over edges and turns, so its gradient is that of the
  # nearest one (Danskin's theorem): search without gradient, then differentiate a
  # single edge instead of storing all of them for the backward pass.
  edge, turn, inside = _nearest_edge(
    *jax.lax.stop_gradient((flexion, abduction, corners))
  )
  flexion = flexion + turn
  sx, sy = _select(corners, edge)
  ex, ey = _select(jnp.roll(corners, -1, axis=1), edge)
  vx, vy = ex - sx, ey - sy
  along = geometry.safe_divide(
    (flexion - sx) * vx + (abduction - sy) * vy, vx * vx + vy * vy
  )
  along = jnp.clip(along, 0, 1)
  qx = jnp.where(inside, flexion, sx + along * vx)
  qy = jnp.where(inside, abduction, sy + along * vy)
  if distance == 'euclidean':
    dx, dy = flexion - qx, abduction - qy
    return geometry.safe_sqrt(dx * dx + dy * dy)
  return _chord(flexion, qx) + _chord(abduction, qy)


def _chord(angle, other):
  """L1 distance of two angles' points on the unit circle."""
  return jnp.abs(jnp.cos(angle) - jnp.cos(other)) + jnp.abs(
    jnp.sin(angle) - jnp.sin(other)
  )


def _select(corners, index):
  """Of (2, v, 3, 5) the corner of each bone's hull that has the index (3, 5, *b)."""
  bones, fingers = (
    i.reshape(i.shape + (1,) * (index.ndim - 2)) for i in np.ogrid[:3, :5]
  )
  # Explicitly sharded hands look them up in corners that every device has.
  x, y = (
    axis.at[index, bones, fingers].get(out_sharding=jax.typeof(index).sharding)
    for axis in corners
  )
  return x, y


def _nearest_edge(flexion, abduction, corners):
  """Which edge of its hull each point is nearest to, after which turn of flexion.

  Returns:
    (3, 5, *b) index of the edge, turn to add to the flexion, and whether the point, so
    turned, is inside.
  """
  # (v, 1, 3, 5, 1, ...): one edge goes with all turns and hands.
  corners = corners.reshape(*corners.shape[:2], 1, 3, 5, *(1,) * (flexion.ndim - 2))
  turns = _turns(flexion[None], corners[0])
  px = flexion[None] + turns
  py = abduction[None]
  ends = jnp.roll(corners, -1, axis=1)
  vectors = ends - corners
  inverse = 1 / jnp.maximum(jnp.sum(vectors * vectors, axis=0), _TINY)
  edges = (
    jnp.arange(corners.shape[1], dtype=jnp.int32),
    *corners,
    *ends,
    *vectors,
    inverse,
  )
  # Made from the points, so that both are spread over devices in the same way.
  zero = jnp.zeros_like(px + py, jnp.int32)
  first = (jnp.full_like(zero, jnp.inf, px.dtype), zero, zero)
  visit = functools.partial(_visit, px, py)
  (least, nearest, winding), _ = jax.lax.scan(visit, first, edges)
  inside = winding > 0
  least = jnp.where(inside, -1, least)
  turn = jnp.argmin(least, axis=0)
  chosen = turn[None] == jnp.arange(2).reshape(2, *(1,) * turn.ndim)
  return (
    jnp.sum(jnp.where(chosen, nearest, 0), axis=0),
    jnp.sum(jnp.where(chosen, turns, 0), axis=0),
    jnp.any(chosen & inside, axis=0),
  )


def _turns(flexion, corners):
  """The two turns, (2, 3, 5, *b), after one of which a point is nearest to its hull.

  One brings it within half a turn of the middle of the hull's flexion, the other to the
  far side of the hull. Beyond them each point of a hull is farther away.
  """
  middle = (jnp.min(corners, axis=0) + jnp.max(corners, axis=0)) / 2
  nearest = -TWO_PI * jnp.round((flexion - middle) / TWO_PI)
  other = nearest - jnp.copysign(TWO_PI, flexion + nearest - middle)
  return jnp.concatenate([nearest, other])


def _visit(px, py, best, edge):
  least, nearest, winding = best
  index, sx, sy, _, ey, vx, vy, inverse = edge
  ux, uy = px - sx, py - sy
  along = jnp.clip((ux * vx + uy * vy) * inverse, 0, 1)
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
  best = (
    jnp.where(nearer, distance_squared, least),
    jnp.where(nearer, index, nearest),
    winding + upward.astype(jnp.int32) - downward.astype(jnp.int32),
  )
  return best, None
