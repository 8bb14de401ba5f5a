"""What a detector makes of a hand's joints: noise, slips, and joints that it misses.

Errors grow with the hand's size in the picture. Tips and wrist are less sure than
knuckles, joints behind other fingers less than those in view; the joints of a finger
err together, single ones err far, and now and then a whole finger is taken for its
neighbour. Confidences tell how sure a joint is in half of the hands, and nothing
(all 1) in the others, as tools give them.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from bmc_jax.data.procedural.anyone import SeenHand
from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.parameters import check_values


@dataclasses.dataclass(frozen=True)
class Detector:
  """How a detector errs; lengths in half the hand's size in the picture.

  Attributes:
    noise: std of a joint's error, log-uniform over hands.
    hidden: factor of it for joints behind others.
    outlier: probability of a joint five times as wrong.
    slip: probability of a hand with a finger taken for its neighbour.
    gaps: probability of a hand with missing joints, at most half of them.
    gap_finger: probability of a hand that lacks a whole finger.
    camera: probability that the camera is known.
  """

  noise: tuple[float, float] = (0.001, 0.06)
  hidden: float = 2.5
  outlier: float = 0.02
  slip: float = 0.02
  gaps: float = 0.5
  gap_finger: float = 0.05
  camera: float = 0.7

  def __post_init__(self):
    chances = ('outlier', 'slip', 'gaps', 'gap_finger', 'camera')
    check_values(self, positive=('noise',), probabilities=chances)


NUM_NORMAL, NUM_UNIFORM = 102, 51
"""How many random numbers one hand takes."""

_KINDS = np.array([1.3, *5 * [1.0, 1.0, 1.1, 1.3]], np.float32)
_FINGER_OF = np.array([-1, *np.repeat(np.arange(5), 4)])  # of the joints


def sample_keypoints(
  draws: Draws, hand: SeenHand, detector: Detector
) -> tuple[Float[Array, '21 2'], Float[Array, '21']]:
  """Draws what a detector gives.

  Args:
    draws: of which `NUM_NORMAL` and `NUM_UNIFORM` numbers are enough.
    hand: the true one.
    detector: how it errs.

  Returns:
    Rays, and confidences in [0.05, 1], or 0 where a joint is missing.
  """
  spread = hand.rays - hand.rays.mean(axis=0, keepdims=True)
  size = 2.2 * jnp.sqrt(jnp.mean(spread**2))  # about half of the longer side
  low, high = np.log(detector.noise)
  level = jnp.exp(draws.uniform(low, high))
  error = level * _KINDS * jnp.exp(0.4 * draws.normal(21))
  error *= jnp.where(_is_hidden(hand), detector.hidden, 1.0)
  error *= jnp.where(draws.chance(detector.outlier, (21,)), 5.0, 1.0)
  by_finger = jnp.repeat(0.7 * level * draws.normal(5, 2), 4, axis=0)
  noise = error[:, None] * draws.normal(21, 2)
  noise += jnp.concatenate([jnp.zeros((1, 2)), by_finger])
  rays = _slip(draws, hand.rays + size * noise, size * level, detector)
  confidence = jnp.where(
    draws.chance(0.5), jnp.exp(-12 * error * jnp.exp(0.3 * draws.normal(21))), 1.0
  )
  missing = _missing(draws, detector)
  return rays, jnp.where(missing, 0.0, jnp.clip(confidence, 0.05, 1.0))


def _is_hidden(hand: SeenHand) -> Bool[Array, '21']:
  """Which joints lie behind a bone: nearer than its flesh, and not its own."""
  joints = hand.joints_3d
  fingers = joints[1:].reshape(5, 4, 3)
  chains = jnp.concatenate([joints[:1][None].repeat(5, axis=0), fingers], axis=1)
  middles = ((chains[:, 1:] + chains[:, :-1]) / 2).reshape(20, 3)
  points = jnp.concatenate([middles, joints[1:]])
  seen = points[:, :2] / points[:, 2:]
  apart = jnp.linalg.norm(seen[None] - hand.rays[:, None], axis=-1) * joints[:, 2:]
  before = points[None, :, 2] < joints[:, None, 2] - 0.45
  return jnp.any((apart < 0.28) & before, axis=1)


def _slip(draws: Draws, rays, noise, detector: Detector) -> Float[Array, '21 2']:
  """Puts the PIP, DIP and tip of one finger onto those of a neighbour."""
  fingers = rays[1:].reshape(5, 4, 2)
  finger = 1 + jnp.floor(draws.uniform(0, 4))
  other = jnp.clip(finger + jnp.where(draws.chance(0.5), 1, -1), 1, 4)
  number = np.arange(5, dtype=np.float32)
  there = jnp.einsum('f,fjk->jk', (number == other).astype(rays.dtype), fingers)
  there += noise * draws.normal(4, 2)
  slips = draws.chance(detector.slip) & (number == finger)
  moved = slips[:, None, None] & (np.arange(4) > 0)[None, :, None]
  fingers = jnp.where(moved, there[None], fingers)
  return jnp.concatenate([rays[:1], fingers.reshape(20, 2)])


def _missing(draws: Draws, detector: Detector) -> Bool[Array, '21']:
  share = jnp.where(draws.chance(detector.gaps), draws.uniform(0.0, 0.5), 0.0)
  finger = jnp.where(
    draws.chance(detector.gap_finger), jnp.floor(draws.uniform(0, 5)), -2.0
  )
  return (draws.uniform(0.0, 1.0, (21,)) < share) | (_FINGER_OF == finger)
