"""The notebooks run, and show what they say."""

import importlib.machinery
import importlib.util
import json
import pathlib
import re
import sys

import matplotlib

NOTEBOOKS = pathlib.Path(__file__).parent.parent / 'colab'


def code_cells(name: str) -> list[str]:
  """A notebook's code; what IPython alone understands becomes an error."""
  cells = json.loads((NOTEBOOKS / name).read_text())['cells']
  code = [''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code']
  magic = re.compile(r'^( *)%.*$', re.MULTILINE)
  return [magic.sub(r'\1raise RuntimeError("a line for IPython")', c) for c in code]


def run_notebook(name: str) -> dict:
  """Runs a notebook as it stands; returns its variables."""
  variables: dict = {}
  for cell in code_cells(name):
    exec(cell, variables)
  return variables


def test_the_constraints_notebook_repairs_the_broken_hand():
  matplotlib.use('agg')
  result = run_notebook('constraints.ipynb')
  assert result['losses'][-1] < 0.2 * result['losses'][0]
  assert result['error'](result['repaired']) < 0.8 * result['error'](result['broken'])


def test_a_notebook_finds_the_clone_that_it_lies_in(monkeypatch):
  monkeypatch.chdir(NOTEBOOKS)
  monkeypatch.setattr(sys, 'path', list(sys.path))
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)  # not installed
  exec(code_cells('constraints.ipynb')[0], {})
  found = importlib.machinery.PathFinder.find_spec('bmc_jax', sys.path[-1:])
  assert found and found.origin
  assert pathlib.Path(found.origin).resolve().parent == NOTEBOOKS.parent / 'bmc_jax'
