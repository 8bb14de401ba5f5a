"""Square crops around the hand, and their sizes; camera and keypoints follow."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bmc_jax.data import example as example_lib
from bmc_jax.data import images

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
  return cut | resize_example(cut, (side, side, 3), size)


def resize_example(
  example: Mapping[str, Any], shape: Sequence[int], size: int
) -> dict[str, np.ndarray]:
  """Resizes a square image on the host, with its keypoints and intrinsics.

  Args:
    example: image (H, H, 3), keypoints_2d (21, 2), intrinsics (3, 3); the image may be
      absent.
    shape: (H, H, 3) of the image.
    size: the new side in pixels.

  Returns:
    The changed fields. Pixel centres are at integers, so u' = (u + 1/2) size/H - 1/2.
  """
  import cv2

  if shape[0] != shape[1]:
    raise ValueError(
      f'Example {example["sample_id"]!r}: an image of {shape[0]}x{shape[1]} is not '
      'square; prepare square hand crops or leave image_size unset.'
    )
  ratio = size / shape[0]
  affine = np.array(
    [[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2], [0, 0, 1]], np.float32
  )
  changed = {
    'keypoints_2d': example['keypoints_2d'] * affine[0, 0] + affine[0, 2],
    'intrinsics': affine @ example['intrinsics'],
  }
  if 'image' in example:
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    changed['image'] = cv2.resize(example['image'], (size, size), interpolation=method)
  return changed


def _cut(image: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
  """The square (side, side, 3) from `corner` (x, y) on; black outside of the image."""
  result = np.zeros((side, side, 3), np.uint8)
  size = np.array([image.shape[1], image.shape[0]])
  start, end = np.clip([corner, corner + side], 0, size)
  (x0, y0), (x1, y1) = start, end
  (u0, v0), (u1, v1) = start - corner, end - corner
  result[v0:v1, u0:u1] = image[y0:y1, x0:x1]
  return result
