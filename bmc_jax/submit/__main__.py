r"""Writes and checks submission files of the FreiHAND and HO-3D challenges.

    python -m bmc_jax.submit --workdir runs/mine --row '+ BMC' \
        --data data/tfds/freihand --split evaluation --format freihand \
        --scale FreiHAND_pub_v2/evaluation_scale.json --out pred.zip
    python -m bmc_jax.submit --validate pred.zip --format freihand

The network predicts hands in units of the reference bone. What turns them into metres
is its length: that in --scale, a file with one for each image or one number for all;
without it, that in the 3D labels; where joints_3d holds the wrist alone, as in HO-3D's
evaluation set, the ratio of its given and its predicted depth, and the hand is moved to
the given wrist. Vertices are zeros (see `bmc_jax.submission`). What looks wrong about
hands, written or checked, is printed as a warning: poor predictions are valid files.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmc_jax import compile_cache, doubts, evaluate, pose25d, skeleton, submission
from bmc_jax.data import sources
from bmc_jax.errors import USER_ERRORS, fail, warn
from bmc_jax.ground_truth import GroundTruth, read_prepared, read_scale
from bmc_jax.skeleton import WRIST
from bmc_jax.submission import FORMS
from bmc_jax.trained_row import TrainedRow, open_row


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = _parser()
  flags = parser.parse_args(argv)
  compile_cache.enable()
  needed = ('workdir', 'data', 'out')
  missing = [name for name in needed if getattr(flags, name) is None]
  if missing and not flags.validate:
    parser.error(f'--{missing[0]} is needed (or --validate, to check a file).')
  try:
    if flags.validate:
      _validate(flags)
    else:
      _submit(flags)
  except USER_ERRORS as error:
    fail(str(error))


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m bmc_jax.submit',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
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
  print(f'{flags.validate}: a valid {flags.format} file of {len(joints)} images.')


def _submit(flags: argparse.Namespace) -> None:
  form = FORMS[flags.format]
  row = open_row(flags.workdir, flags.row)
  truth = read_prepared(flags.data, flags.split)
  scale = None if flags.scale is None else read_scale(flags.scale, len(truth.names))
  joints = predict_hands(row, flags.data, flags.split)
  joints = to_metres(joints, truth, tuple(row.config.reference), scale)
  submission.write_submission(Path(flags.out).expanduser(), joints, form)
  for doubt in doubts.find(joints, form):
    warn(f'{flags.out}: {doubt}.')
  print(f'{flags.out}: {len(joints)} images.')
  if form.counts and len(joints) not in form.counts:
    wanted = ' or '.join(map(str, form.counts))
    print(f'This is no full submission: the challenge has {wanted} images.')


def predict_hands(row: TrainedRow, data: str, split: str) -> np.ndarray:
  """Predicted right hands (N, 21, 3) of a prepared split, in reference bones."""
  spec = {'kind': 'tfds', 'path': data, 'split': split}
  if row.config.model.name == 'keypoint_lifter':
    spec['with_image'] = False
  elif size := row.config.data.test.get('image_size'):
    spec['image_size'] = size
  predictions = evaluate.predict(
    row.config, row.model, row.variables, sources.open_source(spec)
  )
  return predictions['joints_3d_normalized']


def to_metres(
  joints: np.ndarray,
  truth: GroundTruth,
  reference: tuple[int, int] = pose25d.REFERENCE,
  scale: np.ndarray | None = None,
) -> np.ndarray:
  """Hands in the camera frame of their images, in metres.

  Args:
    joints: (N, 21, 3) predicted right hands in reference bones.
    truth: what is known of the images.
    reference: the two joints of the reference bone.
    scale: (N,) the length in metres of the middle MCP->PIP bone, or None to take it
      from `truth` as the module's docstring says.

  Returns:
    (N, 21, 3), left hands mirrored back.

  Raises:
    ValueError: a hand's size is not known, or given for another bone.
  """
  has_bone = (truth.visibility[:, list(reference)] > 0).all(axis=1)
  rest = np.delete(truth.joints_3d, WRIST, axis=1)
  only_wrist = (truth.joints_3d[:, WRIST, 2] > 0) & ~rest.any(axis=(1, 2))
  if scale is None:
    unknown = int(np.sum(~has_bone & ~only_wrist))
    if unknown:
      raise ValueError(
        f'The size of {unknown} of {len(joints)} hands is not known: give the lengths '
        'of their middle MCP->PIP bones with --scale.'
      )
    by_depth = truth.joints_3d[:, WRIST, 2] / joints[:, WRIST, 2]
    bones = np.asarray(pose25d.scale_of(truth.joints_3d, reference))
    scale = np.where(has_bone, bones, by_depth)
  elif reference != pose25d.REFERENCE:
    raise ValueError(
      f'--scale is the length of the bone {pose25d.REFERENCE}, but the reference bone '
      f'of this row is {reference}: leave it out.'
    )
  joints = joints * scale[:, None, None]
  to_wrist = truth.joints_3d[:, WRIST] - joints[:, WRIST]
  joints = joints + np.where(only_wrist[:, None], to_wrist, 0)[:, None]
  return np.where(truth.is_right[:, None, None], joints, skeleton.mirror(joints))


if __name__ == '__main__':
  main()
