"""Training logs: means of terms, rates, CSV files that grow, TensorBoard events."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tensorboardX import SummaryWriter

from bmc_jax.console.outputs import replacing
from bmc_jax.training import hosts


@jax.jit
def _add_finite(sums, terms, finite):
  return {k: sums.get(k, 0.0) + jnp.where(finite, v, 0.0) for k, v in terms.items()}


class RunningMean:
  """Means of the terms of the steps since they were last taken.

  Sums stay on the device until they are asked for, so that steps need not wait.
  """

  def __init__(self, sums: Mapping[str, Any] | None = None):
    """Starts empty, or from what `state` gave."""
    self._sums = dict(sums or {})

  def add(self, terms: Mapping[str, jax.Array], finite: jax.Array) -> None:
    """Adds the terms of one step; of a step that is not finite only that it was one."""
    counted = {**terms, 'count': jnp.ones_like(finite, jnp.float32)}
    self._sums = _add_finite(self._sums, counted, finite)

  def state(self) -> dict[str, Any]:
    """The sums as plain numbers, for a checkpoint."""
    return {k: float(v) for k, v in self._sums.items()}

  def take(self) -> dict[str, float]:
    """The means of the finite steps, if there is one; the next ones start anew."""
    sums, self._sums = self.state(), {}
    count = sums.pop('count', 0.0)
    return {k: v / count for k, v in sums.items()} if count else {}


class Timer:
  """How fast steps are, and how much of their time goes into waiting for data."""

  def __init__(self):
    self.restart()

  def restart(self) -> None:
    """Forgets what was measured, as of a step that was compiled first."""
    self._steps, self._waited, self._elapsed = 0, 0.0, 0.0

  def add(self, waited: float, elapsed: float) -> None:
    """Adds a step: the seconds that it waited for its batch, and all of its seconds."""
    self._steps += 1
    self._waited += waited
    self._elapsed += elapsed

  def take(self, batch_size: int) -> dict[str, float]:
    """The rates since they were last taken; empty if there was no step."""
    if not self._elapsed:
      return {}
    rates = {
      'examples_per_second': batch_size * self._steps / self._elapsed,
      'data_wait_percent': 100 * self._waited / self._elapsed,
    }
    self.restart()
    return rates


class MetricLog:
  """Writes rows of numbers to a CSV file and TensorBoard.

  A row may bring new columns, and a resumed run drops the rows after its checkpoint, so
  that the file reads as if the run had never stopped. Only the first host writes.
  """

  def __init__(self, workdir: Path, *, name: str = 'metrics', resume_at: int = 0):
    """Opens the log.

    Args:
      workdir: where the CSV file and `tensorboard/` lie.
      name: of the CSV file.
      resume_at: the step that training goes on from; later rows are dropped.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    self._path = workdir / f'{name}.csv'
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
    with (
      replacing(self._path) as partial,
      partial.open('w', newline='') as file,
    ):
      table = csv.DictWriter(file, columns, restval='')
      table.writeheader()
      table.writerows(self._rows)
    for name, value in metrics.items():
      self._writer.add_scalar(name, value, step)

  def close(self) -> None:
    """Flushes TensorBoard's events."""
    if self._writer is not None:
      self._writer.close()
