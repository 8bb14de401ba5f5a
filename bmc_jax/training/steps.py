"""Steps one after the other, and what becomes of those that are not finite."""

import time
from collections import deque
from pathlib import Path
from typing import Any, NoReturn

import grain
import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from bmc_jax.training import failed_batch, sharding
from bmc_jax.training.config import Config
from bmc_jax.training.logs import Timer
from bmc_jax.training.step import TrainState

# Steps that may be under way on the devices: more would only hold their batches.
_AHEAD = 2


class Steps:
  """Takes steps, and knows which of the last ones were not finite.

  Attributes:
    timer: of the steps after the first one, which is compiled.
    skipped: how many steps of the run were not finite, up to the last check; may be
      set where a run goes on.
  """

  def __init__(self, config: Config, data: grain.DatasetIterator, workdir: Path):
    self._config, self._data, self._workdir = config, data, workdir
    self._unchecked: list[tuple[int, Any, dict[str, jax.Array]]] = []
    self._under_way: deque[jax.Array] = deque()
    self._is_compiled = False
    self.timer = Timer()
    self.skipped = 0

  def take(
    self, step: int, state: TrainState, step_fn, mesh: Mesh
  ) -> tuple[TrainState, dict[str, jax.Array]]:
    """The state and the terms after the next batch; does not wait for them."""
    start = time.perf_counter()
    before = self._data.get_state()
    batch = next(self._data)
    waited = time.perf_counter() - start
    state, terms = step_fn(state, sharding.put_batch(batch, mesh))
    self._unchecked.append((step, before, terms))
    self._under_way.append(terms['finite'])
    if len(self._under_way) > _AHEAD:
      jax.block_until_ready(self._under_way.popleft())
    self.timer.add(waited, time.perf_counter() - start)
    if not self._is_compiled:
      self._is_compiled = True
      self.timer.restart()
    return state, terms

  def check(self, saved: int | None) -> None:
    """Stops the run, or counts, if a step since the last check was not finite.

    Args:
      saved: the step of the last checkpoint.
    """
    finite = jax.device_get([terms['finite'] for _, _, terms in self._unchecked])
    failed = [
      entry for entry, ok in zip(self._unchecked, finite, strict=True) if not ok
    ]
    self.skipped += len(failed)
    if failed and (
      self._config.nonfinite == 'stop' or len(failed) == len(self._unchecked) > 1
    ):
      self._fail(*failed[0], saved)
    if failed:
      logging.warning(
        '%d steps up to step %d were not finite and are skipped.',
        len(failed),
        self._unchecked[-1][0],
      )
    self._unchecked = []

  def _fail(self, step: int, before: Any, terms, saved: int | None) -> NoReturn:
    """Raises the error of a step that was not finite, and keeps its batch."""
    self._data.set_state(before)
    batch = next(self._data)
    path = failed_batch.write(self._workdir, step, batch)
    values = {k: float(v) for k, v in terms.items() if k != 'finite'}
    names = ', '.join(batch['sample_id'][:8].tolist())
    more = ', ...' if len(batch['sample_id']) > 8 else ''
    kept = f'the last good checkpoint is that of step {saved}'
    skip = '' if self._config.nonfinite == 'skip' else ", or set nonfinite='skip'"
    if not np.isfinite(values['loss']):
      what = 'The loss is'
    elif not np.isfinite(values['gradient_norm']):
      what = 'The gradient is'
    else:
      what = 'The updated parameters or statistics are'
    raise FloatingPointError(
      f'{what} not finite at step {step} ('
      f'{", ".join(f"{k} {v:g}" for k, v in values.items())}); its batch is kept in '
      f'{path} and .png (samples {names}{more}); '
      f'{kept if saved else "no checkpoint was saved before"}. '
      f'Lower optimizer.learning_rate, in a new --workdir{skip}.'
    )
