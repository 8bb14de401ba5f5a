"""Hands for tests, posed with SciPy's rotations instead of the code under test."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import jaxtyping
import numpy as np
from scipy.spatial.transform import Rotation

# Medians of real hands: degrees (flexion, abduction), and lengths in reference bones.
MEDIAN_ANGLES = [
  [[25, -11], [-6, -14], [26, 7]],
  [[6, -17], [46, -1], [2, 13]],
  [[20, -10], [45, 2], [5, 4]],
  [[25, 6], [42, -13], [3, 9]],
  [[33, 7], [31, -6], [1, 5]],
]
LENGTHS = [
  [1.20, 0.97, 0.86, 1.10],
  [2.87, 1.04, 0.70, 0.73],
  [2.99, 1.00, 0.73, 0.80],
  [2.72, 0.91, 0.78, 0.75],
  [2.57, 0.67, 0.60, 0.64],
]
INTRINSICS = np.array([[610.0, 0, 318], [0, 608, 242], [0, 0, 1]])


class Hands(NamedTuple):
  """Hands and what they were posed from; wrist at the origin, reference bone 1."""

  joints: np.ndarray  # (n, 21, 3)
  angles: np.ndarray  # (n, 5, 3, 2)
  lengths: np.ndarray  # (n, 5, 4)
  roots: np.ndarray  # (n, 5, 3)


def random_hands(seed: int, count: int, spread: float = 15.0) -> Hands:
  """Right hands around the median one, each turned at random, in float64."""
  rng = np.random.default_rng(seed)
  noise = rng.normal(0, spread, (count, 5, 3, 2))
  angles = np.deg2rad(np.array(MEDIAN_ANGLES) + noise)
  lengths = np.array(LENGTHS) * rng.uniform(0.9, 1.1, (count, 5, 4))
  lengths[:, 2, 1] = 1
  fan = np.deg2rad([-52, -14, 0, 15, 30])
  roots = np.stack([np.sin(fan), -np.cos(fan), [0.3, 0, -0.05, 0, 0.1]], axis=-1)
  roots = roots + rng.normal(0, 0.02, (count, 5, 3))
  roots = roots @ Rotation.random(count, rng=rng).as_matrix()
  roots /= np.linalg.norm(roots, axis=-1, keepdims=True)
  joints = [pose_hand(*parts) for parts in zip(angles, lengths, roots, strict=True)]
  return Hands(np.array(joints), angles, lengths, roots)


def wild_hands(seed: int, count: int) -> np.ndarray:
  """Hands outside the limits: posed and scaled at random, far from kinks."""
  rng = np.random.default_rng(seed)
  return random_hands(seed, count, 40).joints * rng.uniform(0.5, 2, (count, 1, 1))


def pose_hand(angles: np.ndarray, lengths: np.ndarray, roots: np.ndarray) -> np.ndarray:
  """Joints (21, 3) of one hand, bone by bone, with rotation matrices."""
  joints = [np.zeros(3)]
  for finger, axes in enumerate(slow_root_frames(roots)):
    joint = lengths[finger, 0] * roots[finger]
    joints.append(joint)
    for bone in range(3):
      flexion, abduction = angles[finger, bone]
      # About the frame's y, then about the turned x: intrinsic rotations.
      turn = Rotation.from_euler('YX', [flexion, -abduction]).as_matrix()
      axes = turn.T @ axes
      joint = joint + lengths[finger, bone + 1] * axes[2]
      joints.append(joint)
  return np.array(joints)


def slow_root_frames(roots: np.ndarray) -> list[np.ndarray]:
  """Rows x, y, z of the five PIP bones' frames (paper 3.1), finger by finger."""
  n = [unit(np.cross(roots[i + 1], roots[i])) for i in range(4)]
  x = [-n[0], -n[1], -unit(n[2] + n[1]), -unit(n[3] + n[2]), -n[3]]
  return [np.stack([x[i], np.cross(roots[i], x[i]), roots[i]]) for i in range(5)]


def unit(vector: np.ndarray) -> np.ndarray:
  return vector / np.linalg.norm(vector)


def degenerate_hands() -> dict[str, np.ndarray]:
  """Hands as they come up early in training, (21, 3) in float32."""
  hand = random_hands(0, 1).joints[0]
  fingers = hand[1:].reshape(5, 4, 3)

  def assemble(fingers, wrist=hand[0]):
    return np.concatenate([wrist[None], fingers.reshape(20, 3)])

  knuckles = fingers[:, :1]
  steps = np.arange(4)[:, None]
  collinear = np.array([[0.5, 1, 0]]) + np.arange(5)[:, None] * [[0.2, 0, 0]]
  # In the frame of the thumb's PIP bone y is the second row.
  along_y = fingers.copy()
  axes = slow_root_frames(np.stack([unit(k[0]) for k in knuckles]))
  for finger in range(5):
    along_y[finger, 1] = fingers[finger, 0] + axes[finger][1]
    along_y[finger, 2] = along_y[finger, 1] + axes[finger][1]
  folded = fingers.copy()
  folded[:, 1] = 0.5 * fingers[:, 0]
  hands = {
    'all joints zero': np.zeros((21, 3)),
    'all joints equal': np.ones((21, 3)),
    'zero bones': assemble(np.repeat(knuckles, 4, axis=1)),
    'one zero bone': assemble(
      np.where(np.arange(4)[:, None] == 2, fingers[:, 1:2], fingers)
    ),
    'coincident knuckles': assemble(np.broadcast_to(fingers[2], (5, 4, 3))),
    'two coincident knuckles': assemble(fingers[[0, 1, 1, 3, 4]]),
    'collinear knuckles': assemble(collinear[:, None] + 0.3 * steps * [0.0, 1, 0]),
    'knuckles on one ray': assemble(np.arange(1, 6)[:, None, None] * fingers[2][None]),
    'opposite root bones': assemble(
      np.array([1, -1, 1, -1, 1])[:, None, None]
      * np.broadcast_to(fingers[2], (5, 4, 3))
    ),
    'straight fingers': assemble(knuckles * (1 + 0.3 * steps)),
    'bones along y': assemble(along_y),
    'flexion of pi': assemble(folded),
    'wrist on a knuckle': assemble(fingers, fingers[2, 0]),
    'flat on the axes': np.round(hand) * [1, 1, 0],
  }
  for exponent in (-12, -6, 6, 12):
    hands[f'scale 1e{exponent}'] = hand * 10.0**exponent
  return {name: joints.astype(np.float32) for name, joints in hands.items()}


@contextlib.contextmanager
def as_users_call() -> Iterator[None]:
  """Switches the shape checks of the test session off: the library's own speak."""
  jaxtyping.config.update('jaxtyping_disable', True)
  try:
    yield
  finally:
    jaxtyping.config.update('jaxtyping_disable', False)
