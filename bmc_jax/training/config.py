"""Configs: their type, their keys, and which values have a meaning."""

import difflib
import itertools
import math
import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import ml_collections

if TYPE_CHECKING:
  Config = Any  # the fields of a ConfigDict have no types that a checker could know
else:
  Config = ml_collections.ConfigDict

# Subtrees whose keys are not those of the base config: `open_source` checks the keys of
# sources, and rows and terms have names.
_FREE = (
  *('data.full', 'data.weak', 'data.val', 'data.test', 'limits.source', 'rows'),
  'extra_terms',
)

# Conditions, and the values (or subtrees of values) that have to meet them.
_CONDITIONS = (
  (
    'at least 1',
    lambda value: value >= 1,
    (
      *('num_steps', 'batch_size', 'accumulate', 'image_size', 'log_every'),
      *('eval.every', 'eval.batch_size', 'checkpoint.every', 'checkpoint.keep'),
    ),
  ),
  (
    'at least 0',
    lambda value: value >= 0,
    (
      *('loss', 'bmc.weights', 'bmc.mirror', 'data.num_threads'),
      *('optimizer.learning_rate', 'optimizer.warmup_steps', 'optimizer.weight_decay'),
      *('augment', 'augment_poses', 'optimizer.momentum'),
    ),
  ),
  (
    'above 0',
    lambda value: value > 0,
    ('optimizer.clip_norm', 'optimizer.decay_factor'),
  ),
  (
    'at most 1',
    lambda value: value <= 1,
    ('augment.shift', 'augment.blur', 'augment.erase'),
  ),
  ('below 1', lambda value: value < 1, ('optimizer.momentum',)),
  (
    'at most 180 degrees',
    lambda value: value <= 180,
    ('augment.rotation', 'augment_poses.rotation', 'augment_poses.viewpoint'),
  ),
  ('below 90 degrees', lambda value: value < 90, ('augment_poses.tilt',)),
)


def check_values(config: Config) -> None:
  """Raises ValueError if a number is out of the range in which it has a meaning."""
  for words, holds, names in _CONDITIONS:
    for name in names:
      for key, value in flatten({name: operator.attrgetter(name)(config)}).items():
        if not holds(value):  # also true of NaN
          raise ValueError(f'{key} is {value}; it must be {words}.')
  for key, value in flatten(config).items():
    # An infinite clip_norm leaves gradients as they are.
    if (
      isinstance(value, float)
      and not math.isfinite(value)
      and key != 'optimizer.clip_norm'
      and not key.startswith('rows.')
    ):
      raise ValueError(f'{key} is {value}; it must be a finite number.')


def flatten(tree: Any, prefix: str = '') -> dict[str, Any]:
  """The leaves of a nested mapping, such as {'optimizer.name': 'sgd'}."""
  if not isinstance(tree, Mapping | ml_collections.ConfigDict):
    return {prefix: tree}
  flat = {}
  for key in tree:
    flat |= flatten(tree[key], f'{prefix}.{key}' if prefix else key)
  return flat


def override_rows(config: Config, keys: Iterable[str]) -> None:
  """Takes keys, such as 'optimizer.name', out of the overrides of all rows.

  What the command line has set in the config then holds for every row.
  """
  for row, key in itertools.product(config.rows.values(), keys):
    *parents, name = key.split('.')
    node = row.overrides
    for parent in parents:
      node = node.get(parent) if isinstance(node, ml_collections.ConfigDict) else None
    if isinstance(node, ml_collections.ConfigDict) and name in node:
      with row.unlocked():
        del node[name]


def check_keys(config: Config, base: Config) -> None:
  """Raises ValueError if a config has a key that the base config has not, or lacks one.

  The keys of sources and the names of rows are free.
  """
  check_known(base, flatten(config))
  for key in sorted(flatten(base).keys() - flatten(config).keys()):
    raise ValueError(
      f'The config lacks the key {key!r}: change the values of the base config, and '
      'leave their ConfigDict in its place.'
    )


def check_known(base: Config, keys: Iterable[str]) -> None:
  """Raises ValueError with the first key that a config has not and that is not free."""
  for key in keys:
    if key not in _FREE and not key.startswith(tuple(f'{free}.' for free in _FREE)):
      check_key(base, key)


def check_key(config: Config, key: str) -> None:
  """Raises ValueError if a config has no such value, such as 'optimizer.name'."""
  node: Any = config
  parent = ''
  for part in key.split('.'):
    known = sorted(node) if isinstance(node, ml_collections.ConfigDict) else []
    if part not in known:
      close = difflib.get_close_matches(part, known)
      hint = f'{parent or "the top level"} has {", ".join(known) or "no keys"}.'
      if close:
        hint = f'did you mean {" or ".join(f"{parent}.{c}".strip(".") for c in close)}?'
      raise ValueError(f'The config has no key {key!r}: {hint}')
    node, parent = node[part], f'{parent}.{part}'.strip('.')
  if isinstance(node, ml_collections.ConfigDict) and len(node):
    raise ValueError(
      f'{key!r} is a group of values: set one of them, such as {key}.{sorted(node)[0]}.'
    )
