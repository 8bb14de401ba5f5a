"""Overlays: whole or as they were, and never in the place of an input."""

import dataclasses
import resource
from pathlib import Path

import cv2
import numpy as np
import pytest

from bmc_jax.predict.media import Frame
from bmc_jax.predict.overlays import OverlayFiles
from bmc_jax.predict.recorder import check_outputs

RNG = np.random.default_rng(0)


def _frames(count):
  for number in range(count):
    image = RNG.integers(0, 255, (64, 64, 3), np.uint8)
    yield Frame(f'wave.mp4#{number}', Path('wave.mp4'), image, number=number)


def _count(path):
  return cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)


def test_a_video_takes_the_place_of_another_when_it_is_whole(tmp_path):
  path = tmp_path / 'wave.mp4'
  for count, finish, expected in ((3, 'close', 3), (2, 'discard', 3), (4, 'close', 4)):
    files = OverlayFiles(tmp_path)
    for frame in _frames(count):
      files.add(frame, [])
    getattr(files, finish)()
    assert _count(path) == expected
    assert [file.name for file in tmp_path.iterdir()] == ['wave.mp4']


def test_a_video_that_finds_the_disk_full_is_told(tmp_path):
  path = tmp_path / 'wave.mp4'
  earlier = OverlayFiles(tmp_path)
  for frame in _frames(2):
    earlier.add(frame, [])
  earlier.close()
  before = path.read_bytes()
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  files = OverlayFiles(tmp_path)
  try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    for frame in _frames(9):
      files.add(frame, [])
    with pytest.raises(OSError, match='could not be written as a whole: make room'):
      files.close()
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  assert path.read_bytes() == before
  assert [file.name for file in tmp_path.iterdir()] == ['wave.mp4']


def test_inputs_are_not_written_over(tmp_path):
  out = tmp_path / 'out'
  photo = out / 'overlays' / 'a.jpg'
  with pytest.raises(ValueError, match='a.jpg lies where overlays are written'):
    check_outputs(out, [tmp_path / 'b.jpg', photo])
  check_outputs(out, [tmp_path / 'b.jpg'])
  out.mkdir()
  boxes = out / 'predictions.json'
  boxes.write_text('{"a.jpg": [1, 2, 3, 4]}')
  with pytest.raises(ValueError, match='is read, so it cannot be written'):
    check_outputs(out, [], [None, str(boxes)])
  with pytest.raises(ValueError, match='holds something else than predictions'):
    check_outputs(out, [])


def test_pictures_and_videos_of_others_are_not_written_over(tmp_path):
  overlays = tmp_path / 'overlays'
  overlays.mkdir()
  photo = Path('in/0.png')
  _, encoded = cv2.imencode('.jpg', next(_frames(1)).image)
  for name, source in (('0.jpg', photo), ('wave.mp4', Path('wave.mp4'))):
    path = overlays / name
    path.write_bytes(encoded.tobytes())  # a picture, but none of ours
    with pytest.raises(ValueError, match=f'{name} is there and holds something else'):
      check_outputs(tmp_path, [source])
    files = OverlayFiles(overlays)
    frame = next(_frames(1))
    if source == photo:
      frame = dataclasses.replace(frame, path=photo, number=None)
    with pytest.raises(ValueError, match='something else than overlays of predictions'):
      files.add(frame, [])
    assert path.read_bytes() == encoded.tobytes()
    path.unlink()
    for _ in range(2):  # our own may be
      files.add(frame, [])
      files.close()
    check_outputs(tmp_path, [source])
    seen = cv2.VideoCapture(str(path)) if name == 'wave.mp4' else None
    image = seen.read()[1] if seen else cv2.imread(str(path))
    assert image.shape == (64, 64, 3)
  second = Path('other/0.png')
  (overlays / '0_2.jpg').write_bytes(b'of another')
  with pytest.raises(ValueError, match='0_2.jpg is there'):
    check_outputs(tmp_path, [photo, second])
