"""The hand skeleton: joint names; joint orders, axes and sides of public datasets.

The canonical order is the one of FreiHAND, OpenPose and MediaPipe: wrist, then
thumb to little, each finger from base to tip. In this order no index tables are
needed: `joints[..., 1:, :].reshape(..., 5, 4, 3)` are the fingers.
"""

import numbers
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Shaped

Array = jax.Array | np.ndarray

NUM_JOINTS = 21
WRIST = 0
FINGERS = ('thumb', 'index', 'middle', 'ring', 'little')
BONES = ('root', 'pip', 'dip', 'tip')

_THUMB_PARTS = ('cmc', 'mcp', 'ip', 'tip')
_FINGER_PARTS = ('mcp', 'pip', 'dip', 'tip')
JOINT_NAMES = ('wrist',) + tuple(
  f'{finger}_{part}'
  for finger in FINGERS
  for part in (_THUMB_PARTS if finger == 'thumb' else _FINGER_PARTS)
)

_CANONICAL = tuple(range(21))
_MANO = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
_RHD = (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17)
_STB = (0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4)
_INTERHAND = (20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16)
_AIT = (0, 1, 6, 11, 16, 2, 7, 12, 17, 3, 8, 13, 18, 4, 9, 14, 19, 5, 10, 15, 20)

JOINT_ORDERS: dict[str, tuple[int, ...]] = {
  'canonical': _CANONICAL,
  'freihand': _CANONICAL,
  'openpose': _CANONICAL,
  'mediapipe': _CANONICAL,
  'mano': _MANO,
  'ho3d': _MANO,
  'rhd': _RHD,
  'stb': _STB,
  'interhand': _INTERHAND,
  'ait': _AIT,
}
"""For each order, where it keeps each canonical joint.

`joints_in_order[JOINT_ORDERS[order]]` is canonical. `mano` and `ho3d` are the 16
MANO joints followed by the tips, thumb to little; `stb` has the palm centre where
the others have the wrist; `ait` goes level by level (all MCPs, all PIPs, ...).
"""

CAMERA_AXES: dict[str, tuple[int, int, int]] = {
  'opencv': (1, 1, 1),
  'opengl': (1, -1, -1),
}
"""For each convention of camera axes, the signs that turn it into OpenCV's and back.

`opencv` has x right, y down, z forward; `opengl` has x right, y up, z backward.
"""

_MAX_OFF = 1e-3
"""Of the last row of intrinsics: products and inverses round it."""

_MIN_DISTANCE = 0.1
"""Of a hand's extent: nearer to the camera no joint of it can be."""


def as_float(x: ArrayLike) -> jax.Array:
  """A JAX array of floats, float32 at least: what the pure functions compute in.

  Integers and nested lists become the default float. In float16 squares under 6e-8
  and over 65,504 are lost: those of bones in metres, and of pixels.
  """
  x = jnp.asarray(x)
  if x.dtype == jnp.float16:
    return _from_float16(x)
  return x.astype(jnp.promote_types(jnp.result_type(x, float), jnp.float32))


@jax.custom_vjp
def _from_float16(x):
  """To float32; on the way back a gradient beyond 65,504 is cut to that, or it would
  become infinite. JAX has no forward mode for that, so float16 has none here.
  """
  return x.astype(jnp.float32)


def _to_float16(_, gradient):
  limit = float(jnp.finfo(jnp.float16).max)
  return (jnp.clip(gradient, -limit, limit).astype(jnp.float16),)


_from_float16.defvjp(lambda x: (x.astype(jnp.float32), None), _to_float16)


def is_concrete(x: Any) -> bool:
  """Whether it is an array of numbers that this process can read."""
  if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer):
    return x.is_fully_addressable
  return isinstance(x, np.ndarray)


def check_joints(joints: Array, name: str = 'joints', last: int | None = 3) -> None:
  """Raises ValueError unless `joints` has the shape (*b, 21, last).

  Args:
    joints: joints, or anything else by joint.
    name: what the message calls them.
    last: length of the last axis; None admits any.
  """
  shape = np.shape(joints)
  if len(shape) < 2 or shape[-2] != NUM_JOINTS or last not in (None, shape[-1]):
    raise ValueError(
      f'{name} has the shape {shape}, but (..., 21, {last or "n"}) is needed: '
      '21 joints, wrist first, then thumb to little from base to tip '
      '(see bmc_jax.skeleton.reorder for other orders).'
    )


def is_joint(index: Any, count: int = NUM_JOINTS) -> bool:
  """Whether it is a whole number from 0 on that one of `count` joints has."""
  try:
    return not isinstance(index, bool) and 0 <= operator.index(index) < count
  except TypeError:
    return False


def check_root(root: int, count: int = NUM_JOINTS) -> None:
  """Raises ValueError unless this is one of `count` joints."""
  if not is_joint(root, count):
    raise ValueError(f'root is {root}; it must be a joint, from 0 to {count - 1}.')


def check_not_negative(value: Any, name: str) -> None:
  """Raises ValueError for a number below 0. Traced ones pass, and so does NaN.

  Args:
    value: a number, an array, or a list of them.
    name: what the message calls them.
  """
  for leaf in jax.tree.leaves(value):
    if is_concrete(leaf) or isinstance(leaf, numbers.Real):
      values = np.asarray(leaf, np.float64)
      if (values < 0).any():
        least = np.nanmin(values)
        raise ValueError(f'{name} has the value {least:.3g}, but 0 or more is needed.')


def check_before_camera(joints_3d: Array, purpose: str) -> None:
  """Raises ValueError for hands that cannot be in the camera's frame.

  Their nearest joint lies less before the camera than a tenth of their extent: as a
  rule they are relative to the root. Traced joints pass, since nobody knows them yet.

  Args:
    joints_3d: (*b, 21, 3), any unit. NaN passes.
    purpose: what needs the camera's frame.
  """
  if not is_concrete(joints_3d):
    return
  joints = np.asarray(joints_3d, np.float64)
  depth, extent = joints[..., 2].min(-1), np.ptp(joints, axis=-2).max(-1)
  wrong = depth <= _MIN_DISTANCE * extent
  if wrong.any():
    raise ValueError(
      f'{purpose} needs joints in the frame of the camera, all at z > 0, but '
      f'{wrong.sum()} of {wrong.size} hands have one at z = {depth[wrong].min():.3g}: '
      'if they are relative to the root, add its place before the camera to them.'
    )


def check_intrinsics(intrinsics: Array) -> None:
  """Raises ValueError for matrices (*b, 3, 3) that are no camera's: an empty or a
  transposed one. Traced ones pass, and so does NaN. A quarter turn has fx = fy = 0.
  """
  if not is_concrete(intrinsics):
    return
  k = np.asarray(intrinsics, np.float64)
  determinant = k[..., 0, 0] * k[..., 1, 1] - k[..., 0, 1] * k[..., 1, 0]
  off = np.abs(k[..., 2, :] - [0, 0, 1]).max(-1)
  wrong = (determinant == 0) | (off > _MAX_OFF)
  if wrong.any():
    raise ValueError(
      'intrinsics need focal lengths other than 0 and the last row 0, 0, 1, but '
      f'{wrong.sum()} of {wrong.size} have not: they may be transposed.'
    )


def reorder(
  joints: Shaped[Array, '*b 21 c'], source: str, target: str = 'canonical'
) -> Shaped[Array, '*b 21 c']:
  """Brings joints from one order to another.

  Args:
    joints: (*b, 21, c) joints, keypoints or anything else by joint; NumPy or JAX.
    source: the order they are in, a key of `JOINT_ORDERS`.
    target: the order wanted.

  Returns:
    (*b, 21, c), of the same array type.

  Raises:
    ValueError: an order is unknown, or the axis before the last is not 21 long.
  """
  for order in (source, target):
    if order not in JOINT_ORDERS:
      raise ValueError(
        f'Unknown joint order {order!r}; known are {", ".join(sorted(JOINT_ORDERS))}.'
      )
  joints = joints if isinstance(joints, Array) else np.asarray(joints)
  check_joints(joints, last=None)
  from_canonical = np.argsort(JOINT_ORDERS[target])
  return joints[..., np.asarray(JOINT_ORDERS[source])[from_canonical], :]


def change_axes(
  points: Float[Array, '*b n 3'], source: str, target: str = 'opencv'
) -> Float[Array, '*b n 3']:
  """Brings points from the axes of one camera convention to those of another.

  Args:
    points: (*b, n, 3) points in the camera's frame, in any unit; NumPy or JAX.
    source: the axes they are in, a key of `CAMERA_AXES`.
    target: the axes wanted.

  Returns:
    (*b, n, 3), of the same array type.

  Raises:
    ValueError: the axes are unknown, or the last axis is not 3 long.
  """
  for axes in (source, target):
    if axes not in CAMERA_AXES:
      raise ValueError(
        f'Unknown camera axes {axes!r}; known are {", ".join(sorted(CAMERA_AXES))}.'
      )
  points = points if isinstance(points, Array) else np.asarray(points)
  if points.ndim < 2 or points.shape[-1] != 3:
    raise ValueError(
      f'points have the shape {points.shape}, but (..., n, 3) is needed.'
    )
  sign = np.multiply(CAMERA_AXES[source], CAMERA_AXES[target]).astype(points.dtype)
  return points * np.broadcast_to(sign, points.shape)


def mirror(joints: Float[Array, '*b 21 3']) -> Float[Array, '*b 21 3']:
  """Turns a left hand into a right one and back: x -> -x.

  Args:
    joints: (*b, 21, 3) joints in any order and unit.
  """
  joints = joints if isinstance(joints, Array) else np.asarray(joints)
  check_joints(joints)
  sign = np.array([-1, 1, 1], joints.dtype)
  return joints * np.broadcast_to(sign, joints.shape)
