"""Runs of the command in processes of their own, on made-up devices and hosts."""

import csv
import os
import socket
import subprocess
import sys

import numpy as np

from tests.conftest import ROOT, xla_flags_for

STEPS = 20
# A larger learning rate would show how chaotic a network is that has learned nothing.
CHANGES = {
  'num_steps': STEPS,
  'log_every': 1,
  'eval.every': STEPS,
  'checkpoint.every': 10,
  'optimizer.name': 'sgd',
  'optimizer.learning_rate': 3e-5,
  'augment.rotation': 30.0,
  'loss.root_depth': 0.0,
  'run_rows': ('source only',),
}


def start(data, workdir, *, devices: int, process=None, **changes):
  """Starts a run, or one of its two processes: (number, port)."""
  environment = os.environ | {
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': xla_flags_for(devices),
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
    + [*flags, '--noreport', f'--workdir={workdir}'],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(*processes) -> list[str]:
  """What ended runs have printed."""
  ended = [process.communicate(timeout=600) for process in processes]
  for process, (_, errors) in zip(processes, ended, strict=True):
    assert process.returncode == 0, errors
  return [output for output, _ in ended]


def free_port() -> int:
  with socket.socket() as server:
    server.bind(('localhost', 0))
    return server.getsockname()[1]


def terms(workdir) -> dict[str, np.ndarray]:
  """The logged terms of every step."""
  with (workdir / 'rows' / 'source_only' / 'metrics.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  names = [name for name in rows[0] if name.startswith('train/')]
  return {name: np.array([float(row[name]) for row in rows]) for name in names}
