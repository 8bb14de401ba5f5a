"""Examples per second of preparation and of the input pipeline, beside plain OpenCV.

    BMC_JAX_TEST_DATA=DIR python benchmarks/input_pipeline.py

Uses the real photos of `hand_graph_cnn_real` (256 x 256), for preparation also enlarged
to frames of 640 x 480. The plain loops read the same files one by one and decode them
with cv2.imdecode. For preparation they append the files to one, without any label or
check; for reading they bring forth the same batches, RGB, flipped and stacked. What is
compared is measured by turns, REPEATS times; shown are the median rate and the median
ratio to plain OpenCV with as many threads or processes, by the wall clock and by CPU
time (which other work on the machine disturbs less).
"""

import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping

import cv2
import jax
import numpy as np

from bmc_jax.configs import SAMPLES, procedural
from bmc_jax.data import augment, pipeline, sources
from bmc_jax.data_prep import build, hand_graph_cnn_real, shards, workers

SOURCE = 'hand_graph_cnn_real/real_world_testset'
COPIES = 20  # of the 443 photos
BATCH = 64
NUM_BATCHES = 200  # for reading; those read ahead at the end are not counted
REPEATS = 5
NUM_SHARDS = {1: 1, 2: 16}  # by the number of processes; 15 to 20 MB each


def compare(
  title: str, runs: Mapping[str, Callable[[], int]], repeats: int = REPEATS
) -> None:
  """Runs all by turns; the first one is what the others are compared with.

  Args:
    title: of the table.
    runs: by name, functions that return how many examples they have gone through.
    repeats: rounds.
  """
  elapsed: dict[str, list] = {name: [] for name in runs}  # (wall, CPU) per example
  for _ in range(repeats):
    for name, run in runs.items():
      start = clocks()
      count = run()
      elapsed[name].append((clocks() - start) / count)
  print(f'\n{title}')
  plain, *_ = elapsed.values()
  for name, values in elapsed.items():
    rate = 1 / np.median(values, axis=0)[0]
    wall, cpu = 100 * np.median(np.divide(plain, values), axis=0)
    print(f'{name:>40} {rate:8.0f} examples/s {wall:5.0f} % {cpu:5.0f} % by CPU time')


def clocks() -> np.ndarray:
  """Seconds of the wall clock and of all cores, with those of ended processes."""
  of_children = sum(os.times()[2:4])
  return np.array([time.perf_counter(), time.process_time() + of_children])


def decode(encoded: bytes) -> np.ndarray:
  image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_and_append(paths) -> int:
  with tempfile.NamedTemporaryFile() as file:
    for path in paths:
      encoded = path.read_bytes()
      decode(encoded)
      file.write(encoded)
  return len(paths)


def decode_in_processes(paths, processes: int) -> int:
  context = multiprocessing.get_context('spawn')
  with concurrent.futures.ProcessPoolExecutor(processes, context) as pool:
    return sum(
      pool.map(decode_and_append, np.array_split(paths, NUM_SHARDS[processes]))
    )


def read_batch(paths) -> np.ndarray:
  return np.stack([cv2.flip(decode(path.read_bytes()), 1) for path in paths])


def read_plainly(paths, threads: int) -> int:
  shuffled = np.random.default_rng(0).choice(paths, (NUM_BATCHES, BATCH))
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    return sum(len(batch) for batch in pool.map(read_batch, shuffled))


def enlarge(records, folder: pathlib.Path):
  """The records with their photos as frames of 640 x 480; the labels stay."""
  frames = []
  for number, record in enumerate(records):
    image = cv2.resize(cv2.imread(str(record['image'])), (640, 480))
    path = folder / f'{number}.jpg'
    cv2.imwrite(str(path), image, (cv2.IMWRITE_JPEG_QUALITY, 95))
    frames.append(record | {'image': path})
  return frames


def prepare(records, processes: int, shape=(256, 256, 3)) -> int:
  """Writes the shards as the builder does, with all checks."""
  converter = shards.Converter(
    hand_graph_cnn_real.records.read_example, shape, 'jpeg', None
  )
  with tempfile.TemporaryDirectory() as folder:
    parts = [
      shards.Shard(pathlib.Path(folder) / str(i), part, converter)
      for i, part in enumerate(np.array_split(records, NUM_SHARDS[processes]))
    ]
    reports = workers.write_all(parts, 0, processes)
  return sum(report.examples for report in reports)


class Repeated:
  """A source of COPIES times as many examples: grain's shuffle is made for thousands.

  Among 443 it takes 43 microseconds for an example, among 8,860 seven.
  """

  def __init__(self, source: sources.Source):
    self._source = source

  def __len__(self) -> int:
    return COPIES * len(self._source)

  def __getitem__(self, index: int):
    return self._source[index % len(self._source)]

  def batch(self, indices):
    return self._source.batch(np.asarray(indices) % len(self._source))


def read(source, threads: int) -> int:
  """Trains for NUM_BATCHES steps, but for the training."""
  batches = pipeline.train_batches(
    source, None, batch_size=BATCH, seed=0, num_threads=threads
  )
  return sum(len(next(batches)['image']) for _ in range(NUM_BATCHES))


def main() -> None:
  cv2.setNumThreads(1)
  folder = SAMPLES / SOURCE
  splits = hand_graph_cnn_real.read_records(folder)
  records = [record for split in splits.values() for record in split]
  paths = [record['image'] for record in records]

  with tempfile.TemporaryDirectory() as enlarged:
    frames = enlarge(records, pathlib.Path(enlarged))
    files = [record['image'] for record in frames]
    compare(
      'Preparation of frames of 640 x 480, in this process',
      {
        'cv2.imdecode, files appended': lambda: decode_and_append(files),
        'data_prep, checked and written': lambda: prepare(frames, 1, (480, 640, 3)),
      },
    )
  compare(
    'Preparation of crops of 256 x 256, in this process',
    {
      'cv2.imdecode, files appended': lambda: decode_and_append(paths),
      'data_prep, checked and written': lambda: prepare(records, 1),
    },
  )
  compare(
    f'Preparation of {COPIES * len(paths)} crops in two processes, with their start',
    {
      'cv2.imdecode, files appended': lambda: decode_in_processes(paths * COPIES, 2),
      'data_prep, checked and written': lambda: prepare(records * COPIES, 2),
    },
    repeats=2,
  )
  with tempfile.TemporaryDirectory() as out:
    path = build.build('hand_graph_cnn_real', out, source=folder)
    source = sources.TfdsSource(str(path), 'all')
    for threads in (1, 2):
      compare(
        f'Decoding into batches of {BATCH}, {threads} thread(s)',
        {
          'cv2.imdecode, flipped and stacked': functools.partial(
            read_plainly, paths, threads
          ),
          'bmc_jax.data.pipeline': functools.partial(read, Repeated(source), threads),
        },
      )
    batch = source.batch(range(BATCH))
  compare_augmentation(batch)


def compare_augmentation(batch) -> None:
  """One rotation with cv2 beside all augmentations of configs/procedural.py."""
  batch = {name: value for name, value in batch.items() if name != 'sample_id'}
  strengths = procedural.get_config().augment.to_dict()
  step = jax.jit(functools.partial(augment.augment_batch, image_size=128, **strengths))
  jax.block_until_ready(step(jax.random.key(0), batch))
  affine = np.float32([[0.4, 0.3, 10], [-0.3, 0.4, 60]])

  def rotate() -> int:
    for image in batch['image']:
      cv2.warpAffine(image, affine, (128, 128)).astype(np.float32) / 255
    return BATCH

  def augment_all() -> int:
    jax.block_until_ready(step(jax.random.key(1), batch))
    return BATCH

  compare(
    f'Augmentation to 128 px on {jax.default_backend()} ({os.cpu_count()} cores)',
    {'cv2.warpAffine alone': rotate, 'bmc_jax.data.augment': augment_all},
  )


if __name__ == '__main__':
  main()
