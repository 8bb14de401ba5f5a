r"""Fits, shows and compares limits of the hand.

    bmc-jax limits fit poses.npy --order mano --unit m --out limits.json
    bmc-jax limits show limits.json --out page.html --poses poses.npy
    bmc-jax limits diff clinical limits.json --poses poses.npy --out diff.html

The forms of pose files are listed in `bmc_jax.joint_files`. `mano`, `surface` and
`clinical` stand for limits that ship wherever a limits file is expected.
"""

import argparse
import warnings
from collections.abc import Sequence

import numpy as np

from bmc_jax import kinematics
from bmc_jax import limits as limits_lib
from bmc_jax.console import interrupts
from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.outputs import check_output
from bmc_jax.console.parsing import command_parser
from bmc_jax.console.tables import format_table
from bmc_jax.hull import polygon_area
from bmc_jax.joint_files.flags import Poses, add_pose_flags, read_poses
from bmc_jax.limits.files import LIMITS
from bmc_jax.limits.fitting import doubt_count
from bmc_jax.plausibility import violations


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  flags = _parser().parse_args(argv)
  try:
    {'fit': _fit, 'show': _show, 'diff': _diff}[flags.command](flags)
  except USER_ERRORS as error:
    fail(str(error))


def _parser() -> argparse.ArgumentParser:
  parser = command_parser('limits', __doc__)
  commands = parser.add_subparsers(dest='command', required=True)

  fit = commands.add_parser('fit', help='limits from 3D hands')
  fit.add_argument('poses', help='file of 3D joints')
  fit.add_argument('--out', required=True, help='limits file to write')
  fit.add_argument(
    '--coverage', type=float, default=0.999, help='share each limit admits'
  )
  fit.add_argument('--num-vertices', type=int, default=12, help='corners of the hulls')
  fit.add_argument(
    '--frames',
    choices=kinematics.FRAMES,
    default=kinematics.FRAMES[0],
    help='in which angles are measured',
  )
  fit.add_argument('--source', help='what the file tells of its origin')

  show = commands.add_parser('show', help='a page with all limits')
  show.add_argument('limits', help="limits file, or 'mano', 'surface' or 'clinical'")
  show.add_argument('--out', required=True, help='page to write')
  show.add_argument('--poses', help='file of 3D joints to draw into it')

  diff = commands.add_parser('diff', help='two limits side by side')
  diff.add_argument(
    'limits', nargs=2, help="limits files, or 'mano', 'surface' or 'clinical'"
  )
  diff.add_argument('--out', help='page to write')
  diff.add_argument('--poses', help='file of 3D joints: how many does each admit')
  for command in (fit, show, diff):
    add_pose_flags(command)
  return parser


def _fit(flags: argparse.Namespace) -> None:
  """Fits limits on the complete hands of a file and tells how many there are."""
  check_output(flags.out, LIMITS, flags.poses)
  clinical = limits_lib.clinical_limits()
  poses = read_poses(flags.poses, flags, clinical, strict=True)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', UserWarning)  # of what was told already
    fitted = limits_lib.fit_limits(
      poses.joints_3d[poses.complete],
      num_vertices=flags.num_vertices,
      coverage=flags.coverage,
      frames=flags.frames,
      source=flags.source or flags.poses,
      believe_order=flags.order is not None,
    )
  limits_lib.save_limits(flags.out, fitted)
  if doubt := doubt_count(poses.joints_3d[poses.complete]):
    warn(f'{flags.poses}: {doubt}.')
  print(f'{poses.describe()}\n{flags.out}')


def _show(flags: argparse.Namespace) -> None:
  from bmc_jax.report import document, limits_page

  check_output(flags.out, document.PAGES, flags.limits, flags.poses)
  shown = {flags.limits: limits_lib.open_limits(flags.limits)}
  poses = _open_poses(flags, shown[flags.limits])
  print(limits_page.write_limits_page(flags.out, shown, poses))


def _diff(flags: argparse.Namespace) -> None:
  first, second = flags.limits
  if flags.out:
    from bmc_jax.report import document

    check_output(flags.out, document.PAGES, first, second, flags.poses)
  shown = {first: limits_lib.open_limits(first)}
  # A file may be compared with itself, after an edit of nothing.
  shown[second if second != first else f'{second} (2)'] = limits_lib.open_limits(second)
  _check_comparable(shown)
  poses = _open_poses(flags, shown[first])
  tables = [limits_table(shown)]
  if poses is not None:
    print(poses.describe())
    tables.insert(0, admission_table(shown, poses))
  print('\n\n'.join(map(format_table, tables)))
  if flags.out:
    from bmc_jax.report import limits_page

    print(limits_page.write_limits_page(flags.out, shown, poses, tuple(tables)))


def _check_comparable(shown):
  for field in ('unit', 'reference', 'frames', 'handedness', 'joint_order'):
    first, second = (getattr(limits.metadata, field) for limits in shown.values())
    if first != second:
      raise ValueError(
        f'The limits {" and ".join(shown)} cannot be compared, since their {field} '
        f'differs: {first!r} and {second!r}. Fit one of them anew.'
      )


def _open_poses(flags, limits) -> Poses | None:
  return read_poses(flags.poses, flags, limits) if flags.poses else None


def admission_table(
  shown: dict[str, limits_lib.HandLimits], poses: Poses
) -> list[list[str]]:
  """How many complete hands each of the limits admits, by group and in all."""
  joints = poses.joints_3d[poses.complete]
  columns = []
  for limits in shown.values():
    within = violations.measure_violations(joints, limits).within()
    within['all'] = np.all(list(within.values()), axis=0)
    columns.append([f'{w.sum()} ({w.mean():.1%})' for w in within.values()])
  rows = zip([*violations.GROUPS.values(), 'all limits'], *columns, strict=True)
  return [['hands admitted', *shown], *map(list, rows)]


def limits_table(shown: dict[str, limits_lib.HandLimits]) -> list[list[str]]:
  """All ranges side by side; of hulls their extent and area."""
  columns = [_ranges(limits) for limits in shown.values()]
  changed = _changed(*shown.values())
  return [['limit', *shown, 'changed']] + [
    [name, *(column[name] for column in columns), 'yes' if changed[name] else '']
    for name in columns[0]
  ]


def _ranges(limits: limits_lib.HandLimits) -> dict[str, str]:
  """Each limit as text: three digits, or tenths of a degree."""
  found = {}
  for group, unit in (('bone_lengths', ''), ('curvatures', ''), ('root_angles', '°')):
    values = np.asarray(getattr(limits, group), np.float64)
    for index in np.ndindex(values.shape[1:]):
      low, high = values[(slice(None), *index)]
      text = (
        f'{_degrees(low)} to {_degrees(high)}' if unit else f'{low:.3g} to {high:.3g}'
      )
      found[str(violations.NAMES[group][index])] = text + unit
  hulls = np.asarray(limits.hulls, np.float64)
  low, high, area = (
    hulls.min(axis=2),
    hulls.max(axis=2),
    polygon_area(np.rad2deg(hulls)),
  )
  for index in np.ndindex(5, 3):
    flexion, abduction = (
      f'{_degrees(a)} to {_degrees(b)}°'
      for a, b in zip(low[index], high[index], strict=True)
    )
    found[str(violations.NAMES['joint_angles'][index])] = (
      f'flexion {flexion}, abduction {abduction}, {area[index]:.0f} deg²'
    )
  return found


def _degrees(radians: float) -> str:
  return f'{np.rad2deg(radians).round(1) + 0:g}'  # + 0: no -0


def _changed(
  first: limits_lib.HandLimits, second: limits_lib.HandLimits
) -> dict[str, bool]:
  """Which of the limits differ by more than rounding."""
  ranges = {
    group: [np.moveaxis(getattr(limits, group), 0, -1) for limits in (first, second)]
    for group in ('bone_lengths', 'curvatures', 'root_angles')
  }
  pairs = ranges | {'joint_angles': _equally_many_corners(first.hulls, second.hulls)}
  return {
    str(violations.NAMES[group][index]): not np.allclose(a[index], b[index], 0, 1e-6)
    for group, (a, b) in pairs.items()
    for index in np.ndindex(violations.NAMES[group].shape)
  }


def _equally_many_corners(*hulls: np.ndarray) -> list[np.ndarray]:
  """Hulls (5, 3, V, 2) with their last corner repeated, as it is in files."""
  most = max(hull.shape[2] for hull in hulls)
  return [
    np.pad(hull, ((0, 0), (0, 0), (0, most - hull.shape[2]), (0, 0)), mode='edge')
    for hull in hulls
  ]


if __name__ == '__main__':
  main()
