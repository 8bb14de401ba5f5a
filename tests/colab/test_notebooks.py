"""The notebooks: their two forms agree, and their first cell installs the library.

`make notebooks` runs them.
"""

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tomllib

import jupytext
import pytest

from bmc_jax.console import installation
from tests.fixtures.session import ROOT

FOLDER = ROOT / 'colab'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))


def code_cells(name: str) -> list[str]:
  cells = json.loads((FOLDER / f'{name}.ipynb').read_text())['cells']
  return [''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code']


def test_there_are_three_notebooks_and_each_has_two_forms():
  assert len(NAMES) == 3
  assert NAMES == sorted(path.stem for path in FOLDER.glob('*.ipynb'))


@pytest.mark.parametrize('name', NAMES)
def test_both_forms_hold_the_same_cells_and_no_output(name):
  script, notebook = (
    jupytext.read(FOLDER / f'{name}{ending}') for ending in ('.py', '.ipynb')
  )
  cells = [
    [(cell.cell_type, cell.source) for cell in form.cells]
    for form in (script, notebook)
  ]
  assert cells[0] == cells[1]
  assert not any(cell.get('outputs') for cell in notebook.cells)


def _installed(name, monkeypatch, **environment) -> list[str]:
  """What the first cell would install where bmc_jax is missing."""
  calls = []
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  monkeypatch.setattr(subprocess, 'run', lambda command, check: calls.append(command))
  for key in ('BMC_JAX_REPOSITORY', 'BMC_JAX_NOTEBOOKS'):
    monkeypatch.delenv(key, raising=False)
  for key, value in environment.items():
    monkeypatch.setenv(key, value)
  exec(code_cells(name)[0], {})
  assert calls[0][:4] == [sys.executable, '-m', 'pip', 'install']
  return [command[-1] for command in calls]


@pytest.mark.parametrize('name', NAMES)
def test_the_first_cell_installs_from_an_address_a_path_or_its_own_clone(
  name, monkeypatch, tmp_path
):
  monkeypatch.chdir(FOLDER)
  clone = f'{FOLDER.parent}['
  assert _installed(name, monkeypatch)[0].startswith(clone)
  address = 'https://example.org/bmc_jax'
  found = _installed(name, monkeypatch, BMC_JAX_REPOSITORY=address)[0]
  assert found.startswith('bmc_jax[') and found.endswith(f'] @ git+{address}')
  monkeypatch.chdir(tmp_path)
  given = _installed(name, monkeypatch, BMC_JAX_REPOSITORY=str(FOLDER.parent))
  assert given[0].startswith(clone)
  with pytest.raises(ValueError, match='Fill in REPOSITORY'):
    _installed(name, monkeypatch)


@pytest.mark.parametrize('name', NAMES)
def test_a_single_library_that_is_missing_is_installed(name, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)  # no clone: from where the library was installed
  calls = []
  monkeypatch.setattr(subprocess, 'run', lambda command, check: calls.append(command))
  monkeypatch.delenv('BMC_JAX_REPOSITORY', raising=False)
  found = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, 'find_spec', lambda name: None if name == 'optax' else found(name)
  )
  kept = ['bmc_jax[some] @ git+https://example.org/bmc_jax']
  monkeypatch.setattr(installation, 'pip_arguments', lambda extra: kept)
  exec(code_cells(name)[0], {})
  assert [command[5:] for command in calls] == [kept]
  monkeypatch.setattr(installation, 'pip_arguments', lambda extra: [])
  with pytest.raises(ValueError, match='Fill in REPOSITORY'):
    exec(code_cells(name)[0], {})


def _libraries(extras: str) -> set[str]:
  """The distributions of extras, as pyproject.toml names them."""
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  found = set()
  for extra in extras.split(','):
    for requirement in project['optional-dependencies'][extra]:
      name, inner = re.match(r'([\w-]+)(?:\[(.*?)\])?', requirement).groups()
      found |= _libraries(inner) if name == 'bmc_jax' else {name}
  return found


@pytest.mark.parametrize('name', NAMES)
def test_the_first_cell_looks_for_all_libraries_of_its_extra(name, monkeypatch):
  variables: dict = {}
  monkeypatch.setattr(subprocess, 'run', lambda *_, **__: None)
  exec(code_cells(name)[0], variables)
  modules: dict[str, set[str]] = {}
  for module, names in importlib.metadata.packages_distributions().items():
    for each in names:
      modules.setdefault(each.lower().replace('_', '-'), set()).add(module)
  for library in _libraries(variables['EXTRA']):
    assert modules[library.lower().replace('_', '-')] & set(variables['NEEDED']), (
      library
    )


@pytest.mark.parametrize('name', NAMES)
def test_a_library_that_is_there_is_left_alone(name, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: object())
  monkeypatch.setattr(subprocess, 'run', lambda *_, **__: pytest.fail('installs'))
  variables: dict = {}
  monkeypatch.setenv('BMC_JAX_NOTEBOOKS', 'reduced')
  exec(code_cells(name)[0], variables)
  assert variables['REDUCED'] is True
