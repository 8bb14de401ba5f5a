"""Builds the toy dataset, kills the build, builds it again; run by a test.

    python -m tests.killed_builds FOLDER [workers]

FOLDER/source is built. Each build is a fork of this process, which has imported
everything but not begun to use JAX, so that it takes well under a second.
"""

import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import array_record.python.array_record_data_source  # noqa: F401
import tensorflow_datasets as tfds

from bmc_jax.data import prepared
from data_prep import build as build_lib
from data_prep import registry, shards
from tests import toy_dataset

ROUNDS = 20
NAME = 'toy_hands'


def _fork(call) -> int:
  """Runs a function in a fork of this process; its process id."""
  child = os.fork()
  if child:
    return child
  code = 1
  with contextlib.suppress(BaseException):
    sys.stderr = sys.stdout = open(os.devnull, 'w')
    code = call()
  os._exit(code)


def _wait(child: int) -> int:
  return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _build(folder: Path, out: str, workers: int = 1, pause: float = 0.0) -> int:
  """A build of 12 shards that takes a while for each example."""
  read_example = shards.Converter.__call__

  def slowly(converter, record):
    time.sleep(pause)
    return read_example(converter, record)

  shards.Converter.__call__ = slowly
  build_lib.DATASETS = {**registry.DATASETS, NAME: toy_dataset.ENTRY}
  arguments = ['--source', str(folder / 'source'), '--out', str(folder / out)]
  arguments += ['--num-shards', '6', '--workers', str(workers)]
  return build_lib.main([NAME, *arguments])


def _content(path: Path) -> dict[str, bytes]:
  return {file.name: file.read_bytes() for file in path.iterdir()}


def _is_loadable(path: Path) -> int:
  """Exit code 0 if the folder can be read at all."""
  tfds.builder_from_directory(path).as_data_source('train')
  return 0


def _is_complete(path: Path) -> int:
  prepared.check_complete(path)
  return 0


def _kill_one(folder: Path, out: str, delay, expected, workers: int = 1) -> dict:
  """One round: what was found after the kill and after the next build."""
  versions = folder / out / NAME
  path = versions / '1.0.0'
  child = _fork(lambda: _build(folder, out, workers, pause=0.005))
  delay(versions)
  os.kill(child, signal.SIGKILL)
  row = {'killed': _wait(child) == -signal.SIGKILL}
  time.sleep(0.2)
  row['orphans'] = _processes_in(folder)
  row['kept'] = len(list(versions.glob('incomplete.shards_*/*.json')))
  row['loadable'] = _wait(_fork(lambda: _is_loadable(path))) == 0
  row['complete'] = _wait(_fork(lambda: _is_complete(path))) == 0
  again = _wait(_fork(lambda: _build(folder, out, workers)))
  left = os.listdir(versions) if versions.is_dir() else []
  row['identical'] = again == 0 and left == ['1.0.0'] and _content(path) == expected
  return row


def _processes_in(folder: Path) -> int:
  """Processes whose arguments or open files lie in the folder (Linux)."""
  count = 0
  for process in Path('/proc').glob('[0-9]*'):
    with contextlib.suppress(OSError):
      files = [os.readlink(file) for file in (process / 'fd').iterdir()]
      count += any(file.startswith(str(folder)) for file in files)
  return count


def _until_a_shard_is_finished(versions: Path) -> None:
  end = time.monotonic() + 60
  while time.monotonic() < end:
    if list(versions.glob('incomplete.shards_*/*.json')):
      return
    time.sleep(0.01)


def main() -> None:
  folder = Path(sys.argv[1])
  start = time.monotonic()
  assert _wait(_fork(lambda: _build(folder, 'whole', pause=0.005))) == 0
  duration = time.monotonic() - start
  expected = _content(folder / 'whole' / NAME / '1.0.0')
  if sys.argv[2:] == ['workers']:
    rounds = [_kill_one(folder, 'out', _until_a_shard_is_finished, expected, workers=2)]
  else:
    generator = random.Random(0)
    delays = [duration * (i + generator.random()) / ROUNDS for i in range(ROUNDS)]
    rounds = [
      _kill_one(folder, f'out{i}', lambda _, d=delay: time.sleep(d), expected)
      for i, delay in enumerate(delays)
    ]
  print(json.dumps(rounds))


if __name__ == '__main__':
  main()
