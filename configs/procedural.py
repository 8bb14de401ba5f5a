"""What the experiments on 64 px images share; not an experiment itself.

A ResNet-18 of half the usual width with a soft-argmax head: 3.0 million parameters,
about 180 images a second, forward and backward, on two CPU cores.
"""

import ml_collections

from bmc_jax.training import defaults

HANDS = 'data/tfds/procedural_hands'

BMC = {
  'weights': {'bone_length': 20.0, 'root_bone': 60.0, 'joint_angle': 26.0},
  'joints': 'labelled',
  'ramp_start': 0.25,
  'ramp_end': 0.4,
}
"""The constraints on images: a little more than for the lifter, as runs are short."""

LIFTER_BMC = {
  'weights': {'bone_length': 15.0, 'root_bone': 50.0, 'joint_angle': 20.0},
  'ramp_start': 0.05,
  'ramp_end': 0.4,
}
"""The constraints on 2D keypoints that are lifted."""


def get_config() -> ml_collections.ConfigDict:
  """The base config with the small network, AdamW and augmentation."""
  c = defaults.get_config()
  c.image_size = 64
  c.model.pose_network.depth = 18
  c.model.pose_network.width = 32
  c.model.pose_network.stem = 'strided'
  c.model.pose_network.output_stride = 16
  c.model.pose_network.head = 'heatmap'
  c.batch_size = 64
  c.augment.rotation = 45.0
  c.augment.scale = 0.2
  c.augment.shift = 0.08
  c.augment.brightness = 0.2
  c.augment.contrast = 0.5
  c.augment.color = 0.3
  c.augment.noise = 0.05
  c.augment.blur = 0.3
  c.augment.erase = 0.3
  c.optimizer.name = 'adamw'
  c.optimizer.schedule = 'cosine'
  c.optimizer.weight_decay = 1e-2
  c.optimizer.warmup_steps = 50
  c.optimizer.clip_norm = 10.0
  # The calculated root depth of an untrained network is wrong by tens of bones. Its
  # loss trains the refiner alone, but would use up the clipped norm of the gradient.
  # And the 2D terms, in halves of the image side, need more weight to be learned as
  # fast as depth.
  c.loss.root_depth = 0.05
  c.loss.keypoints_2d = 10.0
  c.loss.heatmap = 1.0
  return c


def adapt(c: ml_collections.ConfigDict) -> None:
  """What the experiments share that start from the pretrained weights."""
  c.init_from = 'package:everyday_64'
  c.num_steps = 400
  c.optimizer.learning_rate = 6e-4
  c.optimizer.clip_norm = 40.0
  c.checkpoint.every = 100
  c.log_every = 20


def hands(split: str, path: str = HANDS, **options) -> ml_collections.ConfigDict:
  """The specification of a split of the procedural hands."""
  return ml_collections.ConfigDict(
    {'kind': 'tfds', 'path': path, 'split': split, **options}
  )
