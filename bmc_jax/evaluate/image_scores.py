"""Scores by 2D labels alone: errors in the image, and which hands keep their limits."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from bmc_jax import geometry, metrics, skeleton
from bmc_jax.data import sources
from bmc_jax.evaluate import doubts, row_doubts, submission
from bmc_jax.limits import HandLimits
from bmc_jax.training.validation import summarize_limits

PROTOCOL = '2d'
FORM = 'camera'
"""Of the predictions, a key of `submission.FORMS`."""
TITLE = '2D labels'
_COLUMNS = {
  'keypoints_2d_px': ('2D px', '.3f'),
  **{f'pck_2d_{px}px': (f'PCK {px} px %', '.1f') for px in metrics.PCK_PX},
  'hands_within_limits': ('in limits %', '.1f'),
  'broken_limits': ('broken limits', '.2f'),
}


class ImageTruth(NamedTuple):
  """Labels of N images; left hands mirrored, with their images.

  Attributes:
    keypoints_2d: (N, 21, 2) pixels.
    visibility: (N, 21) 1 where a keypoint is labelled.
    intrinsics: (N, 3, 3) of the images.
    names: (N,) of the images.
    is_right: (N,) bool, of the hands before they were mirrored.
  """

  keypoints_2d: np.ndarray
  visibility: np.ndarray
  intrinsics: np.ndarray
  names: np.ndarray
  is_right: np.ndarray


def read_image_truth(folder: str | os.PathLike, split: str | None = None) -> ImageTruth:
  """Reads the 2D labels of a prepared dataset; None is all of it.

  Raises:
    FileNotFoundError: there is no such dataset.
    ValueError: it is damaged, or has no such split.
  """
  source = sources.open_source(
    {
      'kind': 'tfds',
      'path': str(Path(folder).expanduser()),
      'split': split or 'all',
      'with_image': False,
    }
  )
  labels = source.batch(range(len(source)))
  return ImageTruth(
    keypoints_2d=labels['keypoints_2d'],
    visibility=labels['visibility'],
    intrinsics=labels['intrinsics'],
    names=labels['sample_id'],
    is_right=labels['is_right'] > 0,
  )


def find_doubts(joints: np.ndarray, truth: ImageTruth) -> list[str]:
  """What looks wrong about predictions (N, 21, 3), left hands as they are."""
  found = doubts.find(joints, submission.FORMS[FORM])
  placed = (joints[..., 2] > 0).all(axis=1)
  right = truth.is_right[:, None, None]
  mirrored = np.where(right, joints, skeleton.mirror(joints))[placed]
  points = mirrored @ np.swapaxes(truth.intrinsics[placed], 1, 2)
  points = points[..., :2] / points[..., 2:]
  labelled = truth.visibility[placed] > 0
  found += row_doubts.find(points, truth.keypoints_2d[placed], labelled, 'px')
  return found or doubts.find_sides(joints, truth.is_right)


def score_in_image(
  joints: np.ndarray,
  truth: ImageTruth,
  subsets: Mapping[str, np.ndarray],
  limits: HandLimits | None = None,
) -> dict[str, Any]:
  """Figures of projected hands, which do not depend on how large these are.

  Args:
    joints: (N, 21, 3) predictions in any unit, canonical order, OpenCV axes, left hands
      as they are.
    truth: of the same images.
    subsets: name -> indices of the images that are scored.
    limits: that hands are compared with; None leaves it.

  Returns:
    {subset: {'num_images', 'num_behind': how many hands do not lie before the camera
    and so have no part in what follows, 'keypoints_2d_px', 'pck_2d_Npx' in percent,
    averaged over hands for each joint, then over joints, 'curve': PCK over
    `metrics.THRESHOLDS_PX`, and of all hands what `summarize_limits` has}}. Figures
    that no hand can give are missing.
  """
  right = truth.is_right[:, None, None]
  joints = np.where(right, joints, skeleton.mirror(joints)).astype(np.float32)
  results = {}
  for name, index in subsets.items():
    before = (joints[index, :, 2] > 0).all(axis=1)
    found: dict[str, Any] = {
      'num_images': len(index),
      'num_behind': int(np.sum(~before)),
    }
    placed = index[before]
    if (truth.visibility[placed] > 0).any():
      found |= _errors(joints[placed], truth, placed)
    if limits is not None:
      found |= summarize_limits(joints[index], limits)
    results[name] = found
  return jax.tree.map(lambda x: x if isinstance(x, int) else float(x), results)


def _errors(joints: np.ndarray, truth: ImageTruth, index: np.ndarray) -> dict[str, Any]:
  projected = geometry.project(joints, truth.intrinsics[index])
  errors = metrics.keypoint_error_2d(projected, truth.keypoints_2d[index])
  mask = (truth.visibility[index] > 0).astype(np.float32)
  shares = metrics.joint_mean_pck(errors, np.array(metrics.PCK_PX, np.float32), mask)
  curve = metrics.joint_mean_pck(errors, metrics.THRESHOLDS_PX, mask)
  return {
    'keypoints_2d_px': metrics.joint_mean(errors, mask),
    **{
      f'pck_2d_{px}px': 100 * share
      for px, share in zip(metrics.PCK_PX, shares, strict=True)
    },
    'curve': {
      'thresholds_px': metrics.THRESHOLDS_PX.tolist(),
      'pck': np.asarray(curve).tolist(),
    },
  }


def table(results: Mapping[str, Any]) -> list[list[str]]:
  """The figures as rows of text; those that no subset has are left out."""
  columns = {
    name: column
    for name, column in _COLUMNS.items()
    if any(name in result for result in results.values())
  }
  rows = [['images', *(heading for heading, _ in columns.values())]]
  for subset, result in results.items():
    cells = [
      format(result[name], spec) if name in result else ''
      for name, (_, spec) in columns.items()
    ]
    rows.append([f'{subset} ({result["num_images"]})', *cells])
  return rows
