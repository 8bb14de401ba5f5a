"""Dresses any 21 joints with the hand mesh: skinning by the hand's own kinematics.

Every part of the mesh (forearm, five root bones, fifteen phalanges) has a frame at rest
and one when posed, both from the joints alone, so labels and surface agree by
construction:

    v' = sum_p w_p (R_p'^T diag(t, t, l_p) R_p (v - h_p) + h_p')

with h_p the head of the bone, R_p the rows of its frame, l_p its length over that at
rest and t the thickness of the flesh. A bent joint has a part of its own, turned half
way: the plain mean of two transforms that are 90 degrees apart would pinch it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bmc_jax import geometry, kinematics

NUM_BONES = 21
"""Forearm, root bones of thumb to little finger, the three phalanges of each finger."""

NUM_PARTS = NUM_BONES + 16
"""The bones, and then the joints before each phalanx and at the wrist."""

_MIDDLE_ROOT = 3


class Skeleton(NamedTuple):
  """Where the parts of a hand are. Fields may carry leading batch dimensions."""

  heads: Float[Array, '*b 37 3']
  frames: Float[Array, '*b 37 3 3']  # rows x (into the palm), y, z (along the bone)
  lengths: Float[Array, '*b 37']


def skeleton_of(
  joints: Float[Array, '*b 21 3'], forearm: Float[Array, '*b 3'] | None = None
) -> Skeleton:
  """Parts of a hand, from its joints.

  Args:
    joints: (*b, 21, 3) of a right hand, canonical order, any unit.
    forearm: (*b, 3) direction from the elbow to the wrist, of any length; without it
      the forearm is in line with the middle root bone.
  """
  joints = jnp.asarray(joints)
  batch = joints.shape[:-2]
  bones = kinematics.bone_vectors(joints)
  lengths = kinematics.bone_lengths(joints)
  frames = [kinematics.root_frames(geometry.normalize(bones[..., 0, :]))]
  halfway = []
  for bone in range(1, 4):
    frame, between = _turned(frames[-1], bones[..., bone, :])
    frames.append(frame)
    halfway.append(between)
  middle = frames[0][..., 2:3, :, :]
  along = (
    bones[..., 2:3, 0, :] if forearm is None else jnp.asarray(forearm)[..., None, :]
  )
  arm, cuff = _turned(middle, along)

  wrist = joints[..., :1, :]
  heads = joints[..., 1:, :].reshape(*batch, 5, 4, 3)[..., :3, :]
  heads = heads.reshape(*batch, 15, 3)
  phalanges = lengths[..., 1:].reshape(*batch, 15)
  before = lengths[..., :3].reshape(*batch, 15)

  def flat(turns):
    return jnp.stack(turns, axis=-3).reshape(*batch, 15, 3, 3)

  return Skeleton(
    heads=jnp.concatenate([*6 * [wrist], heads, heads, wrist], axis=-2),
    frames=jnp.concatenate(
      [arm, frames[0], flat(frames[1:]), flat(halfway), cuff], axis=-3
    ),
    lengths=jnp.concatenate(
      [
        lengths[..., 2, :1],
        lengths[..., 0],
        phalanges,
        jnp.sqrt(phalanges * before),
        lengths[..., 2, :1],
      ],
      axis=-1,
    ),
  )


def _turned(frame: Float[Array, '*b 3 3'], bone: Float[Array, '*b 3']):
  """Turns a frame by the shortest arc so that z becomes a bone; also half of that.

  A turn that takes z to b is the reflection in the plane across z, then in the one
  across m, halfway between z and b: x' = x - 2 (x . m) m.
  """
  z, b = frame[..., 2, :], geometry.normalize(bone)
  m = geometry.normalize(z + b)
  quarter = geometry.normalize(z + m)
  return _reflected(frame, m, b), _reflected(frame, quarter, m)


def _reflected(frame, m, z):
  xy = frame[..., :2, :]
  m = m[..., None, :]
  xy = xy - 2 * jnp.sum(xy * m, axis=-1, keepdims=True) * m
  return jnp.concatenate([xy, z[..., None, :]], axis=-2)


def part_weights(weights: Float[np.ndarray, 'v 21']) -> Float[np.ndarray, 'v 37']:
  """Weights of all parts from those of the bones: what two bones share is the joint's.

  Args:
    weights: (V, 21), rows sum to 1.
  """
  bones = np.array(weights, np.float64)
  joints = np.zeros((len(bones), 16))
  for bone in range(6, NUM_BONES):
    # A finger hangs on the whole palm: the root bones share their flesh.
    is_first = (bone - 6) % 3 == 0
    _share(
      bones,
      slice(1, 6) if is_first else slice(bone - 1, bone),
      bone,
      joints[:, bone - 6],
    )
  _share(bones, slice(1, 6), 0, joints[:, 15])
  return np.concatenate([bones, joints], axis=1).astype(np.float32)


def _share(bones, before: slice, bone: int, joint):
  """Moves what a bone has in common with those before it to their joint, in place."""
  palm = bones[:, before].sum(axis=1)
  common = np.minimum(palm, bones[:, bone])
  joint += 2 * common
  bones[:, bone] -= common
  bones[:, before] *= ((palm - common) / np.maximum(palm, 1e-9))[:, None]


def skin(
  vertices: Float[Array, '*b v 3'],
  weights: Float[Array, 'v 37'],
  rest: Skeleton,
  posed: Skeleton,
  thickness: Float[Array, '*b'],
) -> Float[Array, '*b v 3']:
  """Moves vertices with the parts that they belong to: the equation above.

  Args:
    vertices: at rest.
    weights: from `part_weights`.
    rest: the skeleton that the vertices were made for.
    posed: the skeleton that they are to follow.
    thickness: of the flesh, over that at rest, in the units of both.
  """
  stretch = jnp.einsum('...p,p->...p', posed.lengths, 1 / rest.lengths)
  across = jnp.broadcast_to(jnp.asarray(thickness)[..., None], stretch.shape)
  scale = jnp.stack([across, across, stretch], axis=-1)
  turns = jnp.einsum('...pri,...pr,...prj->...pij', posed.frames, scale, rest.frames)
  moves = posed.heads - jnp.einsum('...pij,...pj->...pi', turns, rest.heads)
  blended = jnp.einsum('vp,...pij->...vij', weights, turns)
  offset = jnp.einsum('vp,...pi->...vi', weights, moves)
  return jnp.einsum('...vij,...vj->...vi', blended, vertices) + offset
