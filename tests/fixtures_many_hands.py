"""Hands of many kinds, thousands at a time, drawn on the device."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bmc_jax import geometry, kinematics, pose25d, skeleton
from bmc_jax.data.procedural.domain import WILD
from bmc_jax.data.procedural.pose import sample_hand


def _zero_bones(key, hands):
  """Joints that fall onto their parent: a third of them, at random."""
  falls = jax.random.bernoulli(key, 0.3, (*hands.shape[:-2], 5, 4, 1))
  bones = jnp.where(falls, 0, kinematics.bone_vectors(hands))
  return _from_bones(bones)


def _from_bones(bones):
  joints = jnp.cumsum(bones, axis=-2).reshape(*bones.shape[:-3], 20, 3)
  return jnp.concatenate([jnp.zeros_like(joints[..., :1, :]), joints], axis=-2)


def _with_roots(hands, roots):
  return _from_bones(kinematics.bone_vectors(hands).at[..., 0, :].set(roots))


def _coincident_knuckles(key, hands):
  """Knuckles that fall onto another finger's."""
  other = jax.random.randint(key, (len(hands), 5, 1), 0, 5)
  roots = kinematics.bone_vectors(hands)[..., 0, :]
  return _with_roots(hands, jnp.take_along_axis(roots, other, axis=1))


def _collinear_knuckles(key, hands):
  """Knuckles on one line, which goes through the wrist for every other hand."""
  roots = kinematics.bone_vectors(hands)[..., 0, :]
  through_wrist = (np.arange(len(hands)) % 2 == 0)[:, None, None]
  start = jnp.where(through_wrist, 0, roots[:, :1])
  steps = jnp.round(jax.random.normal(key, (len(hands), 5, 1)), 1)
  return _with_roots(hands, start + steps * roots[:, 2:3])


def _straight_fingers(key, hands):
  """Bones along the root bone, or exactly against it."""
  bones = kinematics.bone_vectors(hands)
  forth = jax.random.rademacher(key, (len(hands), 5, 4, 1), jnp.float32)
  return _from_bones(forth.at[:, :, 0].set(1) * bones[:, :, :1])


def _right_angles(key, hands):
  """Flexion of 0, +-pi/2 or +-pi, and abduction of 0 or +-pi/2: bones along y."""
  shape, flexion_key, abduction_key = (len(hands), 5, 3), *jax.random.split(key)
  flexion = jax.random.randint(flexion_key, shape, -2, 3)
  abduction = jax.random.randint(abduction_key, shape, -1, 2)
  angles = np.pi / 2 * jnp.stack([flexion, abduction], axis=-1)
  bones = kinematics.bone_vectors(hands)
  roots = geometry.normalize(bones[..., 0, :])
  return kinematics.forward_kinematics(angles, geometry.safe_norm(bones), roots)


def _scaled(key, hands, shape=(), low=-6.0, high=6.0):
  """Hands (or with a shape of (21,) joints) times 10 to a random power."""
  exponents = jax.random.uniform(key, (len(hands), *shape), minval=low, maxval=high)
  exponents = exponents.reshape(len(hands), *(shape or (1,)), 1)
  return hands * 10.0**exponents


def _gaussian(key, hands):
  return jax.random.normal(key, hands.shape)


KINDS = {
  'Gaussian': _gaussian,
  'procedural': lambda key, hands: hands,
  'Gaussian, any scale': lambda key, hands: _scaled(key, _gaussian(key, hands)),
  'any scale': _scaled,
  'any scale per joint': functools.partial(_scaled, shape=(21,)),
  'almost one point': functools.partial(_scaled, low=-44.0, high=-6.0),
  'one point': lambda key, hands: jnp.broadcast_to(hands[:, :1], hands.shape),
  'on a lattice': lambda key, hands: jnp.round(_gaussian(key, hands)),
  'flat': lambda key, hands: hands * np.array([[[1, 1, 0]]]),
  'on a line': lambda key, hands: hands * np.array([[[0, 1, 0]]]),
  'left': lambda key, hands: skeleton.mirror(hands),
  'zero bones': _zero_bones,
  'coincident knuckles': _coincident_knuckles,
  'collinear knuckles': _collinear_knuckles,
  'straight fingers': _straight_fingers,
  'right angles': _right_angles,
}


@jax.jit
def procedural_hands(keys: Array) -> Array:
  """Right hands before a camera, in metres: (n, 21, 3) from n keys."""
  return jax.vmap(lambda key: sample_hand(key, WILD, 128).joints_3d)(keys)


@functools.partial(jax.jit, static_argnames='count')
def hands_of_all_kinds(key: Array, count: int) -> Array:
  """(kinds, count, 21, 3) hands; those not scaled are in reference bones."""
  keys = jax.random.split(key, (len(KINDS) + 1, count))
  hands = procedural_hands(keys[0])
  hands = pose25d.in_reference_bones(hands)
  hands = hands - hands[:, :1]
  return jnp.stack(
    [make(key[0], hands) for make, key in zip(KINDS.values(), keys[1:], strict=True)]
  )
