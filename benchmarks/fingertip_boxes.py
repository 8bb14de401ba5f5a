"""How crops around fingertips frame a hand: the table of docs/data.md.

    BMC_JAX_TEST_DATA=DIR python benchmarks/fingertip_boxes.py

Every 17th pose of DexYCB's subjects 1 to 4 that lies inside of its image; of each, the
five fingertips alone are told.
"""

import numpy as np

from bmc_jax import skeleton
from bmc_jax.configs import SAMPLES
from bmc_jax.console import tables
from bmc_jax.data import crops
from bmc_jax.data_prep import fingertips

INTRINSICS = np.array([[616.64, 0, 308.55], [0, 616.26, 248.52], [0, 0, 1]])
SIZE = np.array([640, 480])


def read_hands() -> np.ndarray:
  """Right hands (N, 21, 3) in metres, left ones mirrored."""
  poses = np.load(SAMPLES / 'poses' / 'dexycb_subjects01-08.npz')
  rows = np.flatnonzero(poses['subject'] <= 4)[::17]
  joints = skeleton.reorder(poses['joints_ho3d'][rows], 'ho3d')
  left = poses['side_is_right'][rows] == 0
  joints = np.where(left[:, None, None], skeleton.mirror(joints), joints)
  inside = (project(joints) > 0) & (project(joints) < SIZE)
  return joints[inside.all(axis=(1, 2))]


def project(joints: np.ndarray) -> np.ndarray:
  """Pixels (*b, 2) of joints (*b, 3)."""
  points = joints @ INTRINSICS.T
  return points[..., :2] / points[..., 2:]


def box_of(keypoints: np.ndarray) -> np.ndarray:
  """Boxes (N, 4) of keypoints (N, n, 2)."""
  return np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)


def describe(name: str, boxes: np.ndarray, keypoints: np.ndarray) -> list[str]:
  """The row of one kind of boxes (N, 4)."""
  low, high = boxes[:, :2], boxes[:, 2:]
  side = crops.SCALE * (high - low).max(axis=1)
  part = np.ptp(keypoints, axis=1).max(axis=1) / side
  wrist = np.abs(keypoints[:, 0] - (low + high) / 2).max(axis=1) < side / 2
  least, median, most = np.percentile(part, [5, 50, 95])
  return [name, f'{median:.2f} ({least:.2f} to {most:.2f})', f'{wrist.mean():.0%}']


def main() -> None:
  """Prints the table."""
  joints = read_hands()
  keypoints = project(joints)
  tips = joints[:, fingertips.TIPS]
  known = np.ones(tips.shape[:2])
  found = fingertips.hand_boxes(tips, known, INTRINSICS, is_right=True)
  lines = [['crops around', "hand's part of the crop", 'wrist in the crop']]
  lines += [
    describe('the fingertips', box_of(project(tips)), keypoints),
    describe('a hand with such fingertips', found, keypoints),
    describe('all keypoints', box_of(keypoints), keypoints),
  ]
  print(f'{len(joints)} poses\n{tables.format_markdown(lines)}')


if __name__ == '__main__':
  main()
