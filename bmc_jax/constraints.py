"""The biomechanical constraints: soft penalties on 3D hands (paper section 3.1).

Each penalty takes canonical right-hand joints in the unit of the limits (reference
bone = 1 unless their metadata say otherwise) and comes back unreduced, in one number
per bone; `bmc_loss` averages and adds them. Nothing here is jitted or stateful: call
it from your own jitted, vmapped or differentiated code.

    from bmc_jax import constraints, limits
    limits = limits.load_limits('limits.json')
    loss, terms = constraints.bmc_loss(joints_3d, limits)
"""

from collections.abc import Mapping
from types import MappingProxyType

import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import hull, kinematics
from bmc_jax.limits import HandLimits
from bmc_jax.skeleton import Array, as_float, check_joints

WEIGHTS: Mapping[str, float] = MappingProxyType(
  {'bone_length': 5.0, 'root_bone': 0.5, 'joint_angle': 2.0}
)
"""Default weights of the three terms. The paper's are not published."""


def interval_penalty(x: Array, lower: Array | float, upper: Array | float) -> Array:
  """How far x lies outside [lower, upper] (paper section 3.1):
  max(lower - x, 0) + max(x - upper, 0).

  Args:
    x: (*b, *s).
    lower, upper: (*s) or scalar.

  Returns:
    (*b, *s), in the unit of x.
  """
  x = as_float(x)
  lower, upper = (
    jnp.broadcast_to(jnp.asarray(bound, x.dtype), x.shape) for bound in (lower, upper)
  )
  return jnp.maximum(lower - x, 0) + jnp.maximum(x - upper, 0)


def bone_length_penalty(
  joints: Float[Array, '*b 21 3'], limits: HandLimits
) -> Float[Array, '*b 5 4']:
  """Violation of the 20 bones' length ranges (paper 3.1), in the joints' unit."""
  return interval_penalty(kinematics.bone_lengths(joints), *limits.bone_lengths)


def root_bone_penalty(
  joints: Float[Array, '*b 21 3'], limits: HandLimits
) -> Float[Array, '*b 4']:
  """Violation of the palm's structure (paper section 3.1): curvature (1 / unit of the
  joints) plus angle (radians) between neighbouring root bones.
  """
  curvature = kinematics.root_bone_curvatures(joints)
  angle = kinematics.root_bone_angles(joints)
  return interval_penalty(curvature, *limits.curvatures) + interval_penalty(
    angle, *limits.root_angles
  )


def joint_angle_penalty(
  joints: Float[Array, '*b 21 3'], limits: HandLimits, *, hull_power: int = 1
) -> Float[Array, '*b 5 3']:
  """Distance of the 15 bones' (flexion, abduction) to their hulls (paper section 3.1).

  Args:
    joints: (*b, 21, 3).
    limits: their `hulls` are used.
    hull_power: 1 for the distance in radians, 2 for its square.

  Raises:
    ValueError: another power.
  """
  if hull_power not in (1, 2):
    raise ValueError(f'hull_power is 1 or 2, not {hull_power!r}.')
  distance = hull.hull_distance(kinematics.joint_angles(joints), limits.hulls)
  return distance if hull_power == 1 else distance**2


def bmc_loss(
  joints: Float[Array, '*b 21 3'],
  limits: HandLimits,
  *,
  weights: Mapping[str, float] = WEIGHTS,
  hull_power: int = 1,
) -> tuple[Float[Array, '*b'], dict[str, Float[Array, '*b']]]:
  """The biomechanical loss per hand (paper section 3.1):
  L_BMC = w_BL L_BL + w_RB L_RB + w_A L_A.

  Args:
    joints: (*b, 21, 3) canonical right-hand joints, in the unit of the limits.
    limits: ranges and hulls, from `fit_limits`, `load_limits` or `clinical_limits`.
    weights: of `bone_length`, `root_bone` and `joint_angle`; a term left out counts 0.
    hull_power: see `joint_angle_penalty`.

  Returns:
    The weighted sum (*b,) and the three terms (*b,) before weighting, each the mean
    over its bones. Value and gradient are finite for every input whose square is.

  Raises:
    TypeError: the limits are none, but the path of a file, say.
    ValueError: joints of another shape, an unknown weight, or limits for another
      joint order or for left hands.
  """
  check_joints(joints)
  if not isinstance(limits, HandLimits):
    raise TypeError(
      f'limits is {limits!r:.60}, but HandLimits are needed: '
      'bmc_jax.limits.load_limits reads them from a file.'
    )
  limits.metadata.check_fits_canonical_right_hands()
  unknown = set(weights) - set(WEIGHTS)
  if unknown:
    raise ValueError(f'Unknown weights {sorted(unknown)}; known are {sorted(WEIGHTS)}.')
  terms = {
    'bone_length': bone_length_penalty(joints, limits).mean((-1, -2)),
    'root_bone': root_bone_penalty(joints, limits).mean(-1),
    'joint_angle': joint_angle_penalty(joints, limits, hull_power=hull_power).mean(
      (-1, -2)
    ),
  }
  weighted = [weights.get(name, 0.0) * term for name, term in terms.items()]
  return sum(weighted[1:], start=weighted[0]), terms
