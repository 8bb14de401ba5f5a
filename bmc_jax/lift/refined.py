"""Predicted hands whose depth is that of a pose network and of the lifter, together."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bmc_jax import geometry, kinematics
from bmc_jax.lift.lifter import MIDDLE, PIP, KeypointLifter
from bmc_jax.predict import HandPrediction


def refine_predictions(
  lifter: KeypointLifter, hands: Sequence[HandPrediction], *, depth_error: float
) -> list[HandPrediction]:
  """Predicted hands with refined depth; see `refine_depth`."""
  if not hands:
    return []
  joints = refine_depth(
    lifter,
    np.stack([hand.joints_3d for hand in hands]),
    np.stack([hand.intrinsics for hand in hands]),
    depth_error=depth_error,
    is_right=np.array([hand.is_right for hand in hands]),
  )
  return [
    hand
    if hand.crosses_camera
    else dataclasses.replace(hand, joints_3d=refined, root_depth_from='lifted')
    for hand, refined in zip(hands, joints, strict=True)
  ]


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
  together, and how far away the hand is follows from that size.

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
  lifted = lifter(points, intrinsics=camera, is_right=is_right, check_camera=False)
  unit = _bones(joints)[..., MIDDLE, PIP, None]
  ratio = _bones(joints).sum(axis=(-2, -1)) / _bones(lifted.joints_3d).sum(
    axis=(-2, -1)
  )
  other = lifted.joints_3d * ratio[..., None, None]
  off = depth_error * unit, np.maximum(ratio[..., None] * lifted.mean_error, 1e-9)
  share = 1 / (1 + (off[1] / off[0]) ** 2)  # of the lifter
  relative = _mean(share, *(x[..., 2] - x[..., :1, 2] for x in (joints, other)))
  size = _mean(
    share.mean(axis=-1), *((_bones(x) ** 2).sum((-2, -1)) for x in (joints, other))
  )
  rays = np.asarray(geometry.camera_rays(points, camera), np.float64)
  rays = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
  root = _root_depth(rays, relative, size)
  refined = rays * (relative + root[..., None])[..., None]
  refined *= (unit / _bones(refined)[..., MIDDLE, PIP, None])[..., None]
  return np.where(seen, refined, joints)


def _mean(share, one, other):
  return (1 - share) * one + share * other


def _root_depth(rays, relative, size) -> np.ndarray:
  """The wrist's depth (*b,) at which the squares of all bones add up to a size.

  Of rays (*b, 21, 3) and relative depth (*b, 21); as `pose25d.solve_root_depth`, but
  all 20 bones have a say in place of one.
  """
  a, b = (
    np.asarray(kinematics.bone_vectors(x), np.float64).reshape(*size.shape, 60)
    for x in (rays, rays * relative[..., None])
  )
  square, mixed, rest = (a * a).sum(-1), (a * b).sum(-1), (b * b).sum(-1) - size
  root = np.sqrt(np.maximum(mixed**2 - square * rest, 0))
  return (root - mixed) / np.maximum(square, 1e-12)


def _bones(joints: np.ndarray) -> np.ndarray:
  return np.asarray(kinematics.bone_lengths(joints), np.float64)
