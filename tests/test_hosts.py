"""Several processes and devices train as one does, and resume on fewer."""

import csv
import os
import socket
import subprocess
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from bmc_jax import hosts
from tests import tiny_config
from tests.conftest import ROOT

STEPS = 50
# A larger learning rate would show how chaotic a network is that has learned nothing.
CHANGES = {
  'num_steps': STEPS,
  'log_every': 1,
  'eval.every': STEPS,
  'checkpoint.every': 25,
  'optimizer.name': 'sgd',
  'optimizer.learning_rate': 3e-5,
  'augment.rotation': 30.0,
  'loss.root_depth': 0.0,
  'run_rows': ('source only',),
}


def _start(data, workdir, *, devices: int, process=None, **changes):
  """Starts a run, or one of its two processes: (number, port)."""
  environment = os.environ | {
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}',
  }
  if process is not None:
    number, port = process
    environment |= {
      'JAX_COORDINATOR_ADDRESS': f'localhost:{port}',
      'JAX_NUM_PROCESSES': '2',
      'JAX_PROCESS_ID': str(number),
    }
  flags = [f'--config.{key}={value}' for key, value in (CHANGES | changes).items()]
  return subprocess.Popen(
    [sys.executable, '-m', 'bmc_jax.main', f'--config=tests/tiny_config.py:{data}']
    + [*flags, f'--workdir={workdir}'],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _finish(*processes) -> list[str]:
  """What ended runs have printed."""
  ended = [process.communicate(timeout=600) for process in processes]
  for process, (_, errors) in zip(processes, ended, strict=True):
    assert process.returncode == 0, errors
  return [output for output, _ in ended]


def _free_port() -> int:
  with socket.socket() as server:
    server.bind(('localhost', 0))
    return server.getsockname()[1]


def _terms(workdir) -> dict[str, np.ndarray]:
  """The logged terms of every step."""
  with (workdir / 'rows' / 'source_only' / 'metrics.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  names = [name for name in rows[0] if name.startswith('train/')]
  return {name: np.array([float(row[name]) for row in rows]) for name in names}


def _statistics(workdir):
  """BatchNorm's running statistics after the last step."""
  folder = workdir / 'rows' / 'source_only' / 'checkpoints' / str(STEPS) / 'state'
  checkpointer = ocp.StandardCheckpointer()
  saved = checkpointer.metadata(folder).item_metadata.tree  # of other devices than here
  like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), saved)
  return jax.tree.leaves(checkpointer.restore(folder, like)['batch_stats'])


@pytest.mark.slow
def test_processes_and_devices_train_as_one_does(tmp_path):
  images = tiny_config.write_images(tmp_path / 'images', train=16)
  port = _free_port()
  runs = {
    'one': [{'devices': 1}],
    'four devices': [{'devices': 4, 'shard_optimizer': True}],
    'two processes': [{'devices': 2, 'process': (n, port)} for n in range(2)],
  }
  for name, processes in runs.items():
    started = [_start(images, tmp_path / name, **process) for process in processes]
    printed = _finish(*started)
    assert ['| source only ' in output for output in printed] == [True, False][
      : len(started)
    ]
  wanted, statistics = _terms(tmp_path / 'one'), _statistics(tmp_path / 'one')
  assert len(wanted['train/loss']) == STEPS and len(statistics) > 20
  for name in ('four devices', 'two processes'):
    terms = _terms(tmp_path / name)
    assert terms.keys() == wanted.keys()
    for key, values in wanted.items():
      # The gradient has kinks, and the root depth, which is not trained here, poles.
      loose = key in ('train/gradient_norm', 'train/root_depth')
      np.testing.assert_allclose(
        terms[key], values, rtol=2e-2 if loose else 1e-4, err_msg=f'{name}: {key}'
      )
    for found, expected in zip(_statistics(tmp_path / name), statistics, strict=True):
      np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_a_run_on_four_devices_goes_on_on_two_that_share_its_optimizer(tmp_path):
  poses = tiny_config.write_poses(tmp_path / 'poses.npy', 16)
  straight = _start(poses, tmp_path / 'straight', devices=4)
  _finish(straight)
  folder = tmp_path / 'straight' / 'rows' / 'source_only'
  for path in (folder / 'checkpoints' / str(STEPS), folder / 'metrics.json'):
    assert path.exists()
    path.rename(tmp_path / path.name)  # as if it had been stopped after step 25
  wanted = _terms(tmp_path / 'straight')
  _finish(_start(poses, tmp_path / 'straight', devices=2, shard_optimizer=True))
  found = _terms(tmp_path / 'straight')
  for key, values in wanted.items():
    np.testing.assert_allclose(found[key], values, rtol=1e-4, err_msg=key)


@pytest.mark.parametrize(
  ('variables', 'message'),
  [
    ({}, "JAX_NUM_PROCESSES is ''"),
    ({'JAX_NUM_PROCESSES': '2'}, "JAX_PROCESS_ID is ''"),
    ({'JAX_NUM_PROCESSES': '0', 'JAX_PROCESS_ID': '0'}, 'must be at least 1'),
    (
      {name: '1' for name in ('JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')}
      | {'JAX_COORDINATOR_ADDRESS': 'localhost'},
      'must be HOST:PORT',
    ),
    ({'JAX_NUM_PROCESSES': '2', 'JAX_PROCESS_ID': '2'}, 'must be from 0 to 1'),
  ],
)
def test_half_an_address_is_told(monkeypatch, variables, message):
  monkeypatch.setenv('JAX_COORDINATOR_ADDRESS', 'localhost:1')
  for name, value in variables.items():
    monkeypatch.setenv(name, value)
  with pytest.raises(ValueError, match=message):
    hosts.connect()


def test_one_process_gathers_and_decides_for_itself():
  assert hosts.is_first()
  assert hosts.from_first({'a': True, 'b': False}) == {'a': True, 'b': False}
  names = np.array(['x', 'Grüße'])
  assert hosts.gather({'id': names})['id'].tolist() == names.tolist()
