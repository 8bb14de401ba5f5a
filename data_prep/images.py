"""Images: decoded if they are whole and not too large, and encoded."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from bmc_jax.data import example as example_lib

JPEG_QUALITY = 95
MAX_PIXELS = 2**26
"""A larger image is refused unopened: 67 megapixels are 200 MB when decoded."""

_REMEDY = 'get an intact copy, or leave it out with --max-bad'
_JPEG_SCAN, _JPEG_END = b'\xff\xda', b'\xff\xd9'


def decode(
  encoded: bytes, where: str, shape: Sequence[int | None] = (None, None, 3)
) -> np.ndarray:
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
  # OpenCV makes an image of any JPEG that is long enough, as one of a download that
  # stopped often is. The end may be followed by anything, and a thumbnail before the
  # scan has an end of its own.
  is_whole = encoded.rfind(_JPEG_END) > encoded.rfind(_JPEG_SCAN)
  image = None
  if header.format == 'PNG' or is_whole:
    image = example_lib.decode_image(encoded)
  if image is None:
    raise ValueError(f'{where} cannot be decoded: it is cut off or damaged; {_REMEDY}.')
  if any(b not in (None, a) for a, b in zip(image.shape, shape, strict=True)):
    raise ValueError(
      f'{where} has {image.shape[1]}x{image.shape[0]} pixels instead of '
      f'{shape[1]}x{shape[0]}; get the original file.'
    )
  return image


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
