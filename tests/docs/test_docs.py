"""The code in README and docs runs as it stands there, and its commands exist."""

import argparse
import ast
import builtins
import importlib.util
import os
import re
import runpy
import shlex
import sys
from collections.abc import Iterator

import pytest
from absl import flags

from bmc_jax import cli
from bmc_jax.training.config_files import config_from_flags
from tests.fixtures.hands import as_users_call
from tests.fixtures.session import ROOT

PAGES = [
  ROOT / 'README.md',
  ROOT / 'CONTRIBUTING.md',
  *sorted((ROOT / 'docs').glob('**/*.md')),
]
BLOCK = re.compile(r'^```python\n(.*?)^```$', re.MULTILINE | re.DOTALL)
# Behind a block: how the message begins with which its last statement ends.
ERROR = re.compile(r'\n\n```text\n(\w*Error): (.*?)\n```$', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
  r'(python -m [\w.]+|python benchmarks/\w+\.py|bmc-jax (?!COMMAND)\w+)([^`\n]*)'
)
PLACEHOLDERS = {
  '"$SLURM_CPUS_PER_TASK"': '12',
  'configs/NAME.py': 'configs/quickstart.py',
}


def _pages():
  # test_interop.py and test_readme.py run these; TFDS takes a builder once.
  pages = [page for page in PAGES if page.stem not in ('interop', 'data')]
  return [page for page in pages if BLOCK.search(page.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize('page', _pages(), ids=lambda page: page.name)
def test_python_blocks_run_in_their_order(page, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  namespace = {'__name__': page.stem}
  text = page.read_text()
  with as_users_call():
    for block in BLOCK.finditer(text):
      # The lines of the page in tracebacks.
      start = text[: block.start(1)].count('\n')
      code = ast.parse('\n' * start + block[1], str(page))
      told = ERROR.match(text, block.end())
      last = [code.body.pop()] if told else []
      exec(compile(code, str(page), 'exec'), namespace)
      if told:
        with pytest.raises(getattr(builtins, told[1]), match=f'^{re.escape(told[2])}'):
          exec(compile(ast.Module(last, []), str(page), 'exec'), namespace)


def test_no_example_hides_what_it_shows():
  """An error that an example shows stands below it, and `ERROR` finds it."""
  for page in PAGES:
    for block in BLOCK.findall(page.read_text()):
      hiding = (ast.Try, ast.With)
      nodes = [node for node in ast.walk(ast.parse(block)) if isinstance(node, hiding)]
      for node in nodes:
        names = ast.unparse(node).split('\n')[0]
        assert isinstance(node, ast.With) and 'suppress' not in names, (page, names)


def _texts() -> Iterator[str]:
  """The pages, and what modules tell of themselves."""
  yield from (page.read_text() for page in PAGES)
  for folder in ('bmc_jax', 'configs', 'data_prep', 'benchmarks'):
    for path in sorted((ROOT / folder).glob('**/*.py')):
      yield ast.get_docstring(ast.parse(path.read_text())) or ''


def _commands() -> list[str]:
  """Every `bmc-jax COMMAND ...` and `python ...` of the texts, once."""
  found = {}
  for text in _texts():
    text = text.replace('\\\n', ' ')
    for one, other in PLACEHOLDERS.items():
      text = text.replace(one, other)
    for program, rest in COMMAND.findall(text):
      rest = re.sub(r"(?<=[^' ])'$", '', rest)  # the end of a quoted shell script
      found[f'{program}{rest}'.split('  #')[0].strip()] = None
  found = [one for one in found if '|' not in one]  # fit|show|diff
  others = ('python -m venv', 'python -m tests.')
  return [one for one in found if not one.startswith(others)]


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
  """A folder with the configs and the experiment that the README has written."""
  (tmp_path / 'configs').mkdir()
  for config in (ROOT / 'configs').glob('*.py'):
    os.symlink(config, tmp_path / 'configs' / config.name)
  experiment = BLOCK.findall((ROOT / 'README.md').read_text())[-1]
  assert 'def get_config' in experiment
  (tmp_path / 'configs' / 'my_experiment.py').write_text(experiment)
  monkeypatch.chdir(tmp_path)


class _Read(BaseException):
  """The arguments were read."""


@pytest.mark.parametrize('command', _commands())
def test_commands_take_their_arguments(command, newcomer, monkeypatch, capsys):
  """Each is started as far as its arguments are read."""
  program, *arguments = shlex.split(command.removeprefix('python ').removeprefix('-m '))
  if program == 'bmc-jax':
    program = f'bmc_jax.{cli.COMMANDS[arguments.pop(0)].module}'
  is_file = program.endswith('.py')
  if not (arguments if is_file else any(one.startswith('-') for one in arguments)):
    assert (ROOT / program).is_file() if is_file else importlib.util.find_spec(program)
    return
  if program == 'bmc_jax.main':  # absl reads its flags once in a process
    importlib.import_module(program)
    config = [one for one in arguments if one.startswith('--config')]
    assert config_from_flags(config)
    names = [one.split('=')[0] for one in arguments if one not in config]
    assert '--workdir' in names
    assert all(name.removeprefix('--') in flags.FLAGS for name in names)
    return
  monkeypatch.setattr(sys, 'argv', [program, *arguments])
  with pytest.MonkeyPatch.context() as patch:
    for name in ('parse_args', 'parse_known_args'):
      reader = getattr(argparse.ArgumentParser, name)
      patch.setattr(argparse.ArgumentParser, name, _read_and_stop(reader, patch))
    try:
      if is_file:
        runpy.run_path(str(ROOT / program), run_name='__main__')
      else:
        runpy.run_module(program, run_name='__main__')
      pytest.fail(f'{command} read no arguments.')
    except _Read:
      pass
    except SystemExit as error:
      helped = '--help' in arguments and error.code == 0
      assert helped, f'{command}: {capsys.readouterr().err}'


def _read_and_stop(reader, patch):
  def read(parser, args=None, namespace=None):
    patch.undo()  # the parser calls its own methods, and those of parsers below it
    arguments = sys.argv[1:] if args is None else args
    raise _Read(reader(parser, arguments, namespace))

  return read
