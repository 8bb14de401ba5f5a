"""Trains and tests the rows of a config.

    bmc-jax train --config=configs/NAME.py --workdir=DIR

NAME may be a config of yours, or one that ships with the library: --config=quickstart.
Any config value can be changed on the command line: --config.batch_size=32. It then
holds for every row, also for those that override it. The same command, run again, goes
on where it stopped.
"""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging

from bmc_jax import configs  # pyright: ignore
from bmc_jax.console import interrupts
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.outputs import write_text
from bmc_jax.training.config_files import (
  check_config_flags,
  define_config,
  finish_config,
  with_shipped,
)

_CONFIG = define_config(flags.FLAGS)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Where checkpoints and results go.')
_REPORT = flags.DEFINE_bool('report', True, 'Write report.html after each row.')


def parse_flags(argv: list[str]) -> list[str]:
  """Parses flags; a wrong one ends in one sentence."""
  try:
    argv = with_shipped(argv, Path(configs.__file__).parent)
    check_config_flags(argv)
    rest = flags.FLAGS(argv)
  except (flags.Error, ValueError) as error:
    reason = error.args[0]
    fail(reason if isinstance(reason, str) else ': '.join(map(str, reason)))
  if _CONFIG.value is None or not _WORKDIR.value:
    fail('--config=configs/NAME.py and --workdir=DIR are both needed.')
  finish_config(flags.FLAGS)
  return rest


@interrupts.told('the same command, run again, goes on from what is saved.')
def main() -> None:
  """Runs the experiment that the flags of the process name."""
  if {'-h', '-help', '--help'} & set(sys.argv[1:]):  # absl's knows no console scripts
    print(f'{__doc__}\nflags:')
    for name in ('config', 'workdir', 'report'):
      print(f'  --{name}: {flags.FLAGS[name].help}')
    return
  app.run(run, flags_parser=parse_flags)


def run(argv: Sequence[str]) -> None:
  """Runs the experiment; the flags are parsed, `argv` is what is left of them."""
  if len(argv) > 1:
    fail(f'unknown argument {argv[1]!r}; values go as --config.KEY=VALUE.')
  # Imported here, so that wrong flags are told before JAX has started.
  from bmc_jax.console import compile_cache
  from bmc_jax.experiments.rows import run_experiment
  from bmc_jax.training import hosts, preemption

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
    write_text(path, traceback.format_exc())
  except (ValueError, OSError):
    return ''
  return f'\n(Where it happened: {path})'


if __name__ == '__main__':
  main()
