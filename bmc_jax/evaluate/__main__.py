r"""Scores a prediction file by the protocol of a benchmark.

    bmc-jax evaluate --predictions pred.zip --ground-truth FreiHAND_pub_v2 \
        --protocol freihand
    bmc-jax evaluate --predictions pred.json --ground-truth HO3D_v2 \
        --protocol ho3d --subset EXTRAP=extrap.txt --subset INTERP=interp.txt

Prints a table; writes the figures as PRED_scores.json and the PCK curves as
PRED_pck.png beside the predictions. docs/evaluation.md defines the protocols, and
`bmc_jax.evaluate.submission` the form of the files. What looks wrong about the hands,
such as another joint order or axes that would fit far better, is printed as a warning;
they are scored all the same.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.console import interrupts
from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.files import write_json
from bmc_jax.console.outputs import check_output
from bmc_jax.console.parsing import command_parser
from bmc_jax.console.tables import format_table
from bmc_jax.evaluate import submission
from bmc_jax.evaluate.ground_truth import read_ground_truth
from bmc_jax.evaluate.protocols import PROTOCOLS
from bmc_jax.evaluate.scoring import (
  draw_curves,
  find_doubts,
  score_subsets,
  tables,
)
from bmc_jax.evaluate.subsets import ALL, read_subsets


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  flags = _parser().parse_args(argv)
  try:
    _run(flags)
  except USER_ERRORS as error:
    fail(str(error))


def _parser() -> argparse.ArgumentParser:
  parser = command_parser('evaluate', __doc__)
  parser.add_argument('--predictions', required=True, help='pred.json, or its archive')
  parser.add_argument(
    '--ground-truth', required=True, help='folder of original files, or a prepared one'
  )
  parser.add_argument('--protocol', required=True, choices=PROTOCOLS)
  parser.add_argument(
    '--split', help='of the ground truth (see bmc_jax.evaluate.ground_truth)'
  )
  parser.add_argument(
    '--subset',
    action='append',
    default=[],
    metavar='NAME=FILE',
    help='also score the images that a file names, one a line',
  )
  parser.add_argument(
    '--allow-reflection',
    action='store_true',
    help='let the Procrustes alignment mirror hands, as the public code does',
  )
  parser.add_argument('--out', help='folder to write to; else beside the predictions')
  return parser


def _run(flags: argparse.Namespace) -> None:
  protocol = PROTOCOLS[flags.protocol]
  path = Path(flags.predictions).expanduser()
  out = Path(flags.out).expanduser() if flags.out else path.parent
  scores, curves = (out / f'{path.stem}_{end}' for end in ('scores.json', 'pck.png'))
  lists = [text.partition('=')[2] for text in flags.subset]
  for file in (scores, curves):
    check_output(file, inputs=[path, flags.ground_truth, *lists])
  if flags.allow_reflection:
    protocol = protocol.with_reflections()
  truth = read_ground_truth(flags.ground_truth, flags.protocol, flags.split)
  subsets = {ALL: np.arange(len(truth.names))} | read_subsets(flags.subset, truth.names)
  form = submission.FORMS[protocol.form]
  joints = submission.read_predictions(flags.predictions, form, len(truth.names))
  for doubt in find_doubts(joints, truth, protocol):
    warn(f'{flags.predictions}: {doubt}.')
  results = score_subsets(joints, truth, protocol, subsets)
  print(f'{protocol.title}, {flags.predictions}')
  for table in tables(results, protocol):
    print(f'\n{format_table(table)}')
  _warn_of_left_out(results)
  about = {
    'protocol': flags.protocol,
    'predictions': flags.predictions,
    'ground_truth': flags.ground_truth,
  }
  write_json(scores, about | {'results': results})
  draw_curves(curves, results[ALL], protocol)
  print(f'\n{scores}\n{curves}')


def _warn_of_left_out(results: Mapping[str, Any]) -> None:
  """Says which hands have no part in the errors in the image and along the depth."""
  for subset, result in results.items():
    if result['num_behind']:
      warn(
        f'{subset}: the 2D and depth errors leave out {result["num_behind"]} of '
        f'{result["num_images"]} hands, of which a predicted joint does not lie before '
        'the camera (z > 0).'
      )


if __name__ == '__main__':
  main()
