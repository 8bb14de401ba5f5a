"""How the constraints' defaults were chosen: variants, judged on subjects 5 and 6.

Trained on RHD and DexYCB's subjects 1 to 4; the subjects 7 and 8, on which
`configs/lifter_rhd_to_dexycb.py` is tested, have no part in it.

    bmc-jax experiments study --data study --seeds 0
"""

from typing import Any

import ml_collections

from bmc_jax.configs import lifter_rhd_to_dexycb
from bmc_jax.training import defaults

FIRST = {
  'weights': {'bone_length': 15.0, 'root_bone': 1.5, 'joint_angle': 6.0},
  'ramp_start': 0.3,
  'ramp_end': 0.6,
  'stop_frame_gradient': False,
}
"""What the search began with."""

BL_ALONE = {'root_bone': 0.0, 'joint_angle': 0.0}

SECOND = {
  'weights': {'bone_length': 15.0, 'root_bone': 50.0, 'joint_angle': 20.0},
  'ramp_start': 0.05,
  'ramp_end': 0.4,
}
"""What its second stage began with: the palm's weight, and an early ramp."""

SECOND_CORNERS = 12
"""Of the hulls in the first two stages."""

CHOSEN = lifter_rhd_to_dexycb.BMC


def get_config() -> ml_collections.ConfigDict:
  """The trainings."""
  c = lifter_rhd_to_dexycb.settings()
  c.title = 'The search for the defaults'
  c.description = (
    'A network lifts 2D keypoints to 3D. It has 3D labels for synthetic RHD poses; of '
    'real DexYCB poses (subjects 1-4) it sees 2D keypoints only. Tested on subjects '
    '5 and 6.'
  )
  for source in (c.data.weak, c.limits.source):
    source.subjects = (1, 2, 3, 4)
  c.data.test.subjects = (5, 6)
  defaults.add_row(c, 'source only', {'data': {'use_weak': False}}, group='lifter')
  defaults.add_row(c, 'full 3D', {'data': {'weak': {'labels': '3d'}}}, group='lifter')
  coarse = {'limits': {'num_vertices': SECOND_CORNERS}}
  for start, bmc, limits, variants in (
    ('first', FIRST, coarse, _of_first()),
    ('second', SECOND, coarse, _of_second()),
    ('chosen', CHOSEN, {}, _of_chosen()),
  ):
    defaults.add_row(c, start, {'bmc': bmc} | limits, group='lifter')
    for name, overrides in variants.items():
      changed = {
        'bmc': _merged(bmc, overrides.get('bmc', {})),
        'limits': limits.get('limits', {}) | overrides.get('limits', {}),
      }
      defaults.add_row(c, f'{start}, {name}', changed, group='lifter')
  return c


def names() -> tuple[str, ...]:
  """The rows of the search."""
  return tuple(get_config().run_rows)


def _of_first() -> dict[str, dict[str, Any]]:
  return {
    'full weight at 0,2': {'bmc': {'ramp_start': 0.2, 'ramp_end': 0.2}},
    'mirror term': {'bmc': {'mirror': 1.0}},
    'coverage 0,5': {'limits': {'coverage': 0.5}},
    'calculated root depth': {'bmc': {'joints': 'calculated'}},
    'RB x 10': {'bmc': {'weights': {'root_bone': 15.0}}},
    'RB x 33': {'bmc': {'weights': {'root_bone': 50.0}}},
  }


def _of_second() -> dict[str, dict[str, Any]]:
  return {
    'A x 1/3': {'bmc': {'weights': {'joint_angle': 6.0}}},
    'ramp 0,3 to 0,6': {'bmc': {'ramp_start': 0.3, 'ramp_end': 0.6}},
    'frames detached': {'bmc': {'stop_frame_gradient': True}},
    'hull power 2': {'bmc': {'hull_power': 2}},
    'mirror term': {'bmc': {'mirror': 1.0}},
    'coverage 0,95': {'limits': {'coverage': 0.95}},
    'BL alone': {'bmc': {'weights': BL_ALONE}},
    'BL alone, ramp 0,3 to 0,6': {
      'bmc': {'weights': BL_ALONE, 'ramp_start': 0.3, 'ramp_end': 0.6}
    },
  }


def _of_chosen() -> dict[str, dict[str, Any]]:
  return {
    'A x 3/4': {'bmc': {'weights': {'joint_angle': 60.0}}},
    'A x 1/2': {'bmc': {'weights': {'joint_angle': 40.0}}},
    'A x 1/4': {'bmc': {'weights': {'joint_angle': 20.0}}},
  }


def _merged(bmc, changes) -> dict[str, Any]:
  weights = {**bmc['weights'], **changes.get('weights', {})}
  return {**bmc, **changes, 'weights': weights}
