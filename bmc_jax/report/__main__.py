"""Rebuilds the page of an experiment: `bmc-jax report --workdir=DIR`."""

from collections.abc import Sequence

from bmc_jax.console import interrupts
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.parsing import command_parser
from bmc_jax.report.page import write_report


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Parses the flags, writes the page and prints where it is."""
  parser = command_parser('report', __doc__)
  parser.add_argument('--workdir', required=True, help="the experiment's directory")
  try:
    print(write_report(parser.parse_args(argv).workdir))
  except USER_ERRORS as error:
    fail(str(error))


if __name__ == '__main__':
  main()
