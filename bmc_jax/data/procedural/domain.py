"""The two domains of the procedural hands, as plain parameters.

`STUDIO` plays the source of a weakly supervised experiment (3D labels), `WILD` the
target (2D labels; the 3D ones are kept for testing). Their gap is mainly that of hand
proportions, as between datasets that label joints by other conventions; viewpoints and
poses are a little wider, and pictures more varied. Every number that makes the gap is a
field of `Domain`.
"""

import dataclasses


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
  thickness: tuple[float, float]  # radii relative to a median hand

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

  # Look.
  skin_tone: tuple[float, float]  # 0 light, 1 dark; by subject
  skin_std: float  # of the colour of one subject's skin between images
  light_angle: float  # degrees between the light and the line of sight, up to this
  light_strength: tuple[float, float]
  ambient: tuple[float, float]
  light_tint: float  # colour cast
  background_texture: tuple[float, float]  # 0 plain, 1 noise, blobs and edges
  background_level: tuple[float, float]  # brightness
  background_colour: float  # saturation
  sleeve_probability: float
  object_probability: float  # a bar in the hand
  occluder_probability: float  # something between the camera and the hand
  noise: tuple[float, float]  # sensor noise, std in [0, 1] intensity
  blur: tuple[float, float]  # std in pixels of an 80 pixel image
  gain: tuple[float, float]  # exposure


STUDIO = Domain(
  name='studio',
  num_subjects=6,
  subject_seed=1,
  reference_length=(0.030, 0.036),
  palm_ratio=1.0,
  finger_ratio=1.0,
  length_std=0.03,
  root_direction_std=0.003,
  thickness=(0.95, 1.08),
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
  skin_tone=(0.0, 0.7),
  skin_std=0.04,
  light_angle=60.0,
  light_strength=(0.6, 0.95),
  ambient=(0.3, 0.5),
  light_tint=0.05,
  background_texture=(0.0, 0.6),
  background_level=(0.15, 0.9),
  background_colour=0.25,
  sleeve_probability=0.4,
  object_probability=0.0,
  occluder_probability=0.0,
  noise=(0.0, 0.015),
  blur=(0.3, 0.5),
  gain=(0.8, 1.15),
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
  thickness=(0.85, 1.15),
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
  skin_tone=(0.0, 1.0),
  skin_std=0.05,
  light_angle=75.0,
  light_strength=(0.5, 1.0),
  ambient=(0.25, 0.55),
  light_tint=0.1,
  background_texture=(0.2, 0.8),
  background_level=(0.1, 0.9),
  background_colour=0.4,
  sleeve_probability=0.5,
  object_probability=0.1,
  occluder_probability=0.05,
  noise=(0.0, 0.02),
  blur=(0.3, 0.6),
  gain=(0.75, 1.2),
)

DOMAINS = {domain.name: domain for domain in (STUDIO, WILD)}
