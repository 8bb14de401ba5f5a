"""Brings the rows of all seeds together: means, spread, and whether claims hold."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bmc_jax.experiments.catalogue import Table
from bmc_jax.metrics import PCK_PX
from bmc_jax.report.table import METRICS

_WITHOUT_3D = (
  'keypoints_2d_px',
  *(f'pck_2d_{px}px' for px in PCK_PX),
  *('hands_within_limits', 'broken_limits'),
)
Values = dict[str, dict[int, dict[str, float]]]
"""Label -> seed -> metric -> value."""


@dataclasses.dataclass(frozen=True)
class Claim:
  """Something that the paper finds, and what was found here.

  Attributes:
    text: what.
    figures: what was measured.
    holds: by seed; empty for findings that are no yes or no.
  """

  text: str
  figures: str = ''
  holds: dict[int, bool] = dataclasses.field(default_factory=dict)

  def __str__(self) -> str:
    figures = f' ({self.figures})' if self.figures else ''
    if not self.holds:
      return self.text + figures
    count, seeds = sum(self.holds.values()), len(self.holds)
    verdict = f'holds in {count} of {seeds} seeds' if count else 'does not hold'
    return f'{self.text}: {verdict}{figures}'


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
  """Mean and sample standard deviation, which is 0 for one value."""
  spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
  return float(np.mean(values)), float(spread)


def measured(table: Table, values: Values) -> Table:
  """The table with the metrics that its rows have.

  Where the test set has no 3D labels, these are those of the image and the limits; the
  claims, which are about 3D, do not hold for them (`claims` of the whole table).
  """
  found = {name for seeds in values.values() for row in seeds.values() for name in row}
  wanted = table.metrics
  if found and not found & {name for name in wanted if name not in _WITHOUT_3D}:
    wanted = _WITHOUT_3D
  kept = tuple(name for name in wanted if name in found)
  return dataclasses.replace(table, metrics=kept or table.metrics)


def statistics(values: Values, metrics: Iterable[str]) -> dict[str, dict[str, Any]]:
  """{label: {metric: {mean, std, values}}}; metrics that a row lacks are left out."""
  found: dict[str, dict[str, Any]] = {}
  for label, seeds in values.items():
    found[label] = {}
    for metric in metrics:
      known = [row[metric] for row in seeds.values() if row.get(metric) is not None]
      if known:
        mean, std = mean_and_std(known)
        found[label][metric] = {'mean': mean, 'std': std, 'values': known}
  return found


def claims(table: Table, values: Values) -> list[Claim]:
  """What a table shows: its order, the gap that is closed, the labels saved.

  Args:
    table: fitted to the config (`catalogue.fit_to`).
    values: of its rows; those that are not finished are missing.
  """
  metric = table.metrics[0]
  found = [
    _order(metric, worse, better, values)
    for worse, better in zip(table.order[:-1], table.order[1:], strict=True)
    if _seeds(metric, values, worse, better)
  ]
  if table.gap and _seeds(metric, values, *table.gap):
    found.append(_gap(metric, table.gap, values))
  if table.curves:
    found += _saved_labels(table, values)
  return found


def _seeds(metric: str, values: Values, *labels: str) -> list[int]:
  """The seeds for which all of these rows have a value (None is no number)."""
  sets = [
    {seed for seed, row in values.get(label, {}).items() if row.get(metric) is not None}
    for label in labels
  ]
  return sorted(set.intersection(*sets))


def _order(metric: str, worse: str, better: str, values: Values) -> Claim:
  seeds = _seeds(metric, values, worse, better)
  before, after = (
    {seed: values[label][seed][metric] for seed in seeds} for label in (worse, better)
  )
  sign = 1 if METRICS[metric].higher_is_better else -1
  holds = {seed: sign * (after[seed] - before[seed]) > 0 for seed in seeds}
  old, new = (float(np.mean(list(part.values()))) for part in (before, after))
  change = f'{_figure(metric, old)} -> {_figure(metric, new)}'
  if old:
    change += f', {100 * (new / old - 1):+.0f} %'
  return Claim(
    f'"{better}" is better than "{worse}"',
    f'{describe(metric)} {change}',
    holds,
  )


def closed_share(without: float, judged: float, bound: float) -> float:
  """Which share of the gap between a lower and an upper bound is closed.

  Args:
    without: the error without help.
    judged: the error to judge.
    bound: the error of the upper bound.
  """
  gap = without - bound
  return (without - judged) / gap if gap else math.nan


def _gap(metric: str, labels: tuple[str, ...], values: Values) -> Claim:
  shares = [
    closed_share(*(values[label][seed][metric] for label in labels))
    for seed in _seeds(metric, values, *labels)
  ]
  mean, std = mean_and_std(shares)
  without, judged, bound = labels
  return Claim(
    f'"{judged}" closes {100 * mean:.1f} +- {100 * std:.1f} % of the gap in '
    f'{describe(metric)} between "{without}" and "{bound}"'
  )


def _saved_labels(table: Table, values: Values) -> list[Claim]:
  """How many labels the plain curve needs for what the other one reaches."""
  metric = table.metrics[0]
  plain_name, better_name = table.curves
  plain = curve(table, plain_name, metric, values)
  found = []
  for share, (mean, _) in curve(table, better_name, metric, values).items():
    if 0 < share < 1:
      needed = share_needed(plain, mean)
      shown = 'more than all' if needed is None else f'{100 * needed:.2g} %'
      text = (
        f'With constraints and {100 * share:.2g} % of the labels {describe(metric)} is '
        f'{_figure(metric, mean)}, for which {shown} are needed without (interpolated)'
      )
      found.append(Claim(text))
  return found


def curve(
  table: Table, name: str, metric: str, values: Values
) -> dict[float, tuple[float, float]]:
  """{share of labels: (mean, std)} of a figure's curve, by share."""
  points = {}
  for share, label in table.curves[name]:
    if seeds := _seeds(metric, values, label):
      points[share] = mean_and_std([values[label][seed][metric] for seed in seeds])
  return dict(sorted(points.items()))


def share_needed(
  plain: Mapping[float, tuple[float, float]], wanted: float
) -> float | None:
  """The share of labels at which a curve, where more is better, reaches a value.

  Between two points it is interpolated over the logarithm of the share; between none
  and the smallest share over the share itself.

  Args:
    plain: {share: (mean, std)}, by share.
    wanted: the value.

  Returns:
    The share; None if the curve does not get there.
  """
  before: tuple[float, float] | None = None
  for share, (value, _) in plain.items():
    if value >= wanted:
      if before is None:
        return share
      low, old = before
      part = (wanted - old) / (value - old)
      if low == 0:
        return part * share
      return float(np.exp(np.log(low) + part * (np.log(share) - np.log(low))))
    before = share, value
  return None


def describe(metric: str) -> str:
  """The name of a metric as a table shows it, with its unit."""
  known = METRICS[metric]
  return f'{known.label} {known.unit}'.strip()


def _figure(metric: str, value: float) -> str:
  return f'{value:.{METRICS[metric].digits}f}'


def cells(table: Table, stats: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
  """The table as text: a heading, then each row with the paper's figures beside ours.

  Args:
    table: fitted to the config.
    stats: of `statistics`; rows that are missing are shown as not run.
  """
  has_paper = {m: any(m in row for row in table.paper.values()) for m in table.metrics}
  heading = ['row']
  for metric in table.metrics:
    heading += [describe(metric), 'paper'] if has_paper[metric] else [describe(metric)]
  lines = [heading]
  for label in table.rows:
    line = [label]
    for metric in table.metrics:
      found = stats.get(label, {}).get(metric)
      text = 'not run' if not stats.get(label) else ''
      if found:
        text = _figure(metric, found['mean'])
        if len(found['values']) > 1:
          text += f' +- {_figure(metric, found["std"])}'
      line.append(text)
      if has_paper[metric]:
        known = table.paper.get(label, {}).get(metric)
        line.append('' if known is None else f'{known:g}')
    lines.append(line)
  return lines
