"""A page that shows which limits hands break, and the worst of them in 3D."""

import html
import os
import pathlib

import numpy as np

from bmc_jax import plausibility, skeleton, violations
from bmc_jax.limits import HandLimits
from bmc_jax.report import document, hands, limits_page

_NUM_WORST = 12
_COMMAND = 'python -m bmc_jax.plausibility JOINTS --limits LIMITS --out PAGE'
_VIEWS = (('front', (0, 1)), ('side', (2, 1)))


def write_plausibility_page(
  path: str | os.PathLike[str],
  title: str,
  judgement: plausibility.Judgement,
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
  table = judgement.table()
  figures = limits_page.figures({'limits': limits}, judgement.poses)
  sections = [
    ('worst', 'Worst hands', _worst(judgement)),
    ('broken', 'Broken limits', document.table(table) if table[1:] else '<p>None.</p>'),
    *figures,
  ]
  header = f'<p>{html.escape(plausibility.summary(judgement))}</p>'
  return document.write_document(path, title, header, sections, command=_COMMAND)


def _worst(judgement: plausibility.Judgement) -> str:
  """Cards of the hands that break most limits."""
  cards = ''.join(_card(judgement, hand) for hand in judgement.worst()[:_NUM_WORST])
  if not cards:
    return '<p>No hand breaks a limit.</p>'
  key = ''.join(
    f'<span><i class="swatch b{number}"></i>{name}</span>'
    for number, name in enumerate(skeleton.FINGERS)
  )
  return (
    '<p class="soft">The hands that break most limits, as right hands. Bones that are '
    'too short or too long, or that bend too far at the joint they start from, have a '
    f'broad grey band.</p><div class="key">{key}</div><div class="cells">{cards}</div>'
  )


def _card(judgement: plausibility.Judgement, hand: int) -> str:
  joints = judgement.poses.joints_3d[hand]
  joints = joints / max(float(np.ptp(joints, axis=0).max()), 1e-9) * 200  # any unit
  lengths = judgement.broken['bone_lengths'][hand]
  angles = np.pad(judgement.broken['joint_angles'][hand], ((0, 0), (1, 0)))
  views = ''.join(
    f'<figure>{_view(joints, lengths | angles, columns, label)}'
    f'<figcaption>{label}</figcaption></figure>'
    for label, columns in _VIEWS
  )
  phrases = judgement.describe(hand)
  shown = ''.join(f'<br>{html.escape(phrase)}' for phrase in phrases[:8])
  more = f'<br>and {len(phrases) - 8} more' if len(phrases) > 8 else ''
  return (
    f'<div class="cell"><div class="views">{views}</div>'
    f'<p><b>hand {hand}</b> ({len(phrases)} of {_num_limits()} limits)'
    f'<span class="soft">{shown}{more}</span></p></div>'
  )


def _num_limits() -> int:
  return sum(names.size for names in violations.NAMES.values())


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
