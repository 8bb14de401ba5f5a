"""Convex hulls in the (flexion, abduction) plane: distance and fitting (paper 3.1)."""

import jax.numpy as jnp
import numpy as np
import scipy.spatial
from jaxtyping import Float

from bmc_jax import geometry
from bmc_jax.skeleton import Array

TWO_PI = 2 * np.pi
MIN_WIDTH = 1e-3
"""Radians. Points on a line, or a single point, get a polygon this thick."""


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
  shifts = jnp.array([-TWO_PI, 0.0, TWO_PI], points.dtype)
  turns = jnp.stack([shifts, jnp.zeros_like(shifts)], axis=-1)  # (3, 2)
  p = jnp.expand_dims(points, (-2, -3))  # (*b, 5, 3, 1, 1, 2)
  p = p + turns.reshape((1,) * (p.ndim - 3) + (3, 1, 2))
  start = jnp.asarray(hulls, points.dtype)[:, :, None]  # (5, 3, 1, v, 2)
  start = start.reshape((1,) * (p.ndim - 5) + start.shape)
  edge = jnp.roll(start, -1, axis=-2) - start

  offset = p - start  # (*b, 5, 3, 3, v, 2)
  length_squared = jnp.sum(edge * edge, axis=-1)
  along = geometry.safe_divide(jnp.sum(offset * edge, axis=-1), length_squared)
  nearest = jnp.clip(along, 0, 1)[..., None] * edge
  separation = offset - nearest
  distance_squared = jnp.sum(separation * separation, axis=-1).min(axis=-1)

  # Inside is where the polygon winds around the point. "Left of every edge" is the same
  # on paper, but rounding turns an edge of nearly equal corners any way, and such an
  # edge would put all points outside.
  side = edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0]
  above = offset[..., 1] < 0
  upward = ~above & jnp.roll(above, -1, axis=-1) & (side > 0)
  downward = above & ~jnp.roll(above, -1, axis=-1) & (side < 0)
  inside = jnp.sum(upward, axis=-1) > jnp.sum(downward, axis=-1)
  distance_squared = jnp.where(inside, 0, distance_squared).min(axis=-1)
  return geometry.safe_sqrt(distance_squared)


def fit_hull(
  points: Float[np.ndarray, 'n 2'], num_vertices: int, *, coverage: float = 1.0
) -> Float[np.ndarray, 'v 2']:
  """A convex polygon of few corners around points, on the host with SciPy.

  The convex hull of the points kept is reduced to `num_vertices` corners from the
  outside: again and again the edge is removed whose neighbours, prolonged until they
  meet, add the least area. Every point kept stays inside. (The paper reduces hulls
  with Ramer-Douglas-Peucker, which cuts corners, and points, off.)

  Args:
    points: (n, 2) flexion and abduction, radians. Flexion may wrap around at +-pi.
    num_vertices: corners of the result, at least 4: no edge of a parallelogram can be
      removed.
    coverage: share of the points to keep, in (0, 1]; below 1, those that are extreme
      in some direction go first.

  Returns:
    (num_vertices, 2) float64, counter-clockwise, padded by repeating the last corner.
    A set without area gets a polygon `MIN_WIDTH` thick.

  Raises:
    ValueError: too few corners asked for, a bad coverage, a wrong shape, no points,
      or values that are not finite.
  """
  points = np.asarray(points, np.float64)
  if points.ndim != 2 or points.shape[1] != 2 or not len(points):
    raise ValueError(f'points has the shape {points.shape}, but (n, 2) is needed.')
  if num_vertices < 4:
    raise ValueError(f'A hull needs at least 4 vertices, not {num_vertices}.')
  if not 0 < coverage <= 1:
    raise ValueError(f'coverage is a share in (0, 1], not {coverage}.')
  if not np.isfinite(points).all():
    raise ValueError('points contains values that are not finite.')
  points = _unwrap_flexion(points)
  corners = _convex_hull(_trim(points, coverage))
  while len(corners) > num_vertices:
    corners = _remove_cheapest_edge(corners)
  padding = np.repeat(corners[-1:], num_vertices - len(corners), axis=0)
  return np.concatenate([corners, padding])


def _unwrap_flexion(points):
  """Puts flexion within pi of its circular mean, which lies in (-pi, pi]."""
  centre = np.angle(np.exp(1j * points[:, 0]).mean())
  wrapped = (points[:, 0] - centre + np.pi) % TWO_PI - np.pi + centre
  return np.stack([wrapped, points[:, 1]], axis=1)


def _trim(points, coverage, num_directions=64):
  """Keeps at least a share of the points: those inside all directional quantiles."""
  num_dropped = len(points) - int(np.ceil(coverage * len(points)))
  if num_dropped == 0:
    return points
  scaled = points / np.maximum(points.std(axis=0), 1e-12)
  # rank[i]: how many points are more extreme than i, in its most extreme direction.
  # Dropping the lowest ranks drops outliers first. Only those that are among the
  # `num_dropped` most extreme somewhere can go, so that nothing else need be sorted.
  rank = np.full(len(points), num_dropped)
  for angle in np.linspace(0, TWO_PI, num_directions, endpoint=False):
    depth = -scaled @ [np.cos(angle), np.sin(angle)]
    extreme = np.argpartition(depth, num_dropped - 1)[:num_dropped]
    extreme = extreme[np.argsort(depth[extreme], kind='stable')]
    rank[extreme] = np.minimum(rank[extreme], np.arange(num_dropped))
  return points[np.argsort(rank, kind='stable')[num_dropped:]]


def _convex_hull(points):
  """Corners of the convex hull, counter-clockwise, of at least MIN_WIDTH."""
  centre = points.mean(axis=0)
  _, _, axes = np.linalg.svd(points - centre, full_matrices=len(points) < 2)
  coordinates = (points - centre) @ axes.T
  low, high = coordinates.min(axis=0), coordinates.max(axis=0)
  if np.any(high - low < MIN_WIDTH):
    grow = np.maximum(MIN_WIDTH - (high - low), 0) / 2
    (x0, y0), (x1, y1) = low - grow, high + grow
    box = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ axes + centre
    return box if _area(box) > 0 else box[::-1]
  return points[scipy.spatial.ConvexHull(points).vertices]


def _remove_cheapest_edge(corners):
  """Replaces the edge with the least area to gain by its neighbours' crossing."""
  # Edge i runs from q to r, its neighbours from p to q and from r to s.
  p, q = np.roll(corners, 1, axis=0), corners
  r, s = np.roll(corners, -1, axis=0), np.roll(corners, -2, axis=0)
  before, after = q - p, s - r
  turn = _cross(before, after)  # <= 0: the neighbours do not meet outside
  meets = turn > 1e-12
  t = _cross(r - q, after) / np.where(meets, turn, 1)
  crossing = q + t[:, None] * before
  gain = np.where(meets, _cross(r - q, crossing - q) / -2, np.inf)
  edge = int(np.argmin(gain))
  replaced = corners.copy()
  replaced[edge] = crossing[edge]
  return np.delete(replaced, (edge + 1) % len(corners), axis=0)


def _cross(u, v):
  return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def _area(corners):
  return _cross(corners, np.roll(corners, -1, axis=0)).sum() / 2
