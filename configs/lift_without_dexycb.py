"""What the keypoint lifter owes to DexYCB, from which some of its drawn hands' bone
ratios, angles and the palm are.

Two rows of 4,000 steps: hands as in `configs/lift.py`; and hands of which nothing was
measured on DexYCB, with angles and palm of RHD and bone ratios of the other
conventions. Each writes its weights, which are tested on DexYCB:

    bmc-jax train --config=configs/lift_without_dexycb.py --workdir=runs/without
    BMC_JAX_TEST_DATA=DIR python benchmarks/lifting.py --weights lifter_rhd.npz

The table is in docs/lift.md. The first row took 9 minutes on two busy cores.
"""

import ml_collections

from bmc_jax.configs import lift
from bmc_jax.training import defaults

_OTHERS = ('makehuman', 'rhd', 'stb', 'mediapipe')


def get_config() -> ml_collections.ConfigDict:
  """The experiment."""
  c = lift.get_config()
  c.title = 'A lifter that knows nothing of DexYCB'
  c.num_steps = 4000
  c.rows, c.run_rows = ml_collections.ConfigDict(), ()
  defaults.add_row(c, 'as it ships', {'save_weights': 'lifter_wide.npz'})
  source = {
    'kind': 'procedural_poses',
    'anyone': {'conventions': _OTHERS, 'ranges': 'rhd'},
  }
  defaults.add_row(
    c,
    'without DexYCB',
    {'data': {'full': source}, 'save_weights': 'lifter_rhd.npz'},
  )
  return c
