"""Trimming outliers before a convex hull is fitted (paper section 3.1)."""

import numpy as np
from jaxtyping import Float, Int

from bmc_jax.hull.distance import TWO_PI

_NUM_DIRECTIONS = 32
_NUM_CUTS = 16
_MARGIN = 1e-3


def trim(points: Float[np.ndarray, 'n 2'], coverage: float) -> Float[np.ndarray, 'm 2']:
  """At least a share of the points: about those whose convex hull is least.

  Greedy: again and again a straight cut takes off points at one side, that which
  shrinks the area of the hull most per point. So a far outlier goes before the rim of
  the others does, and a group of outliers goes in one cut, wherever it lies: the loss
  of the whole group is weighed, not that of one after the other.

  The area is that of the polygon on `_NUM_DIRECTIONS` evenly spread tangents, with a
  margin around it, without which all cuts of points on a line would gain nothing. A
  cut takes a multiple of 1 / `_NUM_CUTS` of what may go in all.

  Args:
    points: (n, 2).
    coverage: share to keep, in (0, 1].
  """
  budget = len(points) - int(np.ceil(coverage * len(points)))
  if not budget:
    return points
  size = -(-budget // _NUM_CUTS)
  reach = _directions() @ (points / np.maximum(points.std(axis=0), _MARGIN)).T
  # The others neither go nor come to the rim.
  outer = np.unique(np.argpartition(-reach, budget, axis=1)[:, : budget + 1])
  reach = np.ascontiguousarray(reach[:, outer])
  order = np.argsort(-reach, axis=1, kind='stable')[:, : budget + 1]
  kept = np.ones(len(points), bool)
  while budget:
    size = min(size, budget)
    support = np.stack(
      [_support_after_cuts(reach, order, j, size) for j in range(_NUM_DIRECTIONS)]
    )
    now = np.take_along_axis(reach, order[:, :1], axis=1)[:, 0]
    count = size * np.arange(1, support.shape[1] + 1)
    gain = (_area(now) - _area(support)) / count
    direction, blocks = np.unravel_index(np.argmax(gain), gain.shape)
    kept[outer[order[direction, : count[blocks]]]] = False
    budget -= int(count[blocks])
    order = _kept_first(order, kept[outer])[:, : budget + 1]
  return points[kept]


def _directions():
  """(d, 2) unit vectors, evenly spread."""
  angle = np.linspace(0, TWO_PI, _NUM_DIRECTIONS, endpoint=False)
  return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _support_after_cuts(
  reach: Float[np.ndarray, 'd n'],
  order: Int[np.ndarray, 'd k'],
  direction: int,
  size: int,
) -> Float[np.ndarray, 't d']:
  """How far the points reach in all directions after cuts in one direction.

  Args:
    reach: of every point in every direction.
    order: the k points that reach farthest in each direction, farthest first.
    direction: the direction to cut in.
    size: of a block; the cuts take 1, 2, ... blocks, up to k - 1 points.
  """
  blocks = (order.shape[1] - 1) // size
  cut = order[direction, : blocks * size]
  is_cut = np.zeros(reach.shape[1], bool)
  is_cut[cut] = True
  # At most k - 1 of the k farthest are cut, so the farthest that stays is among them.
  first = np.argmin(is_cut[order], axis=1)
  rest = reach[np.arange(len(reach)), order[np.arange(len(order)), first]]
  inner = reach[:, cut].reshape(len(reach), blocks, size).max(axis=2)
  from_inside = np.concatenate([rest[:, None], inner[:, :0:-1]], axis=1)
  return np.maximum.accumulate(from_inside, axis=1)[:, ::-1].T


def _kept_first(order, kept):
  """In each row those kept before the others, both in their order."""
  return np.take_along_axis(order, np.argsort(~kept[order], axis=1, kind='stable'), 1)


def _area(support):
  """Area of a polygon, up to a factor, from its support (..., d) in `_directions`.

  With h the support, grown by the margin, and a the angle between neighbours, an edge
  has the length (h_before + h_after - 2 h cos a) / sin a.
  """
  h = support + _MARGIN
  before, after = np.roll(h, 1, axis=-1), np.roll(h, -1, axis=-1)
  edges = before + after - 2 * h * np.cos(TWO_PI / _NUM_DIRECTIONS)
  return np.sum(h * edges, axis=-1)
