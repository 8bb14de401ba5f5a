"""The config of each row: the base with the row's overrides."""

import json
from typing import Any

import ml_collections

from bmc_jax.console.files import slug_of
from bmc_jax.training.config import Config, check_known, flatten
from bmc_jax.training.loop import check_config


def row_configs(config: Config) -> dict[str, Config]:
  """The config of every row, in the config's order.

  Those of the rows to run are checked as far as they can be beforehand.

  Raises:
    ValueError: there is no row, two would share a folder, or a value is wrong.
  """
  if not config.run_rows:
    raise ValueError(
      'The config has no rows to run: defaults.add_row adds one, run_rows chooses them.'
    )
  names = list(json.loads(config.to_json())['rows'])  # a ConfigDict lists them sorted
  for name in config.run_rows:
    if name not in names:
      raise ValueError(f'There is no row {name!r}; the rows are {names}.')
  rows = {name: row_config(config, name) for name in names}
  folders: dict[str, str] = {}
  for name in rows:
    if other := folders.get(slug_of(name)):
      raise ValueError(
        f'The rows {other!r} and {name!r} would share the folder {slug_of(name)!r}: '
        'rename one.'
      )
    folders[slug_of(name)] = name
  for name in config.run_rows:
    try:
      check_config(rows[name])
    except ValueError as error:
      raise ValueError(f'Row {name!r}: {error}') from None
  return rows


def row_config(config: Config, name: str) -> Config:
  """The config of one row: the base with the row's overrides.

  Raises:
    ValueError: it overrides a key that does not exist, or by a value of another type.
  """
  overrides = config.rows[name].overrides.to_dict()
  merged = ml_collections.ConfigDict(config.to_dict())
  try:
    check_known(config, flatten(overrides))
    merged.update(_take_out(merged, overrides))
  except (KeyError, TypeError, AttributeError, ValueError) as error:
    reason = error.args[0]
    if isinstance(error, AttributeError):  # a source that is no mapping
      reason = 'a group of values is overridden by a single one.'
    raise ValueError(
      f'The overrides of the row {name!r} do not fit the config: {reason}'
    ) from None
  return merged.lock()


def _take_out(config, overrides: dict[str, Any]) -> dict[str, Any]:
  """Takes out groups that None overrides, such as the camera of another kind of
  source; returns the other overrides.
  """
  others = {}
  for name, value in overrides.items():
    group = config.get(name)
    if value is None and isinstance(group, ml_collections.ConfigDict):
      del config[name]
    elif isinstance(value, dict) and isinstance(group, ml_collections.ConfigDict):
      others[name] = _take_out(group, value)
    else:
      others[name] = value
  return others
