"""Seconds from the command to the end of the first training step, cold and warm.

    PYTHONPATH=. python benchmarks/first_step.py

Runs a lifter and the paper's network (ResNet-50, 128 px, batches of 32) with an empty
compilation cache, then again with what the first run has left there.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fixtures import tiny_config

PAPERS = {
  'image_size': 128,
  'batch_size': 32,
  'loss.heatmap': 0.0,
  'model.pose_network.depth': 50,
  'model.pose_network.width': 64,
  'model.pose_network.stem': 'imagenet',
  'model.pose_network.head': 'regression',
  'model.pose_network.output_stride': 32,
}


def seconds_to_first_step(data: str, changes, workdir: Path, cache: Path) -> float:
  changes = changes | {'log_every': 1, 'num_steps': 1000, 'run_rows': ('+ BMC',)}
  command = [sys.executable, '-m', 'bmc_jax.main', f'--workdir={workdir}']
  command += [f'--config=tests/fixtures/tiny_config.py:{data}']
  command += [f'--config.{name}={value}' for name, value in changes.items()]
  environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache)}
  start = time.perf_counter()
  process = subprocess.Popen(
    command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
  )
  log = workdir / 'rows' / 'plus_bmc' / 'metrics.csv'
  while not log.exists():
    if process.poll() is not None:
      raise RuntimeError(process.stderr.read().decode())
    time.sleep(0.02)
  elapsed = time.perf_counter() - start
  process.kill()
  process.wait()
  return elapsed


def main() -> None:
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    runs = {
      'lifter': (tiny_config.write_poses(folder / 'poses.npy'), {}),
      'ResNet-50': (tiny_config.write_images(folder / 'images'), PAPERS),
    }
    print('| | cold s | warm s |')
    print('| --- | --- | --- |')
    for title, (data, changes) in runs.items():
      cold, warm = (
        seconds_to_first_step(data, changes, folder / title / state, folder / 'cache')
        for state in ('cold', 'warm')
      )
      print(f'| {title} | {cold:.1f} | {warm:.1f} |', flush=True)


if __name__ == '__main__':
  main()
