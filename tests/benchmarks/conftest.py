"""How tests import a benchmark, which is no module of a package."""

import importlib
import sys
import types

import pytest

from tests.fixtures.session import ROOT

FOLDER = ROOT / 'benchmarks'


@pytest.fixture
def load(monkeypatch):
  """Imports a benchmark, without leaving its name to others."""
  monkeypatch.syspath_prepend(FOLDER)
  known = set(sys.modules)
  yield lambda name, **constants: _with(
    monkeypatch, importlib.import_module(name), constants
  )
  for name in set(sys.modules) - known:
    if (FOLDER / f'{name}.py').exists():
      del sys.modules[name]


def _with(monkeypatch, module: types.ModuleType, constants) -> types.ModuleType:
  monkeypatch.setattr(sys, 'argv', [module.__name__])
  for name, value in constants.items():
    monkeypatch.setattr(module, name, value)
  return module
