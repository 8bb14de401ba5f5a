"""Files of 2D hand keypoints from any detector, dataset or annotation tool.

What a file holds is told by its content, not by the name of a tool. The forms stand in
docs/keypoint_files.md.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.files import natural_key
from bmc_jax.joint_files import json_text
from bmc_jax.joint_files.reading import DAMAGE, agreed_order
from bmc_jax.lift.files import arrays, coco, landmarks, people, pixels, tables
from bmc_jax.lift.files import content as content_lib
from bmc_jax.lift.files.content import Content, Hand

_ENDINGS = ('.json', '.csv', '.npy', '.npz')
_NUMBERED = re.compile(r'(.*?)_?(\d+)(_keypoints)?')


class KeypointFile(NamedTuple):
  """The hands of a file, in its order; those without any keypoint are left out.

  Attributes:
    keypoints_2d: (N, 21, 2) float64 canonical, pixels of the picture; the centre of the
      first pixel is (0, 0). Missing ones are 0, 0.
    confidence: (N, 21) from 0, missing, to 1.
    is_right: (N,) int8: 1 right, 0 left, -1 not told. MediaPipe names the sides of a
      mirrored picture in some versions; they are as the file tells.
    frames: N names or numbers of the hands' pictures.
    image_sizes: (N, 2) width and height of the pictures in pixels, NaN if not told.
    bbox: (N, 4) left, top, right, bottom in pixels, NaN if not told.
    person: N names or numbers of persons, hands or tracks, None if not told.
    own_3d: (N, 21, 3) the 3D hands that MediaPipe gives beside its landmarks, metres;
      NaN where there are none.
    form: whose file it is: MediaPipe, OpenPose, mmpose, COCO, COCO results, JSON, CSV
      or NumPy.
    notes: what of the file was left out, or guessed.
    doubts: what the keypoints contradict, in sentences without a full stop.
  """

  keypoints_2d: np.ndarray
  confidence: np.ndarray
  is_right: np.ndarray
  frames: tuple[int | str, ...]
  image_sizes: np.ndarray
  bbox: np.ndarray
  person: tuple[int | str | None, ...]
  own_3d: np.ndarray
  form: str
  notes: tuple[str, ...] = ()
  doubts: tuple[str, ...] = ()


def read_keypoints(
  path: str | os.PathLike,
  *,
  order: str | None = None,
  image_size: tuple[float, float] | None = None,
  size_of: Callable[[int | str], tuple[float, float] | None] | None = None,
) -> KeypointFile:
  """Reads 2D hand keypoints from a file, or from a folder of one JSON file a picture.

  Args:
    path: of the file or the folder.
    order: joint order, a key of `skeleton.JOINT_ORDERS`; None takes the one that names
      of joints or the file tell, or else the canonical one.
    image_size: width and height in pixels of pictures of which the file tells none.
    size_of: tells them by the name or number of a picture, where neither does.

  Raises:
    FileNotFoundError: there is no such file or folder.
    ValueError: it has another form, holds no hand, or what it holds are no 2D keypoints
      in pixels or in shares of a picture of known size.
  """
  place = Path(path).expanduser()
  if not place.exists():
    raise FileNotFoundError(f'There is no file or folder of keypoints {path}.')
  try:
    given = None if image_size is None else content_lib.as_size(image_size)
    content = _read_folder(place) if place.is_dir() else _read_file(place)
    if given is None and size_of is not None:
      content = _with_sizes(content, size_of)
    return _finish(content, order, given)
  except RecursionError:
    raise ValueError(f'{path}: its lists are nested too deeply to be hands.') from None
  except ValueError as error:
    raise ValueError(f'{path}: {str(error).rstrip(".")}.') from error
  except DAMAGE as error:
    raise ValueError(f'{path}: the file is damaged, or no {place.suffix}.') from error


def _read_file(file: Path) -> Content:
  ending = file.suffix.lower()
  if ending not in _ENDINGS:
    raise ValueError(f'keypoints are read from {", ".join(_ENDINGS)} files, or folders')
  if not file.stat().st_size:
    raise ValueError('the file is empty')
  if ending == '.csv':
    return tables.read_csv(file)
  if ending != '.json':
    return arrays.read_numpy(file)
  content = _read_json(json_text.load(file))
  if any(hand.frame is not None for hand in content.hands):
    return content
  (name,) = _names([file])
  return content._replace(hands=[hand._replace(frame=name) for hand in content.hands])


def _read_json(content: Any) -> Content:
  """Hands by the form that the content has."""
  if isinstance(content, dict) and isinstance(content.get('people'), list):
    return people.read_openpose(content)
  if coco.is_coco(content):
    return coco.read_coco(content)
  if people.is_mmpose(content):
    return people.read_mmpose(content)
  if people.is_coco_results(content):
    return people.read_coco_results(content)
  return landmarks.read_landmarks(content)


def _read_folder(folder: Path) -> Content:
  """The hands of all JSON files, whose names are those of the pictures."""
  files = sorted((f for f in folder.iterdir() if _is_json(f)), key=natural_key)
  if not files:
    raise ValueError('the folder holds no .json file')
  contents = []
  for file in files:
    try:
      contents.append(_read_json(json_text.load(file)))
    except ValueError as error:
      raise ValueError(f'{file.name}: {error}') from error
  first = contents[0]
  for file, content in zip(files, contents, strict=True):
    if content.hands and first.hands and content[2:4] != first[2:4]:
      raise ValueError(f'{files[0].name} and {file.name} tell different joint orders')
    if content.hands and not first.hands:
      first = content
  hands = [
    hand._replace(frame=_inside(name, hand.frame))
    for name, content in zip(_names(files), contents, strict=True)
    for hand in content.hands
  ]
  blank = sum(not content.hands for content in contents)
  notes = [note for content in contents for note in content.notes]
  if blank:
    notes.insert(0, f'{blank} of {len(files)} pictures without a hand')
  return first._replace(hands=hands, notes=tuple(dict.fromkeys(notes)))


def _with_sizes(content: Content, size_of) -> Content:
  """Fills in the sizes of pictures of which the file tells none."""
  hands = [
    hand
    if hand.size
    else hand._replace(size=size_of(number if hand.frame is None else hand.frame))
    for number, hand in enumerate(content.hands)
  ]
  return content._replace(hands=hands)


def _is_json(file: Path) -> bool:
  return file.suffix.lower() == '.json' and not file.name.startswith('.')


def _names(files: Sequence[Path]) -> list[int | str]:
  """Of pictures: the numbers of a video's frames, or the names without `_keypoints`."""
  found = [_NUMBERED.fullmatch(file.stem) for file in files]
  videos = {match[1] for match in found if match}
  of_video = all(match and match[3] for match in found) and len(videos) == 1
  if of_video:
    return [int(match[2]) for match in found if match]
  return [file.stem.removesuffix('_keypoints') for file in files]


def _inside(name: int | str, frame: int | str | None) -> int | str:
  """A picture of a file in a folder; the only one has the file's name."""
  return name if frame is None or frame == 0 else f'{name}#{frame}'


def _finish(
  content: Content, order: str | None, given: tuple[float, float] | None
) -> KeypointFile:
  """Brings hands into the canonical order and into pixels, and marks missing ones."""
  agreed = agreed_order(order, content.order)
  if content.unclear and order is None:
    raise ValueError(f'{content.unclear}, or tell their order with --order')
  hands = content.hands
  if not hands:
    raise ValueError('it holds no hand')
  points = skeleton.reorder(np.stack([hand.points for hand in hands]), agreed)
  notes = list(content.notes)
  confidence, told = pixels.confidences(points, content.scores)
  notes += told
  some = (confidence > 0).any(axis=1)
  if not some.any():
    raise ValueError(f'none of its {len(hands)} hands has a keypoint')
  if not some.all():
    count = int(np.sum(~some))
    notes.append(f'{count} hand{"s" * (count > 1)} without a keypoint left out')
  frames = [
    number if hand.frame is None else hand.frame for number, hand in enumerate(hands)
  ]
  keep = np.flatnonzero(some)
  kept: list[Hand] = [hands[i] for i in keep]
  confidence = confidence[keep]
  sizes = pixels.sizes(kept, given)
  keypoints = pixels.to_pixels(
    points[keep, :, :2], confidence, sizes, content.pixel_center
  )
  boxes = np.stack([np.full(4, np.nan) if h.box is None else h.box for h in kept])
  sides = np.array([hand.side for hand in kept])
  return KeypointFile(
    keypoints,
    confidence,
    np.where(np.isnan(sides), -1, sides).astype(np.int8),
    tuple(frames[i] for i in keep),
    sizes,
    boxes - content.pixel_center,
    tuple(hand.person for hand in kept),
    np.stack(
      [np.full((21, 3), np.nan) if h.own_3d is None else h.own_3d for h in kept]
    ),
    content.form,
    tuple(notes),
    pixels.doubts(keypoints, confidence, sizes),
  )
