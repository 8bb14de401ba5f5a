"""The paper's tables on real poses that wear the hand mesh.

The settings and the data are those of `configs/dressed.py`.
"""

import ml_collections

from bmc_jax.configs import dressed, procedural
from bmc_jax.configs.tables import rows


def get_config() -> ml_collections.ConfigDict:
  """The trainings."""
  c = dressed.settings()
  c.title = 'The tables on real poses, dressed'
  rows.add_rows(c, procedural.BMC)
  return c
