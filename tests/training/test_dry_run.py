"""Dry runs: what they tell agrees with what is known of a model without them."""

import jax
import numpy as np
import pytest

from bmc_jax.experiments.row_configs import row_config
from bmc_jax.experiments.rows import run_experiment
from bmc_jax.models import create_model
from bmc_jax.training import dry_run, optimizers
from bmc_jax.training.loop import model_options
from bmc_jax.training.step import create_train_state
from tests.fixtures import tiny_config


@pytest.fixture
def config(tmp_path):
  return tiny_config.get_config(str(tmp_path / 'data_that_are_not_there.npy'))


def test_parameters_and_state_are_those_of_the_model(config):
  needs = dry_run.measure(row_config(config, 'source only'))
  model = create_model(model_options(config))
  optimizer = optimizers.create_optimizer(config.optimizer, config.num_steps)
  state = create_train_state(config, model, optimizer)
  leaves = jax.tree.leaves(state.params)
  assert needs.parameters == sum(leaf.size for leaf in leaves)
  assert needs.state_bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(state))
  assert needs.peak_bytes > needs.state_bytes
  assert needs.devices == jax.device_count() and needs.reduced_bytes == 0
  # Two operations for each weight of a dense layer and example, forwards, and twice as
  # many backwards.
  dense = sum(leaf.size for leaf in leaves if leaf.ndim == 2)
  assert needs.flops > 5 * dense * config.batch_size


def test_a_dry_run_prints_the_rows_and_makes_nothing(config, tmp_path, capsys):
  tiny_config.write_poses(config.data.full.path)
  config.dry_run, config.run_rows = True, ('source only',)
  assert run_experiment(config, tmp_path / 'run') == {}
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].startswith('One training step, per device, on 1 x ')
  assert [line[:11].strip() for line in lines[3:]] == ['source only']
  assert not (tmp_path / 'run').exists()


def test_a_dry_run_without_the_data_measures_and_ends_with_their_error(
  config, tmp_path, capsys
):
  config.dry_run, config.run_rows = True, ('source only',)
  with pytest.raises(FileNotFoundError, match='data_that_are_not_there.npy'):
    run_experiment(config, tmp_path / 'run')
  printed = capsys.readouterr()
  assert printed.out.splitlines()[-1].startswith('source only')
  assert 'data_that_are_not_there.npy' in printed.err
  assert not (tmp_path / 'run').exists()


def test_reductions_over_devices_are_counted_in_a_program():
  program = """
  %a = f32[8,4]{1,0} all-reduce(f32[8,4]{1,0} %x), replica_groups={}
  %b = (f32[3]{0}, /*index=1*/bf16[5]{0}) all-reduce(%y, %z), to_apply=%add
  %e = f32[] fusion(%all-reduce.1), kind=kLoop
  %c = f32[2]{0} all-gather(f32[1]{0} %v)
  %d = f32[16]{0} reduce-scatter(f32[64]{0} %w)
  """
  found = dry_run.result_bytes(program, dry_run.REDUCTION)
  assert found == 4 * 32 + 4 * 3 + 2 * 5 + 4 * 16
  assert dry_run.result_bytes(program, dry_run.GATHERING) == 4 * 2


@pytest.mark.slow
def test_all_parts_of_a_batch_are_counted(config):
  row = row_config(config, 'source only')
  row.batch_size = 512  # so that the update counts for little
  whole = dry_run.measure(row)
  row.accumulate = 2
  parts = dry_run.measure(row)
  assert 0.9 < parts.flops / whole.flops < 1.3


def test_one_device_reduces_nothing():
  function = jax.jit(lambda x: x.sum())
  program = function.lower(np.ones(4, np.float32)).compile().as_text()
  assert dry_run.result_bytes(program, dry_run.REDUCTION) == 0
