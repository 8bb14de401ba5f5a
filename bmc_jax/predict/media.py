"""What is predicted: images, folders of images, and videos, frame by frame."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from bmc_jax.data import image_headers, images

IMAGES = ('.jpg', '.jpeg', '.png')
VIDEOS = ('.mp4', '.mov', '.avi', '.mkv', '.webm', '.m4v')


@dataclasses.dataclass(frozen=True)
class Frame:
  """An image, or one of a video.

  Attributes:
    name: the file's, and of a video also the number of the frame: `wave.mp4#12`.
    path: of the file.
    image: (H, W, 3) uint8 RGB, upright.
    intrinsics: (3, 3) guessed from the focal length in its EXIF data, or else None.
    number: of the frame, from 0; None for an image.
    seconds: since the video's start; None for an image.
  """

  name: str
  path: Path
  image: np.ndarray
  intrinsics: np.ndarray | None = None
  number: int | None = None
  seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Unreadable:
  """What could not be read, and why."""

  name: str
  reason: str


def find_files(inputs: Sequence[str]) -> list[Path]:
  """The images and videos that are named, and those in folders that are, sorted.

  Raises:
    FileNotFoundError: an input does not exist.
    ValueError: a file is neither, or a folder holds none.
  """
  files: list[Path] = []
  for text in inputs:
    path = Path(text).expanduser()
    if path.is_dir():
      inside = sorted(p for p in path.iterdir() if is_image(p) or is_video(p))
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
  return list(dict.fromkeys(files))


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


def frame_rate(video: Path) -> float:
  """Frames per second of a video; 30 where it does not tell."""
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
  video, _, rate = _open(file)
  number = 0
  while True:
    there, image = video.read()
    if not there:
      break
    yield Frame(
      f'{file.name}#{number}',
      file,
      cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
      number=number,
      seconds=number / rate,
    )
    number += 1
  video.release()
  if not number:
    yield Unreadable(file.name, f'{file.name} cannot be decoded as a video.')


def _open(file: Path) -> tuple[cv2.VideoCapture, float, float]:
  """A video, the number of its frames and how many there are in a second."""
  video = cv2.VideoCapture(str(file))
  count, rate = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
  return video, count, rate if np.isfinite(rate) and rate > 0 else 30.0
