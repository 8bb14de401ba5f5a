r"""Judges hands from any detector: which bones break which limit, and by how much.

    python -m bmc_jax.plausibility joints.npz --order mediapipe --unit m \
        --limits limits.json --out page.html

The forms of joint files are listed in `bmc_jax.joint_files`; `clinical` stands for the
limits from the literature. Lengths are told in millimetres if the unit is known,
otherwise in percent of the reference bone; angles in degrees.
"""

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np

from bmc_jax import limits as limits_lib
from bmc_jax import pose_flags, violations
from bmc_jax.errors import USER_ERRORS, fail
from bmc_jax.limits_command import describe_poses, format_table

_NUM_WORST = 12


@dataclasses.dataclass(frozen=True)
class Judgement:
  """What is wrong with hands, in units that people read.

  Attributes:
    poses: the hands, as they were read.
    broken: by field of `violations.Violations`, (N, ...) whether a limit is broken.
    excess: by field, (N, ...) by how much: signed for lengths and the palm, in `units`.
    units: by field.
    judged: (N,) False for hands with missing joints or of no size.
  """

  poses: pose_flags.Poses
  broken: dict[str, np.ndarray]
  excess: dict[str, np.ndarray]
  units: dict[str, str]
  judged: np.ndarray

  @property
  def num_broken(self) -> np.ndarray:
    """How many of its 43 limits each hand breaks, (N,)."""
    counts = [b.reshape(len(b), -1).sum(axis=1) for b in self.broken.values()]
    return np.sum(counts, axis=0)

  def worst(self) -> np.ndarray:
    """Hands that break limits: those that break most come first."""
    order = np.argsort(-self.num_broken, kind='stable')
    return order[self.num_broken[order] > 0]

  def describe(self, hand: int) -> list[str]:
    """What is wrong with one hand, one phrase a limit."""
    return [
      f'{violations.NAMES[name][index]} {self._amount(name, (hand, *index))}'
      for name, broken in self.broken.items()
      for index in map(tuple, np.argwhere(broken[hand]))
    ]

  def _amount(self, name: str, index: tuple[int, ...]) -> str:
    return f'{self.excess[name][index]:+.3g}{self.units[name]}'

  def table(self) -> list[list[str]]:
    """Each limit that is broken, the most frequent first."""
    rows = []
    total = max(int(self.judged.sum()), 1)
    for name, broken in self.broken.items():
      for index in map(tuple, np.argwhere(broken.any(axis=0))):
        column = (slice(None), *index)
        hands = np.flatnonzero(broken[column])
        sizes = np.abs(self.excess[name][column][hands])
        worst = hands[sizes.argmax()]
        rows.append(
          (
            len(hands),
            [
              str(violations.NAMES[name][index]),
              f'{len(hands)} ({len(hands) / total:.1%})',
              f'{np.median(sizes):.3g}{self.units[name]}',
              f'{self._amount(name, (worst, *index))} (hand {worst})',
            ],
          )
        )
    rows.sort(key=lambda row: -row[0])
    heading = ['limit', 'broken by', 'median excess', 'largest']
    return [heading, *(row for _, row in rows)]


def judge(poses: pose_flags.Poses, limits: limits_lib.HandLimits) -> Judgement:
  """Compares hands with limits."""
  found = violations.measure_violations(poses.joints_3d, limits)
  if poses.millimetres:
    length, curvature, units = found.scale, 1e3 / found.scale, (' mm', ' 1/m')
  else:
    length, curvature = np.full_like(found.scale, 100), np.ones_like(found.scale)
    units = (' % of the reference bone', ' / reference bone')
  return Judgement(
    poses=poses,
    broken=found.broken(),
    excess={
      'bone_lengths': found.bone_lengths * length[:, None, None],
      'curvatures': found.curvatures * curvature[:, None],
      'root_angles': np.degrees(found.root_angles),
      'joint_angles': np.degrees(found.joint_angles),
    },
    units={
      'bone_lengths': units[0],
      'curvatures': units[1],
      'root_angles': '°',
      'joint_angles': '°',
    },
    judged=found.judged,
  )


def summary(judgement: Judgement) -> str:
  """How many hands keep all limits, in two sentences."""
  judged = int(judgement.judged.sum())
  within = int(np.sum(judgement.judged & (judgement.num_broken == 0)))
  without = int(np.sum(judgement.poses.complete & ~judgement.judged))
  verb = 'is' if without == 1 else 'are'
  flat = f' {without} of no size {verb} not judged.' if without else ''
  share = f' ({within / judged:.1%})' if judged else ''
  return (
    f'{describe_poses(judgement.poses)}{flat} {within} of {judged} hands{share} keep '
    'all limits.'
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = argparse.ArgumentParser(
    prog='python -m bmc_jax.plausibility',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('joints', help='.npy, .npz, .csv or .json file of 3D joints')
  parser.add_argument('--limits', required=True, help="limits file, or 'clinical'")
  parser.add_argument('--out', help='page to write')
  pose_flags.add_pose_flags(parser)
  flags = parser.parse_args(argv)
  try:
    limits = limits_lib.open_limits(flags.limits)
    judgement = judge(pose_flags.read_poses(flags.joints, flags, limits), limits)
    print(f'{summary(judgement)}\n')
    print(format_table(judgement.table()))
    for hand in judgement.worst()[:_NUM_WORST]:
      print(f'hand {hand}: {", ".join(judgement.describe(hand))}')
    if flags.out:
      from bmc_jax.report import plausibility_page

      title = f'Plausibility of {flags.joints}, by {flags.limits}'
      plausibility_page.write_plausibility_page(flags.out, title, judgement, limits)
      print(flags.out)
  except USER_ERRORS as error:
    fail(str(error))


if __name__ == '__main__':
  main()
