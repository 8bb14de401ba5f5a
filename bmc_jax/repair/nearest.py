"""The nearest plausible hand to noisy joints, by gradient descent on the constraints.

    repair = jax.jit(bmc_jax.repair.repair, static_argnames=('keep', 'num_steps'))
    joints_3d = repair(joints_3d, hand_limits).joints

Not part of the pure core, since it needs optax (the extra `repair`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import constraints, geometry
from bmc_jax.console.installation import how_to_add
from bmc_jax.limits import HandLimits
from bmc_jax.limits.scale_fit import fit_scale
from bmc_jax.skeleton import (
  Array,
  as_float,
  check_before_camera,
  check_joints,
  check_not_negative,
)

try:
  import optax
except ImportError as error:
  raise ImportError(
    f'bmc_jax.repair needs optax, which is not installed: {how_to_add("repair")}.'
  ) from error

KEEP = ('nothing', 'projection')

_LEARNING_RATE = 0.05
"""Reference bones: about the length of the first steps."""

_FIRST_WIDTH, _LAST_WIDTH = 1.0, 0.003
"""Of the rounded corner of |v|, in the unit of v."""

_SHARPENING = 0.7
"""After this share of the steps the corner has its last width."""

WEIGHTS = {'bone_length': 5.0, 'root_bone': 0.5, 'joint_angle': 2.0}
"""Of the constraints. They end near 0 whatever their weights; docs/repair.md was
measured with these."""

_PLAUSIBLE = 1e-5
"""Up to this loss a hand counts as plausible: float32 does not measure better."""


class Repaired(NamedTuple):
  """Repaired hands, and how much was wrong with them.

  Attributes:
    joints: (*b, 21, 3) in the unit and the frame of the input.
    scale: (*b,) length of the limits' unit, in the unit of the joints.
    penalty_before: (*b,) loss of the constraints (`WEIGHTS`) for the input, at the
      scale at which it is first judged.
    penalty_after: (*b,) the same of the result at `scale`: about 0, unless the
      constraints contradict each other or what is kept.
    displacement: (*b, 21) how far each joint moved, in the unit of the joints.
  """

  joints: Float[Array, '*b 21 3']
  scale: Float[Array, '*b']
  penalty_before: Float[Array, '*b']
  penalty_after: Float[Array, '*b']
  displacement: Float[Array, '*b 21']


def repair(
  joints: Float[Array, '*b 21 3'],
  limits: HandLimits,
  *,
  keep: str = 'nothing',
  confidence: Float[Array, '*b 21'] | None = None,
  scale: Float[Array, '*b'] | Float[Array, ''] | float | None = None,
  weight: float = 3.0,
  num_steps: int = 200,
) -> Repaired:
  """The nearest plausible hand: its joints moved as little as the limits allow.

  With the joints J_k, their displacements d_k, a scale s and the violations v_i of the
  20 bone lengths, of the palm and of the 15 joint angles (paper section 3.1), it
  minimises over d and s

      sum_k w_k |d_k|^2 / s_0^2 + weight * sum_i |v_i((J + d) / s)|

  where s_0 is a first estimate of s. The absolute value is an exact penalty: from a
  finite weight on the violations of the minimum are 0. No violation pulls harder than
  its weight, so that one which cannot be removed does not bend the hand. Its corner is
  rounded, less and less, while Adam descends.

  Args:
    joints: (*b, 21, 3) canonical right-hand joints in any unit.
    limits: ranges and hulls.
    keep: `nothing` lets joints move freely; `projection` only along their viewing
      rays, from the origin through the joint, so that the hand looks the same to any
      camera there. The joints must then be in the camera's frame, all at z > 0. Under
      `jit` nobody can see that they are not: relative to the root they hardly change.
    confidence: (*b, 21) weights w_k >= 0 of the joints, 1 if left out: proportional
      to the inverse variance of their noise, about 1 on average.
    scale: (*b,), or one for all: the length of the limits' unit (of the reference bone,
      say) in the unit of the joints, where it is known. None estimates it together
      with the hand.
    weight: of a violation (reference bones, radians), against squared displacements in
      reference bones. Less leaves violations, but trusts the joints more.
    num_steps: of gradient descent, 1 or more.

  Returns:
    `Repaired`. A hand that is plausible already comes back as it is. The result is
    finite for degenerate hands; where a joint is NaN, it and the penalties stay NaN.

  Raises:
    ValueError: an argument of another shape, an unknown `keep`, no steps, limits for
      another joint order, for left hands or not in reference bones, or (where values
      are known) a confidence, scale or weight below 0 or joints that are not before the
      camera whose projection is to be kept.
  """
  joints = as_float(joints)
  check_joints(joints)
  if keep not in KEEP:
    raise ValueError(f'keep is {keep!r}; it must be one of {", ".join(KEEP)}.')
  if num_steps < 1:
    raise ValueError(f'num_steps is {num_steps}, but at least one step is needed.')
  check_not_negative(weight, 'weight')
  if limits.metadata.unit_bone is None:
    raise ValueError(
      f'The limits are in the unit {limits.metadata.unit!r}, but repair needs them in '
      'reference bones, as fit_limits gives them.'
    )
  if keep == 'projection':
    check_before_camera(joints, "keep='projection'")
  batch = joints.shape[:-2]
  confidence = 1 if confidence is None else confidence
  confidence = _broadcast('confidence', confidence, joints.shape[:-1], joints.dtype)
  if scale is None:
    unit = fit_scale(joints, limits)
  else:
    unit = _broadcast('scale', scale, batch, joints.dtype)
  hand = _relative(joints, unit)
  before = _loss(hand, limits)
  directions, axes = jnp.ones_like(joints), 3
  if keep == 'projection':
    directions, axes = geometry.normalize(joints), 1

  def judged(change):
    moved = hand + change.step * directions
    return moved / jnp.exp(change.log_scale)[..., None, None]

  def objective(change, width):
    if scale is not None:
      change = change._replace(log_scale=jax.lax.stop_gradient(change.log_scale))
    distance = jnp.sum(change.step**2, axis=-1)
    violation = _rounded(_violations(judged(change), limits), width)
    return jnp.sum(confidence * distance) + weight * jnp.sum(violation)

  nothing = _Change(jnp.zeros_like(joints[..., :axes]), jnp.zeros_like(unit))
  change = _minimize(objective, nothing, num_steps)
  # Adam would follow the gradient of rounding errors, too.
  is_plausible = before <= _PLAUSIBLE
  change = _Change(
    jnp.where(is_plausible[..., None, None], 0, change.step),
    jnp.where(is_plausible, 0, change.log_scale),
  )
  displacement = unit[..., None, None] * change.step * directions
  after = _loss(judged(change), limits)
  return Repaired(
    joints=joints + displacement,
    scale=unit * jnp.exp(change.log_scale),
    penalty_before=before,
    penalty_after=after,
    displacement=geometry.safe_norm(displacement),
  )


class _Change(NamedTuple):
  """What is sought: a step of each joint along its directions, and a growth."""

  step: Float[Array, '*b 21 n']
  log_scale: Float[Array, '*b']


def _broadcast(name, value, shape, dtype):
  check_not_negative(value, name)
  value = jnp.asarray(value, dtype)
  if value.shape not in ((), shape):
    raise ValueError(f'{name} has the shape {value.shape}, but {shape} is needed.')
  return jnp.broadcast_to(value, shape)


def _relative(joints, unit):
  """Joints in the given unit, from the wrist on: near 0, where floats are dense."""
  return geometry.safe_divide(joints - joints[..., :1, :], unit[..., None, None])


def _loss(joints, limits: HandLimits):
  return constraints.bmc_loss(
    joints, limits, weights=WEIGHTS, reference=limits.metadata.unit_bone
  )[0]


def _violations(joints, limits: HandLimits):
  """All of a hand's violations, (*b, 39)."""
  batch = joints.shape[:-2]
  parts = (
    constraints.bone_length_penalty(joints, limits).reshape(*batch, 20),
    constraints.root_bone_penalty(joints, limits),
    constraints.joint_angle_penalty(joints, limits).reshape(*batch, 15),
  )
  return jnp.concatenate(parts, axis=-1)


def _rounded(violation, width):
  """|v| with a rounded corner: sqrt(v^2 + w^2) - w."""
  return jnp.sqrt(violation**2 + width**2) - width


def _minimize(objective, start: _Change, num_steps: int) -> _Change:
  """Descends with Adam while the corner sharpens, exponentially, and then stays."""
  optimizer = optax.adam(
    optax.cosine_decay_schedule(_LEARNING_RATE, num_steps), b2=0.99
  )
  width = optax.exponential_decay(
    _FIRST_WIDTH,
    transition_steps=_SHARPENING * num_steps,
    decay_rate=_LAST_WIDTH / _FIRST_WIDTH,
    end_value=_LAST_WIDTH,
  )

  def descend(carry, index):
    change, state = carry
    gradient = jax.grad(objective)(change, width(index))
    updates, state = optimizer.update(gradient, state)
    return (jax.tree.map(jnp.add, change, updates), state), None

  carry = start, optimizer.init(start)
  (change, _), _ = jax.lax.scan(descend, carry, jnp.arange(num_steps))
  return change
