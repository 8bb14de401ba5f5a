"""How commands read their flags."""

import argparse
import difflib
from collections.abc import Iterable


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


def did_you_mean(name: str, known: Iterable[str]) -> str:
  """A question after the sentence that a name is unknown; '' if nothing is close."""
  close = difflib.get_close_matches(name, list(known))
  return f' Did you mean {" or ".join(close)}?' if close else ''
