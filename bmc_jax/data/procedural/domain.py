"""The two domains of the procedural hands, as plain parameters.

`STUDIO` plays the source of a weakly supervised experiment (3D labels), `WILD` the
target (2D labels; the 3D ones are kept for testing). Their gap is mainly that of hand
proportions, as between datasets that label joints by other conventions; viewpoints and
poses are a little wider, and pictures more varied. Every number that makes the gap is a
field of `Domain`.
"""

import dataclasses

from bmc_jax.data.procedural.mesh.look import Look


@dataclasses.dataclass(frozen=True)
class Domain:
  """What one domain's hands, cameras and pictures are drawn from.

  Pairs are the ends of a uniform distribution, `std` fields belong to normal ones
  and probabilities lie between 0 and 1. Hashable, so usable as a static argument.
  """

  name: str

  # Hand shapes: a fixed set of subjects, as a recorded dataset has.
  num_subjects: int
  subject_seed: int
  reference_length: tuple[float, float]  # middle MCP -> PIP, metres
  palm_ratio: float  # root bones over the median ratio to the reference bone
  finger_ratio: float  # DIP and TIP bones over theirs
  length_std: float  # relative spread of every bone between subjects
  root_direction_std: float  # spread of the root bones' directions, radians

  # Poses, in units of half the plausible range of an angle.
  pose_range: float  # share of the plausible range that is used
  curl_mean: float  # common to all fingers; 1 is a fist and -1 a stretched hand
  curl_std: float
  finger_std: float  # every finger's own curl
  joint_std: float  # every joint's own flexion
  spread_std: float  # abduction
  thumb_std: float

  # Viewpoints: the palm or the back faces the camera, is tilted, then rolled.
  palm_probability: float
  tilt_std: float  # degrees
  tilt_max: float  # degrees
  roll_std: float  # degrees, in the image plane
  depth: tuple[float, float]  # metres
  off_axis: float  # sideways place over depth, up to this
  fill: tuple[float, float]  # longer side of the joints' box over the image's side
  centre_jitter: float  # of the box in the image, over the image's side

  look: Look  # of pictures; bodies and skin tones are the subjects'


STUDIO = Domain(
  name='studio',
  num_subjects=6,
  subject_seed=1,
  reference_length=(0.030, 0.036),
  palm_ratio=1.0,
  finger_ratio=1.0,
  length_std=0.03,
  root_direction_std=0.003,
  pose_range=0.85,
  curl_mean=-0.3,
  curl_std=0.6,
  finger_std=0.25,
  joint_std=0.15,
  spread_std=0.4,
  thumb_std=0.5,
  palm_probability=0.5,
  tilt_std=22.0,
  tilt_max=45.0,
  roll_std=20.0,
  depth=(0.35, 0.9),
  off_axis=0.2,
  fill=(0.58, 0.78),
  centre_jitter=0.04,
  look=Look(
    skin_tone=(0.0, 0.7),
    skin_std=0.04,
    mottling=(0.0, 0.06),
    thickness=(0.95, 1.08),
    wrist_flexion=40.0,
    wrist_deviation=15.0,
    painted=0.0,
    ring=0.0,
    watch=0.0,
    sleeve=0.4,
    held=0.0,
    occluder=0.0,
    plain=0.6,
    key=(0.5, 1.1),
    fill=(0.0, 0.3),
    ambient=(0.3, 0.6),
    tint=0.05,
    gain=(0.8, 1.15),
    white_balance=0.03,
    contrast=(0.9, 1.1),
    saturation=(0.9, 1.1),
    defocus=(0.3, 0.6),
    motion=0.0,
    noise=(0.0, 0.015),
    jpeg=0.0,
  ),
)

WILD = Domain(
  name='wild',
  num_subjects=4,
  subject_seed=2,
  reference_length=(0.031, 0.042),
  palm_ratio=0.75,
  finger_ratio=1.2,
  length_std=0.02,
  root_direction_std=0.004,
  pose_range=0.9,
  curl_mean=-0.25,
  curl_std=0.6,
  finger_std=0.25,
  joint_std=0.15,
  spread_std=0.5,
  thumb_std=0.55,
  palm_probability=0.5,
  tilt_std=24.0,
  tilt_max=50.0,
  roll_std=20.0,
  depth=(0.35, 0.9),
  off_axis=0.2,
  fill=(0.55, 0.8),
  centre_jitter=0.05,
  look=Look(
    skin_std=0.05,
    shape_std=0.8,
    painted=0.05,
    ring=0.1,
    watch=0.1,
    held=0.1,
    occluder=0.05,
    key=(0.4, 1.2),
    fill=(0.0, 0.4),
    ambient=(0.25, 0.7),
    tint=0.12,
    gain=(0.7, 1.3),
    white_balance=0.08,
    contrast=(0.85, 1.2),
    saturation=(0.8, 1.15),
    defocus=(0.3, 0.8),
    motion=0.1,
    motion_length=1.5,
    noise=(0.0, 0.02),
    jpeg=0.0,
  ),
)

DOMAINS = {domain.name: domain for domain in (STUDIO, WILD)}
