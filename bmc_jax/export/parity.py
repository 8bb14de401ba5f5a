"""Whether an exported file gives what the model gives."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from bmc_jax.export.signature import OUTPUTS

CROPS = 100

TOLERANCE = 1e-4
"""Far above what roundings make of float32, far below what a wrong file gives."""


def differences(
  model: Callable[..., Sequence[jax.Array]],
  exported: Callable[..., Sequence[np.ndarray]],
  inputs: Sequence[np.ndarray],
  *,
  batch: int,
) -> dict[str, float]:
  """The largest difference of each output, |a - b| / (1 + |b|).

  Args:
    model: two inputs to the values of `OUTPUTS`.
    exported: the same, read back from the file.
    inputs: (n, ...) each.
    batch: the exported function takes so many at once; n is a multiple of it.
  """
  jitted = jax.jit(model)
  worst = dict.fromkeys(OUTPUTS, 0.0)
  for start in range(0, len(inputs[0]), batch):
    part = [values[start : start + batch] for values in inputs]
    pairs = zip(exported(*part), jitted(*part), strict=True)
    for name, (value, expected) in zip(OUTPUTS, pairs, strict=True):
      value, expected = np.asarray(value), np.asarray(expected)
      if value.shape != expected.shape:
        raise ValueError(f'{name} has the shape {value.shape}, not {expected.shape}.')
      gap = np.abs(value - expected) / (1 + np.abs(expected))
      gap = np.where(np.isfinite(gap), gap, np.inf)
      worst[name] = max(worst[name], float(gap.max()))
  return worst
