"""Training logs: one CSV file that grows, and TensorBoard events."""

import csv
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter


class MetricLog:
  """Writes rows of metrics to `metrics.csv` and TensorBoard.

  A row may bring new columns, and a resumed run drops the rows after its checkpoint, so
  that the file reads as if the run had never stopped.
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
    self._writer = SummaryWriter(
      str(workdir / 'tensorboard'), purge_step=resume_at + 1 if resume_at else None
    )

  def write(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds a row; the file is replaced as a whole, so that it is never half written."""
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
    self._writer.close()
