"""Anybody's hand before any camera, as 2D keypoints see it: no picture is drawn.

Hands are seen from everywhere, a part of them with palm or back to the camera; fingers
move together or each by itself, and joints lie where one tool or another labels them
(`conventions`), on the skin or inside the flesh. Lengths are in reference bones:
keypoints do not tell how large a hand is.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bmc_jax import geometry, kinematics
from bmc_jax.data.procedural.conventions import BONE_RATIOS, RANGES
from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.parameters import check_values
from bmc_jax.data.procedural.pose import turn
from bmc_jax.pose25d import scale_of


@dataclasses.dataclass(frozen=True)
class Anyone:
  """What hands are drawn from. Pairs are the ends of uniform distributions.

  Attributes:
    conventions: keys of `conventions.BONE_RATIOS`; each hand is a mixture of them.
    ranges: a key of `conventions.RANGES`, of angles and palms.
    slide: std of how far labels move along the fingers, reference bones.
    length_std: relative spread of each bone.
    palm_arch: factor of the thumb's and the palm's depth: 0 is a flat palm.
    palm_spread: factor of the angles between root bones.
    direction_std: spread of the root bones' directions, radians.
    skin_share: of the hands that are labelled on their skin.
    skin: std of how far those labels are from the joint, reference bones.
    curl_std: how far fingers close and open, in units of half their range; 1 is most.
    hook_std: of bending the PIP against the MCP (a hook against a table top).
    joint_std: of each joint by itself.
    thumb_std: of the thumb's curl.
    spread_std: of abduction.
    facing: share of hands that turn palm or back to the camera; of the others all
      viewpoints are equally likely.
    facing_tilt: std of how far they lean, degrees.
    distance: from the camera, in sums of the 20 bones over 26 (about one reference
      bone), log-uniform.
    off_axis: sideways place over the distance, up to this.
  """

  conventions: tuple[str, ...] = tuple(BONE_RATIOS)
  ranges: str = 'wide'
  slide: float = 0.1
  length_std: float = 0.06
  palm_arch: tuple[float, float] = (-0.2, 1.3)
  palm_spread: tuple[float, float] = (0.75, 1.2)
  direction_std: float = 0.03
  skin_share: float = 0.5
  skin: float = 0.12
  curl_std: float = 1.0
  hook_std: float = 0.6
  joint_std: float = 0.3
  thumb_std: float = 0.8
  spread_std: float = 0.5
  facing: float = 0.3
  facing_tilt: float = 40.0
  distance: tuple[float, float] = (6.0, 45.0)
  off_axis: float = 0.45

  def __post_init__(self):
    for convention in self.conventions:
      if convention not in BONE_RATIOS:
        raise ValueError(
          f'There is no labelling convention {convention!r}; known are '
          f'{", ".join(BONE_RATIOS)}.'
        )
    if self.ranges not in RANGES:
      raise ValueError(
        f'There are no ranges {self.ranges!r}; known are {", ".join(RANGES)}.'
      )
    check_values(self, positive=('distance',), probabilities=('skin_share', 'facing'))


class SeenHand(NamedTuple):
  """A hand before a camera of focal length 1."""

  joints_3d: Float[Array, '21 3']  # reference bones, OpenCV camera axes
  rays: Float[Array, '21 2']  # x / z and y / z


NUM_NORMAL, NUM_UNIFORM = 133, 16
"""How many random numbers one hand takes."""

_USUAL_SUM = 26.0  # of the 20 bones, reference bones


def sample_hand(draws: Draws, anyone: Anyone) -> SeenHand:
  """Draws one right hand and where it is.

  Args:
    draws: of which `NUM_NORMAL` and `NUM_UNIFORM` numbers are enough.
    anyone: the distribution.
  """
  lengths = _bone_lengths(draws, anyone)
  roots = _root_directions(draws, anyone)
  joints = kinematics.forward_kinematics(_angles(draws, anyone), lengths, roots)
  joints = _onto_skin(draws, joints, anyone)
  joints = joints / scale_of(joints) @ _viewpoint(draws, anyone).T
  size = kinematics.bone_lengths(joints).sum() / _USUAL_SUM
  near, far = np.log(anyone.distance)
  distance = size * jnp.exp(draws.uniform(near, far))
  sideways = draws.uniform(-anyone.off_axis, anyone.off_axis, (2,))
  joints += (distance * jnp.append(sideways, 1.0) - joints.mean(axis=0))[None]
  return SeenHand(joints, joints[:, :2] / joints[:, 2:])


def _bone_lengths(draws: Draws, anyone: Anyone) -> Float[Array, '5 4']:
  """Bones over the reference bone, by a mixture of conventions and by a person."""
  ratios = np.log(np.array([BONE_RATIOS[c] for c in anyone.conventions], np.float32))
  # Most mixtures are near one of the conventions.
  weights = (-jnp.log(draws.uniform(1e-6, 1.0, (len(ratios),)))) ** 4
  lengths = jnp.exp(jnp.einsum('c,cij->ij', weights / weights.sum(), ratios))
  # A label further down the finger makes one bone longer and the next one shorter.
  joint = np.array([[1.0, 0.5, 0.4, 0.4]], np.float32)  # MCP, PIP, DIP, tip
  slide = anyone.slide * joint * (draws.normal(1, 4) + 0.5 * draws.normal(5, 4))
  before = jnp.concatenate([jnp.zeros((5, 1)), slide[:, :3]], axis=1)
  lengths = jnp.maximum(lengths + slide - before, 0.25)
  person = jnp.clip(draws.normal(5, 4), -2.5, 2.5)
  return lengths * jnp.exp(anyone.length_std * person)


def _root_directions(draws: Draws, anyone: Anyone) -> Float[Array, '5 3']:
  factors = [draws.uniform(*anyone.palm_spread), 1.0, draws.uniform(*anyone.palm_arch)]
  directions = RANGES[anyone.ranges].roots * jnp.stack(factors)[None]
  directions += anyone.direction_std * draws.normal(5, 3)
  return jnp.asarray(geometry.normalize(directions))


def _angles(draws: Draws, anyone: Anyone) -> Float[Array, '5 3 2']:
  """Flexion and abduction, radians, inside `Anyone.ranges`."""
  alone = draws.uniform(0.0, 1.0)  # 0: all fingers as one; 1: each by itself
  together = anyone.curl_std * draws.normal()
  fingers = anyone.curl_std * draws.normal(4)
  fingers = jnp.sqrt(1 - alone) * together + jnp.sqrt(alone) * fingers
  thumb = 0.3 * together + anyone.thumb_std * draws.normal(1)
  curl = jnp.concatenate([thumb, fingers])[:, None]
  hook = anyone.hook_std * draws.normal(5, 1)
  flexion = (
    curl * np.array([[0.8, 1.0, 0.8]], np.float32)
    + hook * np.array([[-1.0, 0.6, 0.5]], np.float32)
    + anyone.joint_std * draws.normal(5, 3)
  )
  fan = np.outer([0.0, 1.0, 0.4, -0.4, -1.0], [1.0, 0.0, 0.0]).astype(np.float32)
  own = np.array([[1.0, 0.6, 0.6]], np.float32) * draws.normal(5, 3)
  abduction = anyone.spread_std * (own + fan * draws.normal())
  share = jnp.tanh(jnp.stack([flexion, abduction], axis=-1))
  low, middle, high = np.moveaxis(np.deg2rad(RANGES[anyone.ranges].angles), -1, 0)
  reach = jnp.where(share < 0, middle - low, high - middle)
  return jnp.asarray(middle) + share * reach


def _onto_skin(
  draws: Draws, joints: Float[Array, '21 3'], anyone: Anyone
) -> Float[Array, '21 3']:
  """Moves labels to the back or the palm side, all joints of a kind alike."""
  # The x axes of the PIP, DIP and TIP bones point out of the hand's back.
  outwards = kinematics.bone_frames(joints)[..., 0, :]
  outwards = jnp.concatenate([outwards, outwards[:, 2:]], axis=1)  # of MCP to tip
  far = jnp.where(draws.chance(anyone.skin_share), anyone.skin, 0.15 * anyone.skin)
  offset = far * (draws.normal(1, 4) + 0.3 * draws.normal(5, 4))
  fingers = joints[1:].reshape(5, 4, 3) + offset[..., None] * outwards
  wrist = joints[:1] + far * draws.normal(1, 3)
  return jnp.concatenate([wrist, fingers.reshape(20, 3)])


def _viewpoint(draws: Draws, anyone: Anyone) -> Float[Array, '3 3']:
  """The rotation from hand axes to camera axes."""
  anywhere = _rotation(draws)
  palm = jnp.where(draws.chance(0.5), 1.0, -1.0)
  facing = jnp.diag(jnp.stack([palm, -1.0, -palm]))  # fingers up
  lean = jnp.deg2rad(anyone.facing_tilt) * draws.normal()
  heading, roll = draws.uniform(0, 2 * np.pi, (2,))
  about_z, about_x = (0, 1), (1, 2)
  facing = turn(about_z, roll) @ turn(about_x, lean) @ turn(about_z, -heading) @ facing
  return jnp.where(draws.chance(anyone.facing), facing, anywhere)


def _rotation(draws: Draws) -> Float[Array, '3 3']:
  """A rotation, all of them equally likely: that of a random unit quaternion."""
  w, x, y, z = geometry.normalize(draws.normal(4))
  return jnp.stack(
    [
      jnp.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)]),
      jnp.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)]),
      jnp.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]),
    ]
  )
