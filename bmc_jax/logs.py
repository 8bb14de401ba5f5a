"""Training logs: one CSV file that grows, and TensorBoard events."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tensorboardX import SummaryWriter

from bmc_jax import hosts


class RunningMean:
  """Means of the terms of the steps since they were last taken.

  Sums stay on the device until they are asked for, so that steps need not wait.
  """

  def __init__(self, count: int = 0, sums: Mapping[str, Any] | None = None):
    """Starts empty, or from what `state` gave."""
    self._count, self._sums = count, dict(sums or {})

  def add(self, terms: Mapping[str, jax.Array]) -> None:
    """Adds the terms of one step."""
    self._sums = {k: jnp.add(self._sums.get(k, 0.0), v) for k, v in terms.items()}
    self._count += 1

  def state(self) -> dict[str, Any]:
    """Count and sums as plain numbers, for a checkpoint."""
    return {
      'count': self._count,
      'sums': {k: float(v) for k, v in self._sums.items()},
    }

  @property
  def is_finite(self) -> bool:
    """Whether every term of every step was."""
    return all(math.isfinite(v) for v in self.state()['sums'].values())

  def take(self) -> dict[str, float]:
    """The means; the next ones start anew."""
    means = {k: v / self._count for k, v in self.state()['sums'].items()}
    self._count, self._sums = 0, {}
    return means


class MetricLog:
  """Writes rows of metrics to `metrics.csv` and TensorBoard.

  A row may bring new columns, and a resumed run drops the rows after its checkpoint, so
  that the file reads as if the run had never stopped. Only the first host writes.
  """

  def __init__(self, workdir: Path, *, resume_at: int = 0):
    """Opens the log.

    Args:
      workdir: where `metrics.csv` and `tensorboard/` lie.
      resume_at: the step that training goes on from; later rows are dropped.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    self._path = workdir / 'metrics.csv'
    self._rows = []
    if resume_at and self._path.exists():
      with self._path.open(newline='') as file:
        rows = list(csv.DictReader(file))
      self._rows = [row for row in rows if int(row['step']) <= resume_at]
    self._writer = None
    if hosts.is_first():
      folder = str(workdir / 'tensorboard')
      self._writer = SummaryWriter(folder, purge_step=resume_at + 1)

  def write(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds a row; the file is replaced as a whole, so that it is never half written."""
    if self._writer is None:
      return
    self._rows.append({'step': step, **{k: f'{v:.6g}' for k, v in metrics.items()}})
    columns = list(dict.fromkeys(name for row in self._rows for name in row))
    partial = self._path.with_suffix('.csv.partial')
    with partial.open('w', newline='') as file:
      table = csv.DictWriter(file, columns, restval='')
      table.writeheader()
      table.writerows(self._rows)
    partial.replace(self._path)
    for name, value in metrics.items():
      self._writer.add_scalar(name, value, step)

  def close(self) -> None:
    """Flushes TensorBoard's events."""
    if self._writer is not None:
      self._writer.close()
