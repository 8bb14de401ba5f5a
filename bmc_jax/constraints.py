"""The biomechanical constraints: soft penalties on 3D hands (paper section 3.1).

Each penalty takes canonical right-hand joints in the unit of the limits (reference
bone = 1 unless their metadata say otherwise) and comes back unreduced, in one number
per bone; `bmc_loss` averages and adds them. All raise TypeError for what is no
`HandLimits`, and ValueError for joints of another shape and for limits of left hands or
of another joint order. Nothing here is jitted or stateful: call
it from your own jitted, vmapped or differentiated code.

    from bmc_jax import constraints, limits
    hand_limits = limits.load_limits('limits.json')
    loss, terms = constraints.bmc_loss(joints, hand_limits)
"""

from collections.abc import Mapping
from types import MappingProxyType

import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import anatomy, hull, pose25d, vector
from bmc_jax.bone_weights import (
  check_bone_weights,
  check_confidence,
  mean_over_bones,
)
from bmc_jax.kinematics import batch_first
from bmc_jax.limits import HandLimits
from bmc_jax.skeleton import Array, as_float, check_joints, check_not_negative

WEIGHTS: Mapping[str, float] = MappingProxyType(
  {'bone_length': 3.0, 'root_bone': 10.0, 'joint_angle': 4.0}
)
"""Default weights of the three terms. The paper's are not published: their ratio was
found on real poses (`configs/tables/study.py`)."""


def _check_limits(limits):
  if not isinstance(limits, HandLimits):
    raise TypeError(
      f'limits is {limits!r:.60}, but HandLimits are needed: '
      'bmc_jax.limits.load_limits reads them from a file.'
    )
  limits.metadata.check_fits_canonical_right_hands()


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
  _check_limits(limits)
  return batch_first(_bone_length(anatomy.bones(joints), limits), axes=2)


def _bone_length(bones, limits):
  return _outside(anatomy.lengths(bones), limits.bone_lengths)


def root_bone_penalty(
  joints: Float[Array, '*b 21 3'], limits: HandLimits
) -> Float[Array, '*b 4']:
  """Violation of the palm's structure (paper section 3.1): curvature (1 / unit of the
  joints) plus angle (radians) between neighbouring root bones.
  """
  _check_limits(limits)
  roots = anatomy.bones(joints).roots
  penalty = _root_bone(roots, vector.normalize(roots), limits)
  return batch_first(penalty, axes=1)


def _root_bone(roots, directions, limits):
  curvatures = anatomy.curvatures(roots, anatomy.palm_normals(directions))
  angles = anatomy.root_angles(directions)
  return _outside(curvatures, limits.curvatures) + _outside(angles, limits.root_angles)


def joint_angle_penalty(
  joints: Float[Array, '*b 21 3'],
  limits: HandLimits,
  *,
  hull_power: int = 1,
  hull_distance: str = 'euclidean',
  stop_frame_gradient: bool = False,
) -> Float[Array, '*b 5 3']:
  """Distance of the 15 bones' (flexion, abduction) to their hulls (paper section 3.1).

  Args:
    joints: (*b, 21, 3).
    limits: their `hulls` are used, with the frames that they were fitted with.
    hull_power: 1 for the distance, 2 for its square.
    hull_distance: 'euclidean' or 'chordal_l1', see `hull.hull_distance`.
    stop_frame_gradient: takes the frames that the angles are measured in for constant,
      so that a bone is turned back by moving its own two joints alone.

  Raises:
    ValueError: another power, an unknown distance.
  """
  _check_limits(limits)
  directions = anatomy.directions(anatomy.bones(joints))
  penalty = _joint_angle(
    directions,
    limits,
    hull_power=hull_power,
    hull_distance=hull_distance,
    stop_frame_gradient=stop_frame_gradient,
  )
  return batch_first(penalty, axes=2)


def _joint_angle(directions, limits, *, hull_power, hull_distance, stop_frame_gradient):
  if hull_power not in (1, 2):
    raise ValueError(f'hull_power is 1 or 2, not {hull_power!r}.')
  angles = anatomy.angles(
    directions, limits.metadata.frames, stop_frame_gradient=stop_frame_gradient
  )
  distance = hull.angle_distance(*angles, limits.hulls, hull_distance)
  return distance if hull_power == 1 else distance**2


def _outside(x, bounds):
  """`interval_penalty` of x (bone, finger, *b) with the bounds (2, finger, bone)."""
  lower, upper = (
    jnp.asarray(bound).T.reshape(bound.T.shape + (1,) * (x.ndim - bound.ndim))
    for bound in bounds
  )
  return interval_penalty(x, lower, upper)


def bmc_loss(
  joints: Float[Array, '*b 21 3'],
  limits: HandLimits,
  *,
  weights: Mapping[str, float] = WEIGHTS,
  bone_weights: Mapping[str, Array] = MappingProxyType({}),
  confidence: Float[Array, '*b 21'] | None = None,
  hull_power: int = 1,
  hull_distance: str = 'euclidean',
  stop_frame_gradient: bool = False,
  reference: tuple[int, int] | None = pose25d.REFERENCE,
) -> tuple[Float[Array, '*b'], dict[str, Float[Array, '*b']]]:
  """The biomechanical loss per hand (paper section 3.1):
  L_BMC = w_BL L_BL + w_RB L_RB + w_A L_A.

  Args:
    joints: (*b, 21, 3) canonical right-hand joints, in the unit of the limits.
    limits: ranges and hulls, from `fit_limits`, `load_limits` or `mano_limits`...
    weights: of `bone_length`, `root_bone` and `joint_angle`; a term left out counts 0.
    bone_weights: of the bones in the mean of each term, (5, 4), (4,) and (5, 3) under
      the same names; a term left out weighs all of them alike.
    confidence: (*b, 21) in [0, 1]: a bone counts with the least confidence among the
      joints that its quantity is computed from. No gradient flows into it.
    hull_power, hull_distance, stop_frame_gradient: see `joint_angle_penalty`.
    reference: the two joints of the bone that the joints were divided by; None for
      joints and limits in a unit of their own, such as metres.

  Returns:
    The weighted sum (*b,) and the three terms (*b,) before weighting, each the
    weighted mean over its bones, or 0 if they all weigh 0. Value and gradient are
    finite for every input whose square is.

  Raises:
    TypeError: the limits are none, but the path of a file, say.
    ValueError: joints, weights or confidences of another shape, an unknown weight or
      option, limits for another joint order, reference bone or for left hands, or
      (where values are known) weights or confidences below 0.
  """
  check_joints(joints)
  _check_limits(limits)
  limits.metadata.check_reference(reference)
  unknown = set(weights) - set(WEIGHTS)
  if unknown:
    raise ValueError(f'Unknown weights {sorted(unknown)}; known are {sorted(WEIGHTS)}.')
  for name, weight in weights.items():
    check_not_negative(weight, f'The weight of {name!r}')
  check_bone_weights(bone_weights)
  if confidence is not None:
    check_confidence(confidence, joints)
  bones = anatomy.bones(joints)
  directions = anatomy.directions(bones)
  penalties = {
    'bone_length': _bone_length(bones, limits),
    'root_bone': _root_bone(bones.roots, directions.roots, limits),
    'joint_angle': _joint_angle(
      directions,
      limits,
      hull_power=hull_power,
      hull_distance=hull_distance,
      stop_frame_gradient=stop_frame_gradient,
    ),
  }
  terms = {
    name: mean_over_bones(penalty, name, bone_weights, confidence)
    for name, penalty in penalties.items()
  }
  weighted = [weights.get(name, 0.0) * term for name, term in terms.items()]
  return sum(weighted[1:], start=weighted[0]), terms
