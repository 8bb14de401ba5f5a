"""What people add to the library without changing it, named MODULE:NAME."""

import importlib
import os
import sys
from typing import Any


def load_named(name: str) -> Any:
  """What a module has under a name, as in 'my_terms:fist'.

  The module is looked for in the current folder first, then where Python looks.

  Raises:
    ValueError: this is no MODULE:NAME, there is no such module or nothing of that name
      in it, or the module fails.
  """
  module, _, inner = name.partition(':')
  if not (module and inner) or module.endswith('.py'):
    raise ValueError(
      f'{name!r} is not MODULE:NAME, as in my_hands:MyHands for MyHands in my_hands.py.'
    )
  loaded = _import(module)
  if not hasattr(loaded, inner):
    where = getattr(loaded, '__file__', 'which is no file')
    raise ValueError(f'The module {module} ({where}) has no {inner}.')
  return getattr(loaded, inner)


def _import(module: str) -> Any:
  here = os.getcwd()
  if here not in sys.path:  # a console script does not look there
    sys.path.insert(0, here)
  try:
    return importlib.import_module(module)
  except ModuleNotFoundError as error:
    if error.name is None or not f'{module}.'.startswith(f'{error.name}.'):
      raise ValueError(f'The module {module} fails: {error}.') from error
    raise ValueError(
      f'There is no module {module}, neither in the current folder nor where Python '
      'looks (PYTHONPATH).'
    ) from error
  except Exception as error:  # whatever the user's file may raise
    raise ValueError(
      f'The module {module} fails: {type(error).__name__}: {error}.'
    ) from error
