"""The paper's tables on other real poses: a lifter, from RHD to STB.

The settings are those of `configs/lifter_rhd_to_dexycb.py`, with the constraints as
they were after the second stage of the search on DexYCB (`configs/tables/study.py`):
nothing was chosen on STB. STB is one subject's hand in ten sequences of 1,500 poses;
the last two are the test set.

    data/poses/stb_train_joints.npy    below the folder of BMC_JAX_TEST_DATA
"""

import ml_collections

from bmc_jax.configs import SAMPLES, lifter_rhd_to_dexycb
from bmc_jax.configs.tables import rows, study

STB_CAMERA = {
  'fx': 607.92,
  'fy': 607.88,
  'cx': 324.22,
  'cy': 236.42,
  'width': 640,
  'height': 480,
}


def get_config() -> ml_collections.ConfigDict:
  """The trainings."""
  c = lifter_rhd_to_dexycb.settings()
  c.title = 'The tables on real poses: RHD to STB'
  c.description = (
    'A network lifts 2D keypoints to 3D. It has 3D labels for synthetic RHD poses; of '
    'real STB poses (sequences 1 to 8) it sees 2D keypoints only. Tested on the '
    'sequences 9 and 10.'
  )
  stb = {
    'kind': 'poses',
    'path': str(SAMPLES / 'poses' / 'stb_train_joints.npy'),
    'camera': STB_CAMERA,
  }
  training = stb | {'rows': (0, 12000)}
  c.data.weak = ml_collections.ConfigDict(training | {'labels': '2d'})
  c.data.test = ml_collections.ConfigDict(stb | {'rows': (12000, 15000)})
  c.limits.source = ml_collections.ConfigDict(training)
  c.limits.num_vertices = study.SECOND_CORNERS
  rows.add_rows(c, study.SECOND, group='lifter')
  return c
