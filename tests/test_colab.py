"""The notebooks run, and show what they say."""

import json
import pathlib

import matplotlib

NOTEBOOKS = pathlib.Path(__file__).parent.parent / 'colab'


def run_notebook(name: str) -> dict:
  """Runs a notebook's cells, but for the one that installs; returns its variables."""
  cells = json.loads((NOTEBOOKS / name).read_text())['cells']
  variables: dict = {}
  for cell in cells:
    install = 'install' in cell['metadata'].get('tags', [])
    if cell['cell_type'] == 'code' and not install:
      exec(''.join(cell['source']), variables)
  return variables


def test_the_constraints_notebook_repairs_the_broken_hand(monkeypatch):
  matplotlib.use('agg')
  result = run_notebook('constraints.ipynb')
  assert result['losses'][-1] < 0.2 * result['losses'][0]
  assert result['error'](result['repaired']) < 0.8 * result['error'](result['broken'])
