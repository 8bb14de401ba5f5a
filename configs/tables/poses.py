"""The paper's tables on real poses: a lifter, from RHD to DexYCB.

The settings and the data are those of `configs/lifter_rhd_to_dexycb.py`.
"""

import ml_collections

from bmc_jax.configs import lifter_rhd_to_dexycb
from bmc_jax.configs.tables import rows


def get_config() -> ml_collections.ConfigDict:
  """The trainings."""
  c = lifter_rhd_to_dexycb.settings()
  c.title = 'The tables on real poses: RHD to DexYCB'
  rows.add_rows(c, lifter_rhd_to_dexycb.BMC, group='lifter')
  return c
