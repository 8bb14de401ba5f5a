"""What a lifter is called with, checked and brought to one form."""

import numpy as np

from bmc_jax.data import image_headers
from bmc_jax.data.cameras import check_matrix


def as_points(keypoints_2d) -> tuple[np.ndarray, tuple[int, ...]]:
  """Pixels (N, 21, 2) of (*b, 21, 2), and b; raises a ValueError for other shapes."""
  points = np.asarray(keypoints_2d, np.float64)
  if points.ndim < 2 or points.shape[-2:] != (21, 2):
    raise ValueError(
      f'keypoints_2d has the shape {points.shape}; (..., 21, 2) is needed, pixels.'
    )
  return points.reshape(-1, 21, 2), points.shape[:-2]


def as_confidence(confidence, points: np.ndarray, batch) -> np.ndarray:
  """Confidence (N, 21), by default 1 where points are finite; raises a ValueError."""
  if confidence is None:
    return np.asarray(np.isfinite(points).all(axis=-1), np.float64)
  values: np.ndarray = np.asarray(confidence, np.float64)
  if values.shape != (*batch, 21):
    raise ValueError(
      f'confidence has the shape {values.shape}; {(*batch, 21)} is needed, one for '
      'each keypoint.'
    )
  values = values.reshape(-1, 21)
  if not ((values >= 0) & (values <= 1)).all():
    raise ValueError('confidence must be within 0 and 1, 0 where a joint is missing.')
  if not np.isfinite(points[values > 0]).all():
    raise ValueError(
      'A keypoint of confidence above 0 is not finite: give it confidence 0.'
    )
  return values


def as_cameras(intrinsics, image_size, batch) -> tuple[np.ndarray, bool]:
  """Intrinsics (N, 3, 3) and whether they were given; raises a ValueError."""
  if intrinsics is None and image_size is None:
    raise ValueError(
      'The camera is not known: give intrinsics, or image_size (width, height) to '
      'have its focal length guessed.'
    )
  given = intrinsics
  if given is None:
    size = np.asarray(image_size, np.float64)
    if size.shape != (2,) or not (np.isfinite(size) & (size >= 1)).all():
      raise ValueError(
        f'image_size is {image_size!r:.60}; the width and height of the pictures in '
        'pixels are needed.'
      )
    width, height = size.round().astype(int).tolist()
    given = image_headers.guess_intrinsics(image_headers.Header(width, height, None))
  matrices = np.asarray(given, np.float64)
  if matrices.shape not in ((3, 3), (*batch, 3, 3)):
    raise ValueError(
      f'intrinsics has the shape {matrices.shape}; (3, 3) or {(*batch, 3, 3)} is '
      'needed.'
    )
  for matrix in np.unique(matrices.reshape(-1, 3, 3), axis=0):
    check_matrix(matrix, 'intrinsics')
  every = np.broadcast_to(matrices, (*batch, 3, 3)).reshape(-1, 3, 3)
  return every, intrinsics is not None


def as_sides(is_right, batch) -> np.ndarray:
  """Sides (N,) 1 or 0 of one for all or one for each; raises a ValueError."""
  sides = np.asarray(is_right)
  if sides.shape not in ((), batch) or not np.isin(sides, (0, 1)).all():
    raise ValueError(
      f'is_right has the shape {sides.shape} of {sides.dtype}; True or False is '
      f'needed, for all hands or for each {batch}.'
    )
  return np.broadcast_to(sides, batch).reshape(-1).astype(np.float64)
