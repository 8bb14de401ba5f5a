"""A trained row of an experiment, read back to be used."""

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import ml_collections

from bmc_jax.console.files import read_json, slug_of
from bmc_jax.models import create_model
from bmc_jax.training import sharding
from bmc_jax.training.checkpointing import read_checkpoint
from bmc_jax.training.config import Config
from bmc_jax.training.loop import is_trained, model_options, variables_of
from bmc_jax.training.optimizers import create_optimizer
from bmc_jax.training.step import create_train_state


@dataclasses.dataclass(frozen=True)
class TrainedRow:
  """A model with its trained variables.

  Attributes:
    folder: of the row, below the experiment's workdir.
    config: that it was trained with.
    model: a pose network or lifter.
    variables: the model's, whole on every device.
  """

  folder: Path
  config: Config
  model: nn.Module
  variables: dict[str, Any]


def open_row(run: str | Path, row: str | None = None) -> TrainedRow:
  """Reads a row's last checkpoint; changes nothing there.

  Args:
    run: workdir of an experiment, or the folder of one row in it.
    row: its name; None takes the only one.

  Raises:
    ValueError: there is no such row, more than one to choose from, or its training has
      not ended, or its checkpoint is damaged or that of another state.
    OSError: the checkpoint cannot be read.
  """
  folder = find_row(Path(run).expanduser(), row)
  config = load_row_config(folder)
  model = create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, config.num_steps)
  everywhere = sharding.replicated(sharding.make_mesh(jax.device_count()))
  shapes = jax.eval_shape(
    functools.partial(create_train_state, config, model, optimizer)
  )
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere),
    shapes,
  )
  saved = read_checkpoint(folder / 'checkpoints', config.num_steps, like)
  return TrainedRow(folder, config, model, variables_of(saved.state))


def find_row(run: Path, row: str | None = None) -> Path:
  """The folder of a row that has been begun.

  Args:
    run: workdir of an experiment, or the folder of one row in it.
    row: its name; None takes the only one.

  Raises:
    ValueError: there is no such row, or more than one to choose from.
  """
  if row is None and (run / 'config.json').is_file() and run.parent.name == 'rows':
    return run
  known = sorted(path.parent.name for path in run.glob('rows/*/config.json'))
  if not known:
    raise ValueError(f'{run} holds no row of an experiment; run bmc_jax.main first.')
  name = slug_of(row) if row is not None else known[0]
  if name not in known or (row is None and len(known) > 1):
    what = f'no row {row!r}' if row is not None else 'more than one row'
    raise ValueError(f'{run} has {what}; choose with --row: {", ".join(known)}.')
  return run / 'rows' / name


def load_row_config(folder: Path) -> Config:
  """The config that a row was trained with.

  Raises:
    ValueError: its training has not ended.
  """
  config = ml_collections.ConfigDict(read_json(folder / 'config.json'))
  config.init_from = ''  # the checkpoint has all weights
  if config.optimizer.clip_norm is None:  # JSON has no infinity
    config.optimizer.clip_norm = math.inf
  if not is_trained(config, folder):
    raise ValueError(f'The row in {folder} is not trained to its end; go on with it.')
  return config
