"""The domain `everyday`: anybody's hand as photos show it.

All viewpoints, the full range of poses, hands of adults and children, crops as loose
and as off-centre as detectors give. Poses are those of `anyone`; what fingers can not
do, sink into each other or into the palm, is avoided by drawing several poses and
keeping the best.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from bmc_jax import geometry
from bmc_jax.data.procedural import anyone as anyone_lib
from bmc_jax.data.procedural.anyone import Anyone
from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.mesh.look import Look

_POSES = Anyone(
  conventions=('mano', 'makehuman', 'rhd'),
  slide=0.03,
  length_std=0.05,
  palm_arch=(0.5, 1.25),
  palm_spread=(0.85, 1.15),
  direction_std=0.02,
  skin_share=0.0,
  skin=0.0,
)


@dataclasses.dataclass(frozen=True)
class Everyday:
  """What hands, cameras and pictures are drawn from, as plain parameters.

  Attributes:
    anyone: poses, proportions and viewpoints.
    look: what pictures look like.
    reference_length: middle MCP -> PIP, metres.
    candidates: poses that are drawn for each hand; that whose fingers sink least into
      each other is kept.
    fill: longer side of the joints' box over the crop's.
    centre_jitter: how far the box is from the crop's centre, over the crop's side.
  """

  anyone: Anyone = _POSES
  look: Look = Look()  # noqa: RUF009
  reference_length: tuple[float, float] = (0.024, 0.044)
  candidates: int = 4
  fill: tuple[float, float] = (0.45, 0.9)
  centre_jitter: float = 0.1


class PosedHand(NamedTuple):
  """A right hand before a camera. Fields may carry leading batch dimensions."""

  joints_3d: Float[Array, '21 3']  # metres, OpenCV camera axes
  intrinsics: Float[Array, '3 3']  # of the crop


def sample_hand(key: PRNGKeyArray, domain: Everyday, size: int) -> PosedHand:
  """Draws one hand and the crop around it.

  Args:
    key: random key.
    domain: the distribution.
    size: side of the crop in pixels.
  """
  pose_key, size_key = jax.random.split(key)
  hands = jax.vmap(lambda k: _draw(k, domain.anyone))(
    jax.random.split(pose_key, domain.candidates)
  )
  best = jnp.argmin(jax.vmap(overlap)(hands))
  least, most = domain.reference_length
  length = jax.random.uniform(size_key, minval=least, maxval=most)
  return sample_crop(key, hands[best] * length, domain, size)


def sample_crop(
  key: PRNGKeyArray, joints: Float[Array, '21 3'], domain: Everyday, size: int
) -> PosedHand:
  """Draws a crop around joints as loose and off-centre as the domain says.

  Args:
    key: random key.
    joints: in front of the camera, metres.
    domain: the distribution.
    size: side of the crop in pixels.
  """
  shares = jax.random.uniform(jax.random.fold_in(key, 1), (3,))
  fill = domain.fill[0] + (domain.fill[1] - domain.fill[0]) * shares[0]
  jitter = domain.centre_jitter * (2 * shares[1:] - 1)
  return PosedHand(joints, crop_around(joints, size, fill=fill, jitter=jitter))


def _draw(key, anyone: Anyone):
  draws = Draws(key, normal=anyone_lib.NUM_NORMAL, uniform=anyone_lib.NUM_UNIFORM)
  return anyone_lib.sample_hand(draws, anyone).joints_3d


def crop_around(
  joints: Float[Array, '21 3'],
  size: int,
  *,
  fill: Array | float,
  jitter: Float[Array, '2'],
) -> Float[Array, '3 3']:
  """Intrinsics of a square crop around the joints.

  Args:
    joints: in front of the camera.
    size: side of the crop in pixels.
    fill: longer side of the joints' box over the crop's.
    jitter: of the box's centre from the crop's, over its side.
  """
  rays = joints[:, :2] / joints[:, 2:]
  low, high = rays.min(axis=0), rays.max(axis=0)
  focal = fill * size / (high - low).max()
  principal = (size - 1) / 2 + jitter * size - focal * (low + high) / 2
  diagonal = focal * np.diag([1.0, 1.0, 0.0]).astype(np.float32)
  return diagonal.at[:, 2].set(jnp.append(principal, 1.0))


@functools.cache
def _balls() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Balls of flesh: weights of the joints (n, 21), radii in reference bones, and the
  finger that each is of, -1 for the palm.
  """
  weights, radii, fingers = [], [], []
  for finger in range(5):
    first = 1 + 4 * finger
    for bone in range(3):
      for share in (0.25, 0.75) if bone else (0.5,):
        row = np.zeros(21)
        row[first + bone], row[first + bone + 1] = 1 - share, share
        weights.append(row)
        radii.append((0.30 if finger == 0 else 0.26) - 0.03 * bone)
        fingers.append(finger)
    if finger:
      for share in (0.45, 0.85):
        row = np.zeros(21)
        row[0], row[first] = 1 - share, share
        weights.append(row)
        radii.append(0.34)
        fingers.append(-1)
  return (
    np.array(weights, np.float32),
    np.array(radii, np.float32),
    np.array(fingers, np.float32),
  )


def overlap(joints: Float[Array, '21 3']) -> Float[Array, '']:
  """How far fingers sink into each other and into the palm, in reference bones: a sum
  over pairs of balls that stand for the flesh.

  Args:
    joints: in reference bones.
  """
  weights, radii, fingers = _balls()
  centres = weights @ joints
  apart = geometry.safe_norm(centres[:, None] - centres[None])
  depth = jnp.maximum(radii[:, None] + radii[None] - apart, 0.0)
  different = (fingers[:, None] < fingers[None]).astype(np.float32)
  # The thumb's first bone lies in the palm.
  first = np.zeros_like(different)
  first[fingers == -1, np.flatnonzero(fingers == 0)[0]] = 1
  return jnp.sum(depth * different * (1 - first))
