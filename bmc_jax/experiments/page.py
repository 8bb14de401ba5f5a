"""The page over all experiments, made from what they left in their folders."""

import dataclasses
import html
from pathlib import Path
from typing import Any

from bmc_jax.experiments import figures, summary
from bmc_jax.experiments.catalogue import Table
from bmc_jax.experiments.schedule import seed_dir
from bmc_jax.report import document, hands, load
from bmc_jax.report.page import pictures

_MAX_HANDS = 3


def write_page(folder: Path, found: list[tuple[Table, dict[str, Any]]]) -> Path:
  """Writes `index.html`, which needs no other file.

  Args:
    folder: of all experiments.
    found: each table, fitted to its config, with the content of its `results.json`.

  Returns:
    The path of the page.
  """
  images = hands.ImageStore()
  sections = [_section(folder, table, results, images) for table, results in found]
  header = (
    "<p>The paper's tables and figures, run with this implementation. Means over "
    'seeds, and the standard deviation; crosses and the columns "paper" are what the '
    'paper reports for its own data, which these runs have in the sections "paper" '
    'alone.</p>' + images.definitions()
  )
  return document.write_document(
    folder / 'index.html',
    'Experiments',
    header,
    sections,
    command='bmc-jax experiments NAME --data KIND',
  )


def _section(folder, table: Table, results, images) -> tuple[str, str, str]:
  name = f'{results["table"]}-{results["data"]}'
  values = read_values(results)
  table = summary.measured(table, values)
  stats = summary.statistics(values, table.metrics)
  parts = [
    f'<p>{html.escape(table.question)}</p>',
    document.facts(_facts(results)),
    document.table(summary.cells(table, stats)),
  ]
  if missing := results.get('missing'):
    parts.append(f'<p class="note">{html.escape(missing)}</p>')
  if results['claims']:
    items = ''.join(f'<li>{html.escape(text)}.</li>' for text in results['claims'])
    parts.append(f'<ul>{items}</ul>')
  parts.append(f'<div class="panels curves">{_plots(table, values, stats, name)}</div>')
  parts += [document.table(rows) for rows in results.get('benchmarks', []) if rows]
  parts.append(_sample_hands(folder, table, results, images))
  title = f'{table.title.split(":")[0]}, {results["data"]}'
  heading = f'<h3>{html.escape(table.title)}</h3>'
  return name, html.escape(title), heading + ''.join(parts)


def _facts(results) -> dict[str, str]:
  return {
    'Data': results['description'],
    'Test set': results['test_set'],
    'Seeds': ', '.join(map(str, results['seeds'])),
    'Device': results['device'],
    'Time': f'{results["seconds"] / 60:.0f} minutes of runs, all seeds together',
    'Command': results['command'],
  }


def _plots(table: Table, values, stats, name: str) -> str:
  drawn = draw(table, values, stats, name)
  return ''.join(
    f'<figure class="panel"><figcaption>{html.escape(summary.describe(metric))}'
    f'</figcaption>{element}</figure>'
    for metric, element in drawn.items()
  )


def draw(table: Table, values, stats, name: str) -> dict[str, str]:
  """The plots of a table: {metric: SVG element}, of its first two metrics."""
  drawn = {}
  for metric in table.metrics[:2]:
    if table.curves:
      drawn[metric] = figures.curves(table, values, metric, f'{name}-{metric}')
    elif any(metric in row for row in stats.values()):
      drawn[metric] = figures.bars(table, stats, metric, f'{name}-{metric}')
  return drawn


def read_values(results: dict[str, Any]) -> summary.Values:
  """The values in a `results.json`, whose seeds are texts."""
  return {
    label: {int(seed): metrics for seed, metrics in row['seeds'].items()}
    for label, row in results['rows'].items()
  }


def _sample_hands(folder, table: Table, results, images) -> str:
  """What the rows predict for some hands, of the first seed; '' for a figure."""
  workdir = seed_dir(folder / results['data'], results['seeds'][0])
  if table.curves or not (workdir / 'results.json').exists():
    return ''
  known = load.load_experiment(workdir)
  by_name = {row.name: row for group in known.groups for row in group.predicted}
  shown = [(label, run) for label, run in table.rows.items() if run in by_name]
  group = load.Group(
    name='',
    slug='',
    rows=[
      dataclasses.replace(by_name[run], name=label, color=place)
      for place, (label, run) in enumerate(shown)
    ],
    chance={},
  )
  samples = hands.choose_samples(group)[:_MAX_HANDS]
  hint = '<p class="soft">Predictions in colour, truth in grey: front and side.</p>'
  return hint + pictures(group, samples, images)
