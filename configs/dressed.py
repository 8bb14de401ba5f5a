"""Real poses that wear the hand mesh, with 2D labels only.

Source: drawn hands (domain `everyday`) of RHD's proportions, with 3D labels. Target:
DexYCB's poses of subjects 1-6, every third, dressed with the mesh and drawn in the same
way, of which the 2D keypoints are labels; limits computed from their joints, as in the
paper. Test: subjects 7 and 8. Labels are exact, and between the rows nothing differs
but what they are told.

    bmc-jax train --config=configs/dressed.py --workdir=runs/dressed

Nothing has to be built; pictures are drawn in the first epoch and kept in `cache/`. The
poses lie below the folder that the variable BMC_JAX_TEST_DATA names
(configs/lifter_rhd_to_dexycb.py says which).
"""

import ml_collections

from bmc_jax.configs import lifter_rhd_to_dexycb, pretrain, procedural
from bmc_jax.training import defaults

# Most of DexYCB's hands hold something.
LOOK = {'held': 0.6}


def dressed(cache: str, **options) -> ml_collections.ConfigDict:
  """The specification of DexYCB's poses, dressed.

  Args:
    cache: name of the folder to keep pictures in.
    **options: of the poses, such as `subjects` and `every`.
  """
  poses = lifter_rhd_to_dexycb.dexycb(**options)
  del poses['kind']
  return pretrain.drawn(f'cache/{cache}', poses=poses, look=LOOK)


def settings() -> ml_collections.ConfigDict:
  """Data, model and schedule, without rows."""
  c = procedural.get_config()
  c.title = 'Real poses, dressed'
  c.description = (
    'Drawn hands of one labelling convention carry 3D labels; real poses of DexYCB '
    '(subjects 1-6), dressed with the hand mesh, 2D labels only. Tested on subjects 7 '
    'and 8.'
  )
  procedural.adapt(c)
  c.data.full = pretrain.drawn(
    'cache/dressed_source', count=8000, seed=5, anyone={'conventions': ('rhd',)}
  )
  training = {'subjects': (1, 2, 3, 4, 5, 6), 'every': 3}
  c.data.weak = dressed('dressed_weak', **training)
  c.data.weak.labels = '2d'
  c.data.test = dressed('dressed_test', subjects=(7, 8), every=6)
  c.limits.source = dressed('dressed_weak', **training)
  c.num_steps = 800
  return c


def get_config() -> ml_collections.ConfigDict:
  """The experiment."""
  c = settings()
  defaults.add_row(c, 'source only', {'data': {'use_weak': False}})
  defaults.add_row(c, '+ 2D', {})
  defaults.add_row(c, '+ 2D + BMC', {'bmc': procedural.BMC})
  defaults.add_row(c, 'full 3D', {'data': {'weak': {'labels': '3d'}}})
  return c
