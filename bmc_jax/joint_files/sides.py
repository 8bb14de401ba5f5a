"""Whether hands are right or left ones, by how they bend."""

import jax
import numpy as np

from bmc_jax import constraints, geometry, skeleton
from bmc_jax.limits import HandLimits
from bmc_jax.limits.scale_fit import fit_scale


def likely_sides(joints: np.ndarray, limits: HandLimits) -> np.ndarray:
  """True where a hand breaks the limits less than its mirror image, (N,).

  A mirrored hand bends its fingers backwards and has a hollow back.

  Args:
    joints: (N, 21, 3) in any unit; hands with NaN count as right ones.
    limits: in units of the reference bone.

  Raises:
    ValueError: the limits are for another order, for left hands or in another unit.
  """
  limits.metadata.check_reference(limits.metadata.reference)
  # In float32 a far wrist would cost digits.
  joints = np.asarray(joints - joints[..., :1, :], np.float32)
  return np.asarray(~(_cost(joints, limits) > _cost(skeleton.mirror(joints), limits)))


@jax.jit
def _cost(joints, limits):
  """How far joint angles and palm are outside their limits, (N,)."""
  hands = geometry.safe_divide(joints, fit_scale(joints, limits)[..., None, None])
  angles = constraints.joint_angle_penalty(hands, limits).sum((-1, -2))
  return angles + constraints.root_bone_penalty(hands, limits).sum(-1)
