"""The 2.5D hand and its lifting to 3D (paper section 3.2; Iqbal et al., ECCV 2018).

A 2.5D hand is 21 pixels and 21 depths relative to the root joint, divided by the
length of a reference bone (middle MCP -> PIP). With the camera's intrinsics the root
depth follows from one quadratic equation, because the reference bone has length 1.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import geometry
from bmc_jax.skeleton import NUM_JOINTS, WRIST, Array, as_float, check_joints

REFERENCE = (9, 10)
"""The reference bone: middle MCP -> PIP, the one of FreiHAND's `scale` files."""

_MIN_RAY_DISTANCE_SQUARED = 1e-10
"""Under 0.006 px at a focal length of 600 px the reference bone has no direction."""


class Pose25D(NamedTuple):
  """A hand in 2.5D.

  Attributes:
    keypoints_2d: (*b, 21, 2) pixels.
    relative_depth: (*b, 21) depth behind the root joint, in reference bones.
    root_depth: (*b,) depth of the root joint, in reference bones.
    scale: (*b,) length of the reference bone, in the unit of the 3D joints.
  """

  keypoints_2d: Float[Array, '*b 21 2']
  relative_depth: Float[Array, '*b 21']
  root_depth: Float[Array, '*b']
  scale: Float[Array, '*b']


class RootDepth(NamedTuple):
  """The recovered root depth, and how far to trust it.

  Attributes:
    value: (*b,) root depth in reference bones.
    coefficients: (*b, 3) a, b, c of the quadratic.
    discriminant: (*b,) b^2 - 4ac; negative if no hand fits (it is clamped to 0).
    conditioning: (*b,) about the squared sine of the angle between the reference
      bone and the viewing ray: 1 if the bone lies parallel to the image, 0 if it
      points at the camera. A relative error e of the bone's length becomes a
      relative error of about e / conditioning of the depth.
  """

  value: Float[Array, '*b']
  coefficients: Float[Array, '*b 3']
  discriminant: Float[Array, '*b']
  conditioning: Float[Array, '*b']


def scale_of(
  joints_3d: Float[Array, '*b 21 3'], reference: tuple[int, int] = REFERENCE
) -> Float[Array, '*b']:
  """Length of the reference bone, in the unit of the joints (paper section 3.2).

  Args:
    joints_3d: (*b, 21, 3).
    reference: the two joints of the reference bone.

  Raises:
    ValueError: joints of another shape, or a reference that is no two of them.
  """
  joints_3d = as_float(joints_3d)
  check_joints(joints_3d, 'joints_3d')
  check_reference(reference)
  start, end = reference
  return geometry.safe_norm(joints_3d[..., end, :] - joints_3d[..., start, :])


def check_reference(reference: tuple[int, ...]) -> None:
  """Raises ValueError unless these are two different joints."""
  if len(reference) != 2 or len(set(reference) & set(range(NUM_JOINTS))) != 2:
    raise ValueError(f'reference is two different joints of 0 to 20, not {reference}.')


def to_pose25d(
  joints_3d: Float[Array, '*b 21 3'],
  intrinsics: Float[Array, '*b 3 3'],
  *,
  root: int = WRIST,
  reference: tuple[int, int] = REFERENCE,
) -> Pose25D:
  """The 2.5D hand of 3D joints: what the network has to predict.

  Args:
    joints_3d: (*b, 21, 3) in the camera frame, any unit.
    intrinsics: (*b, 3, 3).
    root: the joint that depths are relative to.
    reference: the two joints of the reference bone.
  """
  joints_3d = as_float(joints_3d)
  scale = scale_of(joints_3d, reference)
  depth = geometry.safe_divide(joints_3d[..., 2], scale[..., None])
  root_depth = depth[..., root]
  return Pose25D(
    keypoints_2d=geometry.project(joints_3d, intrinsics),
    relative_depth=depth - root_depth[..., None],
    root_depth=root_depth,
    scale=scale,
  )


def solve_root_depth(
  keypoints_2d: Float[Array, '*b 21 2'],
  relative_depth: Float[Array, '*b 21'],
  intrinsics: Float[Array, '*b 3 3'],
  *,
  reference: tuple[int, int] = REFERENCE,
  bounds: tuple[float, float] | None = None,
) -> RootDepth:
  """Depth of the root joint such that the reference bone (n, m) has length 1.

  With the rays r_k of the keypoints and the relative depths z_k, the bone's length
  gives `a Z^2 + b Z + c = 0` (paper section 3.2) with

      a = |r_n - r_m|^2
      b = 2 (r_n - r_m) . (r_n z_n - r_m z_m)
      c = |r_n z_n - r_m z_m|^2 + (z_n - z_m)^2 - 1

  and the larger root is the hand. The textbook form loses its digits in float32,
  since b^2 and 4ac nearly cancel. With d = r_n - r_m and h = z_n - z_m, the vector
  r_n z_n - r_m z_m is d z_n + h r_m, so that a quarter of the discriminant is

      D/4 = a (1 - h)(1 + h) - h^2 (d x r_m)^2

  and nothing large is subtracted.

  Args:
    keypoints_2d: (*b, 21, 2) pixels.
    relative_depth: (*b, 21) in reference bones.
    intrinsics: (*b, 3, 3).
    reference: the two joints n, m of the reference bone.
    bounds: the least and largest depth to return, in reference bones (a hand at
      arm's length is about 10 to 30 away); None leaves the value as it is.

  Returns:
    `RootDepth`. Value and gradient are finite for rays and depths up to 1e6 in size
    (in float32): a negative discriminant counts as 0, and where the two keypoints
    coincide the root is put at 0 (or at the nearest bound).

  Raises:
    ValueError: an argument of another shape, or a reference that is no two joints.
  """
  keypoints_2d, relative_depth = as_float(keypoints_2d), as_float(relative_depth)
  check_joints(keypoints_2d, 'keypoints_2d', last=2)
  _check_depth(relative_depth, 'relative_depth', keypoints_2d.shape[:-1])
  check_reference(reference)
  n, m = reference
  # The difference of pixels is exact in floating point, that of rays is not.
  d = geometry.pixels_to_rays(
    keypoints_2d[..., n : n + 1, :] - keypoints_2d[..., m : m + 1, :], intrinsics
  )[..., 0, :]
  r_m = geometry.camera_rays(keypoints_2d[..., m : m + 1, :], intrinsics)[..., 0, :]
  z_n = relative_depth[..., n]
  h = z_n - relative_depth[..., m]

  a = jnp.sum(d * d, axis=-1)
  d_dot_r = jnp.sum(d * r_m, axis=-1)
  d_cross_r = d[..., 0] * r_m[..., 1] - d[..., 1] * r_m[..., 0]
  w = d * z_n[..., None] + h[..., None] * r_m
  b = 2 * jnp.sum(d * w, axis=-1)
  c = jnp.sum(w * w, axis=-1) + h * h - 1

  quarter = a * (1 - h) * (1 + h) - (h * d_cross_r) ** 2
  root = geometry.safe_sqrt(quarter)
  undefined = a <= _MIN_RAY_DISTANCE_SQUARED
  value = (root - h * d_dot_r) / jnp.where(undefined, 1, a) - z_n
  value = jnp.where(undefined, 0 * h, value)  # 0, or NaN where a depth is
  if bounds is not None:
    value = jnp.clip(value, *bounds)
  return RootDepth(value, jnp.stack([a, b, c], -1), 4 * quarter, value * root)


def lift(
  keypoints_2d: Float[Array, '*b 21 2'],
  relative_depth: Float[Array, '*b 21'],
  root_depth: Float[Array, '*b'],
  intrinsics: Float[Array, '*b 3 3'],
) -> Float[Array, '*b 21 3']:
  """3D joints of a 2.5D hand: J_k = (z_k + Z_root) K^-1 [u_k, v_k, 1] (paper 3.2).

  Args:
    keypoints_2d: (*b, 21, 2) pixels.
    relative_depth: (*b, 21) and
    root_depth: (*b,), both in one unit (reference bones, or metres).
    intrinsics: (*b, 3, 3).

  Returns:
    (*b, 21, 3) in the camera frame, in the unit of the depths.

  Raises:
    ValueError: an argument of another shape.
  """
  keypoints_2d, relative_depth = as_float(keypoints_2d), as_float(relative_depth)
  root_depth = as_float(root_depth)
  check_joints(keypoints_2d, 'keypoints_2d', last=2)
  _check_depth(relative_depth, 'relative_depth', keypoints_2d.shape[:-1])
  _check_depth(root_depth, 'root_depth', keypoints_2d.shape[:-2])
  depth = relative_depth + root_depth[..., None]
  return geometry.backproject(keypoints_2d, depth, intrinsics)


def _check_depth(depth, name, needed):
  if depth.shape != needed:
    raise ValueError(
      f'{name} has the shape {depth.shape}, but keypoints_2d calls for {needed}.'
    )
