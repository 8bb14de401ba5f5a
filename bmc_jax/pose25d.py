"""The 2.5D hand and its lifting to 3D (paper section 3.2; Iqbal et al., ECCV 2018).

A 2.5D hand is 21 pixels and 21 depths relative to the root joint, divided by the
length of a reference bone (middle MCP -> PIP). With the camera's intrinsics the root
depth follows from one quadratic equation, because the reference bone has length 1.
"""

from typing import NamedTuple

from jaxtyping import Float

from bmc_jax import geometry
from bmc_jax.root_depth import (
  REFERENCE,
  RootDepth,
  check_reference,
  solve_root_depth,
)
from bmc_jax.skeleton import (
  WRIST,
  Array,
  as_float,
  check_before_camera,
  check_joints,
  check_root,
)

__all__ = [
  'REFERENCE',
  'Pose25D',
  'RootDepth',
  'check_reference',
  'in_reference_bones',
  'lift',
  'scale_of',
  'solve_root_depth',
  'to_pose25d',
]


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


def in_reference_bones(
  joints_3d: Float[Array, '*b 21 3'], reference: tuple[int, int] = REFERENCE
) -> Float[Array, '*b 21 3']:
  """Joints in the unit of the constraints: J / scale_of(J) (paper section 3.2).

  Value and gradient are finite for every hand. One whose reference bone has no length
  becomes zero, with gradient zero, instead of infinite.

  Args:
    joints_3d: (*b, 21, 3), any unit.
    reference: the two joints of the reference bone.

  Returns:
    (*b, 21, 3) in reference bones.

  Raises:
    ValueError: as `scale_of`.
  """
  joints_3d = as_float(joints_3d)
  scale = scale_of(joints_3d, reference)
  return geometry.safe_divide(joints_3d, scale[..., None, None])


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

  Raises:
    ValueError: an argument of another shape, a root or reference that is no joint, or
      (where values are known) joints that are not before the camera or intrinsics
      that are none.
  """
  check_root(root)
  joints_3d = as_float(joints_3d)
  scale = scale_of(joints_3d, reference)
  check_before_camera(joints_3d, 'to_pose25d')
  depth = geometry.safe_divide(joints_3d[..., 2], scale[..., None])
  root_depth = depth[..., root]
  return Pose25D(
    keypoints_2d=geometry.project(joints_3d, intrinsics),
    relative_depth=depth - root_depth[..., None],
    root_depth=root_depth,
    scale=scale,
  )


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
    ValueError: an argument of another shape, or (where values are known) intrinsics
      that are none.
  """
  keypoints_2d, relative_depth = as_float(keypoints_2d), as_float(relative_depth)
  root_depth = as_float(root_depth)
  check_joints(keypoints_2d, 'keypoints_2d', last=2)
  geometry.check_depth(relative_depth, 'relative_depth', keypoints_2d.shape[:-1])
  geometry.check_depth(root_depth, 'root_depth', keypoints_2d.shape[:-2])
  depth = relative_depth + root_depth[..., None]
  return geometry.backproject(keypoints_2d, depth, intrinsics)
