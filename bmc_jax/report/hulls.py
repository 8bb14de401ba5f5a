"""The angle hulls of the limits with the predicted joint angles in them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import patches, path

from bmc_jax import hull, kinematics
from bmc_jax import limits as limits_lib
from bmc_jax.report import load, svg

_MAX_POINTS = 150  # per row and bone, of the drawn points
# A point counts as inside if it is nearer than this to the polygon (radians): the
# limits and the predictions are rounded to float32.
_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class HullPoints:
  """Predicted angles of a row: degrees (N, 5, 3, 2), and whether inside (N, 5, 3)."""

  row: load.Row
  angles: np.ndarray
  inside: np.ndarray


def hull_points(row: load.Row, limits: limits_lib.HandLimits) -> HullPoints:
  """Joint angles of a row's predictions; hands with a non-finite joint are left out."""
  assert row.predictions is not None
  joints = row.predictions['joints_3d']
  joints = jnp.asarray(joints[np.isfinite(joints).all(axis=(1, 2))])
  angles = jax.jit(kinematics.joint_angles)(joints)
  distance = jax.jit(hull.hull_distance)(angles, jnp.asarray(limits.hulls))
  return HullPoints(
    row=row,
    angles=np.degrees(np.asarray(angles)),
    inside=np.asarray(distance) < _TOLERANCE,
  )


def hull_figure(
  name: str, polygon: np.ndarray, points: list[HullPoints], finger: int, bone: int
) -> str:
  """Draws the hull of one bone and the points of all rows, as SVG.

  Args:
    name: prefix of the ids, unique in the page.
    polygon: (V, 2) flexion and abduction in radians.
    points: of every row that has predictions.
    finger: 0..4, thumb to little.
    bone: 0..2, PIP, DIP, TIP bone.
  """
  vertices = np.degrees(np.asarray(polygon, np.float64))
  low, high = vertices.min(axis=0), vertices.max(axis=0)
  margin = np.maximum(0.6 * (high - low), 15.0)
  with svg.figure_style():
    drawing, axes = svg.new_axes(1.8, 1.6)
    shape = patches.Polygon(vertices, facecolor=svg.HULL, alpha=0.22)
    axes.add_patch(shape)
    axes.add_patch(
      patches.Polygon(vertices, fill=False, edgecolor=svg.HULL, linewidth=1.2)
    )
    for each in points:
      angles = each.angles[:_MAX_POINTS, finger, bone]
      inside = each.inside[:_MAX_POINTS, finger, bone]
      # Shift by full turns toward the hull, as the distance to it does.
      turns = np.round((angles[:, :1] - (low + high)[0] / 2) / 360.0)
      angles = angles - np.concatenate([360.0 * turns, 0 * turns], axis=1)
      angles = np.clip(angles, low - margin, high + margin)
      for chosen, size, alpha in ((inside, 2.2, 0.45), (~inside, 3.2, 0.95)):
        if chosen.any():
          axes.add_patch(_dots(angles[chosen], each.row, size, alpha))
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
    axes.set(ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.locator_params(nbins=3)
    label = f'angles and hull, finger {finger + 1}, bone {bone + 1}'
    return svg.to_svg(drawing, name, label)


def _dots(
  points: np.ndarray, row: load.Row, size: float, alpha: float
) -> patches.Patch:
  """Dots as one path of zero-length strokes: a tenth of the size of markers."""
  vertices = np.repeat(points, 2, axis=0)
  codes = np.tile([path.Path.MOVETO, path.Path.LINETO], len(points))
  return patches.PathPatch(
    path.Path(vertices, codes),
    fill=False,
    edgecolor=svg.series_color(row.color),
    linewidth=size,
    capstyle='round',
    alpha=alpha,
    clip_on=False,
    gid=svg.series_class(row.color),
  )
