"""How the commands tell mistakes: one sentence, and the exit status of a wrong call."""

import sys
from typing import NoReturn

USER_ERRORS = (ValueError, OSError, FloatingPointError)
"""What wrong values, files and data raise; anything else is a fault of the program."""


def fail(message: str) -> NoReturn:
  """Ends the program with one sentence and the exit status of a wrong call."""
  print(f'error: {message}', file=sys.stderr)
  sys.exit(2)
