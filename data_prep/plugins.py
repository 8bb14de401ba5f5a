"""Datasets of other people: builders outside of this library, named MODULE:CLASS."""

import inspect

from bmc_jax.console.plugins import load_named

from .registry import DATASETS, FLAGS, Dataset

_NEEDED = ('VERSION', 'HOMEPAGE', 'CITATION', 'LICENSE', 'read_records', 'read_example')


def find(name: str) -> Dataset:
  """The dataset whose builder is a class of a module, such as 'my_hands:MyHands'.

  Of the command's flags for single datasets it has those that `read_records` takes.

  Raises:
    ValueError: there is no such module or class, it fails, it is no builder of
      `base.LayoutBuilder`, or lacks something.
  """
  if ':' not in name:
    raise ValueError(
      f'There is no dataset {name!r}; there are {", ".join(sorted(DATASETS))}, and '
      'MODULE:CLASS names the builder of one of yours.'
    )
  builder = load_named(name)
  from . import base  # TFDS takes seconds

  if not (inspect.isclass(builder) and issubclass(builder, base.LayoutBuilder)):
    raise ValueError(
      f'{name} is no builder: derive it from bmc_jax.data_prep.base.LayoutBuilder.'
    )
  given = {each: getattr(builder, each, None) for each in _NEEDED}
  missing = [
    each
    for each, value in given.items()
    if value is None or value is getattr(base.LayoutBuilder, each, None)
  ]
  if missing:
    raise ValueError(f'{name} lacks {", ".join(missing)}; see docs/data.md.')
  if builder.name in DATASETS:
    raise ValueError(
      f'{name} would be built as {builder.name!r}, which is a dataset of the library: '
      'rename the class.'
    )
  parameters = inspect.signature(builder.read_records).parameters
  flags = tuple(flag for flag in FLAGS if flag in parameters)
  return Dataset(builder.__module__, builder.__name__, flags=flags)
