"""Plots of the tables: bars with their spread, and curves over the share of labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bmc_jax.experiments import summary
from bmc_jax.experiments.catalogue import Table
from bmc_jax.report import svg

_NO_LABELS = 0.4  # where a share of 0 stands, in shares of the least one above


def bars(
  table: Table, stats: Mapping[str, Mapping[str, Any]], metric: str, name: str
) -> str:
  """The rows of a table below each other, a cross where the paper's figure is.

  Args:
    table: fitted to the config.
    stats: of `summary.statistics`.
    metric: to draw.
    name: unique in the page.

  Returns:
    An SVG element.
  """
  labels = [label for label in table.rows if metric in stats.get(label, {})]
  with svg.figure_style():
    drawing, axes = svg.row_axes(labels, summary.describe(metric))
    for place, label in enumerate(labels):
      found = stats[label][metric]
      axes.barh(
        place,
        found['mean'],
        xerr=found['std'],
        height=0.66,
        color=svg.series_color(place),
        ecolor=svg.TEXT,
        capsize=2.5,
      )
      known = table.paper.get(label, {}).get(metric)
      if known is not None:
        axes.plot(known, place, 'x', color=svg.CHANCE, markersize=6, mew=2)
    return svg.to_svg(drawing, name, f'{table.title}: {summary.describe(metric)}')


def curves(table: Table, values: summary.Values, metric: str, name: str) -> str:
  """A metric over the share of 3D labels, which is logarithmic from the least one on.

  Args:
    table: with curves, fitted to the config.
    values: of its rows.
    metric: to draw.
    name: unique in the page.

  Returns:
    An SVG element.
  """
  shares = sorted({s for points in table.curves.values() for s, _ in points if s > 0})
  none = shares[0] * _NO_LABELS
  with svg.figure_style():
    drawing, axes = svg.new_axes(5.2, 3.2)
    for color, curve in enumerate(table.curves):
      points = summary.curve(table, curve, metric, values)
      if not points:
        continue
      axes.errorbar(
        [share or none for share in points],
        [mean for mean, _ in points.values()],
        yerr=[std for _, std in points.values()],
        color=svg.series_color(2 * color),
        marker='o',
        markersize=4,
        capsize=2.5,
        label=curve,
      )
    axes.set_xscale('log')
    ticks = [none, *shares]
    axes.set_xticks(ticks, ['0', *(f'{100 * share:g}' for share in shares)])
    axes.set_xticks([], minor=True)
    axes.set(xlabel='share of the 3D labels (%)', ylabel=summary.describe(metric))
    axes.legend(frameon=False)
    return svg.to_svg(drawing, name, f'{table.title}: {summary.describe(metric)}')


LIGHT = {
  **{'ink': '#1c2430', 'grid': '#cfd5dc', 'chance': '#8b95a1', 'hull': '#6b7f99'},
  **dict(
    zip(
      (f's{i}' for i in range(svg.NUM_COLORS)),
      ('#d9730d', '#7e57c2', '#1a73c9', '#138a5a')
      + ('#c2377b', '#8f7a00', '#0b8093', '#8c5a3c'),
      strict=True,
    )
  ),
}
"""The colours of the page's light style (web/page.css), for files beside the page."""


def as_file(element: str) -> str:
  """An SVG element of the page as the content of a file of its own."""
  for name, color in LIGHT.items():
    element = element.replace(f'var(--{name})', color)
  box = element.split('viewBox="')[1].split('"')[0]
  width, height = (np.array(box.split()[2:], float) * 4 / 3).round(1)
  head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
  style = '<style>text { font-family: sans-serif }</style>'
  body = element.replace(
    '<svg ', head + 'xmlns:xlink="http://www.w3.org/1999/xlink" ', 1
  )
  return body.replace('>', f'>{style}', 1)
