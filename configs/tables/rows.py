"""The rows of the paper's tables, as changes to a config without constraints.

That config has the source with 3D labels in `data.full`, the target with 2D labels in
`data.weak`, and limits that are computed from the target.
"""

import math
from collections.abc import Mapping
from typing import Any

import ml_collections

from bmc_jax.training import defaults

LABELLED = (200, 100, 50, 20, 10, 4, 2)
"""Figure 5: one of so many examples of the target keeps its 3D label."""


def labelled(one_of: int) -> str:
  """The name of the row in which one of so many examples has a 3D label."""
  return f'3D for 1 of {one_of}'


def add_rows(
  c: ml_collections.ConfigDict, bmc: Mapping[str, Any], *, group: str = 'network'
) -> None:
  """Adds a row for each training of tables 2 to 6 and of figure 5.

  Args:
    c: the config, without rows.
    bmc: what switches the constraints on: values of `c.bmc`.
    group: of the rows.
  """
  model = c.model.name
  full = {'data': {'weak': {'labels': '3d'}}}
  weak = {'bmc': bmc}
  rows = {
    'source only': {'data': {'use_weak': False}},
    '+ 2D': {},
    '+ 2D + BMC': weak,
    'full 3D': full,
    'full 3D + BMC': full | {'bmc': {**bmc, 'weak_only': False}},
    'full 3D, no refiner': full | {'model': {model: {'refine': False}}},
    '+ 2D + BL': {'bmc': _only(bmc, 'bone_length')},
    '+ 2D + BL + RB': {'bmc': _only(bmc, 'bone_length', 'root_bone')},
    '+ 2D + BMC, boxes': {'bmc': {**bmc, 'shape': 'box'}},
    '+ 2D + BMC, source limits': weak | {'limits': {'source': _source_limits(c)}},
  }
  if model == 'keypoint_lifter':
    del rows['+ 2D']  # it is given them: without constraints they teach nothing
  for one_of in LABELLED:
    some = {'data': {'weak': {'labels': '3d', 'share_3d': 1 / one_of}}}
    rows[labelled(one_of)] = some
    rows[f'{labelled(one_of)} + BMC'] = some | weak
  for name, overrides in rows.items():
    defaults.add_row(c, name, overrides, group=group)


def _only(bmc, *terms: str) -> dict[str, Any]:
  """The same constraints with some of their terms alone."""
  weights = {name: bmc['weights'][name] for name in terms}
  # The mirror term judges a hand by these weights, too.
  return {**bmc, 'weights': dict.fromkeys(bmc['weights'], 0.0) | weights}


def _source_limits(c) -> dict[str, Any]:
  """The source in place of the one that the limits are from, with no key of that."""
  return dict.fromkeys(c.limits.source, None) | c.data.full.to_dict()


def set_schedule(
  c: ml_collections.ConfigDict, *, examples: int, epochs: int, decay_epochs: int
) -> None:
  """The paper's schedule in steps; an epoch is one pass over the weak source.

  Args:
    c: the config; half of its batch is from the weak source.
    examples: of the weak source.
    epochs: of the run.
    decay_epochs: after which the rate falls by `optimizer.decay_factor`.
  """
  steps = math.ceil(examples / (c.batch_size / 2))
  c.num_steps = epochs * steps
  c.optimizer.schedule = 'step'
  c.optimizer.decay_every = decay_epochs * steps
