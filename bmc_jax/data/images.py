"""Images: checked and decoded if they are whole and not too large, and encoded."""

import functools
import io
import os
from collections.abc import Sequence

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from bmc_jax.data import image_headers

Shape = Sequence[int | None]

JPEG_QUALITY = 95
MAX_PIXELS = 2**26
"""A larger image is refused unopened: 67 megapixels are 200 MB when decoded."""

REMEDY = 'get an intact copy, or leave it out'
_JPEG_START = b'\xff\xd8'
_SPACES = {'CMYK': 'CMYK', 'YCCK': 'CMYK'}  # those without a grey channel of their own


def check(
  encoded: bytes, where: str, shape: Shape = (None, None, 3)
) -> tuple[int, int, int]:
  """Makes sure that an image is whole, in half the time that decoding takes.

  Of a JPEG all data are read, but only one pixel in 8 x 8 is computed.

  Args:
    encoded: the content of a JPEG or PNG file.
    where: what messages call it.
    shape: (H, W, 3) that it must have; None where any will do.

  Returns:
    (H, W, 3) of the image that `decode` returns.

  Raises:
    ValueError: it is no JPEG or PNG, too large, of another size, cut off or damaged.
  """
  if encoded.startswith(_JPEG_START):
    found = _check_jpeg(encoded, where)
  else:
    read_header(encoded, where)
    found = _decode(encoded, where).shape
  if any(b not in (None, a) for a, b in zip(found, shape, strict=True)):
    raise ValueError(
      f'{where} has {found[1]}x{found[0]} pixels instead of '
      f'{shape[1]}x{shape[0]}; get the original file.'
    )
  return found


def decode(encoded: bytes, where: str, shape: Shape = (None, None, 3)) -> np.ndarray:
  """Decodes an image after `check`, with the same arguments and errors.

  Returns:
    (H, W, 3) uint8 RGB.
  """
  check(encoded, where, shape)
  return _decode(encoded, where)


def read_header(encoded: bytes, where: str) -> Image.Image:
  """Opens an image, but reads no more than its header; the errors of `check`."""
  try:
    header = Image.open(io.BytesIO(encoded), formats=('JPEG', 'PNG'))
  except Image.DecompressionBombError:
    raise ValueError(f'{where} is larger than {MAX_PIXELS} pixels; {REMEDY}.') from None
  except Exception as error:  # a damaged header makes Pillow raise almost anything
    raise _unknown(where) from error
  _check_size(*header.size, where)
  return header


def _unknown(where: str) -> ValueError:
  return ValueError(f'{where} cannot be decoded as a JPEG or PNG image; {REMEDY}.')


def _check_size(width: int, height: int, where: str) -> None:
  if width * height > MAX_PIXELS:
    raise ValueError(
      f'{where} has {width}x{height}, more than {MAX_PIXELS} pixels; {REMEDY}.'
    )


def _check_jpeg(encoded: bytes, where: str) -> tuple[int, int, int]:
  """The shape of a JPEG of which all data are there and make sense.

  OpenCV and Pillow make an image of half a JPEG, too, as of a download that stopped.
  What follows the end, such as the video of a motion photo, does not matter.
  """
  try:
    height, width, space, _ = simplejpeg.decode_jpeg_header(encoded)
  except ValueError as error:
    raise _unknown(where) from error
  _check_size(width, height, where)
  try:
    simplejpeg.decode_jpeg(
      encoded, _SPACES.get(space, 'GRAY'), min_height=1, min_width=1, min_factor=8
    )
  except ValueError as error:
    raise _damaged(where, str(error)) from error
  if b'Exif' in encoded:  # Pillow's look at the header takes a while
    width, height = image_headers.upright_size(read_header(encoded, where))
  return int(height), int(width), 3


@functools.cache
def silence_opencv() -> None:
  """OpenCV and FFmpeg would tell of damaged files in their own words, before ours."""
  cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
  os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')


def _decode(encoded: bytes, where: str) -> np.ndarray:
  silence_opencv()
  image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
  if image is None:
    raise _damaged(where, 'not all of it can be read')
  return image


def _damaged(where: str, reason: str) -> ValueError:
  return ValueError(f'{where} is cut off or damaged ({reason}); {REMEDY}.')


def encode(image: np.ndarray, encoding: str) -> bytes:
  """Encodes an image.

  Args:
    image: (H, W, 3) uint8 RGB.
    encoding: 'jpeg' or 'png'.
  """
  done, encoded = cv2.imencode(
    {'jpeg': '.jpg', 'png': '.png'}[encoding],
    cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
    (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY) if encoding == 'jpeg' else (),
  )
  if not done:
    raise ValueError(f'An image of {image.shape} could not be encoded as {encoding}.')
  return encoded.tobytes()
