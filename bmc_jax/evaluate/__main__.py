r"""Scores a prediction file by the protocol of a benchmark.

    bmc-jax evaluate --predictions pred.zip --ground-truth FreiHAND_pub_v2 \
        --protocol freihand
    bmc-jax evaluate --predictions pred.json --ground-truth HO3D_v2 \
        --protocol ho3d --subset EXTRAP=extrap.txt --subset INTERP=interp.txt
    bmc-jax evaluate --predictions pred.json --ground-truth data/tfds/my_hands \
        --protocol 2d --limits clinical

Prints a table; writes the figures as PRED_scores.json and the PCK curves as
PRED_pck.png beside the predictions. docs/evaluation.md defines the protocols, and
`bmc_jax.evaluate.submission` the form of the files. What looks wrong about the hands,
such as another joint order or axes that would fit far better, is printed as a warning;
they are scored all the same. `--protocol 2d` is for images with 2D labels only: errors
in the image and, with --limits, broken limits.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.console import interrupts
from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.files import has_keys, read_json, write_json
from bmc_jax.console.outputs import Kind, check_output
from bmc_jax.console.parsing import command_parser
from bmc_jax.console.tables import format_table
from bmc_jax.evaluate import image_scores, submission
from bmc_jax.evaluate.ground_truth import read_ground_truth
from bmc_jax.evaluate.protocols import PROTOCOLS
from bmc_jax.evaluate.scoring import (
  draw_curves,
  draw_pck,
  find_doubts,
  score_subsets,
  tables,
)
from bmc_jax.evaluate.subsets import ALL, read_subsets
from bmc_jax.limits import open_limits


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
  parser.add_argument(
    '--protocol', required=True, choices=[*PROTOCOLS, image_scores.PROTOCOL]
  )
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
  parser.add_argument(
    '--limits',
    help="limits file, or 'mano', 'surface' or 'clinical', that hands should keep "
    '(protocol 2d)',
  )
  parser.add_argument('--out', help='folder to write to; else beside the predictions')
  return parser


def _run(flags: argparse.Namespace) -> None:
  if flags.protocol == image_scores.PROTOCOL:
    _run_in_image(flags)
    return
  if flags.limits:
    raise ValueError(
      f'--limits is for --protocol {image_scores.PROTOCOL}; `bmc-jax plausibility` '
      'compares any hands with limits.'
    )
  protocol = PROTOCOLS[flags.protocol]
  scores, curves = _outputs(flags)
  if flags.allow_reflection:
    protocol = protocol.with_reflections()
  truth = read_ground_truth(flags.ground_truth, flags.protocol, flags.split)
  subsets = {ALL: np.arange(len(truth.names))} | read_subsets(flags.subset, truth.names)
  form = submission.FORMS[protocol.form]
  joints = submission.read_predictions(flags.predictions, form, len(truth.names))
  for doubt in find_doubts(joints, truth, protocol):
    warn(f'{flags.predictions}: {doubt}.')
  results = score_subsets(joints, truth, protocol, subsets)
  _print_tables(flags, protocol.title, tables(results, protocol), results)
  _write_scores(scores, flags, results)
  draw_curves(curves, results[ALL], protocol)
  print(curves)


def _run_in_image(flags: argparse.Namespace) -> None:
  """Scores by 2D labels."""
  if flags.allow_reflection:
    raise ValueError('--allow-reflection has no meaning where hands are not aligned.')
  scores, curves = _outputs(flags)
  limits = open_limits(flags.limits) if flags.limits else None
  truth = image_scores.read_image_truth(flags.ground_truth, flags.split)
  subsets = {ALL: np.arange(len(truth.names))} | read_subsets(flags.subset, truth.names)
  form = submission.FORMS[image_scores.FORM]
  joints = submission.read_predictions(flags.predictions, form, len(truth.names))
  for doubt in image_scores.find_doubts(joints, truth):
    warn(f'{flags.predictions}: {doubt}.')
  results = image_scores.score_in_image(joints, truth, subsets, limits)
  _print_tables(flags, image_scores.TITLE, [image_scores.table(results)], results)
  _write_scores(scores, flags, results)
  if curve := results[ALL].get('curve'):
    drawn = curve['thresholds_px'], curve['pck']
    draw_pck(curves, {'projected': drawn}, 'px', image_scores.TITLE)
    print(curves)


def _outputs(flags: argparse.Namespace) -> tuple[Path, Path]:
  """The files of figures and of curves, if they can be written."""
  path = Path(flags.predictions).expanduser()
  out = Path(flags.out).expanduser() if flags.out else path.parent
  scores, curves = (out / f'{path.stem}_{end}' for end in ('scores.json', 'pck.png'))
  lists = [text.partition('=')[2] for text in flags.subset]
  kind = Kind(
    'scores of these predictions',
    may_replace=lambda _: _is_of_the_same(scores, flags),
  )
  for file in (scores, curves):
    check_output(file, kind, path, flags.ground_truth, flags.limits, *lists)
  return scores, curves


def _is_of_the_same(scores: Path, flags: argparse.Namespace) -> bool:
  """Whether a file has scores of what these predictions are or were.

  Elsewhere than beside the predictions, files of one name are told by their folders.
  """
  if not has_keys(scores, 'protocol', 'predictions', 'results'):
    return False
  content = read_json(scores)
  old, new = (
    Path(str(path)).expanduser() for path in (content['predictions'], flags.predictions)
  )
  is_beside = scores.parent.resolve() == new.parent.resolve()
  return old.name == new.name if is_beside else old.resolve() == new.resolve()


def _print_tables(flags: argparse.Namespace, title: str, shown, results) -> None:
  print(f'{title}, {flags.predictions}')
  for table in shown:
    print(f'\n{format_table(table)}')
  _warn_of_left_out(results)


def _write_scores(path: Path, flags: argparse.Namespace, results) -> None:
  about = {
    'protocol': flags.protocol,
    'predictions': flags.predictions,
    'ground_truth': flags.ground_truth,
  }
  if flags.limits:
    about['limits'] = flags.limits
  write_json(path, about | {'results': results})
  print(f'\n{path}')


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
