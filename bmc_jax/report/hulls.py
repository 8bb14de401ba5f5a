"""The angle hulls of the limits with the joint angles of hands in them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import matplotlib.axes
import numpy as np
from matplotlib import patches, path

from bmc_jax import hull, kinematics
from bmc_jax import limits as limits_lib
from bmc_jax.report import load, svg

_MAX_POINTS = 150  # per row and bone, of the drawn points
_MAX_HANDS = 300
# A point counts as inside if it is nearer than this to the polygon (radians): the
# limits and the predictions are rounded to float32.
_TOLERANCE = 1e-4
POINTS_NOTE = (
  f'Dots are up to {_MAX_HANDS} hands, chosen at random; those far from most and from '
  'the hull stand at the edge.'
)
INSIDE, OUTSIDE = 2, 0  # series colours, blue and orange, told apart by everyone


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
  angles = jax.jit(
    functools.partial(kinematics.joint_angles, frames=limits.metadata.frames)
  )(joints)
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
      angles = np.clip(_near(angles, low, high), low - margin, high + margin)
      for chosen, size, alpha in ((inside, 2.2, 0.45), (~inside, 3.2, 0.95)):
        if chosen.any():
          dots = _dots(angles[chosen], svg.series_color(each.row.color), size, alpha)
          dots.set_gid(svg.series_class(each.row.color))
          axes.add_patch(dots)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
    axes.set(ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.locator_params(nbins=3)
    label = f'angles and hull, finger {finger + 1}, bone {bone + 1}'
    return svg.to_svg(drawing, name, label)


def limits_figure(
  name: str,
  polygons: list[tuple[int, np.ndarray]],
  points: tuple[np.ndarray, np.ndarray | None] | None,
  label: str,
) -> str:
  """Draws the hulls of one joint in different limits, and angles of hands, as SVG.

  Args:
    name: prefix of the ids, unique in the page.
    polygons: (colour of the series, (V, 2) flexion and abduction in radians); the first
      is filled, the others are dashed.
    points: angles (N, 2) in degrees, and which of them are inside, if that is shown.
    label: what the figure shows, plain text without markup.
  """
  corners = [np.degrees(np.asarray(polygon, np.float64)) for _, polygon in polygons]
  low, high = np.min(np.vstack(corners), axis=0), np.max(np.vstack(corners), axis=0)
  margin = np.maximum(0.12 * (high - low), 5.0)
  with svg.figure_style():
    drawing, axes = svg.new_axes(2.1, 1.8)
    if points is not None:
      angles, inside = points
      angles = _near(angles, low, high)
      low = np.minimum(low, np.quantile(angles, 0.005, axis=0))
      high = np.maximum(high, np.quantile(angles, 0.995, axis=0))
      _draw_points(axes, np.clip(angles, low - margin, high + margin), inside)
    axes.add_patch(patches.Polygon(corners[0], facecolor=svg.HULL, alpha=0.2))
    for index, vertices in enumerate(corners):
      color = svg.series_color(polygons[index][0]) if len(polygons) > 1 else svg.HULL
      line = (0, (4, 2)) if index else '-'
      edge = patches.Polygon(vertices, fill=False, edgecolor=color, linestyle=line)
      edge.set_linewidth(1.5)
      axes.add_patch(edge)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
    axes.set(ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.set(xlabel='flexion (°)', ylabel='abduction (°)')
    axes.locator_params(nbins=5)
    return svg.to_svg(drawing, name, label)


def _near(angles: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
  """Angles (N, 2) shifted by full turns towards the hull, as the distance to it is."""
  turns = np.round((angles[:, 0] - (low + high)[0] / 2) / 360.0)
  return angles - np.stack([360.0 * turns, 0 * turns], axis=1)


def _draw_points(
  axes: matplotlib.axes.Axes, angles: np.ndarray, inside: np.ndarray | None
) -> None:
  """Draws some of the angles (N, 2) in degrees, in two colours if `inside` is told."""
  chosen = np.random.default_rng(0).permutation(len(angles))[:_MAX_HANDS]
  angles = angles[chosen]
  layers = [(angles, svg.CHANCE, 0.6)]
  if inside is not None:
    inside = inside[chosen]
    colors = svg.series_color(INSIDE), svg.series_color(OUTSIDE)
    layers = [(angles[inside], colors[0], 0.35), (angles[~inside], colors[1], 0.9)]
  for drawn, color, alpha in layers:
    if len(drawn):
      axes.add_patch(_dots(drawn, color, 2.4, alpha))


def _dots(points: np.ndarray, color: str, size: float, alpha: float) -> patches.Patch:
  """Dots as one path of zero-length strokes: a tenth of the size of markers."""
  vertices = np.repeat(points, 2, axis=0)
  codes = np.tile([path.Path.MOVETO, path.Path.LINETO], len(points))
  return patches.PathPatch(
    path.Path(vertices, codes),
    fill=False,
    edgecolor=color,
    linewidth=size,
    capstyle='round',
    alpha=alpha,
    clip_on=False,
  )
