"""Plots of an experiment: PCK curves, errors per joint, training curves."""

import jax.numpy as jnp
import matplotlib.axes
import numpy as np
from matplotlib import ticker

from bmc_jax import metrics, skeleton
from bmc_jax.report import load, svg

_MAX_LOG_POINTS = 160
_REST = 'wrist and mean'


def pck_figures(group: load.Group) -> list[tuple[str, str]]:
  """Share of joints within a distance of the truth, one curve per row.

  Returns:
    (caption, SVG) of the root-relative and of the aligned distance in 3D; or, where no
    hand has 3D labels, of that in the image.
  """
  rows = group.predicted
  if not group.measured_3d:
    curves = [_pck(r.pixel_errors, r.visible, metrics.THRESHOLDS_PX) for r in rows]
    name = f'{group.slug}-pck-2d'
    return [('2D PCK', _draw_pck(group, curves, metrics.THRESHOLDS_PX, 'px', name))]
  return [
    (
      caption,
      _draw_pck(
        group,
        [_pck(errors(row), row.visible_3d) for row in rows],
        metrics.THRESHOLDS_MM,
        'mm',
        f'{group.slug}-{name}',
      ),
    )
    for caption, name, errors in (
      ('3D PCK, root-relative', 'pck', lambda row: row.errors),
      ('3D PCK after Procrustes alignment', 'pck-aligned', lambda r: r.aligned_errors),
    )
  ]


def _draw_pck(
  group: load.Group,
  curves: list[np.ndarray],
  thresholds: np.ndarray,
  unit: str,
  name: str,
) -> str:
  """Draws a curve (t,) of shares for each row with predictions."""
  with svg.figure_style():
    drawing, axes = svg.new_axes(4.4, 2.9)
    for row, curve in zip(group.predicted, curves, strict=True):
      axes.plot(
        thresholds,
        100 * curve,
        color=svg.series_color(row.color),
        gid=svg.series_class(row.color),
      )
    axes.set(xlim=thresholds[[0, -1]], ylim=(0, 101))
    axes.set(xlabel=f'distance threshold ({unit})', ylabel='joints within it (%)')
    return svg.to_svg(drawing, name, 'PCK curves')


def _pck(
  errors: np.ndarray,
  counted: np.ndarray,
  thresholds: np.ndarray = metrics.THRESHOLDS_MM,
) -> np.ndarray:
  """Shares (t,) of the joints that count within thresholds (t,)."""
  mask = jnp.asarray(counted, errors.dtype)
  return np.asarray(metrics.pck(jnp.asarray(errors), thresholds, mask=mask))


def auc_values(row: load.Row) -> tuple[float, float]:
  """Area under the PCK curve: as it is, and after Procrustes alignment.

  From the results where they have it, so that the page says one number.
  """
  values = []
  for name, errors in (('auc_0_50', row.errors), ('auc_pa_0_50', row.aligned_errors)):
    if name in (row.metrics or {}):
      values.append(row.metrics[name])
    else:
      values.append(float(metrics.auc(jnp.asarray(_pck(errors, row.visible_3d)))))
  return values[0], values[1]


def joint_error_figures(group: load.Group) -> list[tuple[str, str]]:
  """Mean error of the 21 joints in `group.unit`, grouped bars.

  Returns:
    (caption, SVG) of six panels that share one scale: the five fingers, and the wrist
    with the mean of all joints.
  """
  errors = [(row, _mean_errors(*group.errors_of(row))) for row in group.predicted]
  top = 1.08 * max(1.0, *(np.nan_to_num(values).max() for _, values in errors))
  panels = []
  for number, finger in enumerate((*skeleton.FINGERS, _REST)):
    thumb = finger == 'thumb'
    names = ('CMC', 'MCP', 'IP', 'TIP') if thumb else ('MCP', 'PIP', 'DIP', 'TIP')
    joints = np.arange(4) + 1 + 4 * number
    if finger == _REST:
      names, joints = ('wrist', 'mean'), np.array([0, 21])
    with svg.figure_style():
      drawing, axes = svg.new_axes(2.2, 1.9)
      _draw_bars(axes, [(row, values[joints]) for row, values in errors])
      axes.set_xticks(range(len(names)), names)
      axes.set(ylim=(0, top), xlim=(-0.6, 3.6))
      axes.tick_params(axis='x', length=0)
      axes.grid(False, axis='x')
      label = f'mean error of the joints, {finger}'
      panels.append(
        (finger, svg.to_svg(drawing, f'{group.slug}-joints{number}', label))
      )
  return panels


def _mean_errors(errors: np.ndarray, counted: np.ndarray) -> np.ndarray:
  """Means of the errors (N, 21) that count: of the 21 joints, then of all, (22,).

  NaN, which draws no bar, where an error is not finite.
  """
  errors = np.where(np.isfinite(errors), errors, np.nan)
  sums = np.where(counted, errors, 0).sum(axis=0)
  joints = sums / np.maximum(counted.sum(axis=0), 1)
  return np.append(joints, sums.sum() / max(counted.sum(), 1))


def _draw_bars(
  axes: matplotlib.axes.Axes, errors: list[tuple[load.Row, np.ndarray]]
) -> None:
  """Draws a cluster of bars per joint, one bar per row; errors (joints,) each."""
  width = 0.84 / max(len(errors), 1)
  for place, (row, values) in enumerate(errors):
    positions = np.arange(len(values)) + (place - (len(errors) - 1) / 2) * width
    bars = axes.bar(
      positions,
      values,
      width=0.9 * width,
      color=svg.series_color(row.color),
    )
    for bar in bars:
      bar.set_gid(svg.series_class(row.color))


def log_figures(group: load.Group) -> list[tuple[str, str]]:
  """Training curves, one panel per logged quantity: evaluation first, then losses.

  Returns:
    (column name, SVG); the names come from the log files and are not escaped.
  """
  columns = list(dict.fromkeys(name for row in group.rows for name in row.log))
  columns.sort(key=lambda name: not name.startswith('eval/'))
  panels = []
  for number, column in enumerate(columns):
    with svg.figure_style():
      drawing, axes = svg.new_axes(3.4, 2.2)
      _draw_log(axes, group, column)
      axes.set_xlabel('step')
      name, label = f'{group.slug}-log{number}', f'training curve {number + 1}'
      panels.append((column, svg.to_svg(drawing, name, label)))
  return panels


def _draw_log(axes: matplotlib.axes.Axes, group: load.Group, column: str) -> None:
  """Draws one column of the logs, with the chance level where there is one."""
  drawn = []
  for row in group.rows:
    steps, values = _thin(*row.log.get(column, (np.zeros(0), np.zeros(0))))
    if not len(steps):
      continue
    drawn.append(values)
    axes.plot(
      steps,
      values,
      color=svg.series_color(row.color),
      marker='o' if len(steps) < 12 else None,
      markersize=3.5,
      linewidth=1.4,
      gid=svg.series_class(row.color),
    )
  chance = group.chance.get(column.removeprefix('eval/'))
  if column.startswith('eval/') and chance is not None and np.isfinite(chance):
    axes.axhline(chance, color=svg.CHANCE, linestyle=(0, (5, 4)), linewidth=1.2)
    drawn.append(np.array([chance]))
  values = np.concatenate(drawn) if drawn else np.zeros(1)
  if values.min() > 0 and values.max() / values.min() > 20:
    axes.set_yscale('log')
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter('{x:g}'))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def _thin(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Averages neighbours until at most 160 points are left; leaves out non-finite."""
  finite = np.isfinite(values)
  steps, values = steps[finite], values[finite]
  if len(steps) <= _MAX_LOG_POINTS:
    return steps, values
  chunks = np.array_split(np.arange(len(steps)), _MAX_LOG_POINTS)
  return (
    np.array([steps[chunk].mean() for chunk in chunks]),
    np.array([values[chunk].mean() for chunk in chunks]),
  )
