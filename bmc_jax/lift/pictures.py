"""The pictures that keypoints are from: to find hands in, and to draw hands on."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bmc_jax.console.errors import warn
from bmc_jax.console.tables import counted, shorten
from bmc_jax.lift.files import KeypointFile
from bmc_jax.lift.results import Results, shown_rows
from bmc_jax.predict import media
from bmc_jax.predict.detector import HandDetector
from bmc_jax.predict.media import Place, Unreadable
from bmc_jax.predict.overlays import OverlayFiles
from bmc_jax.predict.views import cut_picture

_AROUND = 1.6  # side of a picture on the page, in sizes of the hand


def detect_keypoints(
  files: Sequence[Path], detector: HandDetector, progress: Callable[[int], object]
) -> KeypointFile:
  """The hands that a detector finds in images and videos.

  Args:
    files: of `media.find_files`.
    detector: that finds them.
    progress: is called with the number of pictures that are done.

  Returns:
    The hands, by names that `Pictures` finds again.

  Raises:
    ValueError: it finds none.
  """
  keypoints, is_right, frames, sizes, notes = [], [], [], [], []
  empty = 0
  is_unique = len({file.name for file in files}) == len(files)
  for frame in media.read_frames(files):
    if isinstance(frame, Unreadable):
      notes.append(f'{frame.name} left out: {frame.reason.rstrip(".")}')
      progress(frame.count)
      continue
    hands = detector.landmarks(frame.image)
    empty += not hands
    name = frame.name if is_unique else f'{frame.path.parent / frame.name}'
    for points, right in hands:
      keypoints.append(points)
      is_right.append(right)
      frames.append(name)
      sizes.append(frame.image.shape[1::-1])
    progress(1)
  if not keypoints:
    raise ValueError(
      f'The detector finds no hand in {shorten([f.name for f in files])}.'
    )
  if empty:
    notes.append(f'{counted(empty, "picture")} without a hand')
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


def is_of_pictures(path: Path) -> bool:
  """Whether this is an image or a video, or a folder of them and of no keypoints."""
  if not path.is_dir():
    return media.is_image(path) or media.is_video(path)
  inside = list(path.iterdir())
  return any(media.is_image(file) or media.is_video(file) for file in inside) and all(
    file.suffix.lower() != '.json' for file in inside
  )


class Pictures:
  """Images or a video, found by the names and numbers in files of keypoints."""

  def __init__(self, files: Sequence[Path]):
    """Takes the files of `media.find_files`."""
    self._files = files
    self._videos = [file for file in files if media.is_video(file)]
    self._sizes: dict[Path, tuple[float, float] | None] = {}
    # By name; None where several files have it.
    self._named: dict[str, Path | None] = {}
    self._numbered: dict[int, Path | None] = {}
    for file in files:
      for name in {str(file), file.name, file.stem}:
        self._named[name] = None if name in self._named else file
      found = re.search(r'(\d+)\D*$', file.stem)
      if found and media.is_image(file):
        number = int(found[1])
        self._numbered[number] = None if number in self._numbered else file

  def place(self, name: int | str) -> Place | None:
    """The picture that a file of keypoints calls so.

    Args:
      name: of the file, with or without folders and ending, of a video's frame
        (`wave.mp4#12`), or a number: of the one video's frame, or the last one in the
        name of an image.

    Raises:
      ValueError: it is a number, and there are several videos.
    """
    if isinstance(name, int):
      if len(self._videos) > 1:
        raise ValueError(
          f'Hands are told by numbers of pictures, but {len(self._videos)} videos are '
          'given: give the one that they are from.'
        )
      if self._videos:
        return Place(self._videos[0], name)
      image = self._numbered.get(name)
      return Place(image, None) if image else None
    base, mark, number = name.rpartition('#')
    if mark and number.isdecimal() and (video := self._find(base)):
      return Place(video, int(number)) if media.is_video(video) else None
    file = self._find(name)
    return Place(file, None) if file and media.is_image(file) else None

  def _find(self, name: str) -> Path | None:
    """A file by its path, name or stem, the surest first."""
    path = Path(name)
    known = (self._named.get(key) for key in (name, path.name, path.stem))
    return next(filter(None, known), None)

  def place_of(self, name: int | str) -> Place:
    """The picture, or, where it is not among the files, what its name says of it."""
    if place := self.place(name):
      return place
    base, mark, number = str(name).rpartition('#')
    if mark and number.isdecimal() and media.is_video(Path(base)):
      return Place(Path(base), int(number))
    return Place(Path(str(name)))

  def size_of(self, name: int | str) -> tuple[float, float] | None:
    """Width and height of a picture; None where there is none, or it is damaged."""
    place = self.place(name)
    if place is None:
      return None
    if place.path not in self._sizes:
      self._sizes[place.path] = media.picture_size(place.path)
    return self._sizes[place.path]

  def frame_rate(self) -> float | None:
    """Of the one video; None where there is none, or several."""
    return media.frame_rate(self._videos[0]) if len(self._videos) == 1 else None

  def check_sizes(self, found: KeypointFile) -> None:
    """Raises a ValueError if keypoints are those of pictures of another size."""
    for name, told in zip(found.frames, found.image_sizes.tolist(), strict=True):
      size = self.size_of(name)
      if size and np.isfinite(told).all() and size != tuple(told):
        raise ValueError(
          f'The picture of {name!r} has {size[0]:g} x {size[1]:g} pixels, but its '
          f'keypoints are told to be of {told[0]:g} x {told[1]:g}: give the pictures '
          'that they were found in.'
        )

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
    rows_of: dict[Place | None, list[int]] = {}
    for row, name in enumerate(results.frames):
      rows_of.setdefault(self.place(name), []).append(row)
    shown, cut, drawn = set(shown_rows(results)), {}, 0
    overlays = OverlayFiles(folder)
    try:
      for frame in media.read_frames(self._files):
        if isinstance(frame, Unreadable):
          continue
        rows = rows_of.get(Place(frame.path, frame.number), [])
        drawn += len(rows)
        overlays.add(frame, [results.hands.keypoints_2d[row] for row in rows])
        for row in shown.intersection(rows):
          points = results.hands.keypoints_2d[row]
          box = np.concatenate([points.min(axis=0), points.max(axis=0)])
          cut[row] = cut_picture(
            frame.name,
            frame.image,
            results.hands.intrinsics[row],
            box,
            side=_AROUND * np.max(box[2:] - box[:2]),
            scale=_AROUND,
          )
      overlays.close()
    finally:
      overlays.discard()
    if drawn < len(results.frames):
      warn(
        f'{len(results.frames) - drawn} of {len(results.frames)} hands have no picture '
        f'among those given ({shorten([file.name for file in self._files])}).'
      )
    return cut
