"""Limits from 3D hands (paper section 3.1, "approximation of the limits")."""

import functools
import warnings

import jax
import numpy as np
from jaxtyping import Bool, Float

from bmc_jax import hull, kinematics, pose25d
from bmc_jax.console.tables import counted
from bmc_jax.limits import checks, depths, evidence
from bmc_jax.limits.types import HandLimits, LimitsMetadata
from bmc_jax.skeleton import Array, check_joints, mirror, reorder

FEW_HANDS = 10
"""Limits of fewer hands are warned of."""


def fit_limits(
  joints_3d: Float[Array, 'n 21 3'],
  *,
  num_vertices: int = 12,
  coverage: float = 0.999,
  reference: tuple[int, int] = pose25d.REFERENCE,
  joint_order: str = 'canonical',
  is_right: bool | Bool[np.ndarray, ' n'] = True,
  frames: str = 'sequential',
  source: str = '',
  believe_order: bool = False,
) -> HandLimits:
  """Limits from 3D hands, as the paper computes them from a training set.

  Args:
    joints_3d: (n, 21, 3) hands in any unit: each is divided by its reference bone.
    num_vertices: corners of the angle hulls.
    coverage: least share of the values that each range, and of the points that each
      hull, admits. Below 1 it drops label noise; 1 keeps everything.
    reference: the two joints of the reference bone.
    joint_order: the order that the joints are in.
    is_right: False mirrors left hands into right ones first; one value for all, or
      (n,) one for each.
    frames: in which the hulls' angles are measured, see `kinematics.bone_frames`.
    source: free text for the metadata.
    believe_order: whether hands that look to be in another order than `joint_order` are
      only warned of.

  Raises:
    ValueError: wrong shapes, no pose, values that are not finite, missing joints stored
      as 0, 0, 0, a reference bone of no length or of unknown joints, too few corners, a
      bad coverage, unknown frames; 2D points, joints in another order, or hands of
      which more than a tenth are clearly of the other side (`limits.evidence`; of
      fewer, of bones of length 0 and of few hands a UserWarning tells).
  """
  start, end = checks.as_reference(reference)
  hull.check_options(num_vertices, coverage)
  joints = _canonical_poses(joints_3d, joint_order)
  is_right = _per_pose(is_right, joints)
  scale = np.linalg.norm(joints[:, end] - joints[:, start], axis=-1)
  if np.any(scale == 0):
    raise ValueError(
      f'{np.sum(scale == 0)} of {len(joints)} poses have a reference bone '
      f'({start} -> {end}) of length 0: drop them, or choose another reference.'
    )
  _check_evidence(joints, is_right, joint_order, believe_order)
  joints = np.where(is_right[:, None, None], joints, mirror(joints))
  joints = (joints - joints[:, :1]) / scale[:, None, None]

  lengths, curvatures, root_angles, angles = _measure(joints, frames)
  angles = np.asarray(angles, np.float64)
  return HandLimits(
    bone_lengths=_range(lengths, coverage),
    curvatures=_range(curvatures, coverage),
    root_angles=_range(root_angles, coverage),
    hulls=np.stack(
      [
        [
          hull.fit_hull(angles[:, f, b], num_vertices, coverage=coverage)
          for b in range(3)
        ]
        for f in range(5)
      ]
    ),
    metadata=LimitsMetadata(
      reference=(start, end),
      source=source,
      coverage=coverage,
      num_poses=len(joints),
      frames=frames,
    ),
  )


def _canonical_poses(joints_3d, order):
  """Whole poses (n, 21, 3) in canonical order; raises ValueError for others."""
  joints = np.asarray(joints_3d, np.float64)
  if joints.ndim != 3:
    raise ValueError(
      f'joints_3d has the shape {joints.shape}, but (n, 21, 3) is needed.'
    )
  check_joints(joints, 'joints_3d')
  if not len(joints):
    raise ValueError('Limits need at least one pose, but joints_3d is empty.')
  if not np.isfinite(joints).all():
    raise ValueError('joints_3d contains values that are not finite.')
  joints = reorder(joints, order)
  zeros = evidence.stored_as_zero(joints).any(axis=-1)
  if zeros.any():
    raise ValueError(
      f'{zeros.sum()} of {len(joints)} poses have missing joints that are stored as '
      '0, 0, 0: drop them.'
    )
  return joints


def _per_pose(is_right, joints):
  """Handedness (n,), from one value or one for each pose."""
  is_right = np.asarray(is_right)
  if is_right.shape not in ((), (len(joints),)):
    raise ValueError(
      f'is_right has the shape {is_right.shape}, but one True or False is needed, or '
      f'one for each of the {len(joints)} poses.'
    )
  if not np.isin(is_right, (0, 1)).all():
    raise ValueError('is_right holds values other than True and False.')
  return np.broadcast_to(is_right, len(joints)).astype(bool)


def _check_evidence(joints, is_right, order, believe_order):
  """Raises ValueError, or warns, where hands contradict what is told of them.

  Args:
    joints: (n, 21, 3) canonical.
    is_right: (n,).
    order: that they are said to be in.
    believe_order: warns of another one. Sides are only warned of then, too: in a wrong
      order nobody knows them.
  """
  if doubt := depths.doubt_depth(joints):
    raise ValueError(f'joints_3d: {doubt}.')
  for doubt in (evidence.doubt_bones(joints), doubt_count(joints)):
    if doubt:
      _tell(f'{doubt}.', is_error=False)
  other_order = evidence.doubt_order(reorder(joints, 'canonical', order), order)
  if other_order:
    _tell(f'{other_order}: give the right one as joint_order.', not believe_order)
  if doubt := evidence.doubt_sides(joints, is_right):
    _tell(
      f'{doubt}: correct is_right, which is False for left hands, or negate an axis '
      'that is mirrored; wrong sides turn limits inside out.',
      doubt.is_clear and not other_order,
    )


def _tell(what: str, is_error: bool) -> None:
  if is_error:
    raise ValueError(f'joints_3d: {what}')
  warnings.warn(f'joints_3d: {what}', stacklevel=4)


# Called op by op, a hundred small compilations take ten times as long.
@functools.partial(jax.jit, static_argnames='frames')
def _measure(joints, frames):
  return (
    kinematics.bone_lengths(joints),
    kinematics.root_bone_curvatures(joints),
    kinematics.root_bone_angles(joints),
    kinematics.joint_angles(joints, frames=frames),
  )


def _range(values, coverage):
  """The middle share of values: (2, ...) quantiles over the first axis.

  Of the two values beside a quantile the outer one is taken, so that no fewer than
  the share are inside. Values between them would drop both extremes of any set.
  """
  values, tail = np.asarray(values, np.float64), (1 - coverage) / 2
  return np.stack(
    [
      np.quantile(values, tail, axis=0, method='lower'),
      np.quantile(values, 1 - tail, axis=0, method='higher'),
    ]
  )


def doubt_count(joints: np.ndarray) -> str | None:
  """Says what limits of few hands (n, 21, 3) are worth, without a full stop.

  Hands that are the same number by number, as of a tracker that stands still, are one.
  """
  count = len(np.unique(joints.reshape(len(joints), -1), axis=0))
  if count >= FEW_HANDS:
    return None
  copies = f' (the {len(joints)} are copies)' if count < len(joints) else ''
  return (
    f'limits of {counted(count, "hand")}{copies} admit hardly any other one; give '
    'hundreds, in different poses'
  )
