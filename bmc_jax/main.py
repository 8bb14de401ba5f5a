"""Runs an experiment.

    python -m bmc_jax.main --config=configs/NAME.py --workdir=DIR

Any config value can be changed on the command line: --config.batch_size=32. It then
holds for every row, also for those that override it. The same command, run again, goes
on where it stopped.
"""

import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from bmc_jax.config import Config, check_keys, check_known, override_rows
from bmc_jax.errors import USER_ERRORS, fail

_CONFIG = config_flags.DEFINE_config_file(
  'config',
  None,
  'The experiment, a file of configs/.',
  lock_config=False,  # `parse_flags` does
  accept_new_attributes=True,  # for sources; `check_config_flags` refuses others
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Where checkpoints and results go.')
_REPORT = flags.DEFINE_bool('report', True, 'Write report.html after each row.')


def parse_flags(argv: list[str]) -> list[str]:
  """Parses flags; a wrong one ends in one sentence."""
  try:
    check_config_flags(argv)
    rest = flags.FLAGS(argv)
  except (flags.Error, ValueError) as error:
    reason = error.args[0]
    fail(reason if isinstance(reason, str) else ': '.join(map(str, reason)))
  if _CONFIG.value is None or _WORKDIR.value is None:
    fail('--config=configs/NAME.py and --workdir=DIR are both needed.')
  override_rows(_CONFIG.value, config_flags.get_override_values(flags.FLAGS['config']))
  _CONFIG.value.lock()
  return rest


def config_from_flags(argv: Sequence[str]) -> Config:
  """The config that flags such as --config=FILE and --config.KEY=VALUE make.

  Raises:
    ValueError: a flag is wrong.
  """
  values = flags.FlagValues()
  config = config_flags.DEFINE_config_file(
    'config',
    flag_values=values,
    lock_config=False,
    accept_new_attributes=True,
    sys_argv=['', *argv],
  )
  check_config_flags(argv)
  try:
    values(['', *argv])
  except flags.Error as error:
    raise ValueError(str(error)) from error
  override_rows(config.value, config_flags.get_override_values(values['config']))
  config.value.lock()
  return config.value


def check_config_flags(argv: Sequence[str]) -> None:
  """Raises ValueError with the file or key that is wrong; absl's message is unclear."""
  paths = [
    following if '=' not in arg else arg.split('=', 1)[1]
    for arg, following in zip(argv, [*argv[1:], ''], strict=True)
    if re.match('--?config(=|$)', arg)
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
  from configs import base  # configs stand above bmc_jax, and the command above both

  file = path.split(':')[0]
  if not Path(file).is_file():
    raise ValueError(f'There is no config file {path!r}.')
  sys.modules.pop('config_config', None)  # ml_collections would fill it anew
  try:
    config = flags.FLAGS['config'].parser.parse(path)
    getattr(config, 'keys', None)  # raises the OSError that the parser has kept
  except Exception as error:  # whatever the user's file may raise
    raise ValueError(f'The config file {_place(file, error)}.') from error
  if not isinstance(config, ml_collections.ConfigDict):
    raise ValueError(
      f'get_config of {file} returned a {type(config).__name__}; it must return the '
      'ConfigDict of configs.base.get_config() with some values changed.'
    )
  check_keys(config, base.get_config())
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


def main(argv: list[str]) -> None:
  """Runs the experiment that the flags name."""
  if len(argv) > 1:
    fail(f'unknown argument {argv[1]!r}; values go as --config.KEY=VALUE.')
  # Imported here, so that wrong flags are told before JAX has started.
  from bmc_jax import compile_cache, hosts, preemption
  from bmc_jax.experiment import run_experiment

  logging.set_verbosity(logging.WARNING)  # orbax tells every file at INFO
  compile_cache.enable()
  try:
    if not _CONFIG.value.dry_run:
      hosts.connect()
    with preemption.raised():
      run_experiment(_CONFIG.value, _WORKDIR.value, write_page=_REPORT.value)
  except preemption.Preempted:
    print('stopped by SIGTERM; the same command, run again, goes on.', file=sys.stderr)
    sys.exit(preemption.EXIT_PREEMPTED)
  except USER_ERRORS as error:
    fail(f'{error}{_keep_traceback(Path(_WORKDIR.value))}')
  (Path(_WORKDIR.value) / 'traceback.txt').unlink(missing_ok=True)


def _keep_traceback(workdir: Path) -> str:
  """Writes the exception's traceback into the workdir, and says so if it could."""
  path = workdir / 'traceback.txt'
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    path.write_text(traceback.format_exc())
  except OSError:
    return ''
  return f'\n(Where it happened: {path})'


if __name__ == '__main__':
  app.run(main, flags_parser=parse_flags)
