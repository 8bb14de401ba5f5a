r"""Writes and checks submission files of the FreiHAND and HO-3D challenges.

    bmc-jax submit --workdir runs/mine --row '+ BMC' \
        --data data/tfds/freihand --split evaluation --format freihand \
        --scale FreiHAND_pub_v2/evaluation_scale.json --out pred.zip
    bmc-jax submit --validate pred.zip --format freihand

The network predicts hands in units of the reference bone. What turns them into metres
is its length: that in --scale, a file with one for each image or one number for all;
without it, that in the 3D labels; where joints_3d holds the wrist alone, as in HO-3D's
evaluation set, the ratio of its given and its predicted depth, and the hand is moved to
the given wrist. Vertices are zeros (see `bmc_jax.evaluate.submission`). What looks
wrong about hands, written or checked, is printed as a warning: poor predictions are
valid files.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.outputs import check_output
from bmc_jax.console.parsing import command_parser
from bmc_jax.console.tables import counted
from bmc_jax.evaluate import doubts, submission
from bmc_jax.evaluate.ground_truth import read_prepared, read_scale
from bmc_jax.evaluate.submission import FORMS
from bmc_jax.submit.predictions import doubt_scale, predict_hands, to_metres
from bmc_jax.training.trained_row import open_row


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = _parser()
  flags = parser.parse_args(argv)
  compile_cache.enable()
  needed = ('workdir', 'data', 'out')
  missing = [name for name in needed if getattr(flags, name) is None]
  if missing and not flags.validate:
    parser.error(f'--{missing[0]} is needed (or --validate, to check a file).')
  given = [name for name in (*needed, 'row', 'scale') if getattr(flags, name)]
  if flags.validate and given:
    parser.error(f'--validate checks a file and writes none: leave out --{given[0]}.')
  try:
    if flags.validate:
      _validate(flags)
    else:
      _submit(flags)
  except USER_ERRORS as error:
    fail(str(error))


def _parser() -> argparse.ArgumentParser:
  parser = command_parser('submit', __doc__)
  parser.add_argument('--format', required=True, choices=FORMS, help='of the file')
  write = parser.add_argument_group('to write a file')
  write.add_argument('--workdir', help='of the experiment')
  write.add_argument('--row', help='of its table; not needed if there is one only')
  write.add_argument('--data', help='prepared dataset to predict')
  write.add_argument('--split', default='all', help='of it')
  write.add_argument('--scale', help='file of bone lengths in metres, or one number')
  write.add_argument('--out', help='zip archive to write')
  check = parser.add_argument_group('to check a file')
  check.add_argument('--validate', help='pred.json, or its archive')
  check.add_argument('--count', type=int, help="of images; else the challenge's")
  return parser


def _validate(flags: argparse.Namespace) -> None:
  form = FORMS[flags.format]
  joints = submission.read_predictions(flags.validate, form, flags.count)
  packing = submission.packing_doubts(flags.validate, form)
  for doubt in packing + doubts.find(joints, form):
    warn(f'{flags.validate}: {doubt}.')
  print(
    f'{flags.validate}: a valid {flags.format} file of {counted(len(joints), "image")}.'
  )


def _submit(flags: argparse.Namespace) -> None:
  form = FORMS[flags.format]
  check_output(flags.out, submission.SUBMISSIONS, flags.data, flags.scale)
  row = open_row(flags.workdir, flags.row)
  truth = read_prepared(flags.data, flags.split)
  scale = None if flags.scale is None else read_scale(flags.scale, len(truth.names))
  is_file = scale is not None and len(np.unique(scale)) > 1
  if is_file and (doubt := doubt_scale(truth, scale)):
    warn(f'{flags.scale}: {doubt}.')
  joints = predict_hands(row, flags.data, flags.split)
  joints = to_metres(joints, truth, tuple(row.config.reference), scale)
  submission.write_submission(flags.out, joints, form)
  for doubt in doubts.find(joints, form):
    warn(f'{flags.out}: {doubt}.')
  print(f'{flags.out}: {counted(len(joints), "image")}.')
  if form.counts and len(joints) not in form.counts:
    wanted = ' or '.join(map(str, form.counts))
    print(f'This is no full submission: the challenge has {wanted} images.')


if __name__ == '__main__':
  main()
