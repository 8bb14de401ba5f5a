"""Encoded images: whole ones pass, others are refused whatever OpenCV makes of them."""

import io

import cv2
import numpy as np
import PIL.Image
import pytest

from bmc_jax.data import images

NOISE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
JPEG = images.encode(NOISE, 'jpeg')
PNG = images.encode(NOISE, 'png')


def _with_thumbnail(jpeg: bytes) -> bytes:
  """The image with a whole small one in its header, as cameras store it."""
  thumbnail = images.encode(NOISE[:16, :16], 'jpeg')
  segment = b'Exif\0\0' + thumbnail
  return (
    jpeg[:2] + b'\xff\xe1' + (len(segment) + 2).to_bytes(2, 'big') + segment + jpeg[2:]
  )


@pytest.mark.parametrize(
  'encoded', [JPEG, PNG, _with_thumbnail(JPEG), JPEG + b'camera']
)
def test_whole_images_are_decoded(encoded):
  decoded = images.decode(encoded, 'a.jpg')
  assert images.check(encoded, 'a.jpg') == decoded.shape == NOISE.shape
  expected = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  np.testing.assert_array_equal(decoded, expected[..., ::-1])


def test_a_png_keeps_its_colours():
  np.testing.assert_array_equal(images.decode(PNG, 'a.png'), NOISE)


READERS = pytest.mark.parametrize('read', [images.check, images.decode])


@READERS
@pytest.mark.parametrize('encoded', [JPEG, PNG, _with_thumbnail(JPEG)])
def test_an_image_that_is_cut_off_anywhere_is_refused(encoded, read):
  for size in range(0, len(encoded), 97):
    with pytest.raises(ValueError, match='a.jpg (cannot be|is cut).*intact copy'):
      read(encoded[:size], 'a.jpg')


def _cuts(jpeg: bytes) -> dict[str, bytes]:
  """Downloads that stopped, and what stands in for the rest; each has an end."""
  middle = len(jpeg) // 2
  zeros = bytes(len(jpeg) - middle - 2)
  return {
    'an end after half of it': jpeg[:middle] + jpeg[-2:],
    'zeros in the place of half of it': jpeg[:middle] + zeros + jpeg[-2:],
    'zeros without an end': jpeg[:middle] + zeros,
    'a hole': jpeg[:middle] + bytes(300) + jpeg[middle + 300 :],
    'an end and a video': jpeg[:middle] + jpeg[-2:] + jpeg,
  }


@READERS
@pytest.mark.parametrize('name', _cuts(JPEG))
def test_half_a_jpeg_is_noticed_though_opencv_and_pillow_make_an_image_of_it(
  name, read
):
  half = _cuts(JPEG)[name]
  assert cv2.imdecode(np.frombuffer(half, np.uint8), cv2.IMREAD_COLOR) is not None
  with pytest.raises(ValueError, match='is cut off or damaged'):
    read(half, 'a.jpg')


def _saved(mode: str, **options) -> bytes:
  file = io.BytesIO()
  PIL.Image.fromarray(NOISE).convert(mode).save(file, 'jpeg', **options)
  return file.getvalue()


@pytest.mark.parametrize(
  'encoded',
  [
    _saved('CMYK'),
    _saved('L'),
    _saved('RGB', progressive=True),
    _saved('RGB', subsampling=0, quality=100),
    JPEG + b'SEFT\xff\xdaxx',
    JPEG + np.random.default_rng(0).bytes(100_000),
  ],
)
def test_all_kinds_of_jpegs_pass_and_so_do_motion_photos(encoded):
  assert images.check(encoded, 'a.jpg') == (60, 80, 3)
  assert images.decode(encoded, 'a.jpg').shape == (60, 80, 3)


@READERS
def test_a_png_with_one_wrong_byte_is_refused(read):
  spoilt = bytearray(PNG)
  spoilt[len(PNG) // 2] ^= 1
  with pytest.raises(ValueError, match='is cut off or damaged'):
    read(bytes(spoilt), 'a.png')


def test_checking_refuses_what_decoding_refuses():
  rng, refused = np.random.default_rng(1), 0
  for _ in range(300):
    spoilt = bytearray(JPEG)
    spoilt[rng.integers(2, 700)] = rng.integers(256)  # the tables, then the data
    found = [_failure(read, bytes(spoilt)) for read in (images.check, images.decode)]
    assert found[0] == found[1]
    refused += found[0] is not None
  assert refused > 20


def _failure(read, encoded: bytes) -> str | None:
  try:
    read(encoded, 'a.jpg')
  except ValueError as error:
    return str(error)
  return None


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_photo_is_as_large_as_it_is_when_it_is_turned_upright(orientation):
  exif = PIL.Image.Exif()
  exif[0x0112] = orientation
  file = io.BytesIO()
  PIL.Image.fromarray(NOISE).save(file, 'jpeg', exif=exif)
  decoded = images.decode(file.getvalue(), 'a.jpg')
  assert images.check(file.getvalue(), 'a.jpg') == decoded.shape
  assert decoded.shape == ((80, 60, 3) if orientation >= 5 else (60, 80, 3))


@READERS
@pytest.mark.parametrize('encoded', [JPEG, PNG])
def test_another_size_than_expected_is_refused(encoded, read):
  read(encoded, 'a.png', (60, None, 3))
  with pytest.raises(ValueError, match='a.png has 80x60 pixels instead of 64x60'):
    read(encoded, 'a.png', (60, 64, 3))
