"""Images: checked and decoded if they are whole and not too large, and encoded."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from data_prep import image_headers

Shape = Sequence[int | None]

JPEG_QUALITY = 95
MAX_PIXELS = 2**26
"""A larger image is refused unopened: 67 megapixels are 200 MB when decoded."""

_REMEDY = 'get an intact copy, or leave it out with --max-bad'
_JPEG_SCAN, _JPEG_END = b'\xff\xda', b'\xff\xd9'


def check(
  encoded: bytes, where: str, shape: Shape = (None, None, 3)
) -> tuple[int, int, int]:
  """Makes sure that an image can be decoded, in half the time that decoding takes.

  Of a JPEG all data are read, but only one pixel in 8 x 8 is computed.

  Args:
    encoded: the content of a JPEG or PNG file.
    where: what messages call it.
    shape: (H, W, 3) that it must have; None where any will do.

  Returns:
    (H, W, 3) of the image that `decode` returns.

  Raises:
    ValueError: as `decode`.
  """
  header = _read_header(encoded, where)
  if header.format == 'PNG':
    return decode(encoded, where, shape).shape
  _decode_whole(header, encoded, where, cv2.IMREAD_REDUCED_GRAYSCALE_8)
  width, height = image_headers.upright_size(header)
  return _check_shape((height, width, 3), where, shape)


def decode(encoded: bytes, where: str, shape: Shape = (None, None, 3)) -> np.ndarray:
  """Decodes an image after a look at its header, and only if all of it is there.

  Args:
    encoded: the content of a JPEG or PNG file.
    where: what messages call it.
    shape: (H, W, 3) that it must have; None where any will do.

  Returns:
    (H, W, 3) uint8 RGB.

  Raises:
    ValueError: it is no JPEG or PNG, too large, of another size, cut off or damaged.
  """
  header = _read_header(encoded, where)
  image = _decode_whole(header, encoded, where, cv2.IMREAD_COLOR_RGB)
  _check_shape(image.shape, where, shape)
  return image


def _read_header(encoded: bytes, where: str) -> Image.Image:
  try:
    header = Image.open(io.BytesIO(encoded), formats=('JPEG', 'PNG'))
  except Image.DecompressionBombError:
    raise ValueError(
      f'{where} is larger than {MAX_PIXELS} pixels; {_REMEDY}.'
    ) from None
  except Exception as error:  # a damaged header makes Pillow raise almost anything
    raise ValueError(
      f'{where} cannot be decoded as a JPEG or PNG image; {_REMEDY}.'
    ) from error
  width, height = header.size
  if width * height > MAX_PIXELS:
    raise ValueError(
      f'{where} has {width}x{height}, more than {MAX_PIXELS} pixels; {_REMEDY}.'
    )
  return header


def _decode_whole(header, encoded: bytes, where: str, mode: int) -> np.ndarray:
  """Decodes in a mode of OpenCV, which makes an image of half a JPEG, too.

  Such a JPEG, as one of a download that stopped often is, lacks its end. The end may be
  followed by anything, and a thumbnail before the scan has an end of its own.
  """
  end = encoded.rfind(_JPEG_END)
  is_whole = end >= 0 and encoded.find(_JPEG_SCAN, end) < 0
  image = None
  if header.format == 'PNG' or is_whole:
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), mode)
  if image is None:
    raise ValueError(f'{where} cannot be decoded: it is cut off or damaged; {_REMEDY}.')
  return image


def _check_shape(found, where: str, shape: Shape) -> tuple[int, int, int]:
  if any(b not in (None, a) for a, b in zip(found, shape, strict=True)):
    raise ValueError(
      f'{where} has {found[1]}x{found[0]} pixels instead of '
      f'{shape[1]}x{shape[0]}; get the original file.'
    )
  return found


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
