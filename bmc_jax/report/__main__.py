"""Rebuilds the page of an experiment: `bmc-jax report --workdir=DIR`."""

import argparse
from collections.abc import Sequence

from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.report.page import write_report


def main(argv: Sequence[str] | None = None) -> None:
  """Parses the flags, writes the page and prints where it is."""
  parser = argparse.ArgumentParser(
    prog='bmc-jax report',
    description='Writes report.html from the results in an experiment directory.',
  )
  parser.add_argument('--workdir', required=True, help="the experiment's directory")
  try:
    print(write_report(parser.parse_args(argv).workdir))
  except USER_ERRORS as error:
    fail(str(error))


if __name__ == '__main__':
  main()
