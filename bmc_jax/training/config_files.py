"""Configs from files of `configs/` and flags such as --config.KEY=VALUE."""

import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from bmc_jax.console.parsing import did_you_mean
from bmc_jax.training import defaults
from bmc_jax.training.config import Config, check_keys, check_known, override_rows

_FLAG = '--?config(=|$)'


def config_from_flags(argv: Sequence[str]) -> Config:
  """The config that flags such as --config=FILE and --config.KEY=VALUE make.

  Raises:
    ValueError: a flag is wrong.
  """
  values = flags.FlagValues()
  config = define_config(values, ['', *argv])
  check_config_flags(argv)
  try:
    values(['', *argv])
  except flags.Error as error:
    raise ValueError(str(error)) from error
  finish_config(values)
  return config.value


def define_config(
  values: flags.FlagValues, argv: Sequence[str] | None = None
) -> flags.FlagHolder:
  """Defines the flag --config.

  Args:
    values: where it is defined.
    argv: the flags that will be parsed, the program's name first; None is `sys.argv`.
  """
  return config_flags.DEFINE_config_file(
    'config',
    None,
    'The experiment: a file, or the name of one that ships.',
    flag_values=values,
    lock_config=False,  # `finish_config` does
    accept_new_attributes=True,  # for sources; `check_config_flags` refuses others
    sys_argv=argv,
  )


def finish_config(values: flags.FlagValues) -> None:
  """Lets what flags have set hold for every row, and locks the config."""
  config = values['config'].value
  override_rows(config, config_flags.get_override_values(values['config']))
  config.lock()


def with_shipped(argv: Sequence[str], shipped: Path) -> list[str]:
  """Flags in which the name of a config that ships is replaced by its file.

  `quickstart`, `tables/poses` and `configs/quickstart.py` (where there is no such file
  in the current folder) name files of `shipped`.

  Args:
    argv: the flags.
    shipped: the folder of the configs that ship.

  Raises:
    ValueError: there is neither such a file nor such a name.
  """
  argv = list(argv)
  for i, arg in enumerate(argv):
    if re.match(_FLAG, arg):
      start, equals, value = arg.partition('=')
      if equals:
        argv[i] = f'{start}={_find(value, shipped)}'
      elif i + 1 < len(argv):
        argv[i + 1] = _find(argv[i + 1], shipped)
  return argv


def _find(value: str, shipped: Path) -> str:
  """The file that `--config=VALUE` means; what follows a colon stays."""
  name, colon, rest = value.partition(':')
  file = shipped / f'{name.removeprefix("configs/").removesuffix(".py")}.py'
  if Path(name).is_file():
    return value
  if not file.is_file() or file.name.startswith('_'):
    known = sorted(path.stem for path in shipped.glob('[a-z]*.py'))
    tables = [f'tables/{path.stem}' for path in shipped.glob('tables/[a-z]*.py')]
    here = [str(path) for path in Path(name).parent.glob('*.py')]
    raise ValueError(
      f'There is no config file {name!r}, nor does one of that name ship; there are '
      f'{", ".join(known)}, and tables/NAME.'
      + did_you_mean(name, [*known, *tables, *here])
    )
  return f'{file}{colon}{rest}'


def check_config_flags(argv: Sequence[str]) -> None:
  """Raises ValueError with the file or key that is wrong; absl's message is unclear."""
  paths = [
    following if '=' not in arg else arg.split('=', 1)[1]
    for arg, following in zip(argv, [*argv[1:], ''], strict=True)
    if re.match(_FLAG, arg)
  ]
  if not paths:
    return
  config = load_config(paths[-1])
  for arg in argv:
    if match := re.match(r'--?(?:no)?config\.([^=]*)', arg):
      check_known(config, [match[1]])


def load_config(path: str) -> Config:
  """The config of a file, with the keys of the base config and no others.

  Args:
    path: of the file; what follows a colon goes to its `get_config`.

  Raises:
    ValueError: there is no such file, it fails, or a key is wrong.
  """
  file = path.split(':')[0]
  if not Path(file).is_file():
    raise ValueError(f'There is no config file {path!r}.')
  sys.modules.pop('config_config', None)  # ml_collections would fill it anew
  try:
    values = flags.FlagValues()
    define_config(values, [''])
    config = values['config'].parser.parse(path)
    getattr(config, 'keys', None)  # raises the OSError that the parser has kept
  except Exception as error:  # whatever the user's file may raise
    raise ValueError(f'The config file {_place(file, error)}.') from error
  if not isinstance(config, ml_collections.ConfigDict):
    raise ValueError(
      f'get_config of {file} returned a {type(config).__name__}; it must return the '
      'ConfigDict of training.defaults.get_config() with some values changed.'
    )
  check_keys(config, defaults.get_config())
  return config


def _place(file: str, error: BaseException) -> str:
  """Where and how a config file failed."""
  # The parser hides some errors in the text of a new one.
  error = error.__cause__ or error.__context__ or error
  lines = [
    frame.lineno
    for frame in traceback.extract_tb(error.__traceback__)
    if Path(frame.filename).resolve() == Path(file).resolve()
  ]
  if isinstance(error, SyntaxError) and error.filename == file:
    lines = [error.lineno]
  where = f'{file}, line {lines[-1]},' if lines else file
  text = next(iter(str(error).splitlines()), '')
  return f'{where} fails: {type(error).__name__}: {text}'.rstrip(':. ')
