"""Runs rows for several seeds, some at a time, each in a process of its own.

A row is run by `bmc-jax train`, whose output goes to a file. What is finished
is not run again, and a row that was interrupted goes on from its checkpoint.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from bmc_jax.console.files import read_json, slug_of, write_json
from bmc_jax.experiments.rows import finished_rows
from bmc_jax.experiments.workdir import locked
from bmc_jax.training.config import Config

_POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Job:
  """One row for one seed.

  Attributes:
    workdir: of the seed.
    row: its name.
    command: what runs it.
  """

  workdir: Path
  row: str
  command: tuple[str, ...]

  @property
  def log(self) -> Path:
    """Where its output goes."""
    return self.workdir / 'logs' / f'{slug_of(self.row)}.txt'


def seed_dir(folder: Path, seed: int) -> Path:
  """The workdir of a seed."""
  return folder / f'seed_{seed}'


def unfinished(
  configs: Mapping[int, Config], folder: Path, rows: Iterable[str], flags: Sequence[str]
) -> Iterator[Job]:
  """The jobs that are to be run, seed by seed.

  Args:
    configs: seed -> config.
    folder: of the data's workdirs.
    rows: to run.
    flags: of `bmc_jax.main`, that made the configs.
  """
  rows = list(rows)
  for seed, config in configs.items():
    workdir = seed_dir(folder, seed)
    finished = finished_rows(config, workdir)
    for row in rows:
      if row not in finished:
        command = (
          *(sys.executable, '-m', 'bmc_jax.main', *flags),
          f'--config.seed={seed}',
          f'--config.run_rows={(row,)!r}',
          f'--workdir={workdir}',
          '--noreport',
        )
        yield Job(workdir, row, command)


class _Process:
  """A job that is running.

  In a process group of its own: Ctrl-C reaches the parent alone, which then ends its
  jobs by SIGTERM, so that training saves a checkpoint.
  """

  def __init__(self, job: Job, cores: set[int]):
    self.job, self.cores = job, cores
    self._began = time.monotonic()
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open('a') as file, _on_cores(cores):
      self._earlier = file.tell()  # what earlier runs have left in the log
      self._process = subprocess.Popen(
        job.command, stdout=file, stderr=subprocess.STDOUT, process_group=0
      )

  def ended(self) -> bool:
    return self._process.poll() is not None

  def terminate(self) -> None:
    self._process.terminate()

  def finish(self) -> None:
    """Waits for its end, and adds up the time that the row has taken so far."""
    self._process.wait()
    with locked(self.job.workdir):
      path = self.job.workdir / 'seconds.json'
      times = read_json(path) if path.exists() else {}
      spent = times.get(self.job.row, 0.0) + time.monotonic() - self._began
      write_json(path, times | {self.job.row: spent})

  def failure(self) -> str:
    """Why it failed, '' if it did not."""
    code = self._process.returncode
    if not code:
      return ''
    with self.job.log.open(errors='replace') as file:
      file.seek(self._earlier)
      lines = file.read().replace('\r', '\n').splitlines()
    errors = [line for line in lines if line.startswith('error: ')]
    if errors:
      reason = errors[-1].removeprefix('error: ')
    elif code < 0:
      reason = f'{signal.Signals(-code).name} ended it'
      reason += ' (was the memory short?)' if code == -signal.SIGKILL else ''
    else:
      reason = f'exit status {code}'
    where = f'(Its output: {self.job.log})'
    return f'The row {self.job.row!r} of {self.job.workdir} failed: {reason}\n{where}'


def run(jobs: Sequence[Job], total: int, at_once: int) -> None:
  """Runs jobs, and shows how many are finished.

  Args:
    jobs: to run.
    total: number of jobs, those that were finished before among them.
    at_once: number of processes.

  Raises:
    ValueError: a job failed; the others that were running have been ended, and go on
      with the next call.
  """
  waiting = list(reversed(jobs))
  running: list[_Process] = []
  shares = _shares_of_cores(at_once)
  bar = tqdm(
    total=total, initial=total - len(jobs), unit='row', dynamic_ncols=True, smoothing=0
  )
  with bar:
    try:
      while waiting or running:
        while waiting and len(running) < at_once:
          running.append(_Process(waiting.pop(), shares.pop()))
          bar.set_postfix_str(_describe(running))
        time.sleep(_POLL_SECONDS)
        for process in [process for process in running if process.ended()]:
          running.remove(process)
          shares.append(process.cores)
          process.finish()
          if failure := process.failure():
            raise ValueError(failure)
          bar.update()
          bar.set_postfix_str(_describe(running))
    finally:
      for process in running:
        process.terminate()
      for process in running:
        process.finish()


def _describe(running: Iterable[_Process]) -> str:
  jobs = [process.job for process in running]
  return ', '.join(f'{job.row} ({job.workdir.name})' for job in jobs)


def _shares_of_cores(at_once: int) -> list[set[int]]:
  """The CPU cores of each process: threads that share cores wait for each other.

  Only Linux lets a process choose its cores; elsewhere each may use all of them.
  """
  cores = sorted(os.sched_getaffinity(0)) if sys.platform == 'linux' else []
  return [set(cores[i::at_once]) or set(cores) for i in range(at_once)]


@contextlib.contextmanager
def _on_cores(cores: set[int]) -> Iterator[None]:
  """Lets processes that are started within a `with` block use these cores alone."""
  if not cores:
    yield
    return
  before = os.sched_getaffinity(0)
  os.sched_setaffinity(0, cores)
  try:
    yield
  finally:
    os.sched_setaffinity(0, before)


def seconds_of(workdir: Path, row: str) -> float:
  """How long a row has taken, in all its runs; 0 where that is not known."""
  path = workdir / 'seconds.json'
  return read_json(path).get(row, 0.0) if path.exists() else 0.0
