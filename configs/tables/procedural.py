"""The paper's tables on procedural hands: from `studio` to `wild`.

The settings and the data are those of `configs/quickstart.py`.
"""

import ml_collections

from bmc_jax.configs import procedural, quickstart
from bmc_jax.configs.tables import rows


def get_config() -> ml_collections.ConfigDict:
  """The trainings."""
  c = quickstart.settings()
  c.title = 'The tables on procedural hands'
  rows.add_rows(c, procedural.BMC)
  return c
