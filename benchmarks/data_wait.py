"""How much of a training step waits for data, at which rate of the device.

    PYTHONPATH=. python benchmarks/data_wait.py

The real pipeline reads 224 x 224 JPEGs from ArrayRecord and mixes two sources, and
`Steps`, which the training loop uses, feeds a device that is only pretended: each step
is a pause, so that all cores decode, as beside a GPU or TPU. Then the true one: the
paper's network (ResNet-50, batches of 32 at 128 px) on this machine's own devices.
"""

import os
import tempfile
import time
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import models
from bmc_jax.data import pipeline, sources
from bmc_jax.training import defaults, sharding
from bmc_jax.training.loop import model_options
from bmc_jax.training.optimizers import create_optimizer
from bmc_jax.training.step import create_train_state, make_train_step
from bmc_jax.training.steps import Steps
from tests.fixtures import examples

SIDE, EXAMPLES, BATCH = 224, 512, 64
RATES = (500, 1000, 2000, 3000, 4000, 5000, 6000, 8000)
SECONDS = 8


def write_dataset(folder: Path) -> str:
  """JPEGs that take as long to decode as photos: smooth shapes with some noise."""
  rng = np.random.default_rng(0)

  def photo():
    coarse = rng.integers(0, 256, (14, 14, 3), np.uint8)
    image = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    return cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, 90))[1].tobytes()

  photos = [
    examples.make_example(i, size=SIDE) | {'image': photo()} for i in range(EXAMPLES)
  ]
  return examples.prepare(folder, {'train': photos}, encoding='jpeg')


def open_batches(path: str, batch_size: int, threads: int):
  full, weak = (
    sources.TfdsSource(path, 'train', labels=labels) for labels in ('3d', '2d')
  )
  return pipeline.train_batches(
    full, weak, batch_size=batch_size, seed=0, num_threads=threads
  )


def measure(path: str, threads: int, step_fn, state, batch_size: int) -> dict:
  config = defaults.get_config()
  steps = Steps(config, open_batches(path, batch_size, threads), Path())
  mesh = sharding.make_mesh(batch_size)
  for _ in range(5):
    state, _ = steps.take(1, state, step_fn, mesh)
  steps.timer.restart()
  end = time.perf_counter() + SECONDS
  while time.perf_counter() < end:
    state, _ = steps.take(1, state, step_fn, mesh)
  return steps.timer.take(batch_size)


def paused(rate: float):
  """A step that keeps a device busy for as long as one of this rate would be."""

  def step_fn(state, batch):
    time.sleep(BATCH / rate)
    return state, {'finite': jnp.ones((), bool)}

  return step_fn


def papers_network(batch_size: int):
  config = defaults.get_config()
  config.batch_size = batch_size
  config.augment.update({'rotation': 30.0, 'scale': 0.2, 'shift': 0.05})
  model = models.create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, config.num_steps)
  state = create_train_state(config, model, optimizer)
  return make_train_step(config, model, optimizer, None), state


def main() -> None:
  threads = os.cpu_count()
  with tempfile.TemporaryDirectory() as name:
    path = write_dataset(Path(name))
    size = sum(file.stat().st_size for file in Path(path).glob('*array_record*'))
    print(f'{threads} cores and threads; {size / EXAMPLES / 1024:.0f} KiB an example')
    print('| device takes images/s | gets images/s | waits for data % |')
    print('| --- | --- | --- |')
    for rate in RATES:
      found = measure(path, threads, paused(rate), None, BATCH)
      print_row(f'{rate} (pretended)', found)
    step_fn, state = papers_network(32)
    found = measure(path, threads, step_fn, state, 32)
    print_row(f'ResNet-50 on {jax.devices()[0].device_kind}', found)


def print_row(title: str, found: dict) -> None:
  rate, wait = found['examples_per_second'], found['data_wait_percent']
  print(f'| {title} | {rate:.0f} | {wait:.1f} |', flush=True)


if __name__ == '__main__':
  main()
