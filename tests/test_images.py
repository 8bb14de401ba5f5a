"""Encoded images: whole ones pass, others are refused whatever OpenCV makes of them."""

import cv2
import numpy as np
import pytest

from data_prep import images

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
  expected = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
  np.testing.assert_array_equal(decoded, expected[..., ::-1])


def test_a_png_keeps_its_colours():
  np.testing.assert_array_equal(images.decode(PNG, 'a.png'), NOISE)


@pytest.mark.parametrize('encoded', [JPEG, PNG, _with_thumbnail(JPEG)])
def test_an_image_that_is_cut_off_anywhere_is_refused(encoded):
  for size in range(0, len(encoded), 97):
    with pytest.raises(ValueError, match='a.jpg cannot be decoded.*intact copy'):
      images.decode(encoded[:size], 'a.jpg')


def test_what_stands_in_for_the_end_of_a_download_is_noticed():
  for size in range(1000, len(JPEG), 500):
    padded = JPEG[:size] + bytes(len(JPEG) - size)
    assert cv2.imdecode(np.frombuffer(padded, np.uint8), cv2.IMREAD_COLOR) is not None
    with pytest.raises(ValueError, match='is cut off or damaged'):
      images.decode(padded, 'a.jpg')


def test_a_png_with_one_wrong_byte_is_refused():
  spoilt = bytearray(PNG)
  spoilt[len(PNG) // 2] ^= 1
  with pytest.raises(ValueError, match='cannot be decoded'):
    images.decode(bytes(spoilt), 'a.png')


def test_another_size_than_expected_is_refused():
  assert images.decode(PNG, 'a.png', (60, None, 3)).shape == (60, 80, 3)
  with pytest.raises(ValueError, match='a.png has 80x60 pixels instead of 64x60'):
    images.decode(PNG, 'a.png', (60, 64, 3))
