"""The equations of the paper's section 3.1: palm, frames and angles of a hand.

Arrays run over (bone, finger, *b) or what remains of that: bones are root, PIP, DIP
and TIP, fingers thumb to little, and the batch comes last (see `bmc_jax.vector`).
`bmc_jax.kinematics` offers the same for arrays whose batch comes first.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bmc_jax import geometry, vector
from bmc_jax.skeleton import Array, as_float, check_joints
from bmc_jax.vector import Vector, cross, dot, norm, normalize

FRAMES = ('sequential', 'shortest_arc')
"""How the frame of a bone becomes that of the next one: see `next_frame`."""

# Two unit vectors whose cross product is shorter than this are parallel up to
# float32 rounding: the normal of the plane that they span is undefined.
_PARALLEL = 1e-6


class Bones(NamedTuple):
  """Bones of a hand, or their directions.

  Attributes:
    roots: (5, *b) from the wrist to the MCPs.
    phalanges: (3, 5, *b) PIP, DIP and TIP bones.
  """

  roots: Vector
  phalanges: Vector


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


# Joints (4, 5) by level: MCPs, PIPs, DIPs and TIPs.
_LEVELS = np.arange(1, 21).reshape(5, 4).T


def bones(joints: Float[Array, '*b 21 3']) -> Bones:
  """Child minus parent."""
  joints = as_float(joints)
  check_joints(joints)
  joints = Vector(*jnp.moveaxis(joints, (-1, -2), (0, 1)))
  return Bones(
    roots=joints[_LEVELS[0]] - joints[np.zeros(5, int)],
    phalanges=joints[_LEVELS[1:]] - joints[_LEVELS[:-1]],
  )


def directions(bones: Bones) -> Bones:
  """Unit vectors along the bones; zero for those of no length."""
  return Bones(*(normalize(vectors) for vectors in bones))


def lengths(bones: Bones) -> Array:
  """(4, 5, *b), root bones first."""
  return jnp.concatenate([norm(bones.roots)[None], norm(bones.phalanges)])


def palm_normals(roots: Vector) -> Vector:
  """n_i = norm(b_{i+1} x b_i), (4, *b), of the root bones' directions (5, *b)."""
  first, second = _neighbours(roots)
  # Of unit vectors, so that the threshold does not depend on the joints' unit.
  return normalize(cross(second, first), eps=_PARALLEL)


def _neighbours(vectors):
  """All but the last along the first axis, and all but the first."""
  # By index arrays: backwards, slices become paddings, which XLA fuses with what comes
  # before them into loops that do not vectorise.
  indices = np.arange(vectors.x.shape[0])
  return vectors[indices[:-1]], vectors[indices[1:]]


def edge_normals(normals: Vector) -> Vector:
  """e_1 = n_1, e_i = norm(n_i + n_{i-1}), e_5 = n_4: (5, *b)."""
  return _between(normals, [0, 1, 2, 3, 3], [0, 0, 1, 2, 3])


def _between(normals, one, other):
  """norm(n_i + n_j) for two lists of indices; n_i itself where they are equal."""
  return normalize(normals[np.array(one)] + normals[np.array(other)], eps=_PARALLEL)


def curvatures(roots: Vector, normals: Vector) -> Array:
  """c_i = (e_{i+1} - e_i) . (b_{i+1} - b_i) / |b_{i+1} - b_i|^2, (4, *b)."""
  first_edge, second_edge = _neighbours(edge_normals(normals))
  first, second = _neighbours(roots)
  step = second - first
  # One division by the length in each factor: its square would underflow first.
  along = dot(second_edge - first_edge, normalize(step))
  return geometry.safe_divide(along, norm(step))


def root_angles(roots: Vector) -> Array:
  """phi_i = angle(b_i, b_{i+1}) in [0, pi], (4, *b), of the root bones' directions.

  atan2 of sine and cosine instead of arccos of the cosine: arccos loses half of the
  digits near 0 and pi, and has an infinite gradient there.
  """
  first, second = _neighbours(roots)
  return geometry.safe_atan2(norm(cross(first, second)), dot(first, second))


def root_frames(roots: Vector) -> Frame:
  """Frames of the PIP bones from the root bones' directions.

  x = -n_1, -n_2, -norm(n_3 + n_2), -norm(n_4 + n_3), -n_4 and y = z x x: orthonormal,
  since every normal used is perpendicular to its root bone.
  """
  out_of_palm = _between(palm_normals(roots), [0, 1, 2, 3, 3], [0, 1, 1, 2, 3])
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


# Frames follow each other by a scan and not by a loop in Python, from whose backward
# pass XLA's fusions on the CPU would compute the same terms again and again. Its steps
# are made once: JAX keeps what it has compiled by the identity of a function.
@functools.cache
def _frame_step(frames):
  def step(frame, bone):
    return next_frame(frame, bone, frames), frame

  return step


def bone_frames(directions: Bones, frames: str) -> Frame:
  """Frames (3, 5, *b) of the phalanges from the directions of all bones."""
  check_frames(frames)
  first = root_frames(directions.roots)
  return jax.lax.scan(_frame_step(frames), first, directions.phalanges)[1]


@functools.cache
def _local_step(frames, stop_frame_gradient):
  def step(frame, bone):
    (y, z), b = frame, bone
    if stop_frame_gradient:
      bone = jax.lax.stop_gradient(bone)
    return next_frame(frame, bone, frames), (dot(cross(y, z), b), dot(y, b), dot(z, b))

  return step


def angles(
  directions: Bones, frames: str, *, stop_frame_gradient: bool = False
) -> Angles:
  """Angles of the phalanges in their frames, from the directions of all bones.

  With the local coordinates (bx, by, bz) flexion is atan2(bx, bz) and abduction
  atan2(by, hypot(bx, bz)). Both are 0 where they are undefined.

  Args:
    directions: unit vectors.
    frames: one of `FRAMES`.
    stop_frame_gradient: takes the frames for constant.
  """
  check_frames(frames)
  first = root_frames(directions.roots)
  if stop_frame_gradient:
    first = jax.lax.stop_gradient(first)
  step = _local_step(frames, stop_frame_gradient)
  _, (bx, by, bz) = jax.lax.scan(step, first, directions.phalanges)
  return Angles(
    flexion=geometry.safe_atan2(bx, bz, eps=_PARALLEL),
    abduction=geometry.safe_atan2(by, geometry.safe_sqrt(bx * bx + bz * bz)),
  )


@functools.cache
def _bend_step(frames):
  def step(frame, angles):
    (y, z), (flexion, abduction) = frame, angles
    bone = (
      jnp.sin(flexion) * jnp.cos(abduction) * cross(y, z)
      + jnp.sin(abduction) * y
      + jnp.cos(flexion) * jnp.cos(abduction) * z
    )
    return next_frame(frame, bone, frames), bone

  return step


def pose(angles: Angles, roots: Vector, frames: str) -> Bones:
  """Directions of all bones from the angles and the root bones' directions: the inverse
  of `angles`.
  """
  check_frames(frames)
  first = root_frames(roots)
  _, phalanges = jax.lax.scan(_bend_step(frames), first, angles)
  return Bones(roots, phalanges)
