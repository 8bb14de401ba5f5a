"""Puts the page of an experiment together."""

import html
import os
import pathlib
from collections.abc import Callable

import numpy as np

from bmc_jax import skeleton
from bmc_jax.report import bending, document, doubts, figures, hands, hulls, load, table

_BONES = (('MCP', 'IP', 'TIP'), *(4 * [('PIP', 'DIP', 'TIP')]))
_NOT_RUN = '<p class="note">not run yet</p>'


def write_report(workdir: str | os.PathLike[str]) -> pathlib.Path:
  """Writes `report.html` into the working directory of an experiment.

  The page needs no network and no other file: plots, pictures, style and scripts are
  all inside. Parts that are missing are shown as 'not run yet'.

  Args:
    workdir: directory with `results.json`, and as far as they exist `experiment.json`,
      `limits.json` and, in `rows/<slug>/`, `metrics.csv`, `predictions.npz` and
      `samples.npz`.

  Returns:
    The path of the page.

  Raises:
    FileNotFoundError: if the directory or its `results.json` does not exist.
    ValueError: if a JSON file in it cannot be read.
  """
  workdir = pathlib.Path(workdir)
  experiment = load.load_experiment(workdir)
  doubts.warn_of_other_hands(experiment)
  sections = [
    ('results', 'Results', _results(experiment)),
    ('accuracy', 'Accuracy', _accuracy(experiment)),
    *_hands(experiment),
    *bending.bending(experiment),
    ('hulls', 'Joint angles', _hulls(experiment)),
    ('training', 'Training', _training(experiment)),
  ]
  return document.write_document(
    workdir / 'report.html',
    str(experiment.about['title']),
    _header(experiment),
    sections,
    command='bmc-jax report --workdir=DIR',
  )


def _header(experiment: load.Experiment) -> str:
  """Description, and what was run on what."""
  about = experiment.about
  paragraphs = ''.join(
    f'<p>{html.escape(text)}</p>'
    for text in str(about.get('description', '')).split('\n\n')
    if text.strip()
  )
  facts = (
    ('Command', 'command'),
    ('Device', 'device'),
    ('Seed', 'seed'),
    ('Test set', 'test_set'),
    ('Test samples', 'num_test'),
  )
  items = []
  for label, key in facts:
    if key in about:
      value = html.escape(str(about[key]))
      value = f'<code>{value}</code>' if key == 'command' else value
      items.append(f'<dt>{label}</dt><dd>{value}</dd>')
  return f'{paragraphs}<dl class="facts">{"".join(items)}</dl>'


def _blocks(experiment: load.Experiment, content: Callable[[load.Group], str]) -> str:
  """The content of every group below its name; no name if there is only one."""
  blocks = []
  for group in experiment.groups:
    title = f'<h3>{html.escape(group.name)}</h3>' if len(experiment.groups) > 1 else ''
    blocks.append(f'<div data-group="{group.slug}">{title}{content(group)}</div>')
  return ''.join(blocks)


def _legend(group: load.Group, values: dict[str, str]) -> str:
  """Buttons with the colours of the rows, and a value of each; a click hides a row."""
  chips = []
  for row in group.rows:
    value = values.get(row.name, 'not run yet')
    chips.append(
      f'<button class="chip" type="button" aria-pressed="true" '
      f'data-series="s{row.color % 8}"><i class="swatch c{row.color % 8}"></i>'
      f'{html.escape(row.name)}<span class="value">{value}</span></button>'
    )
  return f'<div class="legend">{"".join(chips)}</div>'


def _results(experiment: load.Experiment) -> str:
  intro = (
    '<p class="soft">Arrows tell whether lower or higher is better; the best row of '
    'a column is marked. Metrics are over the visible joints, the root joint among '
    'them, whose root-relative error is 0 by construction; millimetres take the true '
    'length of the reference bone. Chance is one constant hand for all samples.'
    '</p>'
  )
  if missing := experiment.about.get('missing'):
    intro += f'<p class="note">{html.escape(str(missing))}</p>'
  tables = _blocks(experiment, table.results_table)
  return intro + tables + table.legend_of_metrics(experiment.groups)


def _accuracy(experiment: load.Experiment) -> str:
  def content(group: load.Group) -> str:
    if not group.predicted:
      return _NOT_RUN
    values = dict.fromkeys((row.name for row in group.predicted), '')
    for row in group.predicted:
      if row.labelled_3d.any():
        plain, aligned = figures.auc_values(row)
        values[row.name] = f'AUC {plain:.3f}, aligned {aligned:.3f}'
    curves = ''.join(
      f'<figure class="panel"><figcaption>{caption}</figcaption>{svg}</figure>'
      for caption, svg in figures.pck_figures(group)
    )
    panels = ''.join(
      f'<figure class="panel"><figcaption>{_finger(number, name)}</figcaption>'
      f'{svg}</figure>'
      for number, (name, svg) in enumerate(figures.joint_error_figures(group))
    )
    return (
      f'{_legend(group, values)}<div class="panels curves">{curves}</div>'
      f'<h4>Mean error of the joints ({group.unit})</h4>'
      f'<div class="panels joints">{panels}</div>'
    )

  return (
    '<p class="soft">Distances in mm are between root-relative joints: the predicted '
    'and the true root joint are put on each other. AUC is the area under the curve '
    'from 0 to 50 mm, at most 1. Without 3D labels distances are in pixels of the '
    'crop. A click on a row hides it everywhere.</p>' + _blocks(experiment, content)
  )


def _finger(number: int, text: str) -> str:
  """A caption with the colour of its finger; number 5 is the wrist."""
  return f'<span class="finger b{number}">{text}</span>' if number < 5 else text


def _hands(experiment: load.Experiment) -> list[tuple[str, str, str]]:
  """Two sections: predictions on images, and the turning skeletons."""
  images = hands.ImageStore()
  samples = {group.slug: hands.choose_samples(group) for group in experiment.groups}
  key = ''.join(
    f'<span><i class="swatch b{number}"></i>{name}</span>'
    for number, name in enumerate(skeleton.FINGERS)
  )
  key = (
    f'<div class="key">{key}<span><i class="swatch"></i>truth (white on images)'
    '</span></div>'
  )
  pictured = _blocks(
    experiment, lambda group: pictures(group, samples[group.slug], images)
  )
  turning = _blocks(experiment, lambda group: _viewer(group, samples[group.slug]))
  intro = (
    '<p class="soft">The same samples for every row, from a low to the highest error. '
    'Below each picture the 3D hand, root on root: from the front, and from the side '
    '(the camera is at the left), where errors in depth show.</p>'
  )
  hint = '<p class="soft">Drag to turn; all rows turn together.</p>'
  return [
    ('hands', 'Predictions', intro + key + images.definitions() + pictured),
    ('turn', 'Hands in 3D', hint + key + turning),
  ]


def pictures(
  group: load.Group, samples: list[hands.Sample], images: hands.ImageStore
) -> str:
  """What each row of a group predicts for some samples, side by side."""
  cards = []
  for sample in samples:
    cells = ''.join(
      f'<div class="cell s{row.color % 8}">{hands.image_view(row, index, images)}'
      f'{hands.depth_views(row, index)}<p><i class="swatch c{row.color % 8}"></i>'
      f'{html.escape(row.name)} <span class="soft">{_amount(error, group.unit)}</span>'
      '</p>'
      '</div>'
      for row, index, error in zip(
        group.predicted, sample.indices, sample.errors, strict=True
      )
    )
    cards.append(
      f'<div class="sample"><p><b>{html.escape(sample.sample_id)}</b> '
      f'<span class="soft">{sample.title}</span></p><div class="cells">{cells}</div>'
      '</div>'
    )
  return ''.join(cards) or _NOT_RUN


def _amount(error: float, unit: str) -> str:
  return f'{error:.1f} {unit}' if np.isfinite(error) else 'not finite'


def _viewer(group: load.Group, samples: list[hands.Sample]) -> str:
  if not samples:
    return _NOT_RUN
  cells = ''.join(
    f'<div class="cell s{row.color % 8}"><canvas></canvas><p>'
    f'<i class="swatch c{row.color % 8}"></i>{html.escape(row.name)}</p></div>'
    for row in group.predicted
  )
  shown = [
    hands.viewer_sample(
      group.predicted[0].truth('joints_3d', sample.indices[0]),
      [
        row.predictions['joints_3d'][index]
        for row, index in zip(group.predicted, sample.indices, strict=True)
      ],
    )
    for sample in samples
  ]
  names = [f'{sample.sample_id}: {sample.title}' for sample in samples]
  return hands.viewer(names, cells, shown)


def _hulls(experiment: load.Experiment) -> str:
  limits = experiment.limits
  if limits is None:
    return _NOT_RUN
  polygons = np.asarray(limits.hulls)

  def content(group: load.Group) -> str:
    points = [hulls.hull_points(row, limits) for row in group.predicted]
    if not points:
      return _NOT_RUN
    panels = []
    for finger, bone in np.ndindex(5, 3):
      shares = ''.join(
        f'<span class="s{each.row.color % 8}"><i class="swatch '
        f'c{each.row.color % 8}"></i>{_percent(each.inside[:, finger, bone])}</span>'
        for each in points
      )
      name = f'{group.slug}-hull{finger}{bone}'
      svg = hulls.hull_figure(name, polygons[finger, bone], points, finger, bone)
      caption = _finger(finger, f'{skeleton.FINGERS[finger]} {_BONES[finger][bone]}')
      panels.append(
        f'<figure class="panel"><figcaption>{caption}</figcaption>{svg}'
        f'<div class="shares">{shares}</div></figure>'
      )
    values = {each.row.name: f'{_percent(each.inside)} inside' for each in points}
    return f'{_legend(group, values)}<div class="panels hulls">{"".join(panels)}</div>'

  return (
    '<p class="soft">Flexion (across) and abduction (up) of the predicted bones in '
    'degrees, and the convex hulls the limits allow. Faint points are inside, strong '
    'ones outside; points beyond a panel are drawn at its edge. Below each panel is '
    'the share of all predictions that is inside.</p>' + _blocks(experiment, content)
  )


def _percent(inside: np.ndarray) -> str:
  return f'{100 * inside.mean():.0f} %' if inside.size else '–'


def _training(experiment: load.Experiment) -> str:
  def content(group: load.Group) -> str:
    panels = ''.join(
      f'<figure class="panel"><figcaption>{html.escape(name)}</figcaption>{svg}'
      '</figure>'
      for name, svg in figures.log_figures(group)
    )
    if not panels:
      return _NOT_RUN
    values = {
      row.name: f'{max(steps[-1] for steps, _ in row.log.values()):.0f} steps'
      for row in group.rows
      if any(len(steps) for steps, _ in row.log.values())
    }
    return f'{_legend(group, values)}<div class="panels logs">{panels}</div>'

  return (
    '<p class="soft">Evaluation first, then the loss and its terms. A dashed line is '
    'the level of chance.</p>' + _blocks(experiment, content)
  )
