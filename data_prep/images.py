"""Encoded images: whether they are whole, and small enough to be decoded."""

import io

import numpy as np
from PIL import Image

from bmc_jax.data import example as example_lib

MAX_PIXELS = 2**26
"""A larger image is refused unopened: 67 megapixels are 200 MB when decoded."""

_REMEDY = 'get an intact copy, or leave it out with --max-bad'
_JPEG_SCAN, _JPEG_END = b'\xff\xda', b'\xff\xd9'


def decode(encoded: bytes, where: str) -> np.ndarray:
  """Decodes an image after a look at its header, and only if all of it is there.

  OpenCV alone decodes what there is of a file that was cut off, and any size.

  Args:
    encoded: the content of a JPEG or PNG file.
    where: what messages call it.

  Returns:
    (H, W, 3) uint8 RGB.

  Raises:
    ValueError: it is no JPEG or PNG, too large, cut off or damaged.
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
  if not _is_whole(header, encoded):
    raise ValueError(f'{where} cannot be decoded: it is cut off; {_REMEDY}.')
  image = example_lib.decode_image(encoded)
  if image is None:
    raise ValueError(f'{where} cannot be decoded: it is damaged; {_REMEDY}.')
  return image


def _is_whole(header: Image.Image, encoded: bytes) -> bool:
  if header.format == 'PNG':
    try:
      header.verify()  # the checksums of all chunks, up to the last one
    except Exception:  # Pillow raises SyntaxError, OSError, struct.error...
      return False
    return True
  # The end may be followed by anything, and a thumbnail before the scan has its own.
  return encoded.rfind(_JPEG_END) > encoded.rfind(_JPEG_SCAN) >= 0
