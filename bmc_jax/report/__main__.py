"""Rebuilds the page of an experiment: `bmc-jax report RUN`, or `--workdir=RUN`."""

from collections.abc import Sequence

from bmc_jax.console import interrupts
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.parsing import command_parser
from bmc_jax.report.page import write_report


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Parses the flags, writes the page and prints where it is."""
  parser = command_parser('report', __doc__)
  parser.add_argument('run', nargs='?', help="the experiment's directory")
  parser.add_argument('--workdir', help='the same')
  flags = parser.parse_args(argv)
  given = [one for one in (flags.run, flags.workdir) if one is not None]
  if len(given) != 1:
    parser.error("name one experiment's directory: bmc-jax report RUN")
  try:
    print(write_report(given[0]))
  except USER_ERRORS as error:
    fail(str(error))


if __name__ == '__main__':
  main()
