"""Fitting convex hulls in the (flexion, abduction) plane (paper section 3.1)."""

import numbers

import numpy as np
from jaxtyping import Float

from bmc_jax.hull.distance import TWO_PI
from bmc_jax.hull.trimming import trim

MIN_WIDTH = 1e-3
"""Radians. Points on a line, or a single point, get a polygon this thick."""
ROUNDING = 2e-6
"""Radians. Edges are moved out by this, ten times what float32 angles are rounded by,
so that the points are inside for `hull_distance` in float32, too."""
_NUM_TANGENTS = 64


def fit_hull(
  points: Float[np.ndarray, 'n 2'], num_vertices: int, *, coverage: float = 1.0
) -> Float[np.ndarray, 'v 2']:
  """A convex polygon of few corners around points, on the host with SciPy.

  The polygon circumscribes the convex hull of the points kept: its edges lie on
  tangents of the hull, chosen among its longest edges and evenly spread directions so
  that the area is least. Every point kept stays inside, also when points and polygon
  are rounded to float32. (The paper reduces hulls with Ramer-Douglas-Peucker, which
  cuts corners, and points, off.)

  Args:
    points: (n, 2) flexion and abduction, radians. Flexion may wrap around at +-pi.
    num_vertices: corners of the result, at least 3.
    coverage: share of the points to keep, in (0, 1]; below 1, those go without which
      the hull is least, see `trimming.trim`. The order of the points is of no account.

  Returns:
    (num_vertices, 2) float64, counter-clockwise, padded by repeating the last corner.
    A set without area gets a polygon `MIN_WIDTH` thick; a triangle is thicker, so as
    not to be far longer than the set.

  Raises:
    ValueError: too few corners asked for, a bad coverage, a wrong shape, no points,
      or values that are not finite.
  """
  points = np.asarray(points, np.float64)
  if points.ndim != 2 or points.shape[1] != 2 or not len(points):
    raise ValueError(f'points has the shape {points.shape}, but (n, 2) is needed.')
  check_options(num_vertices, coverage)
  if not np.isfinite(points).all():
    raise ValueError('points contains values that are not finite.')
  # Sorted, so that neither ties nor the rounding of sums depend on their order.
  points = _unwrap_flexion(points[np.lexsort(points.T)])
  corners = _convex_hull(trim(points, coverage), num_vertices)
  if len(corners) > num_vertices:
    corners = _distinct(_circumscribe(corners, num_vertices))
  corners = _grow(corners, ROUNDING)
  padding = np.repeat(corners[-1:], num_vertices - len(corners), axis=0)
  return np.concatenate([corners, padding])


def check_options(num_vertices: int, coverage: float) -> None:
  """Raises ValueError for no whole number of corners from 3, or no share in (0, 1]."""
  if not isinstance(num_vertices, numbers.Integral) or num_vertices < 3:
    raise ValueError(f'A hull needs at least 3 vertices, not {num_vertices!r}.')
  if not isinstance(coverage, numbers.Real) or not 0 < coverage <= 1:
    raise ValueError(f'coverage is a share in (0, 1], not {coverage!r}.')


def _unwrap_flexion(points):
  """Puts flexion within pi of its circular mean, which lies in (-pi, pi]."""
  centre = np.angle(np.exp(1j * points[:, 0]).mean())
  wrapped = (points[:, 0] - centre + np.pi) % TWO_PI - np.pi + centre
  return np.stack([wrapped, points[:, 1]], axis=1)


def _convex_hull(points, num_vertices):
  """Corners of the convex hull, counter-clockwise, or of a thin polygon around it."""
  centre = points.mean(axis=0)
  _, _, axes = np.linalg.svd(points - centre, full_matrices=len(points) < 2)
  coordinates = (points - centre) @ axes.T
  low, high = coordinates.min(axis=0), coordinates.max(axis=0)
  if np.any(high - low < MIN_WIDTH):
    grow = np.maximum(MIN_WIDTH - (high - low), 0) / 2
    around = _thin_triangle if num_vertices == 3 else _box
    corners = around(low - grow, high + grow) @ axes + centre
    return corners if polygon_area(corners) > 0 else corners[::-1]
  from scipy import spatial  # takes as long to import as half of JAX

  return points[spatial.ConvexHull(points).vertices]


def _box(low, high):
  (x0, y0), (x1, y1) = low, high
  return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _thin_triangle(low, high):
  """Around a box of length L and width w, higher by sqrt(L w) and as much longer.

  Those of least area are 2 L long: they admit twice the angles that were seen.
  """
  (x0, y0), (x1, y1) = low, high
  more = np.sqrt((x1 - x0) * (y1 - y0))
  return np.array(
    [[x0 - more / 2, y0], [x1 + more / 2, y0], [(x0 + x1) / 2, y1 + more]]
  )


def _distinct(corners):
  """Leaves out corners that repeat the one before: three tangents met in it."""
  step = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
  return corners[step > 1e-9]


def _edge_normals(corners):
  """Outward unit normals of a polygon's edges, each from a corner to the next one."""
  edge = np.roll(corners, -1, axis=0) - corners
  normals = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
  return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _grow(corners, margin):
  """Moves every edge of a convex polygon outwards by a margin.

  A corner p between edges with the unit normals m and n goes to the only point whose
  distance to both is the margin: p + margin (m + n) / (1 + m . n).
  """
  n = _edge_normals(corners)
  m = np.roll(n, 1, axis=0)
  return corners + margin * (m + n) / (1 + np.sum(m * n, axis=1, keepdims=True))


def _circumscribe(corners, num_vertices):
  """The polygon of least area on `num_vertices` tangents of a convex polygon.

  Between two neighbouring tangents lies a piece of the polygon's excess area that
  depends on these two only, so the best choice is the shortest closed walk of
  `num_vertices` steps over the tangents, each step as long as its piece is large.
  """
  # Unit extents make the directions even; ratios of areas do not change.
  low, extent = corners.min(axis=0), np.ptp(corners, axis=0)
  corners = (corners - low) / extent
  normals = _tangent_normals(corners)
  contact = np.argmax(normals @ corners.T, axis=1)
  crossing, cost = _pieces(corners, normals, contact)
  # With more steps than tangents the walk would have to go round twice.
  num_vertices = min(num_vertices, len(normals))

  # best[k][i, j]: least cost of k steps from tangent i to tangent j.
  best, previous = [cost], []
  for _ in range(num_vertices - 1):
    through = best[-1][:, :, None] + cost[None]
    previous.append(np.argmin(through, axis=1))
    best.append(np.min(through, axis=1))
  start = int(np.argmin(np.diagonal(best[-1])))
  walk = [start]
  for table in reversed(previous):
    walk.append(int(table[start, walk[-1]]))
  walk = walk[::-1]
  return crossing[walk, np.roll(walk, -1)] * extent + low


def _tangent_normals(corners):
  """Outward unit normals of candidate tangents: even ones and the longest edges'."""
  edge = np.roll(corners, -1, axis=0) - corners
  edge = edge[np.argsort(-np.linalg.norm(edge, axis=-1))][:_NUM_TANGENTS]
  own = np.arctan2(-edge[:, 0], edge[:, 1])
  even = np.linspace(-np.pi, np.pi, _NUM_TANGENTS, endpoint=False)
  angle = np.unique(np.concatenate([own, even]))
  return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _pieces(corners, normals, contact):
  """Where two tangents cross, and the excess area between them.

  The second tangent follows the first by a turn below pi; other pairs cost infinity.
  The area lies between the two tangents and the polygon from contact to contact.
  """
  turn = _cross(normals[:, None], normals[None])
  follows = turn > 1e-9
  reach = np.sum(normals * corners[contact], axis=-1)
  # n_i . x = reach_i and n_j . x = reach_j, by Cramer's rule.
  x = reach[:, None] * normals[None, :, 1] - reach[None] * normals[:, None, 1]
  y = reach[None] * normals[:, None, 0] - reach[:, None] * normals[None, :, 0]
  crossing = np.stack([x, y], -1) / np.where(follows, turn, 1)[..., None]
  p, q = corners[contact][:, None], corners[contact][None]
  triangle = (_cross(p, crossing) + _cross(crossing, q) + _cross(q, p)) / 2
  # Twice the area that the polygon's edges sweep around the origin up to each corner.
  swept = np.cumsum(_cross(corners, np.roll(corners, -1, axis=0)))
  until = np.concatenate([[0], swept[:-1]])[contact]
  sweep = until[None] - until[:, None]
  sweep = np.where(contact[None] < contact[:, None], sweep + swept[-1], sweep)
  segment = (sweep + _cross(q, p)) / 2
  return crossing, np.where(follows, np.maximum(triangle - segment, 0), np.inf)


def _cross(u, v):
  return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def polygon_area(corners: Float[np.ndarray, '*b v 2']) -> Float[np.ndarray, '*b']:
  """Area of polygons, positive if counter-clockwise."""
  return np.asarray(_cross(corners, np.roll(corners, -1, axis=-2)).sum(axis=-1) / 2)
