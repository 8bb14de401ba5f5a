"""Images and videos with the predicted hands drawn on them, as files."""

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from bmc_jax.console.outputs import Kind, check_output, replacing
from bmc_jax.data import images
from bmc_jax.predict import media
from bmc_jax.predict.media import Frame

COLORS = ((224, 49, 49), (238, 138, 0), (43, 158, 68), (28, 126, 214), (156, 54, 181))
"""RGB of thumb, index, middle, ring and little finger, as on the pages."""

_CHAINS = np.concatenate(
  [np.zeros((5, 1), int), np.arange(1, 21).reshape(5, 4)], axis=1
)
_MARK = b'overlay of bmc_jax.predict'
_LONGEST_PAUSE = 10.0  # seconds for which a frame is repeated
_SHIFT = 4  # OpenCV draws at sixteenths of a pixel


def draw_hands(image: np.ndarray, hands: Iterable[np.ndarray]) -> np.ndarray:
  """A copy of an image with skeletons on it.

  Args:
    image: (H, W, 3) uint8 RGB.
    hands: of each (21, 2) keypoints in pixels; bones with an end that is not finite are
      left out.
  """
  image = image.copy()
  width = max(1, round(min(image.shape[:2]) / 160))
  for keypoints in hands:
    for chain, color in zip(_CHAINS, COLORS, strict=True):
      points = keypoints[chain]
      whole = np.isfinite(points).all(axis=1)
      # Far points would overflow; none of their bones is seen.
      fixed = (
        (np.clip(np.nan_to_num(points), -1e4, 1e4) * 2**_SHIFT).round().astype(int)
      )
      for outline, line in (((0, 0, 0), width + 2), (color, width)):
        for a, b in zip(range(4), range(1, 5), strict=True):
          if whole[a] and whole[b]:
            cv2.line(image, fixed[a], fixed[b], outline, line, cv2.LINE_AA, _SHIFT)
      for point in fixed[1:][whole[1:]]:
        radius = round(1.3 * width * 2**_SHIFT)
        cv2.circle(image, point, radius, color, cv2.FILLED, cv2.LINE_AA, _SHIFT)
  return image


class OverlayFiles:
  """Writes a picture for each image, and a video for each video.

  A video has the rate of the input's header. Where frames of the input are further
  apart, they are repeated, so that they are seen at their time.
  """

  def __init__(self, folder: Path):
    """Makes the folder when the first file is written."""
    self._folder = folder
    self._names: dict[Path, str] = {}
    self._video: _Video | None = None

  def add(self, frame: Frame, keypoints: Sequence[np.ndarray]) -> None:
    """Writes a frame under its hands, each (21, 2) px; frames of a video in order.

    Raises:
      OSError: a file cannot be written.
    """
    image = draw_hands(frame.image, keypoints)
    if frame.number is None:
      encoded = images.encode(image, 'jpeg')
      comment = b'\xff\xfe' + (len(_MARK) + 2).to_bytes(2) + _MARK
      with replacing(self._path(frame.path), _OVERLAYS) as partial:
        partial.write_bytes(encoded[:2] + comment + encoded[2:])
      return
    if self._video is None or self._video.source != frame.path:
      self.close()
      self._video = _Video(self._path(frame.path), frame)
    self._video.add(image, frame.seconds or 0.0)

  def close(self) -> None:
    """Finishes the video that is being written.

    Raises:
      OSError: it is not whole.
    """
    video, self._video = self._video, None
    if video:
      video.close()

  def discard(self) -> None:
    """Leaves a video that is being written as it was before, after an error."""
    if self._video:
      self._video.discard()
    self._video = None

  def check(self, files: Iterable[Path]) -> None:
    """Raises a ValueError if an overlay cannot be written, or an input lies there."""
    for file in files:
      if os.path.realpath(file.parent) == os.path.realpath(self._folder):
        raise ValueError(
          f'{file} lies where overlays are written: give another folder with --out.'
        )
      check_output(self._path(file), _OVERLAYS)

  def _path(self, path: Path) -> Path:
    """A file's overlay; files of one name from two folders get two."""
    if path not in self._names:
      taken, name, number = set(self._names.values()), path.stem, 1
      while name in taken:
        number += 1
        name = f'{path.stem}_{number}'
      self._names[path] = name
    ending = '.jpg' if media.is_image(path) else '.mp4'
    return self._folder / f'{self._names[path]}{ending}'


def _is_overlay(path: Path) -> bool:
  """Whether a picture or a video bears the mark of those that are written here."""
  with path.open('rb') as file:
    if _MARK in file.read(100):
      return True
    file.seek(max(path.stat().st_size - len(_MARK), 0))
    return file.read() == _MARK


_OVERLAYS = Kind('overlays of predictions', ('.jpg', '.mp4'), _is_overlay)


class _Video:
  """A video that is written frame by frame, and gets its name when it is whole."""

  def __init__(self, path: Path, frame: Frame):
    self.source = frame.path
    self._path, self._count = path, 0
    self._last = np.zeros((0, 0, 3), np.uint8)
    self._stack = contextlib.ExitStack()
    self._partial = self._stack.enter_context(replacing(path, _OVERLAYS))
    height, width = frame.image.shape[:2]
    codec = cv2.VideoWriter.fourcc(*'mp4v')
    self._rate = media.frame_rate(frame.path)
    self._writer = cv2.VideoWriter(
      str(self._partial), codec, self._rate, (width, height)
    )
    if not self._writer.isOpened():
      self.discard()
      raise OSError(f'The video {path} cannot be written.')

  def add(self, image: np.ndarray, seconds: float) -> None:
    """Writes an image to be seen so many seconds after the start."""
    image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    repeats = round(seconds * self._rate) - self._count
    for _ in range(min(repeats, round(_LONGEST_PAUSE * self._rate))):
      self._write(self._last if self._count else image)
    self._write(image)

  def _write(self, image: np.ndarray) -> None:
    self._writer.write(image)
    self._count, self._last = self._count + 1, image

  def close(self) -> None:
    with self._stack:
      self._writer.release()
      # OpenCV says nothing of frames that found no room on the disk.
      written = cv2.VideoCapture(str(self._partial)).get(cv2.CAP_PROP_FRAME_COUNT)
      if written < self._count:
        raise OSError(
          f'The video {self._path} could not be written as a whole: make room and run '
          'the same command again.'
        )
      with self._partial.open('ab') as file:  # a box that players pass over
        file.write((8 + len(_MARK)).to_bytes(4) + b'free' + _MARK)

  def discard(self) -> None:
    with contextlib.suppress(InterruptedError), self._stack:
      self._writer.release()
      raise InterruptedError
