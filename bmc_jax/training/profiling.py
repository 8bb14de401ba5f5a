"""A trace of some training steps, for TensorBoard and Perfetto: `profile=True`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from bmc_jax.console.errors import warn

# The first steps compile and fill the queues of batches.
SKIPPED, TRACED = 5, 10


class Profiler:
  """Traces TRACED steps of a run, after SKIPPED ones, and tells where the trace is."""

  def __init__(self, folder: Path | None, first: int):
    """Prepares to trace.

    Args:
      folder: where the trace goes; None traces nothing.
      first: the number of the first step that this process takes.
    """
    self._folder = folder
    start = first + SKIPPED
    self._steps = range(start, start + TRACED) if folder else range(0)
    self._traced = 0
    self._is_tracing = False

  @contextlib.contextmanager
  def step(self, number: int) -> Iterator[None]:
    """Names a step in the trace, which begins with the first one that is asked for."""
    if number not in self._steps:
      yield
      return
    if not self._is_tracing:
      jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)
      self._is_tracing = True
    self._traced += 1
    with jax.profiler.StepTraceAnnotation('train', step_num=number):
      yield

  def end_step(self, number: int, result: Any) -> None:
    """Ends the trace after its last step, once the devices have computed `result`."""
    if self._is_tracing and number == self._steps[-1]:
      jax.block_until_ready(result)
      self.close()

  def close(self) -> None:
    """Writes the trace, if one is under way."""
    if self._steps and not self._traced:
      warn(
        f'No step was traced: the first {SKIPPED} of a process are left out, and this '
        'one took no more.'
      )
    if not self._is_tracing:
      return
    self._is_tracing = False
    jax.profiler.stop_trace()
    tqdm.write(
      f'A trace of {self._traced} steps is in {self._folder}: TensorBoard shows it '
      '(with tensorboard-plugin-profile), and https://ui.perfetto.dev its '
      'perfetto_trace.json.gz.'
    )
