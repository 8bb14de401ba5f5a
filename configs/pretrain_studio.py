"""Pretrains the small network on procedural `studio` hands with 3D labels.

Its weights ship with the package (`package:studio_64`); quickstart.py and
real_photos.py start from them.

    bmc-jax build procedural_hands --out data/pretrain \
        --examples studio_train=24000,studio_test=500,wild_test=500
    bmc-jax train --config=configs/pretrain_studio.py --workdir=runs/pretrain_studio

An hour on two CPU cores that did other work, too. On studio_test: 2D error 1.28 px
(2.0 % of the crop), depth error 9.2 mm.
"""

import ml_collections

from bmc_jax.configs import procedural
from bmc_jax.training import defaults


def get_config() -> ml_collections.ConfigDict:
  """The experiment."""
  c = procedural.get_config()
  c.title = 'Pretraining on studio hands'
  c.description = 'Procedural studio hands with 3D labels, tested on wild hands.'
  hands = 'data/pretrain/procedural_hands'
  c.data.full = procedural.hands('studio_train', path=hands)
  c.data.use_weak = False
  c.data.val = procedural.hands('studio_test', path=hands)
  c.data.test = procedural.hands('wild_test', path=hands)
  c.num_steps = 8000
  c.optimizer.learning_rate = 2e-3
  c.optimizer.warmup_steps = 200
  c.eval.every = 1000
  c.log_every = 100
  c.checkpoint.every = 500
  c.save_weights = 'bmc_jax/models/pretrained/studio_64.npz'
  defaults.add_row(c, 'studio', {})
  return c
