"""The equations of the paper's section 3.1: palm, frames and angles of a hand.

Arrays run over (bone, finger, *b) or what remains of that: bones are root, PIP, DIP
and TIP, fingers thumb to little, and the batch comes last (see `bmc_jax.vector`).
`bmc_jax.kinematics` offers the same for arrays whose batch comes first.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bmc_jax import geometry, vector
from bmc_jax.skeleton import Array, as_float, check_joints
from bmc_jax.vector import Vector, cross, dot, norm, normalize

FRAMES = ('sequential', 'shortest_arc')
"""How the frame of a bone becomes that of the next one: see `next_frame`."""

# Two unit vectors whose cross product is shorter than this are parallel up to
# float32 rounding: the normal of the plane that they span is undefined.
_PARALLEL = 1e-6


class Frame(NamedTuple):
  """Orthonormal axes in which a bone is measured; the third is x = y x z.

  Attributes:
    y: (5, *b) sideways, the axis of flexion.
    z: (5, *b) along the parent bone.
  """

  y: Vector
  z: Vector


class Angles(NamedTuple):
  """Flexion and abduction, (3, 5, *b) radians, of the PIP, DIP and TIP bones."""

  flexion: Array
  abduction: Array


def check_frames(frames: str) -> None:
  """Raises ValueError if there are no such frames."""
  if frames not in FRAMES:
    raise ValueError(f'frames is {frames!r}; choose one of {FRAMES}.')


def bones(joints: Array) -> Vector:
  """Bones (4, 5, *b), child minus parent, of joints (*b, 21, 3)."""
  joints = as_float(joints)
  check_joints(joints)
  wrist, fingers = jnp.split(joints, [1], axis=-2)
  fingers = fingers.reshape(*joints.shape[:-2], 5, 4, 3)
  fingers = jnp.moveaxis(fingers, (-1, -2, -3), (0, 1, 2))
  wrist = jnp.moveaxis(wrist[..., None, :], (-1, -2, -3), (0, 1, 2))
  knuckles = jnp.broadcast_to(wrist, fingers[:, :1].shape)
  parents = jnp.concatenate([knuckles, fingers[:, :-1]], axis=1)
  return Vector(*(fingers - parents))


def palm_normals(roots: Vector) -> Vector:
  """n_i = norm(b_{i+1} x b_i), (4, *b), of the root bones' directions (5, *b)."""
  # Of unit vectors, so that the threshold does not depend on the joints' unit.
  return normalize(cross(roots[1:], roots[:-1]), eps=_PARALLEL)


def edge_normals(normals: Vector) -> Vector:
  """e_1 = n_1, e_i = norm(n_i + n_{i-1}), e_5 = n_4: (5, *b)."""
  between = normalize(normals[1:] + normals[:-1], eps=_PARALLEL)
  return vector.concatenate([normals[:1], between, normals[-1:]])


def curvatures(roots: Vector, normals: Vector) -> Array:
  """c_i = (e_{i+1} - e_i) . (b_{i+1} - b_i) / |b_{i+1} - b_i|^2, (4, *b)."""
  edges = edge_normals(normals)
  step = roots[1:] - roots[:-1]
  # One division by the length in each factor: its square would underflow first.
  along = dot(edges[1:] - edges[:-1], normalize(step))
  return geometry.safe_divide(along, norm(step))


def root_angles(roots: Vector) -> Array:
  """phi_i = angle(b_i, b_{i+1}) in [0, pi], (4, *b), of the root bones' directions.

  atan2 of sine and cosine instead of arccos of the cosine: arccos loses half of the
  digits near 0 and pi, and has an infinite gradient there.
  """
  first, second = roots[:-1], roots[1:]
  return geometry.safe_atan2(norm(cross(first, second)), dot(first, second))


def root_frames(roots: Vector, normals: Vector) -> Frame:
  """Frames of the PIP bones, from the root bones' directions and the palm's normals.

  x = -n_1, -n_2, -norm(n_3 + n_2), -norm(n_4 + n_3), -n_4 and y = z x x: orthonormal,
  since every normal used is perpendicular to its root bone.
  """
  between = normalize(normals[2:] + normals[1:-1], eps=_PARALLEL)
  out_of_palm = vector.concatenate([normals[:2], between, normals[3:]])
  return Frame(y=cross(out_of_palm, roots), z=roots)


def next_frame(frame: Frame, bone: Vector, frames: str) -> Frame:
  """Turns a frame so that z becomes the direction b of a bone.

  'sequential' is the paper's: a turn by the flexion about y, then one by the abduction
  about the turned x. The latter moves y within the plane of y and b, hence
  y' = norm(y - (y . b) b), without trigonometry. A bone along y keeps x.

  'shortest_arc' turns about z x b: y' = y - 2 (y . m) m with m halfway between z and b.
  A bone along -z keeps y.

  Args:
    frame: in which the bone is measured.
    bone: its direction; a bone of no length keeps the frame.
    frames: one of `FRAMES`.
  """
  y, z = frame
  if frames == 'sequential':
    turned = y - dot(y, bone) * bone
    along_y = norm(turned) <= _PARALLEL
    turned = vector.where(along_y, cross(bone, cross(y, z)), normalize(turned))
  else:
    halfway = normalize(z + bone, eps=_PARALLEL)
    turned = y - 2 * dot(y, halfway) * halfway
  no_bone = dot(bone, bone) == 0
  return Frame(vector.where(no_bone, y, turned), vector.where(no_bone, z, bone))


def bone_frames(directions: Vector, frames: str) -> Frame:
  """Frames (3, 5, *b) of the PIP, DIP and TIP bones from all bones' directions."""
  check_frames(frames)
  first = root_frames(directions[0], palm_normals(directions[0]))
  return jax.lax.scan(_NEXT[frames], first, directions[1:])[1]


def _next(frame, bone, frames):
  return next_frame(frame, bone, frames), frame


# Made once, since JAX keeps what it has traced and compiled by the function's identity.
_NEXT = {frames: functools.partial(_next, frames=frames) for frames in FRAMES}


def angles(directions: Vector, frames: Frame) -> Angles:
  """Angles of the bones, given their directions (4, 5, *b), in their frames.

  With the local coordinates (bx, by, bz) flexion is atan2(bx, bz) and abduction
  atan2(by, hypot(bx, bz)). Both are 0 where they are undefined.
  """
  (y, z), b = frames, directions[1:]
  bx, by, bz = dot(cross(y, z), b), dot(y, b), dot(z, b)
  return Angles(
    flexion=geometry.safe_atan2(bx, bz, eps=_PARALLEL),
    abduction=geometry.safe_atan2(by, geometry.safe_sqrt(bx * bx + bz * bz)),
  )


def pose(angles: Angles, roots: Vector, frames: str) -> Vector:
  """Directions (4, 5, *b) of all bones from the angles and the root bones' directions:
  the inverse of `angles`.
  """
  check_frames(frames)
  first = root_frames(roots, palm_normals(roots))
  _, directions = jax.lax.scan(_BEND[frames], first, angles)
  return vector.concatenate([roots[None], directions])


def _bend(frame, angles, frames):
  """The direction of a bone in its frame, and the frame that it turns to."""
  y, z = frame
  flexion, abduction = angles
  bone = (
    jnp.sin(flexion) * jnp.cos(abduction) * cross(y, z)
    + jnp.sin(abduction) * y
    + jnp.cos(flexion) * jnp.cos(abduction) * z
  )
  return next_frame(frame, bone, frames), bone


_BEND = {frames: functools.partial(_bend, frames=frames) for frames in FRAMES}
