"""Ends a run in time when SIGTERM asks for it, as schedulers do before they kill.

Training saves a checkpoint first. The exit code then is `EXIT_PREEMPTED`: the same
command, run again, goes on where it stopped.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils

EXIT_PREEMPTED = 75  # "temporary failure" in sysexits.h


class Preempted(BaseException):  # noqa: N818, since it is no error
  """The run was asked to end, and has saved what it had to."""


class Watch:
  """Notices SIGTERM while a `with` block lasts, and leaves it to the block to end.

  With several hosts JAX notices it and agrees with the others on a step.
  """

  def __init__(self):
    self._noted = False

  def __enter__(self) -> 'Watch':
    self._before = _handle(self._note)
    return self

  def _note(self, number: int, frame: FrameType | None) -> None:
    self._noted = True

  def requested(self, step: int) -> bool:
    """Whether to save and end after this step, on all hosts."""
    if jax.process_count() == 1:
      return self._noted
    return multihost_utils.reached_preemption_sync_point(step)

  def __exit__(self, kind, *_) -> None:
    if self._before is not None:
      signal.signal(signal.SIGTERM, self._before)
    if self._noted and kind is None:
      raise Preempted


@contextlib.contextmanager
def raised() -> Iterator[None]:
  """Lets SIGTERM raise `Preempted` at once within a `with` block."""

  def interrupt(number: int, frame: FrameType | None) -> None:
    raise Preempted

  before = _handle(interrupt)
  try:
    yield
  finally:
    if before is not None:
      signal.signal(signal.SIGTERM, before)


def _handle(handler) -> Any:
  """Sets the handler; the one before, or None where it was left as it is."""
  if jax.process_count() > 1 or threading.current_thread() != threading.main_thread():
    return None
  return signal.signal(signal.SIGTERM, handler)
