"""Trains the keypoint lifter that ships with the package (`package:lifter`).

It sees nothing but hands that are drawn while it trains: every viewpoint, the full
range of poses, the joints of several labelling conventions, and keypoints with the
noise and the gaps of a detector, half of them with confidences, three of ten without
a known camera.

    bmc-jax train --config=configs/lift.py --workdir=runs/lift

19 to 31 minutes on two CPU cores that did other work, too. docs/lift.md says how it
lifts real hands.
"""

import ml_collections

from bmc_jax.training import defaults


def get_config() -> ml_collections.ConfigDict:
  """The experiment."""
  c = defaults.get_config()
  c.title = "A lifter for anybody's keypoints"
  c.description = 'Trained and tested on drawn hands alone.'
  c.model.name = 'keypoint_lifter'
  c.model.keypoint_lifter.depth = 3
  c.model.keypoint_lifter.correct_2d = True
  c.data.full = ml_collections.ConfigDict({'kind': 'procedural_poses'})
  c.data.use_weak = False
  c.data.test = ml_collections.ConfigDict(
    {'kind': 'procedural_poses', 'seed': 1, 'count': 4096}
  )
  c.batch_size = 256
  c.num_steps = 24_000
  c.loss.keypoints_2d = 2.0
  c.loss.relative_depth = 1.0
  c.loss.depth_likelihood = 0.3
  c.loss.root_depth = 0.05
  c.optimizer.name = 'adamw'
  c.optimizer.schedule = 'cosine'
  c.optimizer.learning_rate = 1e-3
  c.optimizer.weight_decay = 1e-2
  c.optimizer.clip_norm = 1.0
  c.optimizer.warmup_steps = 200
  c.checkpoint.every = 2000
  c.log_every = 500
  c.save_weights = 'bmc_jax/models/pretrained/lifter.npz'
  defaults.add_row(c, 'anyone', {})
  return c
