"""Limits from the medical literature, for when there are no 3D labels to fit them on.

Lengths: phalanges and metacarpals of 66 adults, mean and standard deviation in mm,
from Buryanov and Kotiuk, "Proportions of hand segments", Int. J. Morphol. 28(3), 2010.
A range is the mean +- 3 standard deviations over the mean middle proximal phalanx. A
root bone also spans the carpus, which the source does not list: up to 40 mm are
allowed. The tip bone has its soft tissue (6 mm) on top.

Angles: active ranges of motion from American Academy of Orthopaedic Surgeons, "Joint
motion: method of measuring and recording", 1965. They are taken about axes of the
bones, ours about axes of the palm, so two allowances of ours come on top: hinge
joints may deviate sideways by `_HINGE_DEVIATION`, and the thumb, whose axes are turned
against the palm's by about 80 degrees, gets its flexion in both directions.

The figures were written down from memory of these sources and have not been checked
against them; the palm's curvatures and root angles are estimates of ours. Limits fitted
on data do not depend on any of this.
"""

import numpy as np

from bmc_jax.limits.types import HandLimits, LimitsMetadata

# Thumb to little: metacarpal, proximal, middle and distal phalanx; (mean, sd) in mm.
_METACARPAL = (
  (46.22, 3.94),
  (68.12, 6.27),
  (64.60, 5.38),
  (58.00, 5.06),
  (53.69, 4.36),
)
_PROXIMAL = ((31.57, 3.13), (39.78, 4.94), (44.63, 3.81), (41.37, 3.87), (32.74, 2.77))
_MIDDLE = ((22.38, 2.51), (26.33, 3.00), (25.65, 3.29), (18.11, 2.54))
_DISTAL = ((21.67, 1.60), (15.82, 2.26), (17.40, 1.85), (17.30, 2.22), (15.96, 2.45))
_CARPUS = 40.0
_SOFT_TISSUE = 6.0
_REFERENCE = 44.63

_HINGE_DEVIATION = 20.0
# Least and largest flexion, then abduction, of PIP, DIP and TIP bone, in degrees.
_HINGE = (-_HINGE_DEVIATION, _HINGE_DEVIATION)
_FINGER_MCP_FLEXION = (-45.0, 90.0)
_FINGER_HINGES = ((0.0, 100.0, *_HINGE), (-10.0, 90.0, *_HINGE))
# Zero abduction is the line from the wrist through the knuckle, and positive is
# towards the thumb: closing the fingers turns the outer ones towards the middle.
_FINGER_MCP_ABDUCTION = ((-35.0, 20.0), (-25.0, 25.0), (-20.0, 35.0), (-25.0, 45.0))
_THUMB = (
  (-20.0, 70.0, -35.0, 20.0),  # carpometacarpal: palmar abduction 70, extension 20
  (-25.0, 50.0, -50.0, 20.0),  # metacarpophalangeal: flexion 50
  (-20.0, 80.0, *_HINGE),  # interphalangeal: flexion 80, extension 20
)
# Between root bones, thumb-index to ring-little: degrees, and curvature in 1 / mm.
_ROOT_ANGLES = ((15.0, 70.0), (5.0, 25.0), (5.0, 25.0), (5.0, 25.0))
_CURVATURES = ((-0.002, 0.01), (0.0, 0.03), (0.0, 0.03), (0.0, 0.03))


def clinical_limits() -> HandLimits:
  """Limits from published anthropometry and ranges of motion of adults.

  They are wider than limits fitted on a dataset. Sets labelled with MANO joints
  (FreiHAND, HO3D, DexYCB) put the middle MCP closer to its PIP than the bone is long,
  so that their root bones are longer in units of it than these limits admit: fit
  limits on such data where you can.

  Returns:
    `HandLimits` in units of the middle MCP -> PIP bone; the hulls are boxes.
  """
  lengths = np.stack([_bone_ranges(finger) for finger in range(5)], axis=1)
  boxes = [_THUMB] + [
    ((*_FINGER_MCP_FLEXION, *abduction), *_FINGER_HINGES)
    for abduction in _FINGER_MCP_ABDUCTION
  ]
  flexion_0, flexion_1, abduction_0, abduction_1 = np.deg2rad(boxes).transpose(2, 0, 1)
  corners = [
    np.stack([flexion_0, abduction_0], -1),
    np.stack([flexion_1, abduction_0], -1),
    np.stack([flexion_1, abduction_1], -1),
    np.stack([flexion_0, abduction_1], -1),
  ]
  return HandLimits(
    bone_lengths=lengths,
    curvatures=np.array(_CURVATURES).T * _REFERENCE,
    root_angles=np.deg2rad(_ROOT_ANGLES).T,
    hulls=np.stack(corners, axis=2),
    metadata=LimitsMetadata(
      source='Buryanov and Kotiuk 2010 (lengths); AAOS 1965 (ranges of motion)'
    ),
  )


def _bone_ranges(finger):
  """(2, 4) least and largest length of a finger's bones, in reference bones.

  The thumb's chain starts one bone earlier: its root bone is the carpus alone.
  """
  metacarpal = _range(_METACARPAL[finger])
  proximal = _range(_PROXIMAL[finger])
  distal = _range(_DISTAL[finger]) + [0, _SOFT_TISSUE]
  if finger == 0:
    bones = [[15.0, _CARPUS + 15.0], metacarpal, proximal, distal]
  else:
    middle = _range(_MIDDLE[finger - 1])
    bones = [metacarpal + [0, _CARPUS], proximal, middle, distal]
    if finger == 2:
      bones[1] = [_REFERENCE, _REFERENCE]
  return np.array(bones).T / _REFERENCE


def _range(mean_and_deviation):
  mean, deviation = mean_and_deviation
  return np.array([mean - 3 * deviation, mean + 3 * deviation])
