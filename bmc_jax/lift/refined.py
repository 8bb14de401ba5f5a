"""Predicted hands whose depth is that of a pose network and of the lifter, together."""

import numpy as np

from bmc_jax import geometry, kinematics
from bmc_jax.lift.lifter import MIDDLE, PIP, KeypointLifter


def refine_depth(
  lifter: KeypointLifter,
  joints_3d: np.ndarray,
  intrinsics: np.ndarray,
  *,
  depth_error: float,
  is_right: bool | np.ndarray = True,
) -> np.ndarray:
  """Takes the keypoints in the image from the hands, their depth from both.

  The relative depth of a joint is the mean of both, weighted by one over the squares of
  how far off they are on average: the network by what is given, the lifter by what it
  says itself. The lifter's hand is brought to the size of the other one, all 20 bones
  together, and how far away the hand is is the lifter's word.

  Args:
    lifter: that lifts the keypoints.
    joints_3d: (*b, 21, 3) of the network, in any unit, in the camera's frame.
    intrinsics: (3, 3) or (*b, 3, 3).
    depth_error: the mean error of the network's relative depth, over the bone from the
      middle MCP to PIP.
    is_right: False for left hands, one for all or (*b,).

  Returns:
    (*b, 21, 3) hands whose middle MCP->PIP bones are as long as before. Those that have
    a joint at or behind the camera stay as they are.

  Raises:
    ValueError: a shape is wrong, or `depth_error` is not above 0.
  """
  if not depth_error > 0:
    raise ValueError(f'depth_error is {depth_error}; it must be above 0.')
  joints = np.asarray(joints_3d, np.float64)
  seen = (joints[..., 2] > 0).all(axis=-1)[..., None, None]
  camera = np.broadcast_to(intrinsics, (*joints.shape[:-2], 3, 3))
  points = np.asarray(geometry.project(np.where(seen, joints, [0, 0, 1.0]), camera))
  lifted = lifter(points, intrinsics=camera, is_right=is_right)
  own, other = (_bones(hands) for hands in (joints, lifted.joints_3d))
  ratio = (own.sum(axis=(-2, -1)) / other.sum(axis=(-2, -1)))[..., None]
  unit = own[..., MIDDLE, PIP, None]
  weights = (
    1
    / np.stack(
      [
        np.broadcast_to(depth_error * unit, points.shape[:-1]),
        np.maximum(ratio * lifted.mean_error, 1e-9),
      ]
    )
    ** 2
  )
  depths = joints[..., 2], ratio * lifted.joints_3d[..., 2]
  relative = np.stack([depth - depth[..., :1] for depth in depths])
  depth = (weights * relative).sum(axis=0) / weights.sum(axis=0) + depths[1][..., :1]
  rays = np.asarray(geometry.camera_rays(points, camera))
  refined = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
  refined = refined * depth[..., None]
  refined *= (unit / _bones(refined)[..., MIDDLE, PIP, None])[..., None]
  return np.where(seen, refined, joints)


def _bones(joints: np.ndarray) -> np.ndarray:
  return np.asarray(kinematics.bone_lengths(joints), np.float64)
