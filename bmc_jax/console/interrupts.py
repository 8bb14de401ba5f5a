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
from typing import Any

from bmc_jax.console import outputs

EXIT_INTERRUPTED = 130  # what shells call a program that Ctrl-C ended
AGAIN = 'files that were not complete are not written; run the same command again.'

_advice = AGAIN
# Of the `polite` blocks that are running, and what they do at Ctrl-C.
_polite: list[tuple[str, Callable[[], None] | None]] = []
# How often in the newest of them the thread saw Ctrl-C, and the main thread took it.
_seen, _taken = 0, 0
_pipe: tuple[int, int] | None = None
_before: tuple[int, Any] = -1, signal.default_int_handler


@contextlib.contextmanager
def told(advice: str = AGAIN) -> Iterator[None]:
  """Lets Ctrl-C end the process in one sentence; also a decorator.

  Args:
    advice: how to go on.
  """
  global _advice
  before, _advice = _advice, advice
  begun = begin()
  try:
    yield
  except KeyboardInterrupt as error:
    print(f'\n{_sentence(str(error))}', file=sys.stderr)
    sys.exit(EXIT_INTERRUPTED)
  finally:
    _advice = before
    if begun:
      _end()


@contextlib.contextmanager
def polite(note: str, react: Callable[[], None] | None = None) -> Iterator[None]:
  """Lets Ctrl-C raise KeyboardInterrupt within a `with` block; twice ends at once.

  Args:
    note: what will be saved, printed at the first Ctrl-C.
    react: called in place of raising.
  """
  global _seen, _taken
  if threading.current_thread() is not threading.main_thread() or _is_ignored():
    yield
    return
  _seen, _taken = 0, 0
  _polite.append((note, react))
  before = signal.signal(signal.SIGINT, _handle)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, before)
    _polite.pop()


def begin() -> bool:
  """Takes Ctrl-C over, for good; whether it was not taken over before.

  A process that was started so that it ignores Ctrl-C goes on to do so, and who works
  at a prompt or in a notebook wants to go on there.
  """
  global _pipe, _before
  is_main = threading.current_thread() is threading.main_thread()
  is_prompt = hasattr(sys, 'ps1') or 'ipykernel' in sys.modules
  if _pipe or not is_main or is_prompt or _is_ignored():
    return False
  _pipe = os.pipe()
  os.set_blocking(_pipe[1], False)
  wakeup = signal.set_wakeup_fd(_pipe[1], warn_on_full_buffer=False)
  _before = wakeup, signal.signal(signal.SIGINT, _handle)
  threading.Thread(target=_listen, args=(_pipe[0],), daemon=True).start()
  return True


def _end() -> None:
  """Gives Ctrl-C back to who had it before."""
  global _pipe
  assert _pipe
  wakeup, handler = _before
  signal.set_wakeup_fd(wakeup)
  signal.signal(signal.SIGINT, handler)
  os.close(_pipe[1])  # which ends the thread
  _pipe = None


def _is_ignored() -> bool:
  return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def _handle(number: int, frame: FrameType | None) -> None:
  """Does what the main thread has to do; the other one ends the process."""
  global _taken
  if not _polite:
    return
  _taken += 1
  react = _polite[-1][1]
  if _taken > 1 and _pipe:
    return
  if react is None or _taken > 1:
    raise KeyboardInterrupt
  react()


def _listen(handle: int) -> None:
  """Sees every signal when it comes, whatever the main thread does."""
  global _seen
  while numbers := os.read(handle, 64):
    for _ in range(numbers.count(signal.SIGINT)):
      _seen += 1
      running = list(_polite)
      if _seen > 1 or not (running or _taken):  # the block may have ended by now
        outputs.discard()
        _say(_sentence())
        os._exit(EXIT_INTERRUPTED)
      if running:
        _say(f'Ctrl-C: {running[-1][0]}; once more ends at once.')
  os.close(handle)


def _sentence(saved: str = '') -> str:
  return f'interrupted; {saved}{"; " if saved else ""}{_advice}'


def _say(text: str) -> None:
  """Prints without a lock, which the main thread may hold."""
  with contextlib.suppress(OSError):
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f'\n{text}\n'.encode())
