"""The pose network that ships, on real photos that it never saw.

    BMC_JAX_TEST_DATA=DIR python benchmarks/photos.py --overlays OVERLAYS

The 443 photos of Ge et al.: 2D error in parts of the crop, and against the 3D labels
(root-relative; hands scaled to the labels' bones) depth error, EPE and PA-EPE, beside
one constant hand, the mean of all labels. FreiHAND's evaluation images, which have no
labels: the distance to MediaPipe's keypoints. Photos are whole images to the predictor;
its second pass crops around what the first one found. --run measures a trained run
instead (a workdir with one row).
"""

import argparse
import json
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from bmc_jax import kinematics, metrics
from bmc_jax.configs import SAMPLES
from bmc_jax.console.tables import format_markdown
from bmc_jax.data_prep import hand_graph_cnn_real
from bmc_jax.lift.files import read_keypoints
from bmc_jax.predict import HandPosePredictor, View
from bmc_jax.predict.overlays import draw_hands

MM = 1000.0


def read(path: pathlib.Path) -> np.ndarray:
  return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)


def ge_photos() -> tuple[list[View], np.ndarray, np.ndarray]:
  """Views, their keypoints (N, 21, 2) px and joints (N, 21, 3) m."""
  splits = hand_graph_cnn_real.read_records(SAMPLES / 'hand_graph_cnn_real')
  records = [record for split in splits.values() for record in split]
  views = [
    View(read(record['image']), record['intrinsics'], None, False) for record in records
  ]
  keypoints, joints = (
    np.stack([record[name] for record in records])
    for name in ('keypoints_2d', 'joints_3d')
  )
  return views, keypoints, joints


def freihand_images() -> tuple[list[View], np.ndarray, np.ndarray]:
  """Views, MediaPipe's keypoints (N, 21, 2) px, NaN where it found no hand, and the
  numbers of the images.
  """
  folder = SAMPLES / 'freihand_layout'
  cameras = json.loads((folder / 'evaluation_K.json').read_text())
  paths = sorted((folder / 'evaluation' / 'rgb').glob('*.jpg'))
  found = read_keypoints(SAMPLES / 'detections' / 'freihand_evaluation.json')
  by_name = dict(zip(found.frames, found.keypoints_2d, strict=True))
  nothing = np.full((21, 2), np.nan)
  views = [
    View(read(path), np.array(cameras[int(path.stem)]), None, True) for path in paths
  ]
  keypoints = np.stack([by_name.get(path.name, nothing) for path in paths])
  return views, keypoints, np.array([int(path.stem) for path in paths])


def errors_3d(joints: np.ndarray, truth: np.ndarray) -> list[float]:
  """Depth error, EPE and aligned EPE in mm."""
  joints, truth = joints - joints[:, :1], truth - truth[:, :1]
  sizes = [np.asarray(kinematics.bone_lengths(x)).sum((1, 2)) for x in (joints, truth)]
  joints = joints * (sizes[1] / sizes[0])[:, None, None]
  aligned = np.asarray(metrics.procrustes_align(joints, truth))
  depth = np.abs(joints - truth)[..., 2].mean()
  distances = [np.linalg.norm(x - truth, axis=-1).mean() for x in (joints, aligned)]
  return [MM * float(x) for x in (depth, *distances)]


def write_overlays(folder: pathlib.Path, name: str, views, hands, every: int) -> None:
  """One sheet of every so many photos with the predicted hands on them."""
  tiles = [
    cv2.resize(draw_hands(view.image, [hand.keypoints_2d]), (160, 160))
    for view, hand in list(zip(views, hands, strict=True))[::every]
  ]
  tiles = tiles[: len(tiles) // 10 * 10] or tiles[:1]
  rows = [tiles[i : i + 10] for i in range(0, len(tiles), 10)]
  sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
  folder.mkdir(parents=True, exist_ok=True)
  cv2.imwrite(str(folder / f'{name}.png'), sheet[..., ::-1])


def main(arguments: Sequence[str] | None = None) -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--overlays', type=pathlib.Path, help='folder for sheets')
  parser.add_argument('--run', help='workdir of an experiment instead')
  parser.add_argument('--passes', type=int, default=2)
  flags = parser.parse_args(arguments)
  predictor = (
    HandPosePredictor.from_run(flags.run)
    if flags.run
    else HandPosePredictor.pretrained()
  )
  rows = []
  views, keypoints, joints = ge_photos()
  hands = predictor.predict(views, passes=flags.passes)
  found = np.stack([hand.keypoints_2d for hand in hands])
  side = views[0].image.shape[0]
  apart = np.linalg.norm(found - keypoints, axis=-1).mean() / side
  cells = errors_3d(np.stack([hand.joints_3d for hand in hands]), joints)
  rows.append(
    ['photos of Ge et al.', f'{100 * apart:.1f}', *(f'{c:.1f}' for c in cells)]
  )
  constant = (joints - joints[:, :1]).mean(axis=0, keepdims=True)
  cells = errors_3d(np.repeat(constant, len(joints), axis=0), joints)
  rows.append(['one constant hand', '', *(f'{c:.1f}' for c in cells)])
  if flags.overlays:
    write_overlays(flags.overlays, 'ge', views, hands, 7)

  views, detected, _ = freihand_images()
  hands = predictor.predict(views, passes=flags.passes)
  found = np.stack([hand.keypoints_2d for hand in hands])
  apart = (
    np.nanmean(np.linalg.norm(found - detected, axis=-1)) / views[0].image.shape[0]
  )
  rows.append(["FreiHAND, to MediaPipe's keypoints", f'{100 * apart:.1f}', '', '', ''])
  if flags.overlays:
    write_overlays(flags.overlays, 'freihand', views, hands, 1)
  titles = ['photos', '2D, % of the crop', 'depth mm', 'EPE mm', 'PA-EPE mm']
  print(format_markdown([titles, *rows]))


if __name__ == '__main__':
  main()
