"""Kills a training run again and again, and compares it with one that never stopped.

    python -m tests.killed_runs FOLDER [--kills 30]

Each time the same command is started and gets SIGKILL after a random time, be it while
Python starts, while the step is compiled, between steps or while a checkpoint is
written; half of the times after the run has saved a checkpoint. In the end parameters,
statistics, optimizer, log and predictions must be those of the straight run, bit by
bit. Takes ten minutes; `test_main` does the same with one SIGKILL and one SIGTERM.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from tqdm import tqdm

from tests import tiny_config
from tests.conftest import ROOT

STEPS = 6_000
STARTING, STEPPING = 8.0, 2.0  # the longest that a run lives, in seconds
ROW = Path('rows') / 'plus_bmc'


def command(data: str, workdir: Path) -> list[str]:
  return [
    *(sys.executable, '-m', 'bmc_jax.main', f'--config=tests/tiny_config.py:{data}'),
    *('--config.run_rows=("+ BMC",)', f'--config.num_steps={STEPS}'),
    *('--config.checkpoint.every=40', '--config.log_every=50'),
    *('--config.eval.every=5000', f'--workdir={workdir}'),
  ]


def start(arguments: list[str]) -> subprocess.Popen:
  return subprocess.Popen(
    arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )


def checkpoints(row: Path) -> list[str]:
  folder = row / 'checkpoints'
  return os.listdir(folder) if folder.is_dir() else []


def kill_once(arguments: list[str], row: Path, generator: random.Random) -> str:
  """Where the run was when it was killed: half of the times after it has saved."""
  before = set(checkpoints(row))
  process = start(arguments)
  if generator.random() < 0.5:
    time.sleep(generator.uniform(0, STARTING))
  else:
    while process.poll() is None and newest(row) <= max_step(before):
      time.sleep(0.01)
    time.sleep(generator.uniform(0, STEPPING))
  assert process.poll() is None, f'the run ended by itself: {process.returncode}'
  process.kill()
  process.wait()
  new = set(checkpoints(row)) - before
  if any(not name.isdigit() for name in new):
    return 'writing a checkpoint'
  return 'between checkpoints' if new else 'before its first one'


def max_step(names: Iterable[str]) -> int:
  return max((int(name) for name in names if name.isdigit()), default=0)


def newest(row: Path) -> int:
  return max_step(checkpoints(row))


def assert_identical(a: Path, b: Path) -> None:
  assert (a / 'metrics.csv').read_bytes() == (b / 'metrics.csv').read_bytes()
  states = [
    ocp.StandardCheckpointer().restore(row / 'checkpoints' / str(STEPS) / 'state')
    for row in (a, b)
  ]
  jax.tree.map(np.testing.assert_array_equal, *states)
  with np.load(a / 'predictions.npz') as x, np.load(b / 'predictions.npz') as y:
    for name in x.files:
      np.testing.assert_array_equal(x[name], y[name])


def main() -> None:
  parser = argparse.ArgumentParser(description='Kills a training run many times.')
  parser.add_argument('folder', type=Path)
  parser.add_argument('--kills', type=int, default=30)
  arguments = parser.parse_args()
  folder = arguments.folder.resolve()
  images = tiny_config.write_images(folder / 'images')
  generator = random.Random(0)
  found: dict[str, int] = {}
  reached = []
  for _ in tqdm(range(arguments.kills), unit='kill'):
    row = folder / 'killed' / ROW
    place = kill_once(command(images, folder / 'killed'), row, generator)
    found[place] = found.get(place, 0) + 1
    reached.append(newest(row))
  for name in ('killed', 'straight'):
    assert start(command(images, folder / name)).wait() == 0, name
  assert_identical(folder / 'killed' / ROW, folder / 'straight' / ROW)
  print(f'{arguments.kills} kills: {found}; newest checkpoints {reached}; identical.')


if __name__ == '__main__':
  main()
