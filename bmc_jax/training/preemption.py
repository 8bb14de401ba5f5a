"""Ends a run in time when SIGTERM asks for it, as schedulers do before they kill, or
Ctrl-C.

Training saves a checkpoint first. The exit code then is `EXIT_PREEMPTED`, or that of
Ctrl-C: the same command, run again, goes on where it stopped.
"""

import contextlib
import functools
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import jax
from jax.experimental import multihost_utils

from bmc_jax.console import interrupts

EXIT_PREEMPTED = 75  # "temporary failure" in sysexits.h


class Preempted(BaseException):  # noqa: N818, since it is no error
  """The run was asked to end, and has saved what it had to."""


class Watch:
  """Notices SIGTERM while a `with` block lasts, and leaves it to the block to end.

  So it does with Ctrl-C as soon as there is a step to save. With several hosts JAX
  notices SIGTERM and agrees with the others on a step; Ctrl-C ends them at once.
  """

  def __init__(self):
    self._noted: int | None = None
    self._saved = ''
    self._stack = contextlib.ExitStack()

  def __enter__(self) -> 'Watch':
    self._stack.enter_context(_handled(signal.SIGTERM, self._note))
    self._has_step = False
    return self

  def _note(self, number: int, frame: FrameType | None = None) -> None:
    self._noted = number

  def requested(self, step: int) -> bool:
    """Whether to save and end after this step, on all hosts."""
    if jax.process_count() > 1:
      return multihost_utils.reached_preemption_sync_point(step)
    if not self._has_step:
      self._has_step = True
      note = 'the step under way is finished and saved'
      react = functools.partial(self._note, signal.SIGINT)
      self._stack.enter_context(interrupts.polite(note, react))
    self._saved = f'step {step} is saved'
    return self._noted is not None

  def stop(self) -> NoReturn:
    """Ends the run, whose last step has been saved."""
    if self._noted == signal.SIGINT:
      raise KeyboardInterrupt(self._saved)
    raise Preempted

  def __exit__(self, kind, *_) -> None:
    self._stack.close()
    if self._noted is not None and kind is None:
      self.stop()


@contextlib.contextmanager
def raised() -> Iterator[None]:
  """Lets SIGTERM raise `Preempted` at once within a `with` block."""

  def interrupt(number: int, frame: FrameType | None) -> None:
    raise Preempted

  with _handled(signal.SIGTERM, interrupt):
    yield


@contextlib.contextmanager
def _handled(number: int, handler) -> Iterator[None]:
  """Sets the handler of a signal for a `with` block, unless others handle it."""
  if jax.process_count() > 1 or threading.current_thread() != threading.main_thread():
    yield
    return
  before = signal.signal(number, handler)
  try:
    yield
  finally:
    signal.signal(number, before)
