"""Pictures of hands per second, and contact sheets to look at.

    python benchmarks/rendering.py
    BMC_JAX_TEST_DATA=DIR python benchmarks/rendering.py --sheets DIR

Without options: the source `procedural_images` at several sizes, by turns, REPEATS
times; by the wall clock with two threads, as the input pipeline reads, and by CPU time
(which other work on the machine disturbs less). With --sheets: everyday.png, 64 drawn
hands, and dressed.png, 32 real poses of DexYCB that wear the mesh.
"""

import argparse
import concurrent.futures
import functools
import os
import pathlib
import time

import cv2
import jax
import numpy as np

from bmc_jax.configs import SAMPLES
from bmc_jax.data import sources

SIZES = (64, 80, 128)
BATCH = 32
BATCHES = 4
REPEATS = 5
THREADS = 2
DEXYCB_CAMERA = {
  'fx': 616.64, 'fy': 616.26, 'cx': 308.55, 'cy': 248.52, 'width': 640, 'height': 480,
}  # fmt: skip


def draw(source: sources.Source, number: int) -> int:
  """One batch of the source."""
  return len(source.batch(np.arange(BATCH) + BATCH * number)['image'])


def measure(draw, threads: int) -> tuple[float, float]:
  """Seconds and CPU seconds for a picture."""
  wall, cpu = time.perf_counter(), time.process_time()
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    count = sum(pool.map(draw, range(1, BATCHES + 1)))
  return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def speed() -> None:
  """Prints the table."""
  print(f'{jax.default_backend()}, {os.cpu_count()} cores, {THREADS} threads')
  runs = {}
  for size in SIZES:
    source = sources.open_source({'kind': 'procedural_images', 'image_size': size})
    runs[size] = functools.partial(draw, source)
    runs[size](0)  # compiles
  results: dict[int, list] = {size: [] for size in SIZES}
  for _ in range(REPEATS):
    for size, run in runs.items():
      results[size].append(measure(run, THREADS))
  for size, values in results.items():
    wall, cpu = np.median(values, axis=0)
    print(
      f'{size:4d} px: {1 / wall:6.0f} images/s, {1000 * cpu:5.1f} ms of CPU time each'
    )


def sheet(images: np.ndarray, columns: int) -> np.ndarray:
  """Pictures (n, h, w, 3) side by side."""
  rows = images.reshape(-1, columns, *images.shape[1:])
  return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def write_sheets(folder: pathlib.Path, size: int) -> None:
  """Writes the contact sheets, larger than a network sees hands."""
  folder.mkdir(parents=True, exist_ok=True)
  spec = {'kind': 'procedural_images', 'image_size': size}
  path = SAMPLES / 'poses' / 'dexycb_subjects01-08.npz'
  poses = {'path': str(path), 'camera': DEXYCB_CAMERA, 'every': 900}
  for name, source, count in (
    ('everyday', sources.open_source(spec), 64),
    ('dressed', sources.open_source(spec | {'poses': poses}), 32),
  ):
    images = source.batch(range(min(count, len(source) // 8 * 8)))['image']
    cv2.imwrite(str(folder / f'{name}.png'), sheet(images, 8)[..., ::-1])
    print(folder / f'{name}.png')


def main(arguments: list[str] | None = None) -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--sheets', type=pathlib.Path, help='folder for contact sheets')
  parser.add_argument('--size', type=int, default=128, help='of their pictures, px')
  options = parser.parse_args(arguments)
  if options.sheets:
    write_sheets(options.sheets, options.size)
  else:
    speed()


if __name__ == '__main__':
  main()
