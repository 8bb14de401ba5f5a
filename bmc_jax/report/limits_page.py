"""A page that shows one or two limits of the hand: hulls, bone lengths, palm."""

import functools
import html
import os
import pathlib

import jax
import numpy as np

from bmc_jax import kinematics, skeleton
from bmc_jax.joint_files.flags import Poses
from bmc_jax.limits import HandLimits
from bmc_jax.limits.types import REFERENCE_UNIT
from bmc_jax.plausibility import violations
from bmc_jax.report import document, hulls, svg

_COLORS = (2, 0)  # of the first and the second limits: blue and orange
_COMMANDS = tuple(
  f'bmc-jax limits {command} --out PAGE'
  for command in ('show LIMITS', 'diff LIMITS LIMITS')
)
_RANGES = (
  ('bone_lengths', 'Palm: root bones', slice(0, 1), '{unit}s', 1.0),
  ('bone_lengths', 'Fingers: other bones', slice(1, 4), '{unit}s', 1.0),
  ('curvatures', 'Palm curvature', slice(None), '1 / {unit}', 1.0),
  ('root_angles', 'Angles between root bones', slice(None), 'degrees', 180 / np.pi),
)


def write_limits_page(
  path: str | os.PathLike[str],
  shown: dict[str, HandLimits],
  poses: Poses | None,
  tables: tuple[list[list[str]], ...] = (),
) -> pathlib.Path:
  """Writes a page that needs no other file.

  Args:
    path: the file to write.
    shown: one or two limits by their names.
    poses: hands to draw into the figures.
    tables: of plain text, shown last.

  Returns:
    The path.
  """
  sections = figures(shown, poses)
  if tables:
    content = '<br>'.join(document.table(rows) for rows in tables)
    sections.append(('tables', 'In numbers', content))
  header = ''.join(_facts(name, limits) for name, limits in shown.items())
  if poses is not None:
    lines = [poses.describe(), *poses.doubts]
    header += ''.join(f'<p class="soft">{html.escape(line)}</p>' for line in lines)
  title = 'Limits of the hand: ' + ' and '.join(shown)
  return document.write_document(
    path, title, header, sections, command=_COMMANDS[len(shown) - 1]
  )


def figures(
  shown: dict[str, HandLimits], poses: Poses | None
) -> list[tuple[str, str, str]]:
  """Two sections, joint angles and ranges: (element id, title, content) of each."""
  measured = None if poses is None else _Measured(poses, next(iter(shown.values())))
  if measured is not None and not len(measured.angles):
    measured = None
  return [
    ('angles', 'Joint angles', _legend(shown, measured) + _angles(shown, measured)),
    ('ranges', 'Bones and palm', _legend(shown, None) + _ranges(shown, measured)),
  ]


class _Measured:
  """What the figures draw of hands: only complete ones.

  Attributes:
    angles: (n, 5, 3, 2) degrees.
    inside: (n, 5, 3) whether they are within the first limits.
    values: by field of the limits, (n, ...) in units of the reference bone, radians.
    broken: by field, which of the first limits are broken.
  """

  def __init__(self, poses: Poses, limits: HandLimits):
    joints = poses.joints_3d[poses.complete]
    found = violations.measure_violations(joints, limits)
    judged = found.judged
    unit = (joints - joints[:, :1])[judged] / found.scale[judged, None, None]
    unit = unit.astype(np.float32)
    self.values = {
      'bone_lengths': np.asarray(jax.jit(kinematics.bone_lengths)(unit)),
      'curvatures': np.asarray(jax.jit(kinematics.root_bone_curvatures)(unit)),
      'root_angles': np.asarray(jax.jit(kinematics.root_bone_angles)(unit)),
    }
    self.broken = {name: b[judged] for name, b in found.broken().items()}
    angles = functools.partial(kinematics.joint_angles, frames=limits.metadata.frames)
    self.angles = np.degrees(np.asarray(jax.jit(angles)(unit)))
    self.inside = ~self.broken['joint_angles']


def _facts(name: str, limits: HandLimits) -> str:
  about = limits.metadata
  relative = about.unit == REFERENCE_UNIT
  a, b = (skeleton.JOINT_NAMES[joint].replace('_', ' ') for joint in about.reference)
  items = {
    'Limits': name,
    'Source': about.source or 'not told',
    'Poses': f'{about.num_poses}, coverage {about.coverage:g}'
    if about.num_poses
    else 'not fitted',
    'Unit of length': about.unit + (f' ({a} to {b})' if relative else ''),
    'Hands': f'{about.handedness}, joint order {about.joint_order}',
    'Frames of the angles': about.frames.replace('_', ' '),
  }
  return document.facts(items)


def _legend(shown: dict[str, HandLimits], measured: _Measured | None) -> str:
  """What colours and lines mean."""
  chips = []
  if len(shown) > 1:
    for color, name, line in zip(_COLORS, shown, ('solid', 'dashed'), strict=True):
      chips.append((color, f'{name} ({line})'))
  elif measured is not None:
    chips = [(hulls.INSIDE, 'within the limit'), (hulls.OUTSIDE, 'outside')]
  spans = ''.join(
    f'<span class="chip"><i class="swatch c{color}"></i>{html.escape(text)}</span>'
    for color, text in chips
  )
  return f'<div class="legend">{spans}</div>' if spans else ''


def _angles(shown: dict[str, HandLimits], measured: _Measured | None) -> str:
  """15 panels: fingers in columns, joints in rows."""
  panels = []
  for finger, joint in np.ndindex(5, 3):
    title = str(violations.NAMES['joint_angles'][finger, joint])
    points, shares = None, ''
    if measured is not None:
      inside = measured.inside[:, finger, joint]
      # Inside which of two limits? Then all points have one colour.
      points = measured.angles[:, finger, joint], inside if len(shown) == 1 else None
      if len(shown) == 1:
        shares = f'<div class="shares">{inside.mean():.1%} inside</div>'
    drawing = hulls.limits_figure(
      f'hull{finger}{joint}',
      [
        (color, limits.hulls[finger, joint])
        for color, limits in zip(_COLORS, shown.values(), strict=False)
      ],
      points,
      f'hull of the {title}',
    )
    panels.append(
      f'<figure class="panel"><figcaption><span class="finger b{finger}">{title}</span>'
      f'</figcaption>{drawing}{shares}</figure>'
    )
  note = '' if measured is None else f' {hulls.POINTS_NOTE}'
  return (
    '<p class="soft">Flexion (across) and abduction (up) of the bone beyond each '
    'joint, in degrees; 0 is straight on, abduction towards the thumb is positive.'
    f'{note}</p>'
    f'<div class="panels hulls">{"".join(panels)}</div>'
  )


def _ranges(shown: dict[str, HandLimits], measured: _Measured | None) -> str:
  """One panel of bars for each kind of range."""
  panels = []
  length_unit = next(iter(shown.values())).metadata.unit
  for field, title, part, unit, factor in _RANGES:
    bounds = [factor * np.asarray(getattr(limits, field)) for limits in shown.values()]
    names = violations.NAMES[field][..., part].ravel()
    values = None if measured is None else factor * measured.values[field][..., part]
    drawing = _range_figure(
      title.split(':')[0].replace(' ', '-').lower(),
      [short_name(name) for name in names],
      [b[..., part].reshape(2, -1) for b in bounds],
      None if values is None else values.reshape(len(values), -1),
      unit.format(unit=length_unit),
    )
    panels.append(
      f'<figure class="panel"><figcaption>{title}</figcaption>{drawing}</figure>'
    )
  note = ''
  if measured is not None:
    fitted = ' the first limits' if len(shown) > 1 else ' the limits'
    note = (
      '<p class="soft">Black lines reach from the 1st to the 99th percentile of the '
      f'hands at the size that fits{fitted}, the dot is their median.</p>'
    )
  return f'{note}<div class="panels logs">{"".join(panels)}</div>'


def short_name(name: str) -> str:
  """The name of a limit without what the title of its panel says."""
  return (
    name.removesuffix(' length')
    .removeprefix('palm curvature ')
    .removeprefix('palm angle ')
  )


def _range_figure(name, labels, bounds, values, unit) -> str:
  """Horizontal bars from least to largest, the first label on top."""
  rows = np.arange(len(labels))
  with svg.figure_style():
    drawing, axes = svg.row_axes(labels, unit)
    for index, (low, high) in enumerate(bounds):
      height = 0.62 / len(bounds)
      offset = (index - (len(bounds) - 1) / 2) * height
      color = svg.series_color(_COLORS[index]) if len(bounds) > 1 else svg.HULL
      width = np.maximum(high - low, 0.01 * np.ptp([bounds[0]]))
      axes.barh(rows + offset, width, left=low, height=0.9 * height, color=color)
    if values is not None and len(values):
      low, middle, high = np.quantile(values, [0.01, 0.5, 0.99], axis=0)
      axes.hlines(rows, low, high, color=svg.TEXT, linewidth=1.2)
      axes.plot(middle, rows, 'o', color=svg.TEXT, markersize=3)
    return svg.to_svg(drawing, name, f'ranges of {name.replace("-", " ")}')
