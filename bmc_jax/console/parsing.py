"""How commands read their flags."""

import argparse


def command_parser(name: str, about: str | None, **options) -> argparse.ArgumentParser:
  """The parser of a command.

  Args:
    name: of the command, behind `bmc-jax`.
    about: the docstring of its module, which is printed as it is laid out.
    **options: more for `argparse.ArgumentParser`.
  """
  return argparse.ArgumentParser(
    prog=f'bmc-jax {name}',
    description=about,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    **options,
  )
