"""Real photos with 2D labels only, from a network that knows procedural hands.

Photos: the real-world test set of Ge et al., CVPR 2019 (one subject's left hand). Every
fourth block of 20 neighbouring frames is the test set. Limits: from the photos'
training frames, with robust quantiles since their 3D labels are noisy.

    bmc-jax build procedural_hands --out data/tfds
    bmc-jax build hand_graph_cnn_real --source DIR --out data/tfds
    bmc-jax train --config=configs/real_photos.py --workdir=runs/real_photos

Before hands wore a mesh (means of three seeds, depth error in mm):
procedural only 25.0, + 2D 24.7, + 2D + BMC 21.0, full 3D 12.6, chance 13.5. What was
learned on those hands did not transfer to the photos, so BMC helped little
(docs/results.md).
"""

import ml_collections

from bmc_jax.configs import procedural
from bmc_jax.training import defaults

PHOTOS = 'data/tfds/hand_graph_cnn_real'


def photos(split: str, **options) -> ml_collections.ConfigDict:
  """The specification of a split of the photos, brought to the hands' size."""
  return ml_collections.ConfigDict(
    {'kind': 'tfds', 'path': PHOTOS, 'split': split, 'image_size': 80, **options}
  )


def settings() -> ml_collections.ConfigDict:
  """Data, model and schedule, without rows."""
  c = procedural.get_config()
  c.title = 'Real photos'
  c.description = (
    'Procedural hands with 3D labels and 343 real photos with 2D labels only; tested '
    'on 100 photos of other moments.'
  )
  procedural.adapt(c)
  c.data.full = procedural.hands('wild_train')
  c.data.weak = photos('train', labels='2d')
  c.data.test = photos('test')
  c.eval_prepare = 'hand_graph_cnn_real'
  c.limits.source = photos('train')
  c.limits.coverage = 0.95
  return c


def get_config() -> ml_collections.ConfigDict:
  """The experiment."""
  c = settings()
  defaults.add_row(c, 'procedural only', {'data': {'use_weak': False}})
  defaults.add_row(c, '+ 2D', {})
  defaults.add_row(c, '+ 2D + BMC', {'bmc': procedural.BMC})
  defaults.add_row(c, 'full 3D', {'data': {'weak': {'labels': '3d'}}})
  return c
