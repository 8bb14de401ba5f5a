"""Limits from the medical literature, for when there are no 3D labels to fit them on.

The figures and their sources are in `literature`. Here they are brought into the axes
of `kinematics.joint_angles`: those are taken from the palm, the clinical ones from the
bones, and where the two differ an allowance of ours comes on top
(`literature.ALLOWANCES`). Limits fitted on data depend on none of this.
"""

import numpy as np

from bmc_jax import hull
from bmc_jax.limits import literature
from bmc_jax.limits.types import HandLimits, LimitsMetadata
from bmc_jax.skeleton import FINGERS

NUM_VERTICES = 8
"""Corners of the hulls; the boxes of the fingers repeat their fourth."""
_NUM_DEVIATIONS = 3.0
_REFERENCE_MM = literature.PROXIMAL_PHALANGES[2][0]


def clinical_limits() -> HandLimits:
  """Limits from published anthropometry and ranges of motion of adults.

  They are wider than limits fitted on a dataset. Sets labelled with MANO joints
  (FreiHAND, HO3D, DexYCB) put the middle MCP closer to its PIP than the bone is long,
  so that their other bones are longer in units of it than these limits admit: fit
  limits on such data where you can, or take `mano_limits`.

  Returns:
    `HandLimits` in units of the middle MCP -> PIP bone, whose hulls have 8 corners.
  """
  least, most = np.array(literature.ALLOWANCES['root angles'].value).reshape(2, 2).T
  root_angles = np.stack([least[[0, 1, 1, 1]], most[[0, 1, 1, 1]]])
  least, most = np.array(literature.ALLOWANCES['palm curvature'].value).reshape(2, 2).T
  curvatures = np.stack([least[[0, 1, 1, 1]], most[[0, 1, 1, 1]]])
  return HandLimits(
    bone_lengths=np.stack([_bone_ranges(finger) for finger in range(5)], axis=1),
    curvatures=curvatures * _REFERENCE_MM,
    root_angles=np.deg2rad(root_angles),
    hulls=np.stack([_thumb_hulls()] + [_finger_hulls(f) for f in range(1, 5)]),
    metadata=LimitsMetadata(
      source='literature: '
      + '; '.join(source.citation for source in literature.SOURCES.values())
    ),
  )


def _bone_ranges(finger):
  """(2, 4) least and largest length of a finger's bones, in reference bones.

  A bone may be three standard deviations shorter or longer than the mean. The root bone
  spans the carpus and the metacarpal; the thumb's chain starts one bone earlier: its
  root bone is the carpus alone.
  """
  metacarpal = _range(literature.METACARPALS[finger])
  proximal = _range(literature.PROXIMAL_PHALANGES[finger])
  tip = _range(literature.FINGERTIPS[finger])
  # Where the tip of a finger is labelled differs: at the bone's end or on the skin.
  distal = _range(literature.DISTAL_PHALANGES[finger]) + [0, tip[1]]
  if finger == 0:
    root = literature.ALLOWANCES['thumb carpus'].value
    bones = [root, metacarpal, proximal, distal]
  else:
    root = metacarpal + literature.ALLOWANCES['carpus'].value
    middle = _range(literature.MIDDLE_PHALANGES[finger - 1])
    bones = [root, proximal, middle, distal]
    if finger == 2:
      bones[1] = (_REFERENCE_MM, _REFERENCE_MM)
  return np.array(bones).T / _REFERENCE_MM


def _range(mean_and_deviation):
  mean, deviation = mean_and_deviation
  return mean + _NUM_DEVIATIONS * deviation * np.array([-1, 1])


def _motion(finger, joint, movement):
  """(low, high) of a range of motion in degrees."""
  names = (finger,) if finger == 'thumb' else (finger, 'fingers')
  (found,) = [
    motion
    for motion in literature.MOTIONS
    if motion.finger in names and motion[1:3] == (joint, movement)
  ]
  return np.array([found.low, found.high])


def _finger_hulls(finger):
  """(3, V, 2) boxes of MCP, PIP and DIP of index to little, radians."""
  name = FINGERS[finger]
  fan = literature.ALLOWANCES['finger fan'].value[finger - 1]
  # Towards the thumb is positive, so a closed index, which is parallel to the middle
  # finger, stands at minus its fan.
  neutral = np.array([min(-fan, 0), max(-fan, 0)])
  rotation = literature.FINGER_ROTATION[finger - 1]
  (tip,) = literature.ALLOWANCES['fingertip label'].value
  boxes = [
    (_motion(name, 'MCP', 'flexion'), _motion(name, 'MCP', 'abduction') + neutral)
  ]
  for joint, label in (('PIP', 0), ('DIP', tip)):
    sideways = _motion(name, joint, 'sideways') + [-rotation, rotation]
    boxes.append((_motion(name, joint, 'flexion') + [-label, label], sideways))
  return np.stack([_box(flexion, abduction) for flexion, abduction in boxes])


def _box(flexion, abduction):
  """(V, 2) radians, counter-clockwise, padded with the last corner."""
  (f0, f1), (a0, a1) = np.deg2rad(flexion), np.deg2rad(abduction)
  corners = np.array([[f0, a0], [f1, a0], [f1, a1], [f0, a1]])
  return np.pad(corners, ((0, NUM_VERTICES - 4), (0, 0)), mode='edge')


def _thumb_hulls():
  """(3, V, 2) hulls of CMC, MCP and IP of the thumb, radians."""
  (plane,) = literature.ALLOWANCES['thumb plane'].value
  (tip,) = literature.ALLOWANCES['fingertip label'].value
  near, far = literature.ALLOWANCES['thumb fan'].value
  cmc = _box(
    _motion('thumb', 'CMC', 'palmar abduction') - [plane, 0],
    _motion('thumb', 'CMC', 'radial abduction') - [far, near],
  )
  hinges = [
    _pronated(
      _motion('thumb', joint, 'flexion') + [-label, label],
      _motion('thumb', joint, 'sideways'),
    )
    for joint, label in (('MCP', 0), ('IP', tip))
  ]
  return np.stack([cmc, *hinges])


def _pronated(flexion, sideways):
  """(V, 2) hull of a hinge that may be turned about the bone before it, radians.

  A bone of flexion a and deviation s has the direction (sin a cos s, sin s,
  cos a cos s); pronation p turns it about z, from the palm (x) towards the little
  finger (-y). There abduction ends at a right angle, and so does flexion here.
  """
  least, most = literature.ALLOWANCES['thumb pronation'].value
  low, high = np.minimum(flexion, 90)
  degrees = np.meshgrid(
    np.linspace(low, high, 13), sideways, np.linspace(least, most, 13)
  )
  a, s, p = np.deg2rad(degrees)
  x, y, z = np.sin(a) * np.cos(s), np.sin(s), np.cos(a) * np.cos(s)
  turned_x, turned_y = x * np.cos(p) + y * np.sin(p), y * np.cos(p) - x * np.sin(p)
  angles = np.stack([np.arctan2(turned_x, z), np.arcsin(turned_y)], axis=-1)
  return hull.fit_hull(angles.reshape(-1, 2), NUM_VERTICES)
