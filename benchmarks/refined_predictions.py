"""Whether the lifter betters the depth of a pose network that sees images.

    python benchmarks/refined_predictions.py RUN --row ROW --data DIR --split test

RUN is the workdir of an experiment; without --data its own test set is measured. Hands
are scaled so that their 20 bones together are as long as the labelled ones, and
compared relative to the wrist. `both` is what `--lift` of `bmc-jax predict` does:
keypoints of the network, depth of both, weighted by how far off they are on average;
that of the network is what it was on the test set of RUN.
"""

import argparse
import math

import numpy as np

from bmc_jax.console.tables import format_markdown
from bmc_jax.data import augment, pipeline
from bmc_jax.data.sources import open_source
from bmc_jax.lift import KeypointLifter
from bmc_jax.lift.refined import refine_depth
from bmc_jax.predict.framing import Framing
from bmc_jax.predict.predictor import predict_crops
from bmc_jax.training.trained_row import open_row

BATCH_SIZE = 50


def predict(row, source) -> tuple[np.ndarray, ...]:
  """Hands of the network in reference bones, their cameras, and the truth."""
  parts = []
  for batch in pipeline.eval_batches(source, BATCH_SIZE):
    crop = augment.center_crop_batch(batch, row.config.image_size)
    joints, *_ = predict_crops(
      row.variables, 255 * crop['image'], crop['intrinsics'], model=row.model
    )
    real = (batch['mask'] > 0) & (batch['has_joints_3d'] > 0)
    found = joints, crop['intrinsics'], batch['joints_3d']
    parts.append([np.asarray(part)[real] for part in found])
  return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def table(row, source, lifter: KeypointLifter) -> list[list[str]]:
  """A line for the network, the lifter on its keypoints, and both."""
  from lifting import score  # beside this file, which not all that read it know

  joints, cameras, truth = predict(row, source)
  ahead = (joints[..., 2] > 0).all(axis=1)
  joints, cameras, truth = joints[ahead], cameras[ahead], truth[ahead]
  error = Framing.of(row).depth_error
  shares = {"the lifter on the network's keypoints": math.inf, 'both': error}
  hands = {'the network': joints}
  for name, off in shares.items():
    hands[name] = refine_depth(lifter, joints, cameras, depth_error=off)
  lines = [['', 'hands', 'depth mm', 'EPE mm', 'PA-EPE mm']]
  for name, found in hands.items():
    figures = [f'{value:.1f}' for value in score(found, truth)]
    lines.append([name, str(len(found)), *figures])
  return lines


def main() -> None:
  """Prints the table."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('run')
  parser.add_argument('--row')
  parser.add_argument('--data', help='a prepared dataset in place of the test set')
  parser.add_argument('--split', default='test')
  flags = parser.parse_args()
  row = open_row(flags.run, flags.row)
  spec = dict(row.config.data.test)
  if flags.data:
    spec = {'kind': 'tfds', 'path': flags.data, 'split': flags.split}
  print(format_markdown(table(row, open_source(spec), KeypointLifter.pretrained())))


if __name__ == '__main__':
  main()
