"""`bmc-jax COMMAND ...`: every command of the library, one line each."""

import importlib.util
import sys
from collections.abc import Sequence
from typing import NamedTuple

from bmc_jax.console import interrupts
from bmc_jax.console.errors import fail
from bmc_jax.console.parsing import did_you_mean


class Command(NamedTuple):
  """A command.

  Attributes:
    module: whose `main` runs it.
    extra: of the package, without which a library is missing.
    about: what it does, in one line.
  """

  module: str
  extra: str
  about: str


COMMANDS = {
  'lift': Command('lift', 'train', '2D keypoints of any tool to 3D hands'),
  'build': Command('data_prep.build', 'data', 'prepare a dataset, or make one'),
  'train': Command('main', 'train', 'train and test the rows of a config'),
  'experiments': Command('experiments', 'train', "run the paper's tables and figures"),
  'predict': Command('predict', 'train', 'hands in images, folders and videos'),
  'export': Command('export', 'train', 'a trained network as StableHLO, TFLite, ONNX'),
  'evaluate': Command('evaluate', 'train', 'score a prediction file of a benchmark'),
  'submit': Command('submit', 'train', 'write or check the file for a challenge'),
  'limits': Command('limits', 'viz', 'fit, show and compare limits of the hand'),
  'plausibility': Command('plausibility', 'viz', 'which hands break which limits'),
  'repair': Command('repair', 'repair', 'move the joints of hands into their limits'),
  'report': Command('report', 'viz', 'write the page of an experiment anew'),
}


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command that the first argument names.

  Args:
    argv: the arguments; None takes those of the process.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  if argv[:1] == ['help'] and len(argv) > 1:
    argv = [argv[1], '--help']
  if not argv or argv[0] in ('-h', '--help', 'help'):
    print(_help())
    return
  if argv[0] == '--version':
    import bmc_jax

    print(f'bmc_jax {bmc_jax.__version__}')
    return
  name, *rest = argv
  if name not in COMMANDS:
    question = did_you_mean(name, COMMANDS)
    fail(f'there is no command {name!r}; bmc-jax has {", ".join(COMMANDS)}.{question}')
  sys.argv = [f'bmc-jax {name}', *rest]  # what the command reads, and writes down
  sys.exit(_load(name)())


def _load(name: str):
  """The `main` of a command; imports no other command."""
  command = COMMANDS[name]
  module = f'bmc_jax.{command.module}'
  try:
    if importlib.util.find_spec(module).submodule_search_locations:
      module += '.__main__'
    return importlib.import_module(module).main
  except ImportError as error:
    if (error.name or '').startswith('bmc_jax'):
      raise  # a fault of ours
    if error.name is None:  # a sentence of ours
      fail(str(error))
    from bmc_jax.console.installation import how_to_add

    fail(
      f'bmc-jax {name} needs a library that is missing ({error}): '
      f'{how_to_add(command.extra)}.'
    )


def _help() -> str:
  width = max(map(len, COMMANDS))
  lines = [f'  {name:{width}}  {command.about}' for name, command in COMMANDS.items()]
  return '\n'.join(
    [
      'usage: bmc-jax COMMAND ...',
      '',
      '3D hand pose from one RGB image, with biomechanical constraints.',
      '',
      *lines,
      '',
      'bmc-jax COMMAND --help tells more, as does bmc-jax help COMMAND. The same is',
      'python -m bmc_jax.COMMAND; for train it is bmc_jax.main, for build',
      'bmc_jax.data_prep.build.',
    ]
  )


if __name__ == '__main__':
  main()
