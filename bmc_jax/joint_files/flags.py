"""Flags of the commands that read hands: which file, order, unit and side."""

import argparse
from typing import NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.errors import warn
from bmc_jax.console.tables import counted
from bmc_jax.joint_files import units
from bmc_jax.joint_files.reading import JointFile, read_joints
from bmc_jax.joint_files.sides import likely_sides
from bmc_jax.limits import HandLimits
from bmc_jax.limits.evidence import SideDoubt, doubt_bones, doubt_sides

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
    doubts: what the hands contradict, which was warned of, in sentences.
  """

  joints_3d: np.ndarray
  is_right: np.ndarray
  complete: np.ndarray
  millimetres: bool
  note: str
  factor: float = 1.0
  doubts: tuple[str, ...] = ()

  def describe(self) -> str:
    """How many hands there are, and what was done with them, in one sentence."""
    count, missing = len(self.complete), int(np.sum(~self.complete))
    dropped = f', {missing} of them with missing joints, left out' if missing else ''
    return f'{counted(count, "hand")}{dropped}; {self.note}.'


def add_pose_flags(parser: argparse.ArgumentParser) -> None:
  """Adds --order, --unit and --handedness."""
  parser.add_argument(
    '--order',
    choices=sorted(skeleton.JOINT_ORDERS),
    help='joint order, whatever the hands look like; without it that of an array '
    'joints_<order>, of joint_order or of a header, or canonical',
  )
  parser.add_argument(
    '--unit',
    choices=sorted(UNITS),
    help='of the joints; without it that which the file tells, or lengths are in %%',
  )
  parser.add_argument(
    '--handedness',
    choices=('auto', 'right', 'left', 'told', 'judged', 'swapped'),
    default='auto',
    help='told: that of the file, whatever the hands look like; swapped: the other '
    'one; judged: the side that fits the limits better; auto: told, or else judged',
  )


def read_poses(
  path: str, flags: argparse.Namespace, limits: HandLimits, *, strict: bool = False
) -> Poses:
  """Reads the hands of a file, mirrors left ones, and warns of what they contradict.

  Args:
    path: of the file.
    flags: those of `add_pose_flags`.
    limits: that tell sides where nothing else does.
    strict: whether sides that the hands clearly contradict are an error, where they
      are not asked for, or most hands contradict them.

  Raises:
    ValueError, OSError: the file, its order, its unit or its sides are wrong.
  """
  file = read_joints(path, flags.order)
  joints, complete = file.joints_3d, file.complete
  doubts = [f'{doubt}; --order {flags.order} overrules that' for doubt in file.doubts]
  if not complete.any():
    told = counted(len(joints), 'hand')
    raise ValueError(f'{path}: none of its {told} has all 21 joints.')
  if flags.unit and file.unit and flags.unit != file.unit:
    raise ValueError(
      f'{path} tells the unit {file.unit}, which contradicts --unit {flags.unit}.'
    )
  if doubt := doubt_bones(joints):
    doubts.append(doubt)
  doubts = [f'{path}: {doubt}.' for doubt in doubts]
  for doubt in doubts:
    warn(doubt)
  factor, unit = 1.0, flags.unit or file.unit
  if unit:
    units.check_unit(joints[complete], path, UNITS[unit])
    factor = units.UNITS[UNITS[unit]] * 1e3
    joints = joints * factor
  is_right, note = _sides(path, file, flags.handedness, limits)
  asked = flags.handedness
  if asked == 'auto':
    asked = 'judged' if file.is_right is None else 'told'
  doubt = doubt_sides(joints, is_right)
  if doubt:
    told = f'{path}: {doubt}: {_remedy(doubt, asked)}.'
    is_wrong = doubt.is_of_most or flags.handedness == 'auto'
    # In a wrong order nobody knows the sides.
    if strict and doubt.is_clear and is_wrong and not file.doubts:
      raise ValueError(told)
    warn(told)
    doubts.append(told)
  joints = np.where(is_right[:, None, None], joints, skeleton.mirror(joints))
  told = [f'unit as the file tells: {unit}'] if unit and not flags.unit else []
  note = '; '.join([note, *told, *file.notes])
  return Poses(
    joints, is_right, complete, unit is not None, note, factor, tuple(doubts)
  )


def _sides(
  path: str, file: JointFile, asked: str, limits: HandLimits
) -> tuple[np.ndarray, str]:
  """Which hands (N,) are right, and how that is known."""
  if asked in ('right', 'left'):
    is_right = np.full(len(file.joints_3d), asked == 'right')
    return is_right, f'taken as {asked} hands'
  if asked == 'judged' or asked == 'auto' and file.is_right is None:
    is_right = likely_sides(file.joints_3d, limits)
    note = 'sides judged by the limits'
  elif file.is_right is None:
    raise ValueError(f'{path} tells no sides: give --handedness judged, right or left.')
  elif asked == 'swapped':
    is_right, note = ~file.is_right, 'the sides that the file tells are swapped'
  else:
    is_right, note = file.is_right, 'sides as the file tells'
  right, left = (int(np.sum(side[file.complete])) for side in (is_right, ~is_right))
  return is_right, f'{note}: {right} right, {left} left'


def _remedy(doubt: SideDoubt, asked: str) -> str:
  """What to do about hands that contradict the sides that were asked for."""
  if not doubt.is_clear:
    return 'they may be odd hands, or wrong ones'
  if asked == 'judged':
    remedy = (
      'the limits are those of other hands, or the fingers bend backwards; give '
      '--handedness right or left'
    )
  elif not doubt.is_of_most:
    remedy = 'give --handedness judged'
  elif asked == 'told':
    remedy = (
      'MediaPipe tells the sides of a mirrored picture; give --handedness swapped'
    )
  else:
    other = {'right': 'left', 'left': 'right', 'swapped': 'told'}
    remedy = f'give --handedness {other[asked]}'
  return f'{remedy}, or negate an axis that is mirrored'
