"""The limits of a hand as data: a pytree of ranges and hulls."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Float

from bmc_jax.pose25d import REFERENCE
from bmc_jax.skeleton import Array

REFERENCE_UNIT = 'reference bone'


@dataclasses.dataclass(frozen=True)
class LimitsMetadata:
  """Where limits come from and what they apply to.

  Attributes:
    unit: unit of lengths; curvatures are in its inverse.
    reference: the two joints of the reference bone.
    joint_order: a key of `skeleton.JOINT_ORDERS`.
    handedness: 'right' or 'left'.
    source: free text: dataset, subjects, literature.
    coverage: share of the source's values that each limit admits.
    num_poses: how many poses they were fitted on; 0 if not fitted.
    frames: in which the hulls' angles are measured, see `kinematics.bone_frames`.
  """

  unit: str = REFERENCE_UNIT
  reference: tuple[int, int] = REFERENCE
  joint_order: str = 'canonical'
  handedness: str = 'right'
  source: str = ''
  coverage: float = 1.0
  num_poses: int = 0
  frames: str = 'sequential'

  def check_fits_canonical_right_hands(self) -> None:
    """Raises ValueError if the limits are for another joint order or for left hands."""
    if self.joint_order != 'canonical':
      raise ValueError(
        f'These limits are for the joint order {self.joint_order!r}, but the '
        "constraints work on 'canonical' joints: fit them on reordered joints."
      )
    if self.handedness != 'right':
      raise ValueError(
        f'These limits are for {self.handedness!r} hands, but the constraints work on '
        'right hands: fit them on mirrored joints (bmc_jax.skeleton.mirror).'
      )

  def check_reference(self, reference: tuple[int, int] | None) -> None:
    """Raises ValueError if the limits are not in the unit of the joints.

    Args:
      reference: the bone that the joints were divided by; None if they were not.
    """
    joints = None if reference is None else tuple(reference)
    own = self.reference if self.unit == REFERENCE_UNIT else None
    if joints != own:
      raise ValueError(
        f'The limits are in the unit {self.unit!r} with the reference bone '
        f'{self.reference}, but the joints are '
        + (f'in reference bones {joints}' if joints else 'not in reference bones')
        + ': fit the limits anew, or name the right reference.'
      )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class HandLimits:
  """Ranges and hulls of plausible right hands.

  Attributes:
    bone_lengths: (2, 5, 4) least and largest length of each bone.
    curvatures: (2, 4) least and largest palm curvature, 1 / unit.
    root_angles: (2, 4) least and largest angle between root bones, radians.
    hulls: (5, 3, v, 2) convex polygons in (flexion, abduction), radians.
    metadata: unit, reference bone, source.
  """

  bone_lengths: Float[Array, '2 5 4']
  curvatures: Float[Array, '2 4']
  root_angles: Float[Array, '2 4']
  hulls: Float[Array, '5 3 v 2']
  metadata: LimitsMetadata = dataclasses.field(
    default=LimitsMetadata(), metadata={'static': True}
  )


def as_boxes(limits: HandLimits) -> HandLimits:
  """The same limits with the bounding box of each hull in place of the hull.

  That is an independent range of flexion and of abduction for each bone, the baseline
  of the paper's Table 5. A hull across a flexion of pi is stored beyond pi, in one
  piece, and so is its box.

  Args:
    limits: with hulls (5, 3, v, 2).

  Returns:
    Limits with hulls (5, 3, 4, 2), counter-clockwise.
  """
  low, high = limits.hulls.min(axis=-2), limits.hulls.max(axis=-2)
  is_high = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
  low, high = low[..., None, :], high[..., None, :]
  return dataclasses.replace(limits, hulls=low + is_high * (high - low))
