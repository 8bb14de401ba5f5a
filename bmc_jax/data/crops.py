"""Square crops around the hand; the camera and the keypoints follow."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bmc_jax.data import example as example_lib
from bmc_jax.data import images, sources

SCALE = 1.5  # side of the crop, in sizes of the box around the hand
MIN_SIDE = 32  # px before resizing; one labelled joint has no size


def crop_to_hand(
  example: Mapping[str, Any],
  size: int,
  box: np.ndarray | None = None,
  *,
  scale: float = SCALE,
) -> example_lib.Example:
  """Cuts out the hand and resizes the cut.

  Args:
    example: whose image is decoded, (H, W, 3) uint8.
    size: side of the result in pixels.
    box: (4,) left, top, right, bottom of the hand; None for that of the labelled
      keypoints.
    scale: side of the crop, in sizes of the box.

  Returns:
    The example with an image of (size, size, 3), black where the crop leaves the
    original, and with its keypoints_2d and intrinsics.

  Raises:
    ValueError: there is no box and no labelled keypoint, or they spread far beyond any
      image.
  """
  keypoints = example['keypoints_2d'][example['visibility'] > 0]
  if box is not None:
    keypoints = np.reshape(box, (2, 2))
  where = f'Example {example["sample_id"]!r}'
  if not len(keypoints):
    raise ValueError(
      f'{where} has no labelled keypoint to crop around; leave its split out.'
    )
  low, high = keypoints.min(axis=0), keypoints.max(axis=0)
  side = max(int(np.ceil(scale * np.max(high - low))), MIN_SIDE)
  if side**2 > images.MAX_PIXELS:
    raise ValueError(f'{where}: its keypoints spread over {side} px; correct them.')
  corner = np.rint((low + high - (side - 1)) / 2).astype(int)  # centre of pixel (0, 0)
  shift = np.eye(3, dtype=np.float32)
  shift[:2, 2] = -corner
  cut = {
    **example,
    'image': _cut(example['image'], corner, side),
    'keypoints_2d': example['keypoints_2d'] + shift[:2, 2],
    'intrinsics': shift @ example['intrinsics'],
  }
  return cut | sources.resize_example(cut, (side, side, 3), size)


def _cut(image: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
  """The square (side, side, 3) from `corner` (x, y) on; black outside of the image."""
  result = np.zeros((side, side, 3), np.uint8)
  size = np.array([image.shape[1], image.shape[0]])
  start, end = np.clip([corner, corner + side], 0, size)
  (x0, y0), (x1, y1) = start, end
  (u0, v0), (u1, v1) = start - corner, end - corner
  result[v0:v1, u0:u1] = image[y0:y1, x0:x1]
  return result
