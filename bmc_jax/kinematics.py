"""Bones, palm, frames and joint angles of a hand, and the way back (paper 3.1).

All functions take canonical right-hand joints (*b, 21, 3) in any unit and any
orientation. Fingers are thumb to little; the bones of a finger are its root bone
(wrist -> MCP) and its PIP, DIP and TIP bones. The equations are in `bmc_jax.anatomy`;
here the axes move from and to the order that users expect.
"""

import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import anatomy, vector
from bmc_jax.anatomy import FRAMES as FRAMES
from bmc_jax.skeleton import Array, as_float


def bone_vectors(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 4 3']:
  """Bones, child minus parent: five fingers of root, PIP, DIP and TIP bone."""
  return _to_array(_chain(anatomy.bones(joints)), axes=2)


def _chain(bones):
  """All bones as one Vector (4, 5, *b)."""
  return vector.concatenate([bones.roots[None], bones.phalanges])


def bone_lengths(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 4']:
  """Lengths of the 20 bones, in the unit of the joints."""
  return batch_first(anatomy.lengths(anatomy.bones(joints)), axes=2)


def palm_normals(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 4 3']:
  """Normals n_i = norm(b_{i+1} x b_i) of the planes between neighbouring root bones.

  For a right hand they point out of its back. Zero where two root bones are parallel.
  """
  return _to_array(_palm_normals(anatomy.bones(joints).roots), axes=1)


def _palm_normals(roots):
  return anatomy.palm_normals(vector.normalize(roots))


def edge_normals(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 5 3']:
  """Palm normals at the five root bones: e_1 = n_1, e_i = norm(n_i + n_{i-1}),
  e_5 = n_4 (paper section 3.1).
  """
  normals = _palm_normals(anatomy.bones(joints).roots)
  return _to_array(anatomy.edge_normals(normals), axes=1)


def root_bone_curvatures(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 4']:
  """Curvature of the palm between neighbouring root bones (paper section 3.1).

  Positive where it is arched, in 1 / unit of the joints:

      c_i = (e_{i+1} - e_i) . (b_{i+1} - b_i) / |b_{i+1} - b_i|^2
  """
  roots = anatomy.bones(joints).roots
  return batch_first(anatomy.curvatures(roots, _palm_normals(roots)), axes=1)


def root_bone_angles(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 4']:
  """Angles phi_i between neighbouring root bones (paper 3.1), radians in [0, pi]."""
  roots = anatomy.bones(joints).roots
  return batch_first(anatomy.root_angles(vector.normalize(roots)), axes=1)


def root_frames(root_directions: Float[Array, '*b 5 3']) -> Float[Array, '*b 5 3 3']:
  """Frames of the five PIP bones from the unit root bones (paper section 3.1).

  Returns:
    (*b, 5, 3, 3), rows x, y, z: z along the root bone, x into the palm, y = z x x.
    Already orthonormal, since every normal used is perpendicular to its root bone.
  """
  roots = vector.Vector(*jnp.moveaxis(as_float(root_directions), (-1, -2), (0, 1)))
  return _to_rows(anatomy.root_frames(roots), axes=1)


def bone_frames(
  joints: Float[Array, '*b 21 3'], *, frames: str = 'sequential'
) -> Float[Array, '*b 5 3 3 3']:
  """Local frames in which the PIP, DIP and TIP bones' angles are measured.

  Args:
    joints: (*b, 21, 3).
    frames: how one bone's frame becomes the next one's. 'sequential' turns it by the
      flexion, then by the abduction (paper section 3.1); 'shortest_arc' turns it about
      the axis perpendicular to both bones.

  Returns:
    (*b, 5, 3, 3, 3): finger, bone, then the rows x (into the palm), y (sideways) and
    z (along the parent bone), each of length 1.

  Raises:
    ValueError: unknown frames.
  """
  directions = anatomy.directions(anatomy.bones(joints))
  return _to_rows(anatomy.bone_frames(directions, frames), axes=2)


def joint_angles(
  joints: Float[Array, '*b 21 3'], *, frames: str = 'sequential'
) -> Float[Array, '*b 5 3 2']:
  """Flexion and abduction of the PIP, DIP and TIP bones (paper section 3.1).

  With (bx, by, bz) the bone in its frame, flexion is atan2(bx, bz) in (-pi, pi] and
  abduction atan2(by, hypot(bx, bz)) in [-pi/2, pi/2]. Both are 0, with gradient 0,
  where they are undefined: for a bone of no length, and flexion of a bone along y.

  Args:
    joints: (*b, 21, 3).
    frames: see `bone_frames`.

  Returns:
    (*b, 5, 3, 2) radians: finger, bone, (flexion, abduction).

  Raises:
    ValueError: unknown frames.
  """
  directions = anatomy.directions(anatomy.bones(joints))
  angles = anatomy.angles(directions, frames)
  return batch_first(jnp.stack(angles), axes=3)


def forward_kinematics(
  angles: Float[Array, '*b 5 3 2'],
  bone_lengths: Float[Array, '*b 5 4'],
  root_directions: Float[Array, '*b 5 3'],
  *,
  frames: str = 'sequential',
) -> Float[Array, '*b 21 3']:
  """Joints of a hand from its angles: the inverse of `joint_angles`.

  Args:
    angles: (*b, 5, 3, 2) radians, flexion and abduction of PIP, DIP and TIP bones;
      abduction in [-pi/2, pi/2], as `joint_angles` gives it.
    bone_lengths: (*b, 5, 4), root bone first, any unit.
    root_directions: (*b, 5, 3) vectors of any length from the wrist towards the MCPs.
      They carry the hand's orientation.
    frames: those that the angles were measured in, see `bone_frames`.

  Returns:
    (*b, 21, 3) with the wrist at the origin, in the unit of the lengths.

  Raises:
    ValueError: an argument of another shape, unknown frames.
  """
  angles = _check_shape('angles', angles, (5, 3, 2))
  bone_lengths = _check_shape('bone_lengths', bone_lengths, (5, 4))
  root_directions = _check_shape('root_directions', root_directions, (5, 3))
  roots = vector.Vector(*jnp.moveaxis(root_directions, (-1, -2), (0, 1)))
  bend = anatomy.Angles(*jnp.moveaxis(angles, (-1, -2, -3), (0, 1, 2)))
  pose = anatomy.pose(bend, vector.normalize(roots), frames)
  directions = _to_array(_chain(pose), axes=2)
  fingers = jnp.cumsum(directions * bone_lengths[..., None], axis=-2)
  fingers = fingers.reshape(*fingers.shape[:-3], 20, 3)
  return jnp.concatenate([jnp.zeros_like(fingers[..., :1, :]), fingers], axis=-2)


def _check_shape(name, x, last):
  x = as_float(x)
  if x.shape[-len(last) :] != last:
    needed = ', '.join(map(str, last))
    raise ValueError(f'{name} has the shape {x.shape}, but (..., {needed}) is needed.')
  return x


def batch_first(x: Array, *, axes: int) -> Array:
  """Moves the first axes behind the batch, in reverse order: bone, finger, *b becomes
  *b, finger, bone.
  """
  return jnp.moveaxis(x, range(axes), range(-1, -axes - 1, -1))


def _to_array(vectors, axes):
  """The same, with the components behind them."""
  return batch_first(jnp.stack([vectors.x, vectors.y, vectors.z]), axes=axes + 1)


def _to_rows(frame, axes):
  """(*b, 5, 3, 3) or (*b, 5, 3, 3, 3) with the rows x = y x z, y and z."""
  rows = (vector.cross(frame.y, frame.z), frame.y, frame.z)
  return jnp.stack([_to_array(row, axes) for row in rows], axis=-2)
