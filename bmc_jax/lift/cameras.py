"""Hands of a file lifted with the camera that is given, or one guessed for each size.

A camera that cannot be that of the pictures is refused, an odd one is warned of.
"""

import numpy as np

from bmc_jax.console.errors import warn
from bmc_jax.data import cameras
from bmc_jax.lift.files import KeypointFile
from bmc_jax.lift.lifter import LEAST_PRESENT, KeypointLifter, LiftedHands
from bmc_jax.predict.boxes import parse_numbers


def parse_intrinsics(text: str) -> np.ndarray:
  """The matrix (3, 3) of `--intrinsics`; raises a ValueError if it is none."""
  fx, fy, cx, cy = parse_numbers(text, '--intrinsics', 'fx,fy,cx,cy')
  matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
  cameras.check_matrix(matrix, '--intrinsics')
  return matrix


def parse_size(text: str) -> tuple[float, float]:
  """The numbers of `--image-size`; raises a ValueError if these are not two."""
  try:
    width, height = (float(part) for part in text.replace('x', ',').split(','))
  except ValueError:
    raise ValueError(
      f'--image-size is {text!r}; give width,height in pixels, as in 640,480.'
    ) from None
  return width, height


def _least_size(keypoints_2d: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
  """The size (1, 2) of pictures, of which none is told, with these keypoints in them.

  As they may lie in a corner, the principal point is taken for the middle if it can be.
  """
  reached = np.nanmax(keypoints_2d, axis=(0, 1), initial=1) + 1
  return np.maximum(reached, 2 * intrinsics[:2, 2] + 1)[None]


def lift_hands(
  lifter: KeypointLifter,
  found: KeypointFile,
  is_right: np.ndarray,
  *,
  intrinsics: np.ndarray | None = None,
  bone_length: float | None = None,
) -> LiftedHands:
  """Lifts all hands of a file.

  Args:
    lifter: that does it.
    found: the hands.
    is_right: (N,).
    intrinsics: (3, 3) of all pictures; None: guessed from the size of each.
    bone_length: see `KeypointLifter`.

  Raises:
    ValueError: the camera or its pictures' sizes are not known, it cannot be the camera
      of such pictures, or no hand has enough keypoints.
  """
  sizes = np.unique(found.image_sizes, axis=0)
  if intrinsics is not None:
    known = sizes[np.isfinite(sizes).all(axis=1)]
    if not len(known):
      known = _least_size(found.keypoints_2d, intrinsics)
    for width, height in known.round().astype(int):
      cameras.check_for_image(cameras.Camera(intrinsics), width, height)
      for doubt in cameras.doubts(intrinsics, width, height).values():
        warn(f'{doubt}.')
    groups = [(np.arange(len(is_right)), {'intrinsics': intrinsics})]
  elif np.isnan(sizes).any():
    raise ValueError(
      'The size of the pictures is not known, from which the camera is guessed: give '
      '--images, --image-size width,height, or better --intrinsics fx,fy,cx,cy.'
    )
  else:
    groups = [
      (np.flatnonzero((found.image_sizes == size).all(axis=1)), {'image_size': size})
      for size in sizes
    ]
  parts = [
    lifter(
      found.keypoints_2d[rows],
      confidence=found.confidence[rows],
      is_right=is_right[rows],
      bone_length=bone_length,
      **camera,
    )
    for rows, camera in groups
  ]
  back = np.argsort(np.concatenate([rows for rows, _ in groups]))
  hands = LiftedHands(
    *(np.concatenate(field)[back] for field in zip(*parts, strict=True))
  )
  if not np.isfinite(hands.joints_3d).any():
    raise ValueError(
      f'None of the {len(is_right)} hands has the {LEAST_PRESENT} keypoints that '
      'lifting needs.'
    )
  return hands
