"""Runs the paper's experiments.

    bmc-jax experiments table2 table4 --data poses --seeds 0,1,2 --jobs 2
    bmc-jax experiments all --data stb

The same command, run again, goes on where it stopped; rows that tables share are
trained once. Values of the config can be changed as for bmc_jax.main, by
--config.KEY=VALUE, in a --workdir of their own.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.parsing import command_parser
from bmc_jax.experiments import catalogue, results
from bmc_jax.training import preemption


@interrupts.told('the same command, run again, goes on.')
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = _parser()
  flags, overrides = parser.parse_known_intermixed_args(argv)
  for text in overrides:
    if not text.startswith('--config.') or '=' not in text:
      parser.error(f'unknown argument {text!r}; values go as --config.KEY=VALUE.')
  command = shlex.join(['bmc-jax', 'experiments', *(argv or sys.argv[1:])])
  compile_cache.enable()
  try:
    names = catalogue.select(flags.names, flags.data)
    request = results.Request(
      data=flags.data,
      data_dir=flags.data_dir,
      folder=Path(flags.workdir).expanduser(),
      seeds=_seeds(flags.seeds),
      overrides=tuple(overrides),
      command=command,
    )
    with (
      preemption.raised(),
      interrupts.polite('the rows under way are saved, which takes a moment'),
    ):
      results.run(request, names, at_once=flags.jobs)
  except preemption.Preempted:
    print('stopped by SIGTERM; the same command, run again, goes on.', file=sys.stderr)
    sys.exit(preemption.EXIT_PREEMPTED)
  except USER_ERRORS as error:
    fail(str(error))


def _parser() -> argparse.ArgumentParser:
  parser = command_parser(
    'experiments',
    __doc__,
    epilog='\n'.join(f'{k:9}{table.title}' for k, table in catalogue.TABLES.items()),
  )
  parser.add_argument(
    'names', nargs='+', metavar='NAME', help='of experiments (see below), or "all"'
  )
  parser.add_argument(
    '--data', required=True, choices=catalogue.DATA, help='what to train on'
  )
  parser.add_argument(
    '--data-dir', default='', help='prepared datasets of --data paper (data/tfds)'
  )
  parser.add_argument('--seeds', default='0,1,2', help='0,1,2 if not given')
  parser.add_argument(
    '--workdir', default='runs/experiments', help='runs/experiments if not given'
  )
  parser.add_argument('--jobs', type=int, default=1, help='rows run at the same time')
  return parser


def _seeds(text: str) -> tuple[int, ...]:
  try:
    seeds = tuple(int(part) for part in text.split(','))
  except ValueError:
    seeds = ()
  if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
    raise ValueError(f'--seeds is {text!r}; give different whole numbers, as in 0,1,2.')
  return seeds


if __name__ == '__main__':
  main()
