"""What the header of an image file says, without decoding the image."""

import dataclasses
import math
from pathlib import Path

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


def read_header(path: Path) -> Header:
  """Reads the header of a JPEG or PNG.

  Raises:
    ValueError: it is no such file.
  """
  try:
    with Image.open(path, formats=('JPEG', 'PNG')) as image:
      width, height = upright_size(image)
      exif = image.getexif()
      equivalent = float(exif.get_ifd(_EXIF).get(_FOCAL_LENGTH_35MM) or 0)
  except Exception as error:  # a damaged file makes Pillow raise almost anything
    raise ValueError(
      f'{path} cannot be read as a JPEG or PNG; get an intact copy, or convert it.'
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
