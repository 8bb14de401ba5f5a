"""Whether a camera can be that of keypoints, by how far these reach in the picture."""

import numpy as np

from bmc_jax.data import cameras

_MOST = 0.5


def least_sizes(keypoints_2d: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
  """Sizes (n, 2) of pictures, of which none is told, with these keypoints in them.

  As they may lie in a corner, the principal point is taken for the middle if it can be.

  Args:
    keypoints_2d: (n, 21, 2) pixels, NaN where one is missing.
    intrinsics: (n, 3, 3).
  """
  reached = np.nanmax(keypoints_2d, axis=1, initial=1) + 1
  return np.maximum(reached, 2 * intrinsics[:, :2, 2] + 1)


def check(keypoints_2d: np.ndarray, intrinsics: np.ndarray) -> None:
  """Raises a ValueError if no pinhole camera of these intrinsics sees so wide.

  Arguments are those of `least_sizes`.
  """
  sizes = least_sizes(keypoints_2d, intrinsics).round()
  focal = intrinsics[:, (0, 1), (0, 1)].max(axis=1)
  if len(sizes):
    row = int(np.argmax(sizes.max(axis=1) / focal))
    camera = cameras.Camera(intrinsics[row])
    try:
      cameras.check_for_image(camera, *sizes[row].astype(int).tolist())
    except ValueError as error:
      raise ValueError(f'intrinsics and keypoints_2d: {error}') from None


def doubt_crops(keypoints_2d: np.ndarray, intrinsics: np.ndarray) -> str | None:
  """The doubt that keypoints are of crops, and the camera that of the whole frame.

  Keypoints of a crop begin near its corner and need not reach the principal point of
  the frame. Of hands in whole frames 0.01 % (DexYCB) to 0.6 % (RHD) are that near to
  the corner when each is alone, and of 10 at random none; of crops of 1.5 times the
  hand's extent 49 % (STB) to 92 % are.

  Args:
    keypoints_2d: (n, 21, 2) pixels, NaN where one is missing.
    intrinsics: (n, 3, 3).

  Returns:
    A sentence without a full stop if it is so of the cameras of most hands, or None.
  """
  known = np.isfinite(keypoints_2d).any(axis=(1, 2))
  if not known.any():
    return None
  points, matrices = keypoints_2d[known], intrinsics[known]
  each, of = np.unique(matrices, axis=0, return_inverse=True)
  of = of.reshape(-1)
  low, high = np.full((len(each), 2), np.inf), np.full((len(each), 2), -np.inf)
  np.minimum.at(low, of, np.nanmin(points, axis=1))
  np.maximum.at(high, of, np.nanmax(points, axis=1))
  middle = each[:, :2, 2]
  odd = ((high < middle) & (low <= high - low)).all(axis=1)
  if not np.mean(odd[of]) > _MOST:
    return None
  first = int(np.argmax(odd))
  (right, bottom), (cx, cy) = high[first], middle[first]
  return (
    f'all keypoints lie within ({right:.0f}, {bottom:.0f}), left of and above the '
    f'principal point ({cx:.0f}, {cy:.0f}), as in crops of a frame of about '
    f'{2 * cx:.0f}x{2 * cy:.0f}; if they are, subtract the left and top edge of the '
    'crop from cx and cy, and scale as it was'
  )
