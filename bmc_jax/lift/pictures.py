"""The pictures that keypoints are from: to find hands in, and to draw hands on."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bmc_jax.console.errors import warn
from bmc_jax.console.tables import shorten
from bmc_jax.data import crops
from bmc_jax.lift.files import KeypointFile
from bmc_jax.lift.lifter import LiftedHands
from bmc_jax.lift.results import Results, shown_rows
from bmc_jax.predict import media
from bmc_jax.predict.detector import HandDetector
from bmc_jax.predict.media import Frame, Unreadable
from bmc_jax.predict.overlays import OverlayFiles

_PICTURE = 480  # px, side of the largest picture on the page


def detect_keypoints(
  files: Sequence[Path], detector: HandDetector, progress: Callable[[int], object]
) -> KeypointFile:
  """The hands that a detector finds in images and videos.

  Args:
    files: of `media.find_files`.
    detector: that finds them.
    progress: is called with the number of pictures that are done.

  Raises:
    ValueError: it finds none.
  """
  keypoints, is_right, frames, sizes, notes = [], [], [], [], []
  empty = 0
  for frame in media.read_frames(files):
    if isinstance(frame, Unreadable):
      notes.append(f'{frame.name} left out: {frame.reason.rstrip(".")}')
      progress(frame.count)
      continue
    hands = detector.landmarks(frame.image)
    empty += not hands
    for points, right in hands:
      keypoints.append(points)
      is_right.append(right)
      frames.append(frame.name)
      sizes.append(frame.image.shape[1::-1])
    progress(1)
  if not keypoints:
    raise ValueError(
      f'The detector finds no hand in {shorten([f.name for f in files])}.'
    )
  if empty:
    notes.append(f'{empty} pictures without a hand')
  count = len(keypoints)
  return KeypointFile(
    keypoints_2d=np.array(keypoints, np.float64),
    confidence=np.ones((count, 21)),
    is_right=np.array(is_right, np.int8),
    frames=tuple(frames),
    image_sizes=np.array(sizes, np.float64),
    bbox=np.full((count, 4), np.nan),
    person=(None,) * count,
    own_3d=np.full((count, 21, 3), np.nan),
    form='detector',
    notes=tuple(notes),
  )


class Pictures:
  """Images or a video on which lifted hands are drawn."""

  def __init__(self, files: Sequence[Path], found: KeypointFile):
    """Compares the names of the files with those in the file of keypoints.

    Args:
      files: of `media.find_files`.
      found: whose `frames` name them, with or without their endings, or number them.
    """
    self._files = files
    if any(isinstance(frame, int) for frame in found.frames):
      videos = [file for file in files if media.is_video(file)]
      if len(videos) > 1:
        warn(f'hands that are numbered are drawn on {videos[0].name} alone.')

  def draw(
    self, folder: Path, results: Results
  ) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Draws all hands on their pictures.

    Args:
      folder: of the overlays.
      results: the hands.

    Returns:
      By row, for hands on the page, the picture around each and its camera.
    """
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(results.frames):
      rows_of.setdefault(str(name), []).append(row)
    shown, cut, drawn = set(shown_rows(results)), {}, 0
    overlays = OverlayFiles(folder)
    try:
      for frame in media.read_frames(self._files):
        if isinstance(frame, Unreadable):
          continue
        rows = next((rows_of[key] for key in _names(frame) if key in rows_of), [])
        drawn += len(rows)
        overlays.add(frame, [results.hands.keypoints_2d[row] for row in rows])
        for row in shown.intersection(rows):
          hand = LiftedHands(*(field[row] for field in results.hands))
          cut[row] = _cut_picture(frame, hand)
      overlays.close()
    finally:
      overlays.discard()
    if drawn < len(results.frames):
      warn(
        f'{len(results.frames) - drawn} of {len(results.frames)} hands have no picture '
        f'among those given ({shorten([file.name for file in self._files])}).'
      )
    return cut


def _names(frame: Frame) -> Iterator[str]:
  """What a file of keypoints may call a picture, the surest names first."""
  yield frame.name
  yield str(frame.path)
  if frame.number is not None:
    yield str(frame.number)
    return
  yield frame.path.name
  yield frame.path.stem
  if found := re.search(r'(\d+)\D*$', frame.path.stem):
    yield str(int(found[1]))


def _cut_picture(
  frame: Frame, hand: LiftedHands, *, around: float = 1.6
) -> tuple[np.ndarray, np.ndarray]:
  """The part of a frame around one hand, and its camera.

  Args:
    frame: the picture.
    hand: of it, fields without a leading dimension.
    around: side of the part, in sizes of the hand.
  """
  points = hand.keypoints_2d
  box = np.concatenate([points.min(axis=0), points.max(axis=0)])
  side = int(np.clip(np.ceil(around * np.max(box[2:] - box[:2])), 64, _PICTURE))
  cut = crops.crop_to_hand(
    {
      'sample_id': frame.name,
      'image': frame.image,
      'keypoints_2d': points.astype(np.float32),
      'visibility': np.ones(21, np.float32),
      'intrinsics': hand.intrinsics.astype(np.float32),
    },
    side,
    box,
    scale=around,
  )
  return cut['image'], cut['intrinsics']
