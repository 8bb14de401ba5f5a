"""The paper's Table 2 in small: what 2D labels and the constraints add to a source.

The network that ships (configs/pretrain.py) is adapted to `wild` hands. Their
proportions and pictures are others than those of the `studio` hands, which have 3D
labels; theirs are 2D keypoints alone. Rows, all of the same seed and budget: 3D source
only; + 2D labels of the target; + the constraints; full 3D, the upper bound. The
keypoint lifter does the same from 2D keypoints, without any picture.

    make quickstart

37 minutes on two CPU cores that did much other work. Expect (seed 0, depth error in
mm): source only 24.5, 2D only 23.8, + BMC 16.0, full 3D 15.6, chance 32.0; lifter 26.4,
+ BMC 6.9, full 3D 4.4. The network's final 2D error is 5 to 6 % of the crop.
"""

import ml_collections

from bmc_jax.configs import procedural
from bmc_jax.training import defaults


def settings() -> ml_collections.ConfigDict:
  """Data, model and schedule, without rows."""
  c = procedural.get_config()
  c.title = 'Quickstart: studio hands to wild hands'
  c.description = (
    'Procedural studio hands carry 3D labels, wild hands 2D labels only. Tested on '
    'wild hands. The lifter gets the true 2D keypoints instead of the image.'
  )
  procedural.adapt(c)
  c.num_steps = 300
  c.data.full = procedural.hands('studio_train')
  c.data.weak = procedural.hands('wild_train', labels='2d')
  c.data.test = procedural.hands('wild_test')
  c.limits.source = procedural.hands('wild_train')
  # Milder than in pretraining: a run this short has little to overfit.
  c.augment.update(
    {
      'rotation': 20.0,
      'scale': 0.1,
      'shift': 0.04,
      'contrast': 0.3,
      'color': 0.2,
      'noise': 0.02,
      'blur': 0.1,
      'erase': 0.0,
    }
  )
  return c


def get_config() -> ml_collections.ConfigDict:
  """The experiment."""
  c = settings()
  defaults.add_row(c, 'source only', {'data': {'use_weak': False}})
  defaults.add_row(c, '2D only', {})
  defaults.add_row(c, '+ BMC', {'bmc': procedural.BMC})
  defaults.add_row(c, 'full 3D', {'data': {'weak': {'labels': '3d'}}})

  lifter = {
    'model': {'name': 'keypoint_lifter'},
    'init_from': '',
    'batch_size': 256,
    'num_steps': 1000,
    'checkpoint': {'every': 250},
    'log_every': 50,
    'augment_poses': {'tilt': 10.0},
  }
  source_only = lifter | {'data': {'use_weak': False}}
  full = lifter | {'data': {'weak': {'labels': '3d'}}}
  defaults.add_row(c, 'lifter: source only', source_only, group='lifter')
  bmc = {'bmc': procedural.LIFTER_BMC}
  defaults.add_row(c, 'lifter: + BMC', lifter | bmc, group='lifter')
  defaults.add_row(c, 'lifter: full 3D', full, group='lifter')
  return c
