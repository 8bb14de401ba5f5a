"""The paper's tables on real photos: procedural hands to those of Ge et al. (2019).

The settings and the data are those of `configs/real_photos.py`.
"""

import ml_collections

from bmc_jax.configs import procedural, real_photos
from bmc_jax.configs.tables import rows


def get_config() -> ml_collections.ConfigDict:
  """The trainings."""
  c = real_photos.settings()
  c.title = 'The tables on real photos'
  rows.add_rows(c, procedural.BMC)
  return c
