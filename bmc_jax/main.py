"""Runs an experiment: python -m bmc_jax.main --config=configs/NAME.py --workdir=DIR

Any config value can be changed on the command line: --config.batch_size=32. The same
command, run again, goes on where it stopped.
"""

import sys
import traceback
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'The experiment, a file of configs/.', lock_config=True
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Where checkpoints and results go.')

USER_ERRORS = (ValueError, FileNotFoundError, FloatingPointError)


def parse_flags(argv: list[str]) -> list[str]:
  """Parses flags; a wrong one ends in one sentence."""
  try:
    rest = flags.FLAGS(argv)
    if _CONFIG.value is None or _WORKDIR.value is None:
      raise ValueError('--config=configs/NAME.py and --workdir=DIR are both needed.')
    return rest
  except (flags.Error, KeyError, AttributeError, TypeError, ValueError, OSError) as e:
    message = e.args[0] if e.args else e
    sys.exit(f'error: {message}')


def main(argv: list[str]) -> None:
  if len(argv) > 1:
    sys.exit(f'error: unknown argument {argv[1]!r}; values go as --config.KEY=VALUE.')
  # Imported here, so that wrong flags are told before JAX has started.
  from bmc_jax.experiment import run_experiment

  logging.set_verbosity(logging.WARNING)  # orbax tells every file at INFO
  try:
    run_experiment(_CONFIG.value, _WORKDIR.value)
  except USER_ERRORS as error:
    workdir = Path(_WORKDIR.value)
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / 'traceback.txt').write_text(traceback.format_exc())
    sys.exit(f'error: {error}\n(Where it happened: {workdir / "traceback.txt"})')


if __name__ == '__main__':
  app.run(main, flags_parser=parse_flags)
