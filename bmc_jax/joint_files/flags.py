"""Flags of the commands that read hands: which file, order, unit and side."""

import argparse
from typing import NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.joint_files import units
from bmc_jax.joint_files.reading import read_joints
from bmc_jax.joint_files.sides import likely_sides
from bmc_jax.limits import HandLimits

UNITS = {'m': 'metres', 'cm': 'centimetres', 'mm': 'millimetres'}


class Poses(NamedTuple):
  """Right hands from a file.

  Attributes:
    joints_3d: (N, 21, 3) in millimetres, or in an unknown unit; left hands mirrored.
    is_right: (N,) which hands were right ones.
    complete: (N,) which hands have all joints.
    millimetres: whether the unit is known.
    note: how left and right were told apart.
    factor: what the lengths of the file were multiplied by.
  """

  joints_3d: np.ndarray
  is_right: np.ndarray
  complete: np.ndarray
  millimetres: bool
  note: str
  factor: float = 1.0

  def describe(self) -> str:
    """How many hands there are, and what was done with them, in one sentence."""
    count, missing = len(self.complete), int(np.sum(~self.complete))
    dropped = f', {missing} of them with missing joints, left out' if missing else ''
    return f'{count} hand{"" if count == 1 else "s"}{dropped}; {self.note}.'


def add_pose_flags(parser: argparse.ArgumentParser) -> None:
  """Adds --order, --unit and --handedness."""
  parser.add_argument(
    '--order',
    choices=sorted(skeleton.JOINT_ORDERS),
    help='joint order; without it that of an array joints_<order>, or canonical',
  )
  parser.add_argument(
    '--unit', choices=sorted(UNITS), help='of the joints; without it lengths are in %%'
  )
  parser.add_argument(
    '--handedness',
    choices=('auto', 'right', 'left'),
    default='auto',
    help='auto: what the file tells, or else the side that fits the limits better',
  )


def read_poses(path: str, flags: argparse.Namespace, limits: HandLimits) -> Poses:
  """Reads the hands of a file and mirrors left ones.

  Raises:
    ValueError, OSError: the file, its order or its unit is wrong.
  """
  file = read_joints(path, flags.order)
  joints, complete = file.joints_3d, file.complete
  if not complete.any():
    raise ValueError(f'{path}: none of its {len(joints)} hands has all 21 joints.')
  factor = 1.0
  if flags.unit:
    units.check_unit(joints[complete], path, UNITS[flags.unit])
    factor = units.UNITS[UNITS[flags.unit]] * 1e3
    joints = joints * factor
  if flags.handedness != 'auto':
    is_right = np.full(len(joints), flags.handedness == 'right')
    note = f'taken as {flags.handedness} hands'
  elif file.is_right is not None:
    is_right, note = file.is_right, 'sides as the file tells'
  else:
    is_right, note = likely_sides(joints, limits), 'sides judged by the limits'
  if flags.handedness == 'auto':
    note += f': {is_right.sum()} right, {np.sum(~is_right)} left'
  joints = np.where(is_right[:, None, None], joints, skeleton.mirror(joints))
  return Poses(joints, is_right, complete, flags.unit is not None, note, factor)
