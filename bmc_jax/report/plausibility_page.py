"""A page that shows which limits hands break, and the worst of them in 3D."""

import html
import os
import pathlib
import re

import numpy as np

from bmc_jax import skeleton
from bmc_jax.limits import HandLimits
from bmc_jax.plausibility import violations
from bmc_jax.plausibility.judgement import NAMES, Judgement
from bmc_jax.report import document, hands, hulls, limits_page, svg

_NUM_WORST = 12
_NUM_PHRASES = 8
_COMMAND = 'bmc-jax plausibility JOINTS --limits LIMITS --out PAGE'
_VIEWS = (('front', (0, 1)), ('side', (2, 1)))


def write_plausibility_page(
  path: str | os.PathLike[str],
  title: str,
  judgement: Judgement,
  limits: HandLimits,
) -> pathlib.Path:
  """Writes a page that needs no other file.

  Args:
    path: the file to write.
    title: plain text.
    judgement: of all hands.
    limits: that they were compared with.

  Returns:
    The path.
  """
  figures = limits_page.figures({'limits': limits}, judgement.poses)
  sections = [
    ('worst', 'Worst hands', _worst(judgement)),
    ('broken', 'Broken limits', _broken(judgement)),
    *figures,
  ]
  lines = [judgement.summary(), *judgement.poses.doubts]
  header = ''.join(f'<p>{html.escape(line)}</p>' for line in lines)
  return document.write_document(path, title, header, sections, command=_COMMAND)


def _broken(judgement: Judgement) -> str:
  """The share of hands that break each limit as bars, and the table."""
  table = judgement.table()
  if not table[1:]:
    return '<p>None.</p>'
  panels = ''.join(
    f'<figure class="panel"><figcaption>{title}</figcaption>'
    f'{_share_figure(judgement, group)}</figure>'
    for group, title in violations.GROUPS.items()
  )
  return f'<div class="panels logs">{panels}</div><br>{document.table(table)}'


def _share_figure(judgement: Judgement, group: str) -> str:
  """Percent of the judged hands that break each limit of a group."""
  names = violations.NAMES[group].ravel()
  broken = judgement.found.broken()[group].reshape(-1, len(names)).sum(axis=0)
  with svg.figure_style():
    labels = [limits_page.short_name(name) for name in names]
    drawing, axes = svg.row_axes(labels, 'hands that break it (%)')
    shares = 100 * broken / max(judgement.found.judged.sum(), 1)
    color = svg.series_color(hulls.OUTSIDE)
    axes.barh(np.arange(len(names)), shares, height=0.6, color=color)
    axes.set_xlim(0, 100)
    return svg.to_svg(drawing, f'share-{group.replace("_", "-")}', 'broken limits')


def _worst(judgement: Judgement) -> str:
  """The hands that break limits by most: turning, and as cards."""
  worst = judgement.worst()[:_NUM_WORST]
  if not len(worst):
    return '<p>No hand breaks a limit.</p>'
  key = ''.join(
    f'<span><i class="swatch b{number}"></i>{name}</span>'
    for number, name in enumerate(skeleton.FINGERS)
  )
  names = [f'hand {hand}: {judgement.describe(hand)[0]}' for hand in worst]
  sizes = [_same_size(judgement.poses.joints_3d[hand]) for hand in worst]
  turning = hands.viewer(
    names,
    '<div class="cell"><canvas></canvas></div>',
    [hands.viewer_sample(joints, [joints]) for joints in sizes],
  )
  cards = ''.join(_card(judgement, hand) for hand in worst)
  return (
    '<p class="soft">The hands whose violations sum up to most (in reference bones and '
    'radians), as right hands; drag to turn. Bones that are too short or too long, or '
    'that bend too far at the joint they start from, have a broad grey band.</p>'
    f'<div class="key">{key}</div>{turning}<br><div class="cells">{cards}</div>'
  )


def _card(judgement: Judgement, hand: int) -> str:
  joints = _same_size(judgement.poses.joints_3d[hand])
  broken = judgement.found.broken()
  lengths = broken['bone_lengths'][hand]
  angles = np.pad(broken['joint_angles'][hand], ((0, 0), (1, 0)))
  views = ''.join(
    f'<figure>{_view(joints, lengths | angles, columns, label)}'
    f'<figcaption>{label}</figcaption></figure>'
    for label, columns in _VIEWS
  )
  # A number keeps its unit beside it.
  phrases = [
    re.sub(r'(?<=\d) ', '\N{NO-BREAK SPACE}', p) for p in judgement.describe(hand)
  ]
  shown = ''.join(f'<br>{_phrase(phrase)}' for phrase in phrases[:_NUM_PHRASES])
  more = len(phrases) - _NUM_PHRASES
  rest = f'<br>and {more} more' if more > 0 else ''
  return (
    f'<div class="cell"><div class="views">{views}</div>'
    f'<p><b>hand {hand}</b> ({len(phrases)} of {len(NAMES)} limits)'
    f'<span class="soft">{shown}{rest}</span></p></div>'
  )


def _phrase(phrase: str) -> str:
  """As HTML, in which a number keeps its unit beside it."""
  return re.sub(r'(?<=\d) ', '&nbsp;', html.escape(phrase))


def _same_size(joints: np.ndarray) -> np.ndarray:
  """The hand (21, 3) from the wrist on, 200 large, whatever its unit."""
  joints = joints - joints[:1]
  return joints / max(float(np.ptp(joints, axis=0).max()), 1e-9) * 200


def _view(joints, broken, columns, label) -> str:
  """One hand seen along an axis, its broken bones (5, 4) marked."""
  flat = joints[:, list(columns)]
  chains = np.concatenate([np.zeros((5, 1), int), np.arange(1, 21).reshape(5, 4)], 1)
  marked = ''.join(
    hands.line_data(flat[chains[finger, bone : bone + 2]])
    for finger, bone in np.argwhere(broken)
  )
  return (
    f'<svg class="hand blank" viewBox="{hands.view_box(joints, 0.62, columns)}" '
    f'role="img" aria-label="hand, {label} view"><path class="broken" d="{marked}"/>'
    f'{hands.finger_paths(flat)}</svg>'
  )
