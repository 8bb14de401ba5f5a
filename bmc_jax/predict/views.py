"""What a predictor takes and gives: a hand to look at, and the hand that was found."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from bmc_jax.data import cameras, crops, image_headers

_SHOWN = (64, 480)  # px, sides of pictures on pages
_LEAST_BOX = 2.0  # px: what is smaller shows no hand
_FAR = 1e5  # px
_OVERHANG = 0.25  # of the box's longer side


@dataclasses.dataclass(frozen=True)
class View:
  """A hand to be predicted.

  Attributes:
    image: (H, W, 3) uint8 RGB.
    intrinsics: (3, 3) of that image, or None: the focal length is guessed as the longer
      side (a view of 53 degrees), the principal point as the middle. A wrong focal
      length changes depth, and tilts the hand; it hardly moves its joints in the image.
    box: left, top, right, bottom of the hand in pixels; None for the whole image.
    is_right: False for a left hand.
  """

  image: np.ndarray
  intrinsics: np.ndarray | None = None
  box: Sequence[float] | None = None
  is_right: bool = True

  @functools.cached_property
  def camera(self) -> np.ndarray:
    """(3, 3) the intrinsics, given or guessed."""
    if self.intrinsics is not None:
      return np.asarray(self.intrinsics, np.float32)
    height, width = self.image.shape[:2]
    header = image_headers.Header(width, height, None)
    return image_headers.guess_intrinsics(header).astype(np.float32)

  def check(self) -> None:
    """Raises a ValueError of one sentence if something has the wrong form."""
    image = self.image
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[-1] != 3:
      raise ValueError(
        f'The image has the shape {np.shape(image)}; it must be an array (H, W, 3).'
      )
    if image.dtype != np.uint8 or not image.size:
      raise ValueError(
        f'The image is {image.dtype} of shape {image.shape}; it must be uint8 RGB in '
        '0..255, and hold pixels.'
      )
    height, width = image.shape[:2]
    camera = self.camera
    if camera.shape != (3, 3) or not np.isfinite(camera).all():
      raise ValueError(f'intrinsics are {camera.tolist()}; a (3, 3) matrix is needed.')
    cameras.check_matrix(camera, 'intrinsics')
    cameras.check_for_image(cameras.Camera(camera), width, height)
    if self.box is not None:
      check_box(self.box)
      _check_inside(self.box, width, height)

  def doubts(self) -> dict[str, str]:
    """What looks wrong, though it need not be: {about what: a sentence}."""
    height, width = self.image.shape[:2]
    found = cameras.doubts(self.camera, width, height)
    if self.box is not None:
      box = np.asarray(self.box, np.float64)
      beyond = np.concatenate([-box[:2], box[2:] - (width, height)]).max()
      if beyond > _OVERHANG * max(box[2:] - box[:2]):
        found['box'] = (
          f'the box {box.tolist()} reaches {beyond:.0f} pixels beyond the image of '
          f'{width}x{height}: give left, top, right, bottom in pixels of this very '
          'image, not x, y, width, height'
        )
    return found


@dataclasses.dataclass(frozen=True)
class HandPrediction:
  """A predicted hand, as it is seen: a left one is a left one.

  Attributes:
    joints_3d: (21, 3) metres, canonical order, camera axes (x right, y down, z away).
    keypoints_2d: (21, 2) pixels of the image, whose first pixel's centre is (0, 0).
    conditioning: how far the root depth can be trusted (`pose25d.solve_root_depth`).
    root_depth_from: 'refined'; or 'calculated' where the refined one would put a joint
      at or behind the camera; 'lifted' with `predict --lift`.
    bone_length: metres, of the bone from the middle MCP to PIP. It is assumed: one
      image does not tell how large a hand is, and all lengths grow with it.
    is_right: False for a left hand.
    intrinsics: (3, 3) of the image, given or guessed.
    box: (4,) left, top, right, bottom of the last crop, in pixels of the image.
  """

  joints_3d: np.ndarray
  keypoints_2d: np.ndarray
  conditioning: float
  root_depth_from: str
  bone_length: float
  is_right: bool
  intrinsics: np.ndarray
  box: np.ndarray

  @property
  def joints_3d_relative(self) -> np.ndarray:
    """(21, 3) metres from the wrist on."""
    return self.joints_3d - self.joints_3d[:1]

  @property
  def crosses_camera(self) -> bool:
    """Whether a joint lies at or behind the camera, which sees no such hand."""
    return bool(np.any(self.joints_3d[:, 2] <= 0))


def check_box(box: Sequence[float]) -> None:
  """Raises a ValueError if no box of any image has these numbers."""
  values = np.asarray(box, np.float64)
  if values.shape != (4,) or not np.isfinite(values).all():
    raise ValueError(
      f'The box is {box!r}; four numbers are needed, left, top, right, '
      'bottom in pixels.'
    )
  if np.abs(values).max() > _FAR:
    raise ValueError(
      f'The box {values.tolist()} reaches further than any image: give left, top, '
      'right, bottom in pixels.'
    )
  left, top, right, bottom = values
  if left >= right or top >= bottom:
    raise ValueError(
      f'The box {values.tolist()} is empty: give left < right and top < bottom, in '
      'pixels (if these are x, y, width, height, right is x + width).'
    )
  if min(right - left, bottom - top) < _LEAST_BOX:
    raise ValueError(
      f'The box {values.tolist()} is smaller than {_LEAST_BOX:g} pixels: if these are '
      "parts of the image's size, multiply left and right by its width, top and bottom "
      'by its height.'
    )


def _check_inside(box: Sequence[float], width: int, height: int) -> None:
  left, top, right, bottom = box
  if right <= 0 or bottom <= 0 or left >= width or top >= height:
    raise ValueError(
      f'The box {np.asarray(box).tolist()} lies outside of the image of '
      f'{width}x{height} pixels.'
    )


def cut_picture(
  name: str,
  image: np.ndarray,
  intrinsics: np.ndarray,
  box: np.ndarray,
  *,
  side: float,
  scale: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
  """The part of an image to show beside a hand, and its camera.

  Args:
    name: of the image.
    image: (H, W, 3) uint8 RGB.
    intrinsics: (3, 3) of it.
    box: (4,) left, top, right, bottom of the hand.
    side: of the result in pixels; it is kept within 64 and 480.
    scale: side of the part, in sizes of the box.
  """
  cut = crops.crop_to_hand(
    {
      'sample_id': name,
      'image': image,
      'keypoints_2d': np.zeros((21, 2), np.float32),
      'visibility': np.ones(21, np.float32),
      'intrinsics': intrinsics.astype(np.float32),
    },
    int(np.clip(np.ceil(side), *_SHOWN)),
    box,
    scale=scale,
  )
  return cut['image'], cut['intrinsics']
