"""Writes shards in this process or in several, with one progress bar."""

import concurrent.futures
import concurrent.futures.process
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence

from tqdm import auto as tqdm

from . import shards as shards_lib

_POLL = 0.5  # seconds between looks at the counter of the processes

_done = None  # in a worker: the number of examples that all workers have done


def write_all(
  shards: Sequence[shards_lib.Shard], max_bad: int, workers: int
) -> list[shards_lib.Report]:
  """Writes the shards; those that are finished already are left alone.

  Args:
    shards: of all splits.
    max_bad: so many examples may be wrong in all shards together.
    workers: number of processes; 1 is this one alone.

  Returns:
    The report of each shard.

  Raises:
    ValueError, OSError: what is wrong with an example too many.
  """
  total = sum(len(shard.records) for shard in shards)
  write = _write_here if workers == 1 else _write_in_processes
  with tqdm.tqdm(total=total, unit=' examples', mininterval=0.5) as bar:
    return write(shards, max_bad, workers, bar)


def _write_here(shards, max_bad, workers, bar) -> list[shards_lib.Report]:
  del workers
  reports: list[shards_lib.Report] = []
  for shard in shards:
    left = max_bad - sum(len(report.skipped) for report in reports)
    reports.append(shards_lib.write(shard, left, bar.update))
  return reports


def _write_in_processes(shards, max_bad, workers, bar) -> list[shards_lib.Report]:
  # Not forked: a copy of a process that runs JAX's threads may hang.
  context = multiprocessing.get_context('spawn')
  counter = context.Value('q', 0)
  with concurrent.futures.ProcessPoolExecutor(
    workers, context, initializer=_start_worker, initargs=(counter,)
  ) as pool:
    futures = [pool.submit(_write_in_worker, shard, max_bad) for shard in shards]
    waiting = set(futures)
    try:
      while waiting:
        _, waiting = concurrent.futures.wait(
          waiting, _POLL, concurrent.futures.FIRST_EXCEPTION
        )
        bar.update(counter.value - bar.n)
        finished = [future.result() for future in futures if future.done()]
        shards_lib.check_skipped(finished, max_bad)
    except concurrent.futures.process.BrokenProcessPool as error:
      raise ChildProcessError(
        'A process ended by itself, perhaps for lack of memory; use fewer --workers.'
      ) from error
    except BaseException:
      pool.shutdown(cancel_futures=True)
      raise
  return finished


def _start_worker(counter) -> None:
  """Keeps the counter, and ends this process when the one that started it is gone."""
  global _done
  _done = counter
  signal.signal(signal.SIGINT, lambda *_: os._exit(1))  # Ctrl-C reaches all processes

  def follow_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)

  threading.Thread(target=follow_parent, daemon=True).start()


def _write_in_worker(shard: shards_lib.Shard, max_bad: int) -> shards_lib.Report:
  return shards_lib.write(shard, max_bad, _count)


def _count() -> None:
  with _done.get_lock():
    _done.value += 1
