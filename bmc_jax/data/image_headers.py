"""What the header of an image file says, without decoding the image."""

import dataclasses
import math

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)  # orientations that swap width and height
_EXIF = 0x8769
_FOCAL_LENGTH_35MM = 0xA405
_FILM_DIAGONAL = math.hypot(36, 24)  # mm


@dataclasses.dataclass(frozen=True)
class Header:
  """Of a JPEG or PNG.

  Attributes:
    width: of the decoded image in pixels, after the rotation that EXIF asks for.
    height: the same.
    focal_length: in pixels, from the 35 mm equivalent in EXIF; None if it is not there.
  """

  width: int
  height: int
  focal_length: float | None


def describe(image: Image.Image, where: str) -> Header:
  """What the header of an opened image says.

  Args:
    image: opened, for example by `images.read_header`.
    where: what messages call it.

  Raises:
    ValueError: its EXIF data are damaged.
  """
  try:
    width, height = upright_size(image)
    # Without the condition Pillow would decode a PNG to look for them at its end.
    exif = image.getexif().get_ifd(_EXIF) if 'exif' in image.info else {}
    equivalent = float(exif.get(_FOCAL_LENGTH_35MM) or 0)
  except Exception as error:  # damaged EXIF data make Pillow raise almost anything
    raise ValueError(
      f'{where} has damaged EXIF data ({error}); save the image without them.'
    ) from error
  focal_length = None
  if math.isfinite(equivalent) and equivalent > 0:
    focal_length = equivalent / _FILM_DIAGONAL * math.hypot(width, height)
  return Header(width, height, focal_length)


def upright_size(image: Image.Image) -> tuple[int, int]:
  """Width and height of an opened image after the rotation that EXIF asks for."""
  width, height = image.size
  if 'exif' in image.info and image.getexif().get(_ORIENTATION) in _TURNED:
    return height, width
  return width, height


def guess_intrinsics(header: Header) -> np.ndarray:
  """A camera (3, 3) for an image of which only the header is known."""
  focal = header.focal_length or max(header.width, header.height)
  cx, cy = (header.width - 1) / 2, (header.height - 1) / 2
  return np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])
