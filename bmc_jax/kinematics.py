"""Bones, palm, frames and joint angles of a hand, and the way back (paper 3.1).

All functions take canonical right-hand joints (*b, 21, 3) in any unit and any
orientation. Fingers are thumb to little; the bones of a finger are its root bone
(wrist -> MCP) and its PIP, DIP and TIP bones.
"""

import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import geometry
from bmc_jax.skeleton import Array, as_float, check_joints

# Two unit vectors whose cross product is shorter than this are parallel up to
# float32 rounding: the normal of the plane that they span is undefined.
_PARALLEL = 1e-6


def bone_vectors(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 4 3']:
  """Bones, child minus parent: five fingers of root, PIP, DIP and TIP bone."""
  joints = as_float(joints)
  check_joints(joints)
  wrist = joints[..., None, :1, :]
  fingers = joints[..., 1:, :].reshape(*joints.shape[:-2], 5, 4, 3)
  chain = jnp.concatenate(
    [jnp.broadcast_to(wrist, (*fingers.shape[:-2], 1, 3)), fingers], axis=-2
  )
  return jnp.diff(chain, axis=-2)


def bone_lengths(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 4']:
  """Lengths of the 20 bones, in the unit of the joints."""
  return geometry.safe_norm(bone_vectors(joints))


def palm_normals(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 4 3']:
  """Normals n_i = norm(b_{i+1} x b_i) of the planes between neighbouring root bones.

  For a right hand they point out of its back. Zero where two root bones are parallel.
  """
  return _palm_normals(geometry.normalize(bone_vectors(joints)[..., 0, :]))


def _palm_normals(root_directions):
  # Of unit vectors, so that the threshold does not depend on the joints' unit.
  first, second = root_directions[..., :-1, :], root_directions[..., 1:, :]
  return geometry.normalize(jnp.cross(second, first), eps=_PARALLEL)


def edge_normals(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 3']:
  """Palm normals at the five root bones: e_1 = n_1, e_i = norm(n_i + n_{i-1}),
  e_5 = n_4 (paper section 3.1).
  """
  n = palm_normals(joints)
  between = geometry.normalize(n[..., 1:, :] + n[..., :-1, :], eps=_PARALLEL)
  return jnp.concatenate([n[..., :1, :], between, n[..., -1:, :]], axis=-2)


def root_bone_curvatures(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 4']:
  """Curvature of the palm between neighbouring root bones (paper section 3.1).

  Positive where it is arched, in 1 / unit of the joints:

      c_i = (e_{i+1} - e_i) . (b_{i+1} - b_i) / |b_{i+1} - b_i|^2
  """
  edge = jnp.diff(edge_normals(joints), axis=-2)
  step = jnp.diff(bone_vectors(joints)[..., 0, :], axis=-2)
  # One division by the length in each factor: its square would underflow first.
  along = jnp.sum(edge * geometry.normalize(step), axis=-1)
  return geometry.safe_divide(along, geometry.safe_norm(step))


def root_bone_angles(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 4']:
  """Angles phi_i between neighbouring root bones (paper 3.1), radians in [0, pi]."""
  roots = bone_vectors(joints)[..., 0, :]
  return geometry.angle_between(roots[..., :-1, :], roots[..., 1:, :])


def root_frames(root_directions: Float[Array, '*b 5 3']) -> Float[Array, '*b 5 3 3']:
  """Frames of the five PIP bones from the unit root bones (paper section 3.1).

  Returns:
    (*b, 5, 3, 3), rows x, y, z: z along the root bone, x into the palm, y = z x x.
    Already orthonormal, since every normal used is perpendicular to its root bone.
  """
  n = _palm_normals(root_directions)
  between = geometry.normalize(n[..., 2:, :] + n[..., 1:-1, :], eps=_PARALLEL)
  x = -jnp.concatenate([n[..., :2, :], between, n[..., 3:, :]], axis=-2)
  z = root_directions
  return jnp.stack([x, jnp.cross(z, x), z], axis=-2)


def _next_frame(frame, bone):
  """Turns a frame by a bone's flexion and abduction, so that z becomes its direction.

  Flexion is a turn about y, abduction one about the turned x. With the bone's local
  coordinates (bx, by, bz) and r = hypot(bx, bz) the result needs no trigonometry:
  x' = (bz x - bx z) / r, z' = b / |b|, y' = z' x x'. A bone along y keeps x; a bone
  of no length keeps the frame.

  Args:
    frame: (*b, 3, 3), rows x, y, z.
    bone: (*b, 3) unit vector, or zero.
  """
  x, z = frame[..., 0, :], frame[..., 2, :]
  local = jnp.einsum('...ij,...j->...i', frame, bone)
  bx, bz = local[..., :1], local[..., 2:]
  turned = geometry.normalize(bz * x - bx * z, eps=_PARALLEL)
  new_x = jnp.where(jnp.any(turned != 0, axis=-1, keepdims=True), turned, x)
  new_frame = jnp.stack([new_x, jnp.cross(bone, new_x), bone], axis=-2)
  is_bone = jnp.any(bone != 0, axis=-1)[..., None, None]
  return jnp.where(is_bone, new_frame, frame)


def bone_frames(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 3 3 3']:
  """Local frames in which the PIP, DIP and TIP bones' angles are measured.

  Returns:
    (*b, 5, 3, 3, 3): finger, bone, then the rows x (into the palm), y (sideways) and
    z (along the parent bone), each of length 1.
  """
  bones = geometry.normalize(bone_vectors(joints))
  frames = [root_frames(bones[..., 0, :])]
  for level in (1, 2):
    frames.append(_next_frame(frames[-1], bones[..., level, :]))
  return jnp.stack(frames, axis=-3)


def joint_angles(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 3 2']:
  """Flexion and abduction of the PIP, DIP and TIP bones (paper section 3.1).

  With (bx, by, bz) the bone in its frame, flexion is atan2(bx, bz) in (-pi, pi] and
  abduction atan2(by, hypot(bx, bz)) in [-pi/2, pi/2]. Both are 0, with gradient 0,
  where they are undefined: for a bone of no length, and flexion of a bone along y.

  Returns:
    (*b, 5, 3, 2) radians: finger, bone, (flexion, abduction).
  """
  bones = geometry.normalize(bone_vectors(joints)[..., 1:, :])
  local = jnp.einsum('...ij,...j->...i', bone_frames(joints), bones)
  bx, by, bz = local[..., 0], local[..., 1], local[..., 2]
  flexion = geometry.safe_atan2(bx, bz, eps=_PARALLEL)
  abduction = geometry.safe_atan2(by, geometry.safe_norm(local[..., ::2]))
  return jnp.stack([flexion, abduction], axis=-1)


def forward_kinematics(
  angles: Float[Array, '*b 5 3 2'],
  bone_lengths: Float[Array, '*b 5 4'],
  root_directions: Float[Array, '*b 5 3'],
) -> Float[Array, '*b 21 3']:
  """Joints of a hand from its angles: the inverse of `joint_angles`.

  Args:
    angles: (*b, 5, 3, 2) radians, flexion and abduction of PIP, DIP and TIP bones;
      abduction in [-pi/2, pi/2], as `joint_angles` gives it.
    bone_lengths: (*b, 5, 4), root bone first, any unit.
    root_directions: (*b, 5, 3) unit vectors from the wrist to the MCPs. They carry
      the hand's orientation.

  Returns:
    (*b, 21, 3) with the wrist at the origin, in the unit of the lengths.
  """
  angles, bone_lengths = as_float(angles), as_float(bone_lengths)
  root_directions = as_float(root_directions)
  frame = root_frames(root_directions)
  flexion, abduction = angles[..., 0], angles[..., 1]
  local = jnp.stack(
    [
      jnp.sin(flexion) * jnp.cos(abduction),
      jnp.sin(abduction),
      jnp.cos(flexion) * jnp.cos(abduction),
    ],
    axis=-1,
  )
  directions = [root_directions]
  for level in range(3):
    bone = jnp.einsum('...ij,...i->...j', frame, local[..., level, :])
    directions.append(bone)
    frame = _next_frame(frame, bone)
  bones = jnp.stack(directions, axis=-2) * bone_lengths[..., None]
  fingers = jnp.cumsum(bones, axis=-2)
  fingers = fingers.reshape(*fingers.shape[:-3], 20, 3)
  return jnp.concatenate([jnp.zeros_like(fingers[..., :1, :]), fingers], axis=-2)
