"""The solid of a hand: tapered capsules around the bones, the palm and the arm.

The signed distance of the solid is the smooth minimum of its parts' distances, which
rounds the seams between them. Fingers blend over a few millimetres only, so that
neighbours stay apart; the parts of the palm blend over more.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bmc_jax import geometry, kinematics
from bmc_jax.data.procedural.pose import HandSample

SKIN, SLEEVE, OBJECT = range(3)

# Radii in millimetres of a median hand at MCP (thumb: CMC), PIP, DIP and TIP.
_FINGER_RADII = np.array(
  [
    [13.5, 11.5, 10.2, 8.4],
    [10.8, 9.0, 8.0, 6.8],
    [10.8, 9.2, 8.2, 7.0],
    [10.4, 8.7, 7.7, 6.6],
    [9.4, 7.7, 6.8, 5.8],
  ],
  np.float32,
)
# Root bone (wrist -> middle MCP) plus the middle finger of the hand of these radii.
_MEDIAN_LENGTH = 0.174  # metres
_HIDDEN = -1.0  # radius, metres: of a part that is not there

# The palm: metacarpals, balls of thumb and little finger, pads and web. Each end of a
# part lies between two joints (their numbers and the share of the way), moved
# out of the palm and to the thumb's side by millimetres of the median hand.
# (joint, joint, share, outward, sideways), the same for the other end, both radii and
# the blending distance in millimetres.
_PALM: tuple[tuple, ...] = (
  ((0, 5, 0.10, 0, 9), (0, 5, 0.97, 0, 0), 13, 11, 8),
  ((0, 9, 0.10, 0, 3), (0, 9, 0.97, 0, 0), 13, 11.2, 8),
  ((0, 13, 0.10, 0, -4), (0, 13, 0.97, 0, 0), 13, 10.8, 8),
  ((0, 17, 0.10, 0, -9), (0, 17, 0.97, 0, 0), 12.5, 10, 8),
  ((0, 1, 0.0, 0, 8), (0, 1, 1.0, 0, 0), 13, 13.5, 8),
  # Balls of the thumb and of the little finger.
  ((1, 2, 0.10, 4, 0), (1, 2, 0.75, 2, 0), 14, 12, 10),
  ((0, 17, 0.25, 5, 0), (0, 17, 0.70, 4, 0), 12, 10.5, 10),
  # Pads under the fingers' roots, the hollow between the balls.
  ((5, 9, 0.30, 2, 0), (9, 13, 0.80, 2, 0), 10, 10, 10),
  ((9, 13, 0.40, 2, 0), (13, 17, 0.80, 3, 0), 10, 9.5, 10),
  ((0, 9, 0.35, 1, 0), (0, 13, 0.85, 1.5, -5), 11, 10.5, 10),
  ((0, 9, 0.40, 1, 5), (0, 9, 0.85, 1.5, 8), 11, 10.5, 10),
  # Web between thumb and index finger.
  ((1, 2, 0.55, 0, 0), (0, 5, 0.62, 1, 0), 10, 10, 14),
  ((1, 2, 0.20, 2, 0), (0, 9, 0.60, 2, 0), 11, 10, 10),
)


def _palm_ends(which: int) -> tuple[np.ndarray, np.ndarray]:
  """Weights of the joints (parts, 21) and offsets (parts, 2) in metres."""
  weights = np.zeros((len(_PALM), 21), np.float32)
  offsets = np.zeros((len(_PALM), 2), np.float32)
  for row, part in enumerate(_PALM):
    first, second, share, outward, sideways = part[which]
    weights[row, first] += 1 - share
    weights[row, second] += share
    offsets[row] = 1e-3 * outward, 1e-3 * sideways
  return weights, offsets


_PALM_ENDS = (_palm_ends(0), _palm_ends(1))
_PALM_SIZES = 1e-3 * np.array([part[2:] for part in _PALM], np.float32)
# Forearm: two parts side by side, thick at the wrist and at the elbow.
_ARM_SIDES = 1e-3 * np.array([[9.0, 14.0], [-9.0, -14.0]], np.float32)


class Part(NamedTuple):
  """A tapered capsule, or arrays of many with a leading axis."""

  start: Float[Array, '*p 3']  # metres, camera axes
  end: Float[Array, '*p 3']
  start_radius: Float[Array, '*p']  # metres
  end_radius: Float[Array, '*p']
  inner: Float[Array, '*p 3']  # unit vector to the palm's side of the part
  blend: Float[Array, '*p']  # metres over which it melts into the parts before it
  material: Float[Array, '*p']  # SKIN, SLEEVE or OBJECT


class Arm(NamedTuple):
  """What is not part of a hand pose but seen with it; from `appearance`."""

  bend: Float[Array, '2']  # of the wrist, radians: up and down, sideways
  sleeve: Float[Array, '']  # distance of the cuff from the wrist, metres
  sleeve_width: Float[Array, '']  # of the cloth over the arm, metres
  object_radius: Float[Array, '']  # metres; negative: nothing in the hand
  object_pose: Float[Array, '3']  # turn (radians), place across and along the palm


def hand_scale(hand: HandSample) -> Float[Array, '']:
  """Size of the hand's flesh relative to the median hand."""
  lengths = kinematics.bone_lengths(hand.joints_3d)
  return hand.thickness * lengths[2].sum() / _MEDIAN_LENGTH


def _fingers(hand: HandSample, scale) -> Part:
  """The 15 finger bones."""
  fingers = hand.joints_3d[1:].reshape(5, 4, 3)
  radii = 1e-3 * _FINGER_RADII * scale
  # The labelled tip lies close under the skin.
  last = geometry.normalize(fingers[:, 3] - fingers[:, 2])
  ends = fingers[:, 1:].at[:, 2].add(-0.55 * radii[:, 3:] * last)
  blend = 1e-3 * np.tile(np.array([6.0, 4.0, 4.0], np.float32), 5)
  return Part(
    start=fingers[:, :3].reshape(15, 3),
    end=ends.reshape(15, 3),
    start_radius=radii[:, :3].reshape(15),
    end_radius=radii[:, 1:].reshape(15),
    inner=kinematics.bone_frames(hand.joints_3d)[..., 0, :].reshape(15, 3),
    blend=blend * scale,
    material=jnp.full(15, SKIN, jnp.float32),
  )


def _palm(hand: HandSample, inner, side, scale) -> Part:
  """All parts of the palm."""
  moves = scale * jnp.stack([inner, side])
  start, end = (
    weights @ hand.joints_3d + offsets @ moves for weights, offsets in _PALM_ENDS
  )
  sizes = _PALM_SIZES * scale
  return Part(
    start=start,
    end=end,
    start_radius=sizes[:, 0],
    end_radius=sizes[:, 1],
    inner=jnp.broadcast_to(inner, start.shape),
    blend=sizes[:, 2],
    material=jnp.full(len(_PALM), SKIN, jnp.float32),
  )


def _arm(hand: HandSample, arm: Arm, inner, side, scale) -> Part:
  """Forearm and sleeve: two parts each."""
  wrist, middle = hand.joints_3d[0], hand.joints_3d[9]
  along = geometry.normalize(wrist - middle)
  along = geometry.normalize(
    along + jnp.tan(arm.bend[0]) * inner + jnp.tan(arm.bend[1]) * side
  )
  # Long enough to leave the picture, but not near the camera.
  length = jnp.minimum(0.25, 0.3 * wrist[2] / jnp.maximum(-along[2], 1e-3))
  sides = _ARM_SIDES * scale
  start = (wrist + 0.006 * scale * along)[None] + jnp.outer(sides[:, 0], side)
  end = (wrist + length * along)[None] + jnp.outer(sides[:, 1], side)
  cuff = start + (end - start) * jnp.minimum(arm.sleeve / length, 0.99)
  cloth = 0.017 * scale + arm.sleeve_width
  radii = jnp.stack([0.015 * scale, 0.022 * scale, cloth, cloth + 0.012 * scale])
  return Part(
    start=jnp.concatenate([start, cuff]),
    end=jnp.concatenate([end, end]),
    start_radius=jnp.repeat(radii[::2], 2, total_repeat_length=4),
    end_radius=jnp.repeat(radii[1::2], 2, total_repeat_length=4),
    inner=jnp.broadcast_to(inner, (4, 3)),
    blend=jnp.array([0.012, 0.012, 0.001, 0.001]) * scale,
    material=jnp.array([SKIN, SKIN, SLEEVE, SLEEVE], jnp.float32),
  )


def _object(hand: HandSample, arm: Arm, inner, side, scale) -> Part:
  """A round bar across the palm, or nothing."""
  knuckle = hand.joints_3d[9]
  along = geometry.normalize(knuckle - hand.joints_3d[0])
  turn, across, place = arm.object_pose
  axis = 0.08 * (jnp.cos(turn) * side + jnp.sin(turn) * along)
  centre = knuckle + place * along + across * side
  centre = centre + (0.012 * scale + arm.object_radius) * inner
  radius = jnp.where(arm.object_radius > 0, arm.object_radius, _HIDDEN)
  return Part(
    start=(centre - axis)[None],
    end=(centre + axis)[None],
    start_radius=radius[None],
    end_radius=radius[None],
    inner=inner[None],
    blend=jnp.full(1, 1e-4),
    material=jnp.full(1, OBJECT, jnp.float32),
  )


def build_body(hand: HandSample, arm: Arm) -> Part:
  """Builds all parts of a hand with its arm and what it holds, stacked."""
  joints = hand.joints_3d
  inner = geometry.normalize(-kinematics.palm_normals(joints)[1:].mean(axis=0))
  side = geometry.normalize(joints[5] - joints[17])
  scale = hand_scale(hand)
  groups = (
    _palm(hand, inner, side, scale),
    _fingers(hand, scale),
    _arm(hand, arm, inner, side, scale),
    _object(hand, arm, inner, side, scale),
  )
  return Part(*(jnp.concatenate(fields) for fields in zip(*groups, strict=True)))
