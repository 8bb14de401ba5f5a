"""Sampling of hand shapes, poses and cameras for the procedural hands.

Angles are drawn inside ranges measured on real hands, with the correlations that make
a pose look natural: all fingers share a curl, the joints of a finger bend together and
the thumb opposes. Hands are right hands; joints come out in metres in OpenCV camera
axes, seen by the pinhole camera of a hand crop.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bmc_jax import geometry, kinematics
from bmc_jax.data.procedural.domain import Domain

# Bone lengths over the reference bone (middle MCP -> PIP): medians of real hands,
# thumb to little finger, root bone to fingertip.
LENGTH_RATIOS = np.array(
  [
    [1.20, 0.97, 0.86, 1.10],
    [2.87, 1.04, 0.70, 0.73],
    [2.99, 1.00, 0.73, 0.80],
    [2.72, 0.91, 0.78, 0.75],
    [2.57, 0.67, 0.60, 0.64],
  ],
  np.float32,
)

# 1st, 50th and 99th percentile of flexion and abduction in degrees: (5 fingers,
# 3 bones, 2 angles, 3 percentiles).
ANGLE_PERCENTILES = np.array(
  [
    [
      [[-13, 25, 54], [-31, -11, 14]],
      [[-21, -6, 19], [-31, -14, 2]],
      [[4, 26, 50], [-10, 7, 19]],
    ],
    [
      [[-27, 6, 43], [-30, -17, -1]],
      [[11, 46, 87], [-9, -1, 10]],
      [[-23, 2, 36], [5, 13, 22]],
    ],
    [
      [[-25, 20, 74], [-22, -10, 0]],
      [[14, 45, 84], [-5, 2, 13]],
      [[-19, 5, 40], [-3, 4, 10]],
    ],
    [
      [[-15, 25, 80], [-5, 6, 16]],
      [[9, 42, 89], [-19, -13, -2]],
      [[-14, 3, 35], [3, 9, 15]],
    ],
    [
      [[-7, 33, 96], [-19, 7, 23]],
      [[-2, 31, 79], [-15, -6, 4]],
      [[-18, 1, 41], [-4, 5, 13]],
    ],
  ],
  np.float32,
)

# Root bones of a median palm: neighbours 38, 15, 16 and 15 degrees apart, curvatures
# of 1.2, 14, 8 and 4.4 per metre. Axes: x to the thumb's side, y to the fingers, z out
# of the palm.
ROOT_DIRECTIONS = np.array(
  [
    [0.6548, 0.6174, 0.4359],
    [0.2525, 0.9657, 0.0606],
    [0.0, 1.0, 0.0],
    [-0.2752, 0.9614, 0.0037],
    [-0.5087, 0.8588, 0.0606],
  ],
  np.float32,
)

# How much of a finger's curl its PIP, DIP and TIP bones take.
_CURL_SHARES = np.array([0.8, 1.0, 0.6], np.float32)


class Subject(NamedTuple):
  """One person's hand."""

  bone_lengths: Float[Array, '5 4']  # metres
  root_directions: Float[Array, '5 3']  # unit vectors, hand axes


class HandSample(NamedTuple):
  """A posed hand before a camera. Fields may carry leading batch dimensions."""

  joints_3d: Float[Array, '21 3']  # metres, OpenCV camera axes
  keypoints_2d: Float[Array, '21 2']  # pixels of the crop
  intrinsics: Float[Array, '3 3']  # of the crop
  subject: Int[Array, '']  # index below `Domain.num_subjects`


def _between(ends: tuple[float, float], share: Float[Array, '*n']):
  """Stretches numbers of [0, 1] over an interval."""
  return ends[0] + (ends[1] - ends[0]) * share


def subject_key(index: Int[Array, ''], domain: Domain) -> PRNGKeyArray:
  """Key of everything that belongs to a person, the same in every image."""
  return jax.random.fold_in(jax.random.key(domain.subject_seed), index)


def make_subject(index: Int[Array, ''], domain: Domain) -> Subject:
  """Builds the hand of subject number `index` of a domain."""
  keys = jax.random.split(subject_key(index, domain))
  # 20 bones, then 15 coordinates of root directions.
  normal = jax.random.truncated_normal(keys[0], -2.0, 2.0, (35,))
  size = jax.random.uniform(keys[1])
  ratios = LENGTH_RATIOS * np.array(
    [domain.palm_ratio, 1.0, domain.finger_ratio, domain.finger_ratio], np.float32
  )
  lengths = ratios * jnp.exp(domain.length_std * normal[:20].reshape(5, 4))
  lengths = lengths / lengths[2, 1] * _between(domain.reference_length, size)
  directions = ROOT_DIRECTIONS + domain.root_direction_std * normal[20:].reshape(5, 3)
  return Subject(
    bone_lengths=lengths,
    root_directions=geometry.normalize(directions),
  )


def sample_angles(key: PRNGKeyArray, domain: Domain) -> Float[Array, '5 3 2']:
  """Draws flexion and abduction of the 15 finger bones, in radians.

  A latent number per angle, built from a common curl, the finger's own and the
  joint's own, is squashed to (-1, 1) and stretched over the plausible range, so no
  angle leaves it.
  """
  normal = jax.random.normal(key, (37,))
  curl = domain.curl_mean + domain.curl_std * normal[0]
  fingers = curl + domain.finger_std * normal[1:5]
  # The thumb follows the fingers only a little and opposes on its own.
  thumb = 0.3 * curl + domain.thumb_std * normal[5:6]
  flexion = jnp.outer(jnp.concatenate([thumb, fingers]), _CURL_SHARES)
  flexion += domain.joint_std * normal[6:21].reshape(5, 3)

  # Fingers fan out around the middle one. The thumb's own share is larger.
  own = np.array([[domain.thumb_std], *4 * [[0.4 * domain.spread_std]]], np.float32)
  fan = np.outer([0.0, 1.0, 0.4, -0.4, -1.0], [1.0, 0.0, 0.0]).astype(np.float32)
  abduction = own * normal[21:36].reshape(5, 3) + fan * domain.spread_std * normal[36]

  latent = domain.pose_range * jnp.tanh(jnp.stack([flexion, abduction], -1))
  lower, median, upper = np.moveaxis(np.deg2rad(ANGLE_PERCENTILES), -1, 0)
  reach = jnp.where(latent < 0, median - lower, upper - median)
  return jnp.asarray(median) + latent * reach


def turn(axes: tuple[int, int], angle: Float[Array, '']) -> Float[Array, '3 3']:
  """Rotation of one axis towards another one."""
  plane = np.zeros((3, 3), np.float32)
  plane[axes[1], axes[0]], plane[axes[0], axes[1]] = 1, -1
  square = plane @ plane
  return jnp.eye(3) + jnp.sin(angle) * plane + (1 - jnp.cos(angle)) * square


def sample_view(key: PRNGKeyArray, domain: Domain) -> Float[Array, '3 3']:
  """Draws the rotation from hand axes to camera axes."""
  keys = jax.random.split(key)
  shares = jax.random.uniform(keys[0], (2,))
  bound = domain.tilt_max / domain.tilt_std
  normal = jax.random.truncated_normal(keys[1], -bound, bound, (2,))
  # Fingers up, the palm or the back to the camera.
  palm = jnp.where(shares[0] < domain.palm_probability, 1.0, -1.0)
  base = jnp.diag(jnp.stack([palm, -1.0, -palm]))
  heading = 2 * jnp.pi * shares[1]
  tilt = jnp.deg2rad(domain.tilt_std) * normal[0]
  roll = jnp.deg2rad(domain.roll_std) * jnp.clip(normal[1], -2.5, 2.5)
  about_z, about_x = (0, 1), (1, 2)
  return (
    turn(about_z, roll + heading) @ turn(about_x, tilt) @ turn(about_z, -heading) @ base
  )


def _place(shares: Float[Array, '3'], joints: Float[Array, '21 3'], domain: Domain):
  """Moves joints before the camera: metres, camera axes."""
  sideways = domain.off_axis * (2 * shares[:2] - 1)
  centre = _between(domain.depth, shares[2]) * jnp.append(sideways, 1.0)
  return joints + (centre - joints.mean(axis=0))[None]


def _crop_intrinsics(
  shares: Float[Array, '3'],
  joints: Float[Array, '21 3'],
  image_size: int,
  domain: Domain,
) -> Float[Array, '3 3']:
  """Intrinsics of a square crop around the hand, principal point included."""
  rays = joints[:, :2] / joints[:, 2:]
  low, high = rays.min(axis=0), rays.max(axis=0)
  focal = _between(domain.fill, shares[0]) * image_size / (high - low).max()
  jitter = domain.centre_jitter * image_size * (2 * shares[1:] - 1)
  principal = (image_size - 1) / 2 + jitter - focal * (low + high) / 2
  scaling = focal * np.diag([1.0, 1.0, 0.0]).astype(np.float32)
  return scaling.at[:, 2].set(jnp.append(principal, 1.0))


def sample_hand(key: PRNGKeyArray, domain: Domain, image_size: int) -> HandSample:
  """Draws one right hand before one camera.

  Args:
    key: random key.
    domain: the distribution to draw from.
    image_size: side of the square crop in pixels.

  Returns:
    The hand's joints, their projections and the crop's camera.
  """
  keys = jax.random.split(key, 4)
  shares = jax.random.uniform(keys[3], (6,))
  index = jax.random.randint(keys[0], (), 0, domain.num_subjects)
  subject = make_subject(index, domain)
  joints = kinematics.forward_kinematics(
    sample_angles(keys[1], domain), subject.bone_lengths, subject.root_directions
  )
  joints = _place(shares[:3], joints @ sample_view(keys[2], domain).T, domain)
  intrinsics = _crop_intrinsics(shares[3:], joints, image_size, domain)
  return HandSample(
    joints_3d=joints,
    keypoints_2d=geometry.project(joints, intrinsics),
    intrinsics=intrinsics,
    subject=index,
  )
