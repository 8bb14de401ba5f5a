"""How well the lifter that ships lifts the keypoints of real hands.

    BMC_JAX_TEST_DATA=DIR python benchmarks/lifting.py --weights FILE --cameras

Hands are scaled so that their 20 bones together are as long as the labelled ones, and
compared relative to the wrist. None of them was seen in training. The photos of Ge et
al. are lifted from the 2D keypoints of MediaPipe, whose own 3D hands stand below, and
from the labelled ones; the poses of DexYCB (subjects 7 and 8), STB and RHD from their
projections.

`90 %` is the share of the depths within `LiftedHands.depth_error`, which should be 90.
`side %` says how little keypoints tell of the side: lifted for both sides, how often
the surer hand is that of the true one.
"""

import argparse
import time
from typing import NamedTuple

import numpy as np

from bmc_jax import kinematics, limits, metrics
from bmc_jax.configs import SAMPLES
from bmc_jax.configs.lifter_rhd_to_dexycb import DEXYCB_CAMERA, RHD_CAMERA
from bmc_jax.configs.tables.stb import STB_CAMERA
from bmc_jax.console.tables import format_markdown
from bmc_jax.data import pose_files
from bmc_jax.data_prep import hand_graph_cnn_real
from bmc_jax.lift import KeypointLifter
from bmc_jax.lift.adapt import adapt
from bmc_jax.lift.files import read_keypoints

FOCAL_ERRORS = (0.5, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5)
MM = 1000.0


class Hands(NamedTuple):
  """What is lifted, and the truth."""

  joints_3d: np.ndarray  # (N, 21, 3) metres
  keypoints_2d: np.ndarray  # (N, 21, 2) px
  intrinsics: np.ndarray  # (N, 3, 3)
  is_right: np.ndarray  # (N,)
  confidence: np.ndarray  # (N, 21)
  own_3d: np.ndarray | None = None  # (N, 21, 3), of the tool


def poses(name: str, camera: dict, **options) -> Hands:
  """Hands of a pose file before a camera; left ones are mirrored."""
  batch = pose_files.load_poses(str(SAMPLES / 'poses' / name), camera=camera, **options)
  count = len(batch['sample_id'])
  fields = (batch[k] for k in ('joints_3d', 'keypoints_2d', 'intrinsics'))
  return Hands(*fields, np.ones(count, bool), np.ones((count, 21)))


def photos() -> tuple[Hands, Hands]:
  """The photos of Ge et al.: with MediaPipe's keypoints, and with the labelled ones."""
  found = read_keypoints(SAMPLES / 'detections' / 'hand_graph_cnn_real.json')
  splits = hand_graph_cnn_real.read_records(SAMPLES / 'hand_graph_cnn_real')
  labels = {
    str(record['sample_id']): record for split in splits.values() for record in split
  }
  rows = [labels[str(frame).removesuffix('.jpg')] for frame in found.frames]
  joints, keypoints, cameras = (
    np.stack([row[name] for row in rows])
    for name in ('joints_3d', 'keypoints_2d', 'intrinsics')
  )
  left, sure = np.zeros(len(rows), bool), np.ones((len(rows), 21))
  detected = Hands(
    joints, found.keypoints_2d, cameras, left, found.confidence, found.own_3d
  )
  return detected, Hands(joints, keypoints, cameras, left, sure)


def all_hands() -> dict[str, Hands]:
  """The sets by name."""
  detected, labelled = photos()
  dexycb = poses('dexycb_subjects01-08.npz', DEXYCB_CAMERA, subjects=(7, 8), every=3)
  rng = np.random.default_rng(0)
  noise = 2 * rng.normal(size=dexycb.keypoints_2d.shape)
  gaps = np.argsort(rng.random(dexycb.confidence.shape), axis=1) < 5
  return {
    "photos, MediaPipe's 2D": detected,
    'photos, labelled 2D': labelled,
    'DexYCB': dexycb,
    'DexYCB, 2 px of noise': dexycb._replace(keypoints_2d=dexycb.keypoints_2d + noise),
    'DexYCB, 5 joints missing': dexycb._replace(confidence=1.0 - gaps),
    'STB': poses('stb_train_joints.npy', STB_CAMERA, every=10),
    'RHD': poses('rhd_eval_joints.npy', RHD_CAMERA),
  }


def score(joints: np.ndarray, truth: np.ndarray) -> list[float]:
  """Depth error, EPE and aligned EPE in mm of hands (N, 21, 3)."""
  scaled, truth = joints - joints[:, :1], truth - truth[:, :1]
  scaled = scaled * _ratio(joints, truth)
  aligned = metrics.procrustes_align(scaled, truth)
  errors = (
    np.abs(scaled - truth)[..., 2],
    np.linalg.norm(scaled - truth, axis=-1),
    np.linalg.norm(np.asarray(aligned) - truth, axis=-1),
  )
  return [float(MM * error.mean()) for error in errors]


def _ratio(joints: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """By what hands (N, 21, 3) have to be scaled, (N, 1, 1)."""
  sizes = [
    np.asarray(kinematics.bone_lengths(x), np.float64).sum((1, 2))
    for x in (joints, truth)
  ]
  return (sizes[1] / sizes[0])[:, None, None]


def within(lifted, truth: np.ndarray) -> float:
  """The share of depths, in percent, that are no further off than the lifter says."""
  joints = lifted.joints_3d
  ratio = _ratio(joints, truth)[..., 0]
  depth, real = (x[..., 2] - x[:, :1, 2] for x in (joints, truth))
  return float(
    100 * np.mean((np.abs(depth * ratio - real) < lifted.depth_error * ratio)[:, 1:])
  )


def side(lifter: KeypointLifter, hands: Hands) -> str:
  """Of how many hands, in percent, the lifter is surer on the true side."""
  errors = [
    lift(lifter, h, intrinsics=h.intrinsics).depth_error[:, 1:].mean(axis=1)
    for h in (hands, hands._replace(is_right=~hands.is_right))
  ]
  return f'{100 * np.mean(errors[0] < errors[1]):.0f}'


def accuracy(lifter: KeypointLifter) -> list[list[str]]:
  """A row for each set."""
  table = [['keypoints', 'hands', 'depth mm', 'EPE mm', 'PA-EPE mm', '90 %', 'side %']]
  for name, hands in all_hands().items():
    lifted = lift(lifter, hands, intrinsics=hands.intrinsics)
    figures = [f'{value:.1f}' for value in score(lifted.joints_3d, hands.joints_3d)]
    share = f'{within(lifted, hands.joints_3d):.0f}'
    table.append([name, str(len(hands.is_right)), *figures, share, side(lifter, hands)])
    if hands.own_3d is not None:
      figures = [f'{v:.1f}' for v in score(hands.own_3d, hands.joints_3d)]
      table.append(["  MediaPipe's own 3D", str(len(hands.is_right)), *figures, '', ''])
  return table


def cameras(lifter: KeypointLifter) -> list[list[str]]:
  """What a wrong focal length costs, and none: depth error and distance."""
  table = [
    ['focal length', 'photos: depth mm', 'DexYCB: depth mm', 'distance off by %']
  ]
  sets = [photos()[0], all_hands()['DexYCB']]
  for factor in FOCAL_ERRORS:
    lifts = [lift(lifter, s, intrinsics=_zoomed(s.intrinsics, factor)) for s in sets]
    table.append([f'x {factor:g}', *_camera_row(lifts, sets)])
  # Without a camera all that is known is the size of the picture.
  sizes = [(256, 256), (640, 480)]
  lifts = [
    lift(lifter, s, image_size=size) for s, size in zip(sets, sizes, strict=True)
  ]
  return [*table, ['not given', *_camera_row(lifts, sets)]]


def _camera_row(lifts, sets) -> list[str]:
  depths = [
    f'{score(one.joints_3d, s.joints_3d)[0]:.1f}'
    for one, s in zip(lifts, sets, strict=True)
  ]
  joints, truth = lifts[-1].joints_3d, sets[-1].joints_3d
  distance = joints[:, 0, 2] * _ratio(joints, truth)[:, 0, 0]
  off = np.mean(np.abs(distance / truth[:, 0, 2] - 1))
  return [*depths, f'{100 * off:.0f}']


def _zoomed(intrinsics: np.ndarray, factor: float) -> np.ndarray:
  return intrinsics * np.array([[factor, 1, 1], [1, factor, 1], [1, 1, 1]])


def lift(lifter: KeypointLifter, hands: Hands, **camera):
  """Lifts a set."""
  return lifter(
    hands.keypoints_2d,
    confidence=hands.confidence,
    is_right=hands.is_right,
    **camera,
  )


def adaptation(lifter: KeypointLifter, name: str, steps: int) -> list[list[str]]:
  """What adapting to the 2D keypoints of a set changes; DexYCB's limits are from the
  3D hands of the people that it is adapted to, as in the paper.
  """
  hand_limits = limits.surface_limits()
  if name == 'photos':
    own = test = photos()[0]
  elif name == 'stb':
    own = poses('stb_train_joints.npy', STB_CAMERA, rows=(1500, 15_000))
    test = poses('stb_train_joints.npy', STB_CAMERA, rows=(0, 1500), every=2)
  else:
    file = 'dexycb_subjects01-08.npz'
    own = poses(file, DEXYCB_CAMERA, subjects=(1, 2, 3, 4, 5, 6))
    test = poses(file, DEXYCB_CAMERA, subjects=(7, 8), every=3)
    hand_limits = limits.fit_limits(own.joints_3d, num_vertices=32)
  adapted = adapt(
    lifter,
    own.keypoints_2d,
    own.intrinsics,
    hand_limits,
    confidence=own.confidence,
    is_right=own.is_right,
    camera_known=True,
    steps=steps,
  )
  print(adapted.describe())
  table = [[name, 'depth mm', 'EPE mm', 'PA-EPE mm']]
  for told, one in (('before', lifter), ('after', adapted.lifter)):
    joints = lift(one, test, intrinsics=test.intrinsics).joints_3d
    table.append([told, *(f'{v:.1f}' for v in score(joints, test.joints_3d))])
  return table


def speed(lifter: KeypointLifter) -> str:
  """Hands a second."""
  hands = poses('stb_train_joints.npy', STB_CAMERA)
  lift(lifter, hands, intrinsics=hands.intrinsics)  # compiles
  start = time.perf_counter()
  lift(lifter, hands, intrinsics=hands.intrinsics)
  return f'{len(hands.is_right) / (time.perf_counter() - start):,.0f} hands a second.'


def main() -> None:
  """Prints the tables."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--weights', help='of another lifter')
  parser.add_argument('--cameras', action='store_true', help='wrong focal lengths, too')
  parser.add_argument('--adapt', choices=('dexycb', 'photos', 'stb'), help='to this')
  parser.add_argument('--steps', type=int, default=1200, help='of adapting')
  flags = parser.parse_args()
  lifter = KeypointLifter.pretrained(*([flags.weights] if flags.weights else []))
  if flags.adapt:
    print(format_markdown(adaptation(lifter, flags.adapt, flags.steps)))
    return
  print(format_markdown(accuracy(lifter)))
  if flags.cameras:
    print('\n' + format_markdown(cameras(lifter)))
  print('\n' + speed(lifter))


if __name__ == '__main__':
  main()
