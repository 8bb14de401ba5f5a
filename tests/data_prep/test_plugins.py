"""Datasets whose builder is not of the library."""

import sys

import pytest

from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import plugins

FILES = {
  'plugin_fails': 'raise KeyError("x")',
  'plugin_imports': 'import nowhere_to_be_found',
  'plugin_empty': 'Hands = dict',
  'plugin_half': (
    'from bmc_jax.data_prep import base\n'
    'class HalfHands(base.LayoutBuilder):\n  HOMEPAGE = CITATION = ""\n'
  ),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
  """The current folder, with modules in which something is wrong."""
  for name, text in FILES.items():
    (tmp_path / f'{name}.py').write_text(text)
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'path', list(sys.path))
  yield tmp_path
  for name in FILES:
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('my_hands', "There is no dataset 'my_hands'; there are coco_hands, coco_"),
    ('my_hands.py:MyHands', 'my_hands:MyHands for MyHands in my_hands.py'),
    ('nowhere:Hands', 'There is no module nowhere, neither in the current folder'),
    ('plugin_fails:Hands', "The module plugin_fails fails: KeyError: 'x'"),
    ('plugin_imports:Hands', "plugin_imports fails: No module named 'nowhere_to_be"),
    ('plugin_empty:Nope', 'plugin_empty.py) has no Nope'),
    ('plugin_empty:Hands', 'is no builder: derive it from bmc_jax.data_prep.base'),
    ('plugin_half:HalfHands', 'lacks VERSION, LICENSE, read_records, read_example'),
  ],
)
def test_what_is_no_builder_is_told_in_a_sentence(here, capsys, name, message):
  arguments = ['--module', name, '--source', str(here), '--out', str(here / 'out')]
  assert build_lib.main(arguments) == 2
  error = capsys.readouterr().err
  assert error.startswith('error: ') and error.count('\n') == 1 and message in error
  assert not (here / 'out').exists()


@pytest.mark.parametrize('given', [[], ['rhd', '--module', 'a:B']])
def test_one_dataset_is_named(given, tmp_path, capsys):
  with pytest.raises(SystemExit):
    build_lib.main([*given, '--out', str(tmp_path)])
  assert 'name a dataset, or --module' in capsys.readouterr().err


def test_a_builder_elsewhere_takes_the_flags_that_its_reader_has(monkeypatch):
  from tests.fixtures import toy_dataset

  monkeypatch.setattr(
    toy_dataset.ToyHands, 'read_records', staticmethod(lambda source, hand=None: {})
  )
  found = plugins.find('tests.fixtures.toy_dataset:ToyHands')
  assert found.flags == ('hand',) and found.load() is toy_dataset.ToyHands
