"""Images of a COCO export that are missing or wrong: faults of single examples."""

import re
import struct
import zlib

import pytest

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from tests.fixtures import coco_exports, readers


def _chunk(kind: bytes, content: bytes) -> bytes:
  checksum = zlib.crc32(kind + content)
  return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', checksum)


def _bomb() -> bytes:
  """A PNG that says to have 20,000 x 20,000 pixels."""
  header = struct.pack('>IIBBBBB', 20_000, 20_000, 8, 2, 0, 0, 0)
  parts = _chunk(b'IHDR', header), _chunk(b'IDAT', zlib.compress(b''))
  return b'\x89PNG\r\n\x1a\n' + b''.join(parts) + _chunk(b'IEND', b'')


FAULTS = {
  'missing': (lambda s: _first(s).unlink(), 'is missing|are missing'),
  'empty': (lambda s: _first(s).write_bytes(b''), 'cannot be decoded as a JPEG or PNG'),
  'a page': (
    lambda s: _first(s).write_text('<!DOCTYPE html>'),
    'cannot be decoded as a JPEG or PNG',
  ),
  'cut off': (
    lambda s: _first(s).write_bytes(_first(s).read_bytes()[:-30]),
    'is cut off or damaged',
  ),
  'a bomb': (
    lambda s: _first(s).write_bytes(_bomb()),
    'more than 67108864 pixels|larger than 67108864 pixels',
  ),
  'another size': (
    lambda s: readers.write_image(_first(s), 32, 24),
    'is 32x24 after the rotation in its EXIF data, but .* lists it as 64x48',
  ),
  'a label outside': (
    lambda s: coco_exports.spoil(
      s, 'annotations', 0, keypoints=[10, 480, 2] + [5, 5, 2] * 20
    ),
    r'its annotation 10 has a keypoint outside of the image \(64x48\)',
  ),
}


def _first(source):
  return source / 'images' / 'default' / '1.png'


@pytest.fixture
def source(tmp_path):
  path = tmp_path / 'source'
  coco_exports.write_images(path / 'images' / 'default')
  coco_exports.write_export(path)
  return path


@pytest.mark.parametrize('name', FAULTS)
def test_a_fault_of_an_image_can_be_tolerated(source, tmp_path, capsys, name):
  spoil, expected = FAULTS[name]
  spoil(source)
  arguments = ['coco_hands', '--source', str(source)]
  message = readers.failure(arguments, tmp_path / 'out', capsys)
  assert str(_first(source)) in message
  assert re.search(expected, message)
  arguments += ['--out', str(tmp_path / 'out'), '--max-bad', '1']
  assert build_lib.main(arguments) == 0
  assert 'left out: ' in capsys.readouterr().out
  built = sources.TfdsSource(str(tmp_path / 'out' / 'coco_hands'), 'train')
  assert [built[i]['sample_id'] for i in range(len(built))] == ['2/11', '2/12']
  card = (tmp_path / 'out' / 'coco_hands' / '1.0.0' / 'README.md').read_text()
  assert 'Examples left out: 1' in card and str(_first(source)) in card


def test_faults_of_the_json_are_never_tolerated(source, tmp_path, capsys):
  coco_exports.spoil(source, 'annotations', 0, keypoints=[1, 2, 2])
  arguments = ['coco_hands', '--source', str(source), '--max-bad', '9']
  message = readers.failure(arguments, tmp_path / 'out', capsys)
  assert 'annotation 10: keypoints has the shape (3,)' in message
