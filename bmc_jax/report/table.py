"""The table of results: what each number means, and which row is best."""

import dataclasses
import html
import math

from bmc_jax.metrics import PCK_PX
from bmc_jax.report import load


@dataclasses.dataclass(frozen=True)
class Metric:
  """How a metric is shown; `digits` after the decimal point."""

  label: str
  unit: str
  digits: int
  higher_is_better: bool
  meaning: str


METRICS = {
  'depth_mm': Metric(
    'Depth error',
    'mm',
    2,
    False,
    'mean |error| of the depth relative to the root joint',
  ),
  'epe_mm': Metric(
    '3D EPE', 'mm', 2, False, 'mean distance of joints to the truth, root on root'
  ),
  'epe_median_mm': Metric(
    'Median 3D EPE', 'mm', 2, False, 'median of the same distance'
  ),
  'epe_pa_mm': Metric(
    '3D EPE, PA',
    'mm',
    2,
    False,
    'the same after Procrustes alignment (rotation, scale and position removed)',
  ),
  'epe_abs_mm': Metric(
    '3D EPE, absolute', 'mm', 2, False, 'the same in camera space, nothing aligned'
  ),
  'auc_0_50': Metric(
    'AUC 0-50 mm', '', 3, True, 'area under the 3D PCK curve from 0 to 50 mm, at most 1'
  ),
  'auc_20_50': Metric('AUC 20-50 mm', '', 3, True, 'the same from 20 to 50 mm'),
  'auc_pa_0_50': Metric(
    'AUC 0-50 mm, PA',
    '',
    3,
    True,
    'area from 0 to 50 mm after Procrustes alignment',
  ),
  'keypoints_2d_px': Metric(
    '2D error', 'px', 2, False, 'mean distance of keypoints in pixels of the crop'
  ),
  'keypoints_2d_percent': Metric(
    '2D error', '% of crop', 2, False, "the same in percent of the crop's side"
  ),
  **{
    f'pck_2d_{px}px': Metric(
      f'2D PCK {px} px', '%', 1, True, f'keypoints within {px} px of their label'
    )
    for px in PCK_PX
  },
  'hands_within_limits': Metric(
    'Hands in limits', '%', 1, True, 'hands that keep all limits'
  ),
  'broken_limits': Metric(
    'Broken limits',
    '',
    2,
    False,
    'how many of the 43 limits a hand breaks, in the mean',
  ),
}


def results_table(group: load.Group) -> str:
  """One table: the rows of a group, then chance; the best finished row is marked."""
  names = _columns(group)
  head = ''.join(f'<th scope="col">{_heading(name)}</th>' for name in names)
  best = {name: _best(group, name) for name in names}
  body = []
  for row in group.rows:
    label = f'<i class="swatch c{row.color % 8}"></i>{html.escape(row.name)}'
    if row.metrics is None:
      cells = f'<td class="none" colspan="{max(len(names), 1)}">not run yet</td>'
    else:
      cells = ''.join(_cell(name, row.metrics.get(name), best[name]) for name in names)
    body.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
  if group.chance:
    cells = ''.join(_cell(name, group.chance.get(name), None) for name in names)
    body.append(f'<tr class="chance"><th scope="row">chance</th>{cells}</tr>')
  return (
    f'<div class="scroll"><table><thead><tr><th scope="col">row</th>{head}</tr>'
    f'</thead><tbody>{"".join(body)}</tbody></table></div>'
  )


def legend_of_metrics(groups: list[load.Group]) -> str:
  """What each of the metrics in the tables means, as a list."""
  used = {name for group in groups for name in _columns(group)}
  items = ''.join(
    f'<div><dt>{metric.label}{f" ({metric.unit})" if metric.unit else ""} '
    f'{_arrow(metric)}</dt><dd>{metric.meaning}; '
    f'{"higher" if metric.higher_is_better else "lower"} is better</dd></div>'
    for name, metric in METRICS.items()
    if name in used
  )
  return f'<dl class="meanings">{items}</dl>'


def _columns(group: load.Group) -> list[str]:
  """Known metrics in their order, then any other, in the order of the results."""
  present = dict.fromkeys(name for row in group.rows for name in row.metrics or {})
  present |= dict.fromkeys(group.chance)
  known = [name for name in METRICS if name in present]
  return known + [name for name in present if name not in METRICS]


def _best(group: load.Group, name: str) -> float | None:
  """The best value of the finished rows; None where 'better' is not defined."""
  values = [(row.metrics or {}).get(name, math.nan) for row in group.rows]
  values = [value for value in values if math.isfinite(value)]
  if name not in METRICS or len(values) < 2:
    return None
  return max(values) if METRICS[name].higher_is_better else min(values)


def _cell(name: str, value: float | None, best: float | None) -> str:
  if value is None or not math.isfinite(value):
    return '<td class="none">–</td>'
  digits = METRICS[name].digits if name in METRICS else None
  text = f'{value:.4g}' if digits is None else f'{value:.{digits}f}'
  if value == best:
    text = f'<b>{text}</b>'
  mark = ' class="best"' if value == best else ''
  return f'<td{mark} data-value="{value!r}">{text}</td>'


def _heading(name: str) -> str:
  if name not in METRICS:
    return html.escape(name)
  metric = METRICS[name]
  unit = f'<small>{metric.unit}</small>' if metric.unit else ''
  return f'{metric.label} {_arrow(metric)}{unit}'


def _arrow(metric: Metric) -> str:
  return '↑' if metric.higher_is_better else '↓'
