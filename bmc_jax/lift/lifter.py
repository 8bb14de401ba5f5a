"""2D keypoints of any hands to 3D joints, with how sure each depth is.

    from bmc_jax.lift import KeypointLifter

    lifter = KeypointLifter.pretrained()
    hands = lifter(keypoints_2d, intrinsics=intrinsics, is_right=is_right)
    hands.joints_3d, hands.depth_error

A left hand is lifted as the right hand that a mirror shows. That 2D keypoints are those
of a left hand has to be told: the mirror image in depth of a right hand looks almost
the same, and is a left hand.
"""

import functools
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import kinematics
from bmc_jax.joint_files.units import REFERENCE_BONE_RANGE
from bmc_jax.lift import arguments, reach
from bmc_jax.models import LifterNetwork
from bmc_jax.skeleton import Array
from bmc_jax.training.initial_values import init_variables

WEIGHTS = 'package:lifter'
HAND_SIZE = 0.75
"""Metres, the 20 bones of an adult's hand together: 0.71 in STB, 0.77 in DexYCB."""

BATCH_SIZE = 1024
LEAST_PRESENT = 4
"""Joints that a hand needs, if it is to be lifted."""

MIDDLE, PIP = 2, 1  # the reference bone among those of all fingers
_90_PERCENT = float(np.log(10.0))  # of a Laplace distribution lie within so many scales


class LiftedHands(NamedTuple):
  """Hands in 3D, as they are seen: a left one is a left one.

  Attributes:
    joints_3d: (*b, 21, 3) metres, canonical order, camera axes (x right, y down, z
      away). NaN where a hand has too few keypoints, or all in one place.
    keypoints_2d: (*b, 21, 2) pixels to which they project: those given, moved a little
      where they contradict a hand, and placed where they were missing. NaN like these.
    depth_error: (*b, 21) metres: with a probability of 90 % the depth of a joint
      relative to the wrist is not further off. It does not know of a wrong side,
      focal length or hand size.
    intrinsics: (*b, 3, 3) of the camera, given or guessed.
    camera_known: (*b,) bool, whether they were given.
  """

  joints_3d: np.ndarray
  keypoints_2d: np.ndarray
  depth_error: np.ndarray
  intrinsics: np.ndarray
  camera_known: np.ndarray

  @property
  def mean_error(self) -> np.ndarray:
    """(*b, 21) metres, by how much the relative depth is off on average."""
    return self.depth_error / _90_PERCENT


class KeypointLifter:
  """Lifts 2D keypoints by a trained `models.LifterNetwork`."""

  def __init__(self, model: LifterNetwork, variables: Mapping[str, Any]):
    """Takes a network and its variables."""
    self.model = model
    self.variables = variables

  @classmethod
  def pretrained(cls, weights: str = WEIGHTS) -> 'KeypointLifter':
    """The lifter that ships with the package, trained on drawn hands alone.

    Args:
      weights: or a file of `bmc-jax lift --adapt`, or of `configs/lift.py`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it holds the weights of another network.
    """
    model = LifterNetwork(depth=3, correct_2d=True)
    return cls(model, init_variables(model, 1, init_from=weights))

  def __call__(
    self,
    keypoints_2d: np.ndarray,
    *,
    intrinsics: np.ndarray | None = None,
    image_size: tuple[int, int] | None = None,
    confidence: np.ndarray | None = None,
    is_right: bool | np.ndarray = True,
    bone_length: float | None = None,
    check_camera: bool = True,
  ) -> LiftedHands:
    """Lifts hands.

    Args:
      keypoints_2d: (*b, 21, 2) pixels, canonical order; anything where one is missing.
      intrinsics: (3, 3) or (*b, 3, 3) of the images that the pixels belong to. None:
        they are guessed from `image_size`, the focal length as the longer side.
      image_size: width and height in pixels; needed without intrinsics.
      confidence: (*b, 21) in [0, 1], 0 where a keypoint is missing. None: all are
        there, but those that are NaN.
      is_right: False for left hands, one for all or (*b,).
      bone_length: metres from the middle MCP to its PIP joint. None: all 20 bones
        together are `HAND_SIZE`. Keypoints do not tell how large a hand is.
      check_camera: False where `intrinsics` were compared with the pictures already.

    Returns:
      As many hands.

    Raises:
      ValueError: a shape or a value is wrong, or the camera sees no such keypoints.

    Warns:
      UserWarning: the keypoints look like those of crops of the frame that the
        intrinsics are of (`reach.doubt_crops`).
    """
    points, batch = arguments.as_points(keypoints_2d)
    confidence = arguments.as_confidence(confidence, points, batch)
    camera, known = arguments.as_cameras(intrinsics, image_size, batch)
    right = arguments.as_sides(is_right, batch)
    if known and check_camera:
      seen = np.where(confidence[..., None] > 0, points, np.nan)
      reach.check(seen, camera)
      if doubt := reach.doubt_crops(seen, camera):
        warnings.warn(f'intrinsics: {doubt}.', stacklevel=2)
    low, high = REFERENCE_BONE_RANGE
    if bone_length is not None and not low <= bone_length <= high:
      raise ValueError(
        f'A middle MCP->PIP bone of {bone_length} m is no hand: give metres, {low} to '
        f'{high}.'
      )
    points = np.where(confidence[..., None] > 0, points, 0)
    found = [
      self._lift(known, *(part[start : start + BATCH_SIZE] for part in whole))
      for whole in [(points, confidence, camera, right)]
      for start in range(0, len(points), BATCH_SIZE)
    ]
    none = [np.zeros((0, *last)) for last in ((21, 3), (21, 2), (21,), (5, 4))]
    joints, moved, scale, bones = map(np.concatenate, zip(none, *found, strict=True))
    if bone_length is None:
      unit = HAND_SIZE / bones.sum(axis=(1, 2))
    else:
      unit = bone_length / bones[:, MIDDLE, PIP]
    empty = ~_shows_a_hand(points, confidence > 0)
    unit = np.where(empty, np.nan, unit)
    moved = np.where(empty[:, None, None], np.nan, moved)
    return LiftedHands(
      (joints * unit[:, None, None]).reshape(*batch, 21, 3),
      moved.reshape(*batch, 21, 2),
      (_90_PERCENT * scale * unit[:, None]).reshape(*batch, 21),
      camera.reshape(*batch, 3, 3),
      np.full(batch, known),
    )

  def _lift(self, known: bool, points, confidence, camera, right):
    """One batch, filled up to a power of two so that few programs are compiled."""
    count = len(points)
    size = min(BATCH_SIZE, 1 << (count - 1).bit_length())
    rows = np.minimum(np.arange(size), count - 1)
    found = lift_batch(
      self.variables,
      *(jnp.asarray(x[rows], jnp.float32) for x in (points, confidence, camera, right)),
      jnp.full(size, float(known)),
      model=self.model,
    )
    return [np.asarray(x)[:count] for x in found]


# At the module's level, so that a second lifter compiles nothing.
@functools.partial(jax.jit, static_argnames='model')
def lift_batch(
  variables, keypoints_2d, confidence, intrinsics, is_right, camera_known, *, model
) -> tuple[Array, Array, Array, Array]:
  """Lifts left and right hands, under `jax.jit`.

  Args:
    variables: of the model.
    keypoints_2d: (b, 21, 2) pixels.
    confidence: (b, 21), 0 where a keypoint is missing.
    intrinsics: (b, 3, 3).
    is_right: (b,) 1 or 0.
    camera_known: (b,) 1 or 0.
    model: a `models.LifterNetwork`.

  Returns:
    (b, 21, 3) joints in reference bones, the (b, 21, 2) pixels that they project to,
    the (b, 21) scales of the relative depth and the (b, 5, 4) lengths of the bones,
    both in reference bones.
  """
  points, intrinsics = as_right_hands(keypoints_2d, intrinsics, is_right)
  output = model.apply(
    variables,
    {
      'keypoints_2d': points,
      'intrinsics': intrinsics,
      'confidence': confidence,
      'camera_known': camera_known,
    },
  )
  right = is_right[:, None, None] > 0
  joints = output.joints_3d
  return (
    jnp.where(right, joints, joints * jnp.array([[[-1, 1, 1]]])),
    jnp.where(right, output.keypoints_2d, output.keypoints_2d * jnp.array([[[-1, 1]]])),
    output.depth_scale,
    kinematics.bone_lengths(joints),
  )


def as_right_hands(keypoints_2d, intrinsics, is_right) -> tuple[Array, Array]:
  """What a mirror shows of left hands: x -> -x in the camera's frame, u -> -u.

  Args:
    keypoints_2d: (b, 21, 2) pixels.
    intrinsics: (b, 3, 3).
    is_right: (b,) 1 or 0.

  Returns:
    Keypoints and intrinsics of right hands.
  """
  right = jnp.asarray(is_right)[:, None, None] > 0
  camera = jnp.array([[[1, -1, -1], [1, 1, 1], [1, 1, 1]]])
  return (
    jnp.where(right, keypoints_2d, keypoints_2d * jnp.array([[[-1, 1]]])),
    jnp.where(right, intrinsics, intrinsics * camera),
  )


def _shows_a_hand(points: np.ndarray, present: np.ndarray) -> np.ndarray:
  """Of hands (N, 21, 2), which have enough keypoints, and not all in one place."""
  there = present[..., None]
  low = np.where(there, points, np.inf).min(axis=1)
  high = np.where(there, points, -np.inf).max(axis=1)
  return (present.sum(axis=1) >= LEAST_PRESENT) & (high > low).any(axis=1)
