"""`bmc-jax`: it lists its commands, starts one of them, and passes on how it ends."""

import importlib.metadata
import json
import pathlib
import re
import runpy
import sys

import numpy as np
import pytest

import bmc_jax
from bmc_jax import cli
from bmc_jax.console.installation import how_to_add
from tests.fixtures.hands import random_hands
from tests.fixtures.session import ROOT


def _run(capsys, *arguments: str) -> tuple[int, str, str]:
  """The exit status, and what was printed on both streams."""
  before = sys.argv
  try:
    cli.main(arguments)
    status = 0
  except SystemExit as end:
    status = end.code or 0
  finally:
    sys.argv = before
  printed = capsys.readouterr()
  return status, printed.out, printed.err


def test_help_lists_every_command_on_one_line(capsys):
  for arguments in ((), ('--help',), ('-h',)):
    status, out, _ = _run(capsys, *arguments)
    assert status == 0
    listed = re.findall(r'^  (\w+)  +\S.{10,60}$', out, re.MULTILINE)
    assert listed == list(cli.COMMANDS)
  assert _run(capsys, '--version')[1] == f'bmc_jax {bmc_jax.__version__}\n'


def test_every_package_with_a_main_is_a_command():
  packages = {path.parent.name for path in (ROOT / 'bmc_jax').glob('*/__main__.py')}
  assert packages | {'train', 'build'} == set(cli.COMMANDS)


@pytest.mark.parametrize('name', list(cli.COMMANDS))
def test_commands_tell_what_they_do(name, capsys):
  status, out, _ = _run(capsys, name, '--help')
  assert status == 0
  assert f'bmc-jax {name}' in out


@pytest.mark.parametrize('name', [n for n in cli.COMMANDS if n != 'train'])
def test_modules_run_as_commands(name, capsys, monkeypatch):
  monkeypatch.setattr(sys, 'argv', [name, '--help'])
  module = f'bmc_jax.{cli.COMMANDS[name].module}'
  for loaded in (module, f'{module}.__main__'):
    monkeypatch.delitem(sys.modules, loaded, raising=False)
  with pytest.raises(SystemExit) as end:
    runpy.run_module(module, run_name='__main__')
  assert end.value.code == 0
  assert f'bmc-jax {name}' in capsys.readouterr().out


def test_the_console_script_is_this_module():
  (script,) = importlib.metadata.entry_points(name='bmc-jax', group='console_scripts')
  assert script.load() is cli.main


def test_an_unknown_command_is_told_with_those_there_are(capsys):
  status, _, err = _run(capsys, 'trian')
  assert status == 2
  assert err.startswith("error: there is no command 'trian'; bmc-jax has lift, build,")
  assert err.endswith('report. Did you mean train?\n') and err.count('\n') == 1


def test_help_of_a_command_is_that_of_its_flag(capsys):
  told = []
  for arguments in (('help', 'plausibility'), ('plausibility', '--help')):
    with pytest.raises(SystemExit) as end:
      cli.main(arguments)
    assert end.value.code == 0
    told.append(capsys.readouterr().out)
  assert told[0] == told[1] and told[0].startswith('usage: bmc-jax plausibility')


def test_commands_end_with_their_own_exit_status(capsys, tmp_path):
  hands = tmp_path / 'hands.npy'
  np.save(hands, random_hands(0, 12).joints)
  out = str(tmp_path / 'limits.json')
  status, printed, _ = _run(capsys, 'limits', 'fit', str(hands), '--out', out)
  assert status == 0 and '12 hands' in printed
  assert json.loads(pathlib.Path(out).read_text())
  for arguments, message in (
    (('limits', 'fit', 'nothing.npy', '--out', out), 'no file of joints nothing.npy'),
    (('build', 'rhd', '--out', str(tmp_path)), 'name their folder with --source'),
    (('report', '--workdir', str(tmp_path / 'none')), 'there is no directory'),
  ):
    status, _, err = _run(capsys, *arguments)
    assert (status, err.count('\n')) == (2, 1) and message in err


@pytest.fixture
def imported_anew():
  """Lets the library be imported anew; afterwards others find what they had."""
  ours = [name for name in sys.modules if name.startswith('bmc_jax.')]
  before = {name: sys.modules.pop(name) for name in ours}
  attributes = dict(vars(bmc_jax))
  yield
  for name in [name for name in sys.modules if name.startswith('bmc_jax.')]:
    del sys.modules[name]
  sys.modules.update(before)
  vars(bmc_jax).update(attributes)


@pytest.mark.parametrize(
  ('name', 'library', 'extra'),
  [
    ('predict', 'flax', 'train'),
    ('lift', 'flax', 'train'),
    ('repair', 'optax', 'repair'),
    ('build', 'cv2', 'data'),
  ],
)
def test_a_missing_library_is_told_with_its_extra(
  name, library, extra, capsys, monkeypatch, imported_anew
):
  monkeypatch.setitem(sys.modules, library, None)
  status, _, err = _run(capsys, name, '--help')
  assert status == 2 and err.count('\n') == 1
  assert f'{how_to_add(extra)}.' in err and f'[{extra}]' in err and library in err
