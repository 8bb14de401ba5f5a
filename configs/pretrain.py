"""Trains the pose network that ships with the package (`package:everyday_64`).

It sees nothing but hands of the domain `everyday`, which are drawn while it trains: the
hand mesh in every pose, from every side, on drawn backgrounds. The pictures of the
first epoch are kept in `cache/everyday` (1.8 GB) for the others.

    bmc-jax train --config=configs/pretrain.py --workdir=runs/pretrain

A run goes on from the weights that ship; `--config.data.full.seed=4` and another
`--config.data.full.cache` draw pictures that they have not seen. Those that ship come
from three runs, two hours on two CPU cores: 4,500 steps from a network that knew
upright hands alone, 2,000 more, and the 3,000 below (29 minutes). On 1,024 drawn hands
that it never saw: 2D error 10.3 % of the crop, depth error 30.1 mm (11.0 % and 31.2 mm
after the first run). docs/predict.md says how it does on real photos.
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
  # Without any start more than a thousand steps go by before it finds any fingers.
  c.init_from = f'package:{NAME}'
  c.data.full = drawn('cache/everyday', seed=3, count=96_000)
  c.data.use_weak = False
  c.data.val = drawn('cache/everyday_val', seed=1, count=1024)
  c.data.test = drawn('cache/everyday_test', seed=2, count=1024)
  c.num_steps = 3000
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
  c.loss.relative_depth = 5.0
  c.optimizer.learning_rate = 1.2e-3
  c.optimizer.warmup_steps = 100
  c.eval.every = 1000
  c.log_every = 100
  c.checkpoint.every = 500
  c.save_weights = f'bmc_jax/models/pretrained/{NAME}.npz'
  defaults.add_row(c, 'everyday', {})
  return c
