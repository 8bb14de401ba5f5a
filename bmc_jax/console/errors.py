"""How the commands tell mistakes: one sentence, and the exit status of a wrong call;
and what may be one.
"""

import sys
from typing import NoReturn

USER_ERRORS = (ValueError, OSError, FloatingPointError)
"""What wrong values, files and data raise; anything else is a fault of the program."""


def warn(message: str) -> None:
  """Tells what looks wrong, on the standard error stream; the program goes on."""
  print(f'warning: {message}', file=sys.stderr)


def fail(message: str) -> NoReturn:
  """Ends the program with one sentence and the exit status of a wrong call."""
  print(f'error: {message}', file=sys.stderr)
  sys.exit(2)
