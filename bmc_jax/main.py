"""Runs an experiment.

    python -m bmc_jax.main --config=configs/NAME.py --workdir=DIR

Any config value can be changed on the command line: --config.batch_size=32. The same
command, run again, goes on where it stopped.
"""

import difflib
import re
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'The experiment, a file of configs/.', lock_config=True
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Where checkpoints and results go.')

USER_ERRORS = (ValueError, OSError, FloatingPointError)


def fail(message: str) -> NoReturn:
  """Ends the program with one sentence and the exit status of a wrong call."""
  print(f'error: {message}', file=sys.stderr)
  sys.exit(2)


def parse_flags(argv: list[str]) -> list[str]:
  """Parses flags; a wrong one ends in one sentence."""
  try:
    check_config_flags(argv)
    rest = flags.FLAGS(argv)
  except flags.Error as error:
    fail(error.args[0])
  if _CONFIG.value is None or _WORKDIR.value is None:
    fail('--config=configs/NAME.py and --workdir=DIR are both needed.')
  return rest


def check_config_flags(argv: list[str]) -> None:
  """Raises flags.Error with the file or key that does not exist; absl's is unclear."""
  paths = [
    following if '=' not in arg else arg.split('=', 1)[1]
    for arg, following in zip(argv, [*argv[1:], ''], strict=True)
    if re.match('--?config(=|$)', arg)
  ]
  if not paths:
    return
  if not Path(paths[-1].split(':')[0]).is_file():
    raise flags.Error(f'There is no config file {paths[-1]!r}.')
  config = flags.FLAGS['config'].parser.parse(paths[-1])
  for arg in argv:
    if match := re.match(r'--?config\.([^=]*)', arg):
      check_key(config, match[1])


def check_key(config: Any, key: str) -> None:
  """Raises flags.Error if a config has no such key, such as 'optimizer.name'."""
  node: Any = config
  parent = ''
  for part in key.split('.'):
    known = sorted(node) if isinstance(node, ml_collections.ConfigDict) else []
    if part not in known:
      close = difflib.get_close_matches(part, known)
      hint = f'{parent or "the top level"} has {", ".join(known) or "no keys"}.'
      if close:
        hint = f'did you mean {" or ".join(f"{parent}.{c}".strip(".") for c in close)}?'
      raise flags.Error(f'The config has no key {key!r}: {hint}')
    node, parent = node[part], f'{parent}.{part}'.strip('.')


def main(argv: list[str]) -> None:
  """Runs the experiment that the flags name."""
  if len(argv) > 1:
    fail(f'unknown argument {argv[1]!r}; values go as --config.KEY=VALUE.')
  # Imported here, so that wrong flags are told before JAX has started.
  from bmc_jax.experiment import run_experiment

  logging.set_verbosity(logging.WARNING)  # orbax tells every file at INFO
  try:
    run_experiment(_CONFIG.value, _WORKDIR.value)
  except USER_ERRORS as error:
    fail(f'{error}{_keep_traceback(Path(_WORKDIR.value))}')


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
