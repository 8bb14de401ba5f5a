"""Packages that hand on names without importing what they do not need."""

import importlib
from collections.abc import Callable
from typing import Any


def hand_on(
  package: str, homes: dict[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], list[str]]:
  """A package's `__getattr__` (PEP 562) and `__all__`.

  A name's module is imported when the name is first asked for, so that importing one
  module of the package does not import the others.

  Args:
    package: its `__name__`.
    homes: module of the package -> the names in it that the package hands on.
  """
  home_of = {name: module for module, names in homes.items() for name in names}

  def get(name: str) -> Any:
    if name not in home_of:
      raise AttributeError(f'module {package!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{package}.{home_of[name]}'), name)

  return get, sorted(home_of)
