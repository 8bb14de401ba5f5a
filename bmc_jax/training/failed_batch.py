"""A batch that training could not take a step on, kept to be looked at."""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from bmc_jax.console.files import write_arrays
from bmc_jax.console.outputs import replacing

_SHOWN = 16
_COLUMNS = 4


def write(folder: Path, step: int, batch: Mapping[str, np.ndarray]) -> Path:
  """Writes a batch as it was read: its arrays, and a picture of the first examples.

  Args:
    folder: where `failed_batch_<step>.npz` and `.png` go; of several hosts each one
      writes its part, with its number in the name.
    step: whose batch it was.
    batch: of `bmc_jax.data.pipeline`.

  Returns:
    The path of the arrays.
  """
  host = f'_host_{jax.process_index()}' if jax.process_count() > 1 else ''
  path = folder / f'failed_batch_{step}{host}.npz'
  write_arrays(path, batch)
  _draw(path.with_suffix('.png'), batch)
  return path


def _draw(path: Path, batch: Mapping[str, np.ndarray]) -> None:
  from matplotlib.figure import Figure

  count = min(len(batch['sample_id']), _SHOWN)
  rows = -(-count // _COLUMNS)
  figure = Figure(figsize=(3 * _COLUMNS, 3.2 * rows), layout='constrained')
  for index in range(count):
    axes = figure.add_subplot(rows, _COLUMNS, index + 1)
    axes.set_title(str(batch['sample_id'][index]), fontsize=8)
    if 'image' in batch:
      axes.imshow(batch['image'][index])
    else:
      axes.set_aspect('equal')
      axes.invert_yaxis()
    u, v = batch['keypoints_2d'][index][batch['visibility'][index] > 0].T
    known = np.isfinite(u) & np.isfinite(v)
    axes.plot(u[known], v[known], '.', markersize=4)
  with replacing(path) as partial:
    figure.savefig(partial)
