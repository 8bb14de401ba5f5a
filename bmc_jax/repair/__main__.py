r"""Moves the joints of hands into limits, as little as they allow.

    bmc-jax repair joints.npz --limits limits.json --unit m --out repaired.npz
    bmc-jax repair joints.csv --limits clinical --out repaired.csv

The forms of joint files are listed in `bmc_jax.joint_files.reading`. The repaired hands
are in the canonical order, in the unit and on the side of the given ones; hands with
missing joints are copied as they are. A .npz or .json file also tells of each hand how
far each joint moved, and the loss of the constraints before and after. `mano`,
`surface` and `clinical` stand for limits that ship.
"""

import argparse
import functools
import math
from collections.abc import Sequence

import jax
import numpy as np
from tqdm import tqdm

from bmc_jax import skeleton
from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.outputs import check_output
from bmc_jax.console.parsing import command_parser
from bmc_jax.console.tables import format_table
from bmc_jax.joint_files.flags import Poses, add_pose_flags, read_poses
from bmc_jax.joint_files.writing import HANDS, write_joints
from bmc_jax.limits import HandLimits, open_limits
from bmc_jax.plausibility.violations import measure_violations
from bmc_jax.repair.nearest import KEEP, Repaired, repair

_BATCH = 512
_WORST = 5


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  flags = _parser().parse_args(argv)
  compile_cache.enable()
  try:
    check_output(flags.out, HANDS, flags.joints, flags.limits)
    limits = open_limits(flags.limits)
    poses = read_poses(flags.joints, flags, limits, strict=True)
    repaired = repair_all(poses, limits, keep=flags.keep, weight=flags.weight)
    _write(flags.out, poses, repaired)
    print(f'{poses.describe()}\n{describe(poses, repaired, limits)}')
    print(flags.out)
  except USER_ERRORS as error:
    fail(str(error))


def _parser() -> argparse.ArgumentParser:
  parser = command_parser('repair', __doc__)
  parser.add_argument('joints', help='.npy, .npz, .csv or .json file of 3D joints')
  parser.add_argument(
    '--limits', required=True, help="limits file, or 'mano', 'surface' or 'clinical'"
  )
  parser.add_argument('--out', required=True, help='file to write, of the same endings')
  parser.add_argument(
    '--keep',
    choices=KEEP,
    default=KEEP[0],
    help="projection: joints move along their viewing rays (in the camera's frame)",
  )
  parser.add_argument(
    '--weight',
    type=float,
    default=3.0,
    help='of the limits against the given joints; less trusts the joints more',
  )
  add_pose_flags(parser)
  return parser


def repair_all(
  poses: Poses, limits: HandLimits, *, keep: str = KEEP[0], weight: float = 3.0
) -> Repaired:
  """Repairs the hands of a file, in batches, with a progress bar.

  Args:
    poses: N right hands; those with missing joints come back as they are.
    limits: in units of the reference bone.
    keep: see `repair`.
    weight: see `repair`.

  Returns:
    Arrays (N, ...); NaN for hands with missing joints, but for `joints`.

  Raises:
    ValueError: `weight` is negative or no number, the limits are for other hands, or
      hands whose projection is to be kept are not before the camera.
  """
  if not 0 <= weight < math.inf:
    raise ValueError(f'--weight is {weight}; it must be a number from 0 on.')
  run = jax.jit(functools.partial(repair, keep=keep, weight=weight))
  (complete,) = np.nonzero(poses.complete)
  hands = np.asarray(poses.joints_3d[complete], np.float32)
  if keep == 'projection':
    skeleton.check_before_camera(hands, '--keep projection')
  parts = []
  with tqdm(total=len(hands), unit='hand', dynamic_ncols=True) as bar:
    for start in range(0, len(hands), _BATCH):
      part = hands[start : start + _BATCH]
      # Filled up, so that the last batch compiles nothing.
      size = len(hands) if len(hands) < _BATCH else _BATCH
      filled = np.concatenate([part, part[-1:].repeat(size - len(part), axis=0)])
      found = jax.tree.map(np.asarray, run(filled, limits))
      parts.append(Repaired(*(values[: len(part)] for values in found)))
      bar.update(len(part))
  found = jax.tree.map(lambda *values: np.concatenate(values), *parts)

  def spread(values):
    whole = np.full((len(poses.complete), *values.shape[1:]), np.nan, values.dtype)
    whole[complete] = values
    return whole

  whole = jax.tree.map(spread, found)
  kept = np.where(poses.complete[:, None, None], whole.joints, poses.joints_3d)
  return whole._replace(joints=kept)


def _write(out: str, poses: Poses, repaired: Repaired) -> None:
  """Writes the hands in the unit and on the side of the file that they are from."""
  right = poses.is_right[:, None, None]
  joints = np.where(right, repaired.joints, skeleton.mirror(repaired.joints))
  about = {
    'displacement': repaired.displacement / poses.factor,
    'penalty_before': repaired.penalty_before,
    'penalty_after': repaired.penalty_after,
  }
  write_joints(out, joints / poses.factor, poses.is_right, about=about)


def describe(poses: Poses, repaired: Repaired, limits: HandLimits) -> str:
  """What was wrong, what is left of it, and which joints moved."""
  complete = poses.complete
  size, unit = repaired.displacement, ' mm'
  if not poses.millimetres:
    size, unit = 100 * size / repaired.scale[:, None], ' % of the reference bone'
  size = size[complete]
  before, after = (
    int(np.sum(_within(joints[complete], limits)))
    for joints in (poses.joints_3d, repaired.joints)
  )
  order = np.argsort(-np.median(size, axis=0), kind='stable')
  whole = np.flatnonzero(complete)
  table = [['joint', 'moved by (median)', 'at most']]
  for joint in order[:_WORST]:
    worst = int(np.argmax(size[:, joint]))
    table.append(
      [
        skeleton.JOINT_NAMES[joint],
        f'{np.median(size[:, joint]):.3g}{unit}',
        f'{size[worst, joint]:.3g}{unit} (hand {whole[worst]})',
      ]
    )
  return (
    f'{before} of {complete.sum()} hands kept all limits before, {after} do now. '
    f'Joints moved by {np.median(size):.3g}{unit} in the median, by {size.max():.3g}'
    f'{unit} at most. Those that moved most:\n\n{format_table(table)}\n'
  )


def _within(joints: np.ndarray, limits: HandLimits) -> np.ndarray:
  """Which hands (N,) keep all limits."""
  return np.all(list(measure_violations(joints, limits).within().values()), axis=0)


if __name__ == '__main__':
  main()
