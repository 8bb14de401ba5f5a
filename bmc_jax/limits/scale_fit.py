"""How large a hand is, by all of its bones and the ranges of their lengths."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import kinematics, pose25d
from bmc_jax.limits import HandLimits
from bmc_jax.skeleton import Array, as_float


def fit_scale(
  joints: Float[Array, '*b 21 3'], limits: HandLimits
) -> Float[Array, '*b']:
  """The length of the limits' unit, by a median over all bones.

  One wrong joint spoils the length of a single bone, such as the reference bone, and
  with it every comparison that takes this bone for a ruler. At the scale s that
  minimises

      sum_i max(log(s lo_i / l_i), log(l_i / (s hi_i)), 0)

  over the 20 lengths l_i and their ranges [lo_i, hi_i], as many bones are too long as
  too short: s lies between the two middle ones of the 40 quotients l_i / lo_i and
  l_i / hi_i. Of the scales there the nearest to the length of the reference bone is
  taken, so that hands that keep their limits in reference bones do so at s.

  Args:
    joints: (*b, 21, 3) canonical joints in any unit.
    limits: whose `bone_lengths` are used.

  Returns:
    (*b,) in the unit of the joints; 0 if half of the bones and more have no length, NaN
    where a joint is NaN.
  """
  joints = as_float(joints)
  lengths = kinematics.bone_lengths(joints)
  quotients = [_quotient(lengths, bound) for bound in limits.bone_lengths]
  quotients = jnp.concatenate(quotients, axis=-1)
  ordered = jnp.sort(jax.lax.stop_gradient(quotients))
  lower, upper = (_of_value(quotients, ordered[..., i]) for i in (19, 20))
  reference = pose25d.scale_of(joints, limits.metadata.reference)
  scale = jnp.clip(reference, lower, upper)
  return jnp.where(jnp.isnan(lengths).any(axis=(-1, -2)), jnp.nan, scale)


def _of_value(quotients, value):
  """(*b,) the value, with the gradient of the quotients (*b, 40) that have it.

  JAX differentiates no sort of hands that are sharded explicitly.
  """
  found = quotients == value[..., None]
  return jnp.max(quotients, axis=-1, where=found, initial=0)


def _quotient(lengths, bound):
  """(*b, 20); infinite where the bound is 0: no scale is too large for it."""
  bound = jnp.broadcast_to(jnp.asarray(bound, lengths.dtype), lengths.shape)
  quotient = jnp.where(bound > 0, lengths / jnp.where(bound > 0, bound, 1), jnp.inf)
  return quotient.reshape(*lengths.shape[:-2], 20)
