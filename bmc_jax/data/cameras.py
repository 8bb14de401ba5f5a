"""Cameras as files tell them, and whether they can be those of an image."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bmc_jax.joint_files.arrays import plain_keys

FORMS = (
  'a 3 x 3 matrix [[fx, s, cx], [0, fy, cy], [0, 0, 1]], its 9 numbers, [fx, fy, cx, '
  'cy], or an object of fx, fy, cx and cy, in pixels'
)

# In focal lengths by the longer side of the image. A pinhole camera sees less than 136
# degrees; wider than 103, or narrower than 3, is rare.
_LEAST_FOCAL = 0.2
_USUAL_FOCAL = (0.4, 20.0)
_USUAL_ASPECT = 1.2
"""Of fx and fy: pixels are square, but for images that were stretched."""
_USUAL_OFFSET = 0.15
"""Of the principal point from the middle, in sides of the image: lenses are centred."""
_NORMALISED = 2.0
_MOST_SKEW = 0.5  # in focal lengths: axes 27 degrees off the right angle

# Spellings, in lower case and without underscores.
_MATRICES = (
  *('k', 'intrinsics', 'intrinsic', 'intrinsicmatrix', 'cameramatrix', 'cammat'),
  *('cameraintrinsics', 'camk', 'matrix', 'data'),
)
_PAIRS = (
  ('focal', 'focallength', 'f'),
  ('princpt', 'principalpoint', 'principal', 'pp', 'c'),
)
_NUMBERS = (
  ('fx', 'focalx', 'focallengthx'),
  ('fy', 'focaly', 'focallengthy'),
  ('cx', 'ppx', 'u0', 'px', 'principalpointx'),
  ('cy', 'ppy', 'v0', 'py', 'principalpointy'),
)
_SIZE = (('width', 'imagewidth', 'w'), ('height', 'imageheight', 'h'))
_SKEW = ('s', 'skew')
_SHAPE = ('rows', 'cols', 'dt')  # beside OpenCV's and ROS's `data`


class Camera(NamedTuple):
  """A camera as it is told.

  Attributes:
    matrix: (3, 3) [[fx, s, cx], [0, fy, cy], [0, 0, 1]] in pixels.
    size: width and height of the images that it is for; None if it is not told.
    unused: keys of the object that tells it which were not read, such as a distortion.
  """

  matrix: np.ndarray
  size: tuple[int, int] | None = None
  unused: tuple[str, ...] = ()


def is_camera(value: Any) -> bool:
  """Whether a value of a JSON file has the form of one camera, right or wrong."""
  if isinstance(value, Mapping):
    keys = set(plain_keys(value))
    known = (_MATRICES, *_PAIRS, *_NUMBERS)
    return any(keys & set(names) for names in known)
  try:
    array = np.asarray(value, np.float64)
  except (TypeError, ValueError):  # text, or lists of different lengths
    return False
  array = _unflattened(array)
  if array.shape in ((3, 4), (4, 4)):  # or as many cameras fx, fy, cx, cy
    return bool(np.array_equal(array[2, :3], (0, 0, 1)))
  return array.shape in ((4,), (9,), (3, 3))


def read_camera(value: Any, where: str) -> Camera:
  """The camera that a value of a JSON file tells.

  Args:
    value: one of `FORMS`; also a matrix (3, 4) or (4, 4) without translation, or its
      numbers, objects
      that hold a matrix (`K`, `camera_matrix`, ...), or pairs (`focal` and `princpt`).
    where: what messages call it.

  Raises:
    ValueError: it is something else, or no camera of pixels.
  """
  if isinstance(value, Mapping):
    return _from_object(value, where)
  try:
    array = np.asarray(value, np.float64)
  except (TypeError, ValueError):
    array = np.zeros(0)
  array = _unflattened(array)
  if array.shape == (4,):
    fx, fy, cx, cy = array
    array = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
  elif array.shape == (9,):
    array = array.reshape(3, 3)
  elif array.shape in ((3, 4), (4, 4)):
    whole = np.eye(4)
    whole[: len(array)] = array
    if np.any(whole[:3, 3]) or not np.array_equal(whole[3], np.eye(4)[3]):
      raise ValueError(
        f'{where} is a projection matrix with a translation: give its intrinsics '
        f'alone, {FORMS}.'
      )
    array = whole[:3, :3]
  if array.shape != (3, 3) or not np.isfinite(array).all():
    raise ValueError(f'{where} is no camera: {FORMS} is needed.')
  check_matrix(array, where)
  return Camera(array)


def _unflattened(array: np.ndarray) -> np.ndarray:
  """12 or 16 numbers as a matrix (3, 4) or (4, 4), row by row, as ROS writes `P`."""
  return array.reshape(-1, 4) if array.shape in ((12,), (16,)) else array


def _from_object(value: Mapping, where: str) -> Camera:
  rest = plain_keys(value)

  def take(names):
    return next((rest.pop(name) for name in names if name in rest), None)

  width, height = map(take, _SIZE)
  told, pairs = take(_MATRICES), map(take, _PAIRS)
  numbers, skew = [take(names) for names in _NUMBERS], take(_SKEW)
  for name in _SHAPE:
    rest.pop(name, None)
  for place, pair in zip((slice(0, 2), slice(2, 4)), pairs, strict=True):
    if pair is not None:
      numbers[place] = pair if isinstance(pair, list) else [pair, pair]
  camera = read_camera(numbers if told is None else told, where)
  if skew is not None:
    camera.matrix[0, 1] = _number(skew, where)
    check_matrix(camera.matrix, where)
  size = None
  if width is not None and height is not None:
    size = int(_number(width, where)), int(_number(height, where))
  return Camera(camera.matrix, camera.size or size, (*camera.unused, *sorted(rest)))


def _number(value: Any, where: str) -> float:
  try:
    number = float(value)
  except (TypeError, ValueError):
    number = math.nan
  if not math.isfinite(number):
    raise ValueError(f'{where} is no camera: it holds {value!r:.40}, no number.')
  return number


def check_matrix(matrix: np.ndarray, where: str) -> None:
  """Raises a ValueError if a finite (3, 3) is no camera of any image."""
  told = np.asarray(matrix).round(4).tolist()
  if np.any(matrix[2, :2]) and matrix[2, 2] == 1 and not np.any(matrix[:2, 2]):
    raise ValueError(
      f'{where} is a transposed matrix, as MATLAB has them: give {FORMS}, not {told}.'
    )
  if matrix[1, 0] or not np.allclose(matrix[2], (0, 0, 1)):
    raise ValueError(f'{where} is no camera: {FORMS} is needed, not {told}.')
  if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
    raise ValueError(
      f'{where} has the focal lengths {matrix[0, 0]:.6g} and {matrix[1, 1]:.6g}; they '
      'must be positive, in pixels (the axes are x right, y down).'
    )
  if abs(matrix[0, 1]) > _MOST_SKEW * matrix[0, 0]:
    raise ValueError(
      f'{where} has the skew {matrix[0, 1]:.6g} beside a focal length of '
      f'{matrix[0, 0]:.6g}, which no camera has: give {FORMS}.'
    )


def check_for_image(camera: Camera, width: int, height: int) -> None:
  """Raises a ValueError if a camera can not be that of an image.

  Args:
    camera: of `read_camera`.
    width, height: of the image, in pixels.
  """
  if camera.size not in (None, (width, height)):
    raise ValueError(
      f'the intrinsics are those of images of {camera.size[0]}x{camera.size[1]} pixels,'
      f' but this one has {width}x{height}: of a crop subtract its left and top edge '
      'from cx and cy; then scale fx, cx as its width was, and fy, cy as its height.'
    )
  (fx, _, cx), (_, fy, cy), _ = np.asarray(camera.matrix).tolist()
  focal, side = max(fx, fy), max(width, height)
  if focal >= _LEAST_FOCAL * side:
    return
  remedy = 'give pixels of this very image, not millimetres'
  if max(abs(cx), abs(cy)) < _NORMALISED < side:
    remedy = (
      "these are parts of the image's size: multiply fx, cx by its width and fy, cy by "
      'its height'
    )
  raise ValueError(
    f'a focal length of {focal:.4g} pixels is too short for an image of '
    f'{width}x{height}, no pinhole sees so wide; {remedy}.'
  )


def doubts(matrix: np.ndarray, width: int, height: int) -> dict[str, str]:
  """What looks wrong about the camera of an image, though it need not be.

  A crop may have its principal point anywhere, so that a camera of the whole frame is
  never surely wrong.

  Args:
    matrix: (3, 3) of a camera that passes `check_for_image`.
    width, height: of the image, in pixels.

  Returns:
    {what is doubtful: a sentence without a full stop}.
  """
  (fx, _, cx), (_, fy, cy), _ = np.asarray(matrix).tolist()
  found = {}
  size = f'the image of {width}x{height} pixels'
  offset = max(abs((cx + 0.5) / width - 0.5), abs((cy + 0.5) / height - 0.5))
  if offset > _USUAL_OFFSET:
    frame = ''
    if cx > 0 and cy > 0:
      frame = f', as of a frame of about {2 * cx:.0f}x{2 * cy:.0f}'
    found['principal point'] = (
      f'the principal point ({cx:.0f}, {cy:.0f}) is far from the middle of {size}'
      f'{frame}; if these intrinsics are of the frame that the image is cut out of, '
      'subtract its left and top edge from cx and cy and scale as the image was'
    )
  low, high = _USUAL_FOCAL
  if not low <= max(fx, fy) / max(width, height) <= high:
    found['focal length'] = (
      f'a focal length of {max(fx, fy):.4g} pixels is unusual for {size}; scale the '
      'intrinsics as the image was'
    )
  if max(fx, fy) > _USUAL_ASPECT * min(fx, fy):
    found['aspect'] = (
      f'fx and fy are {fx:.4g} and {fy:.4g}, which is right only if {size} was '
      'stretched'
    )
  return found
