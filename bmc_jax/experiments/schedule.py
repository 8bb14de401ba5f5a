"""Runs rows for several seeds, some at a time, each in a process of its own.

A row is run by `python -m bmc_jax.main`, whose output goes to a file. What is finished
is not run again, and a row that was interrupted goes on from its checkpoint.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from bmc_jax import experiment
from bmc_jax.config import Config
from bmc_jax.report.load import read_json, slug_of
from bmc_jax.results import locked, write_json

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
    finished = experiment.finished_rows(config, workdir)
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
  running: dict[Job, tuple[subprocess.Popen, float, set[int]]] = {}
  shares = _shares_of_cores(at_once)
  bar = tqdm(
    total=total, initial=total - len(jobs), unit='row', dynamic_ncols=True, smoothing=0
  )
  with bar:
    try:
      while waiting or running:
        while waiting and len(running) < at_once:
          job = waiting.pop()
          cores = shares.pop()
          running[job] = _start(job, cores), time.monotonic(), cores
          bar.set_postfix_str(_describe(running))
        time.sleep(_POLL_SECONDS)
        for job in [job for job, (process, *_) in running.items() if _ended(process)]:
          process, began, cores = running.pop(job)
          shares.append(cores)
          _note_time(job, time.monotonic() - began)
          if process.returncode:
            raise ValueError(_failure(job, process.returncode))
          bar.update()
          bar.set_postfix_str(_describe(running))
    finally:
      for process, *_ in running.values():
        process.terminate()  # training saves a checkpoint
      for job, (process, began, _) in running.items():
        process.wait()
        _note_time(job, time.monotonic() - began)


def _shares_of_cores(at_once: int) -> list[set[int]]:
  """The CPU cores of each process: threads that share cores wait for each other.

  Only Linux lets a process choose its cores; elsewhere each may use all of them.
  """
  cores = sorted(os.sched_getaffinity(0)) if sys.platform == 'linux' else []
  return [set(cores[i::at_once]) or set(cores) for i in range(at_once)]


def _start(job: Job, cores: set[int]) -> subprocess.Popen:
  job.log.parent.mkdir(parents=True, exist_ok=True)
  with job.log.open('a') as file:
    process = subprocess.Popen(job.command, stdout=file, stderr=subprocess.STDOUT)
  if cores:
    os.sched_setaffinity(process.pid, cores)
  return process


def _ended(process: subprocess.Popen) -> bool:
  return process.poll() is not None


def _describe(running: Iterable[Job]) -> str:
  return ', '.join(f'{job.row} ({job.workdir.name})' for job in running)


def _failure(job: Job, code: int) -> str:
  lines = job.log.read_text(errors='replace').replace('\r', '\n').splitlines()
  errors = [line for line in lines if line.startswith('error: ')]
  reason = errors[-1].removeprefix('error: ') if errors else f'exit status {code}'
  return (
    f'The row {job.row!r} of {job.workdir} failed: {reason}\n(Its output: {job.log})'
  )


def _note_time(job: Job, seconds: float) -> None:
  """Adds to the time that the row has taken so far."""
  with locked(job.workdir):
    path = job.workdir / 'seconds.json'
    times = read_json(path) if path.exists() else {}
    write_json(path, times | {job.row: times.get(job.row, 0.0) + seconds})


def seconds_of(workdir: Path, row: str) -> float:
  """How long a row has taken, in all its runs; 0 where that is not known."""
  path = workdir / 'seconds.json'
  return json.loads(path.read_text()).get(row, 0.0) if path.exists() else 0.0
