"""Trains the pose network that ships with the package (`package:everyday_64`).

It sees nothing but hands of the domain `everyday`, which are drawn while it trains: the
hand mesh in every pose, from every side, on drawn backgrounds. The pictures of the
first epoch are kept in `cache/everyday` (0.9 GB) for the others.

    bmc-jax train --config=configs/pretrain.py --workdir=runs/pretrain

53 minutes on two CPU cores that did other work, too; still improving then. On 1,024
drawn hands that it never saw: 2D error 11.0 % of the crop, depth error 31.2 mm.
docs/predict.md says how it does on real photos.
"""

import ml_collections

from bmc_jax.configs import procedural
from bmc_jax.training import defaults

NAME = 'everyday_64'


def drawn(cache: str, **options) -> ml_collections.ConfigDict:
  """The specification of drawn pictures, a little larger than the network sees them."""
  return ml_collections.ConfigDict(
    {'kind': 'procedural_images', 'image_size': 80, 'cache': cache, **options}
  )


def get_config() -> ml_collections.ConfigDict:
  """The experiment."""
  c = procedural.get_config()
  c.title = 'Pretraining on everyday hands'
  c.description = 'Drawn hands of everybody, trained and tested on drawn hands alone.'
  # From what a quickstart's network knows of the fingers of upright hands: without any
  # start, 1,400 steps bring it where 250 do so.
  c.init_from = 'package:studio_64'
  c.data.full = drawn('cache/everyday', count=48_000)
  c.data.use_weak = False
  c.data.val = drawn('cache/everyday_val', seed=1, count=1024)
  c.data.test = drawn('cache/everyday_test', seed=2, count=1024)
  c.num_steps = 4500
  # Milder than elsewhere: the pictures differ much already.
  c.augment.update(
    {
      'rotation': 30.0,
      'scale': 0.15,
      'shift': 0.06,
      'brightness': 0.15,
      'contrast': 0.3,
      'color': 0.2,
      'noise': 0.03,
      'blur': 0.3,
      'erase': 0.2,
    }
  )
  # Maps first: with these weights 150 steps do what 200 do with the usual ones.
  c.loss.heatmap = 5.0
  c.loss.relative_depth = 2.0
  c.optimizer.learning_rate = 2e-3
  c.optimizer.warmup_steps = 300
  c.eval.every = 1000
  c.log_every = 100
  c.checkpoint.every = 500
  c.save_weights = f'bmc_jax/models/pretrained/{NAME}.npz'
  defaults.add_row(c, 'everyday', {})
  return c
