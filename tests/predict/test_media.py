"""Inputs in their order, and the frames of videos at their times."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from bmc_jax.predict import media
from bmc_jax.predict.media import Frame, Unreadable
from bmc_jax.predict.overlays import OverlayFiles
from bmc_jax.predict.smoothing import OneEuroFilter
from tests.fixtures.session import ROOT

VARIABLE = [0, 1 / 30, 2 / 30, 3 / 30, 0.6, 1.1]


def write_video(path, codec='MJPG', count=8):
  rng = np.random.default_rng(0)
  size = 32, 24
  video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25.0, size)
  for _ in range(count):
    video.write(rng.integers(0, 255, (24, 32, 3), np.uint8))
  video.release()
  return path


class Capture:
  """OpenCV's capture of a video whose header promises `promised` frames."""

  def __init__(self, seconds, promised, rate):
    self._seconds, self._next = seconds, 0
    self._told = {cv2.CAP_PROP_FRAME_COUNT: promised, cv2.CAP_PROP_FPS: rate}

  def read(self):
    there = self._next < len(self._seconds)
    self._next += there
    return there, np.zeros((24, 32, 3), np.uint8) if there else None

  def get(self, what):
    return self._told.get(what, 1e3 * self._seconds[self._next - 1])

  def release(self):
    pass


@pytest.fixture
def read_video(tmp_path, monkeypatch):
  def read(seconds, promised=6, rate=6.0):
    path = tmp_path / 'video.mkv'
    path.write_bytes(b'any')
    capture = Capture(seconds, promised, rate)
    monkeypatch.setattr(media.cv2, 'VideoCapture', lambda _: capture)
    return list(media.read_frames([path]))

  return read


def test_files_are_in_the_order_of_their_numbers(tmp_path, capsys):
  names = ['1.jpg', '2.jpg', '10.jpg']
  for name in (*names, 'notes.txt', 'K.json', '.hidden'):
    (tmp_path / name).touch()
  paths = [tmp_path / name for name in names]
  assert media.find_files([str(tmp_path)]) == paths
  told = capsys.readouterr().err
  assert '2 files left out, by name no image and no video: K.json' in told
  assert 'K.json, notes.txt' in told
  by_letters = sorted(map(str, paths))
  assert media.find_files(by_letters) == paths
  own = [str(paths[i]) for i in (2, 0, 1)]
  assert media.find_files(own) == [paths[i] for i in (2, 0, 1)]


@pytest.mark.parametrize(
  ('told', 'seconds'),
  [
    (VARIABLE, VARIABLE),
    ([t + 1.5 for t in VARIABLE], VARIABLE),
    ([0] * 6, [i / 6 for i in range(6)]),
    ([0, 0.5, 0.4, 1.0, 1.2, 1.4], [0, 0.5, 0.5 + 1 / 6, 1.0, 1.2, 1.4]),
  ],
)
def test_frames_have_the_times_at_which_they_are_shown(read_video, told, seconds):
  frames = read_video(told)
  np.testing.assert_allclose([frame.seconds for frame in frames], seconds, atol=1e-9)


@pytest.mark.parametrize(
  ('count', 'promised', 'rate', 'missing'),
  [(6, 6, 6.0, 0), (4, 6, 6.0, 2), (5, 6, 6.0, 0), (6, 30, 26.0, 0), (2, 30, 26.0, 28)],
)
def test_a_video_that_ends_early_is_told(read_video, count, promised, rate, missing):
  *frames, last = read_video(VARIABLE[:count], promised, rate)
  if not missing:
    assert isinstance(last, Frame)
    return
  assert len(frames) == count and last.count == missing
  assert f'ends early, {count} of {promised} frames can be read' in last.reason


def test_a_file_that_is_cut_off_is_told_by_its_length(tmp_path):
  whole = write_video(tmp_path / 'whole.avi', count=20)
  assert all(isinstance(frame, Frame) for frame in media.read_frames([whole]))
  cut = tmp_path / 'cut.avi'
  cut.write_bytes(whole.read_bytes()[: int(0.9 * whole.stat().st_size)])
  *frames, last = media.read_frames([cut])
  assert isinstance(last, Unreadable) and 0 < len(frames) < 20
  assert f'{len(frames)} of 20 frames' in last.reason
  mp4 = write_video(tmp_path / 'whole.mp4', 'mp4v')
  assert not media._is_cut_off(mp4)
  mp4.write_bytes(mp4.read_bytes()[:-9])
  assert media._is_cut_off(mp4)


def test_a_video_that_was_filmed_upright_is_turned(tmp_path):
  path = write_video(tmp_path / 'video.mp4', 'mp4v', count=2)
  (lying, _) = media.read_frames([path])
  data = path.read_bytes()
  straight = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], '>i4').tobytes()
  turned = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], '>i4').tobytes()
  track = data.index(b'tkhd')
  at = data.index(straight, track)
  path.write_bytes(data[:at] + turned + data[at + len(turned) :])
  (upright, _) = media.read_frames([path])
  np.testing.assert_array_equal(upright.image, np.rot90(lying.image, -1))


def test_an_overlay_shows_frames_at_their_time(tmp_path):
  path = write_video(tmp_path / 'video.avi')  # of 25 frames a second
  overlays = OverlayFiles(tmp_path / 'overlays')
  for number, seconds in enumerate([0, 0.04, 0.4, 0.44]):
    image = np.full((24, 32, 3), 60 * number, np.uint8)
    overlays.add(Frame(f'video#{number}', path, image, None, number, seconds), [])
  overlays.close()
  video = cv2.VideoCapture(str(tmp_path / 'overlays' / 'video.mp4'))
  shown = [round(video.read()[1].mean() / 60) for _ in range(12)]
  assert shown == [0, *[1] * 9, 2, 3] and not video.read()[0]


def test_the_filter_takes_the_time_between_frames():
  rng = np.random.default_rng(0)
  ramp = np.cumsum(rng.uniform(0.005, 0.06, 60))
  moving = OneEuroFilter()
  followed = np.array(
    [moving(np.full((21, 3), 0.5 * seconds), seconds) for seconds in ramp]
  )
  # At a constant speed the filter lags by a constant time, however frames are spread.
  lag = ramp[30:] - followed[30:, 0, 0] / 0.5
  assert 0 < lag.mean() < 0.1 and np.ptp(lag) < 0.06
  with pytest.raises(ValueError, match='comes after'):
    moving(np.zeros((21, 3)), ramp[-1])


def test_damaged_files_are_told_in_our_words_alone(tmp_path):
  """In a process of its own: FFmpeg asks once how much it may say."""
  _, encoded = cv2.imencode('.png', np.zeros((99, 99, 3), np.uint8))
  (tmp_path / 'a.png').write_bytes(encoded.tobytes()[:60])
  (tmp_path / 'b.mp4').write_bytes(b'\0\0\0\x18ftypmp42' + bytes(300))
  program = (
    'import pathlib, sys\n'
    'from bmc_jax.predict import media\n'
    'for found in media.read_frames([pathlib.Path(p) for p in sys.argv[1:]]):\n'
    '  print(found.reason)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', program, tmp_path / 'a.png', tmp_path / 'b.mp4'],
    capture_output=True,
    text=True,
    cwd=ROOT,
  )
  image, video = done.stdout.splitlines()
  assert 'is cut off or damaged' in image and 'cannot be decoded' in video
  assert done.stderr == ''
