"""Ctrl-C: one sentence and exit status 130, whatever the program is doing.

Python hands a signal on between two of its own instructions: while a library is
imported or a program is compiled that may take minutes, and what then is raised may be
caught by whoever is running. So a thread of its own ends the process, at once or, where
there is something to save (`polite`), at the second Ctrl-C.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple

from bmc_jax.console import outputs

EXIT_INTERRUPTED = 130  # what shells call a program that Ctrl-C ended
AGAIN = 'files that were not complete are not written; run the same command again.'


@contextlib.contextmanager
def told(advice: str = AGAIN) -> Iterator[None]:
  """Lets Ctrl-C end the process in one sentence; also a decorator.

  Args:
    advice: how to go on.
  """
  before, _watch.advice = _watch.advice, advice
  begun = _watch.begin()
  try:
    yield
  except KeyboardInterrupt as error:
    print(f'\n{_watch.sentence(str(error))}', file=sys.stderr)
    sys.exit(EXIT_INTERRUPTED)
  finally:
    _watch.advice = before
    if begun:
      _watch.end()


@contextlib.contextmanager
def polite(note: str, react: Callable[[], None] | None = None) -> Iterator[None]:
  """Lets Ctrl-C raise KeyboardInterrupt within a `with` block; twice ends at once.

  Args:
    note: what will be saved, printed at the first Ctrl-C.
    react: called in place of raising.
  """
  if threading.current_thread() is not threading.main_thread() or _is_ignored():
    yield
    return
  _watch.seen = _watch.taken = 0
  _watch.blocks.append(_Block(note, react))
  before = signal.signal(signal.SIGINT, _watch.handle)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, before)
    _watch.blocks.pop()


def begin() -> bool:
  """Takes Ctrl-C over, for good; whether it was not taken over before.

  A process that was started so that it ignores Ctrl-C goes on to do so, and who works
  at a prompt or in a notebook wants to go on there.
  """
  return _watch.begin()


class _Block(NamedTuple):
  """A `polite` block that is running, and what it does at Ctrl-C."""

  note: str
  react: Callable[[], None] | None


class _Watch:
  """What the process does at Ctrl-C: one for all of it, as signals are.

  Attributes:
    advice: how to go on after it.
    blocks: that are running, the newest last.
    seen: how often in the newest of them the thread saw Ctrl-C.
    taken: how often the main thread took it there.
  """

  def __init__(self):
    self.advice = AGAIN
    self.blocks: list[_Block] = []
    self.seen = self.taken = 0
    self._pipe: tuple[int, int] | None = None
    self._before: tuple[int, Any] = -1, signal.default_int_handler

  def begin(self) -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    is_prompt = hasattr(sys, 'ps1') or 'ipykernel' in sys.modules
    if self._pipe or not is_main or is_prompt or _is_ignored():
      return False
    self._pipe = os.pipe()
    os.set_blocking(self._pipe[1], False)
    wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
    self._before = wakeup, signal.signal(signal.SIGINT, self.handle)
    threading.Thread(target=self._listen, args=(self._pipe[0],), daemon=True).start()
    return True

  def end(self) -> None:
    """Gives Ctrl-C back to who had it before."""
    assert self._pipe
    wakeup, handler = self._before
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGINT, handler)
    os.close(self._pipe[1])  # which ends the thread
    self._pipe = None

  def handle(self, number: int, frame: FrameType | None) -> None:
    """Does what the main thread has to do; the other one ends the process."""
    if not self.blocks:
      return
    self.taken += 1
    react = self.blocks[-1].react
    if self.taken > 1 and self._pipe:
      return
    if react is None or self.taken > 1:
      raise KeyboardInterrupt
    react()

  def _listen(self, pipe: int) -> None:
    """Sees every signal when it comes, whatever the main thread does."""
    while numbers := os.read(pipe, 64):
      for _ in range(numbers.count(signal.SIGINT)):
        self.seen += 1
        running = list(self.blocks)
        if self.seen > 1 or not (running or self.taken):  # it may have ended by now
          outputs.discard()
          _say(self.sentence())
          os._exit(EXIT_INTERRUPTED)
        if running:
          _say(f'Ctrl-C: {running[-1].note}; once more ends at once.')
    os.close(pipe)

  def sentence(self, saved: str = '') -> str:
    return f'interrupted; {saved}{"; " if saved else ""}{self.advice}'


_watch = _Watch()


def _is_ignored() -> bool:
  return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def _say(text: str) -> None:
  """Prints without a lock, which the main thread may hold."""
  with contextlib.suppress(OSError):
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f'\n{text}\n'.encode())
