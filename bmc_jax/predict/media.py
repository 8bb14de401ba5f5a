"""What is predicted: images, folders of images, and videos, frame by frame."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from bmc_jax.console import warn
from bmc_jax.console.files import natural_key
from bmc_jax.console.tables import counted, shorten
from bmc_jax.data import image_headers, images

IMAGES = ('.jpg', '.jpeg', '.png')
VIDEOS = (
  *('.mp4', '.mov', '.avi', '.mkv', '.webm', '.m4v', '.mts', '.m2ts', '.3gp', '.mpg'),
  *('.mpeg', '.wmv', '.gif'),
)
_USUAL_RATE = 30.0
_WHOLE = 0.75  # share of the frames: headers count those that an edit cuts off, too


class Place(NamedTuple):
  """An image, or a frame of a video.

  Attributes:
    path: of the file.
    number: of the frame, from 0; None for an image.
  """

  path: Path
  number: int | None = None


@dataclasses.dataclass(frozen=True)
class Frame:
  """An image, or one of a video.

  Attributes:
    name: the file's, and of a video also the number of the frame: `wave.mp4#12`.
    path: of the file.
    image: (H, W, 3) uint8 RGB, upright.
    intrinsics: (3, 3) guessed from the focal length in its EXIF data, or else None.
    number: of the frame, from 0; None for an image.
    seconds: since the video's first frame, by their times of presentation; None for an
      image.
  """

  name: str
  path: Path
  image: np.ndarray
  intrinsics: np.ndarray | None = None
  number: int | None = None
  seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Unreadable:
  """What could not be read, and why.

  Attributes:
    name: of the file or frame.
    reason: a sentence, or what one would say of it.
    count: of the images that it stands for.
  """

  name: str
  reason: str
  count: int = 1


def find_files(inputs: Sequence[str]) -> list[Path]:
  """The images and videos that are named, and those in folders that are.

  Those of a folder are sorted by the numbers in their names (1, 2, 10); so are files
  that are given in the order of their letters, as a shell lists them (1, 10, 2).

  Raises:
    FileNotFoundError: an input does not exist.
    ValueError: a file is neither, or a folder holds none.
  """
  files: list[Path] = []
  for text in inputs:
    path = Path(text).expanduser()
    if path.is_dir():
      inside = [p for p in path.iterdir() if is_image(p) or is_video(p)]
      inside.sort(key=natural_key)
      _tell_others(path, inside)
      if not inside:
        raise ValueError(
          f'{path} holds no image and no video ({", ".join(IMAGES + VIDEOS)}); folders '
          'in it are not searched.'
        )
      files += inside
    elif not path.exists():
      raise FileNotFoundError(f'There is no file or folder {path}.')
    elif not (is_image(path) or is_video(path)):
      raise ValueError(
        f'{path} is no image and no video: its name must end in one of '
        f'{", ".join(IMAGES + VIDEOS)}.'
      )
    else:
      files.append(path)
  files = list(dict.fromkeys(files))
  if files == sorted(files, key=str):
    files.sort(key=natural_key)
  return files


def _tell_others(folder: Path, inside: Sequence[Path]) -> None:
  """Says which files of a folder are not looked at."""
  others = {p for p in folder.iterdir() if p.is_file() and not p.name.startswith('.')}
  if left := sorted(path.name for path in others - set(inside)):
    warn(
      f'{folder}: {counted(len(left), "file")} left out, by name no image and no '
      f'video: {shorten(left)}.'
    )


def is_image(path: Path) -> bool:
  """Whether a name is that of an image."""
  return path.suffix.lower() in IMAGES


def is_video(path: Path) -> bool:
  """Whether a name is that of a video."""
  return path.suffix.lower() in VIDEOS


def count_frames(files: Sequence[Path]) -> int:
  """How many frames `read_frames` gives, as far as the videos' headers tell."""
  counts = [1 if is_image(file) else round(_open(file)[1]) for file in files]
  return sum(max(count, 1) for count in counts)


def picture_size(file: Path) -> tuple[int, int] | None:
  """Width and height of an image or a video, upright; None if it is damaged."""
  if is_video(file):
    video, *_ = _open(file)
    there, image = video.read()  # headers do not tell of rotations
    video.release()
    return (image.shape[1], image.shape[0]) if there else None
  try:
    encoded = images.read_header(file.read_bytes(), file.name)
    header = image_headers.describe(encoded, file.name)
  except (ValueError, OSError):
    return None
  return header.width, header.height


def frame_rate(video: Path) -> float:
  """Frames per second by a video's header; 30 where it does not tell."""
  return _open(video)[2]


def read_frames(files: Sequence[Path]) -> Iterator[Frame | Unreadable]:
  """Decodes one frame after the other."""
  for file in files:
    if is_image(file):
      yield _read_image(file)
    else:
      yield from _read_video(file)


def _read_image(file: Path) -> Frame | Unreadable:
  try:
    encoded = file.read_bytes()
    image = images.decode(encoded, file.name)
    header = image_headers.describe(images.read_header(encoded, file.name), file.name)
  except (ValueError, OSError) as error:
    return Unreadable(file.name, str(error))
  known = header.focal_length is not None
  intrinsics = image_headers.guess_intrinsics(header) if known else None
  return Frame(file.name, file, image, intrinsics)


def _read_video(file: Path) -> Iterator[Frame | Unreadable]:
  video, promised, rate = _open(file)
  number, first, seconds = 0, 0.0, 0.0
  while True:
    there, image = video.read()
    if not there:
      break
    told = video.get(cv2.CAP_PROP_POS_MSEC) / 1e3
    if not number:
      first = told
    elif told - first > seconds:
      seconds = told - first
    else:  # the file has no times, or wrong ones
      seconds += 1 / rate
    yield Frame(
      f'{file.name}#{number}',
      file,
      cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
      number=number,
      seconds=seconds,
    )
    number += 1
  video.release()
  if not number:
    yield Unreadable(file.name, f'{file.name} cannot be decoded as a video.')
  elif missing := _count_missing(file, number, round(promised), seconds * rate):
    yield Unreadable(
      file.name,
      f'the file ends early, {number} of {number + missing} frames can be read; get a '
      'complete copy.',
      missing,
    )


def _count_missing(file: Path, number: int, promised: int, end: float) -> int:
  """How many frames a video lacks that its header promises.

  Headers count frames that an edit has cut off, and guess the number from the mean
  rate, so that a few less are no loss, unless the file itself is cut off.

  Args:
    file: the video.
    number: of the frames that were read.
    promised: by the header.
    end: number of frames until the last one at the header's rate.
  """
  if number >= promised:
    return 0
  short = max(number, end) < _WHOLE * promised
  return promised - number if short or _is_cut_off(file) else 0


def _is_cut_off(file: Path) -> bool:
  """Whether an MP4, QuickTime or AVI file is shorter than its parts say."""
  size = file.stat().st_size
  with file.open('rb') as opened:
    head = opened.read(12)
    if head.startswith(b'RIFF'):
      return 8 + int.from_bytes(head[4:8], 'little') > size
    end = 0 if head[4:8] == b'ftyp' else size
    while end < size:
      opened.seek(end)
      length = int.from_bytes(opened.read(4))
      if length == 1:
        length = int.from_bytes(opened.read(12)[4:])
      if length < 8:  # 0 reaches to the end
        return False
      end += length
  return end > size


def _open(file: Path) -> tuple[cv2.VideoCapture, float, float]:
  """A video, the number of its frames and how many there are in a second."""
  images.silence_opencv()
  video = cv2.VideoCapture(str(file))
  count, rate = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
  return video, count, rate if np.isfinite(rate) and rate > 0 else _USUAL_RATE
