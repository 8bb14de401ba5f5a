"""Datasets of other people: builders outside of this library, named MODULE:CLASS."""

import importlib
import inspect
import os
import sys

from .registry import DATASETS, FLAGS, Dataset

_NEEDED = ('VERSION', 'HOMEPAGE', 'CITATION', 'LICENSE', 'read_records', 'read_example')


def find(name: str) -> Dataset:
  """The dataset whose builder is a class of a module, such as 'my_hands:MyHands'.

  The module is looked for in the current folder first, then where Python looks. Of the
  command's flags for single datasets it has those that `read_records` takes.

  Raises:
    ValueError: there is no such module or class, it fails, it is no builder of
      `base.LayoutBuilder`, or lacks something.
  """
  module, colon, builder = name.partition(':')
  if not (module and colon and builder) or module.endswith('.py'):
    raise ValueError(
      f'{name!r} names no dataset; one of yours is MODULE:CLASS, as in '
      "my_hands:MyHands for the class MyHands in my_hands.py; the library's are "
      f'{", ".join(sorted(DATASETS))}.'
    )
  loaded = getattr(_import(module), builder, None)
  where = f'{builder} of the module {module}'
  if loaded is None:
    raise ValueError(f'There is no class {where}.')
  from . import base  # TFDS takes seconds

  if not (inspect.isclass(loaded) and issubclass(loaded, base.LayoutBuilder)):
    raise ValueError(
      f'{where} is no builder: derive it from bmc_jax.data_prep.base.LayoutBuilder.'
    )
  given = {each: getattr(loaded, each, None) for each in _NEEDED}
  missing = [
    each
    for each, value in given.items()
    if value is None or value is getattr(base.LayoutBuilder, each, None)
  ]
  if missing:
    raise ValueError(f'{where} lacks {", ".join(missing)}; see docs/data.md.')
  if loaded.name in DATASETS:
    raise ValueError(
      f'{where} would be built as {loaded.name!r}, which is a dataset of the library: '
      'rename the class.'
    )
  parameters = inspect.signature(loaded.read_records).parameters
  return Dataset(module, builder, flags=tuple(f for f in FLAGS if f in parameters))


def _import(module: str):
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
