"""What is known of the inputs beside their pixels: boxes, sides and cameras."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmc_jax.predict.media import Frame

SIDES = {'right': True, 'left': False}


class Hand(NamedTuple):
  """A hand in an image.

  Attributes:
    box: left, top, right, bottom in pixels; None for the whole image.
    is_right: False for a left hand.
  """

  box: Sequence[float] | None
  is_right: bool


class Boxes:
  """Boxes by the name of a file, or of a frame of a video (`wave.mp4#12`)."""

  def __init__(self, path: str, side: str):
    """Reads a JSON file.

    Args:
      path: {name: box} or {name: [hand, ...]}; a box is [left, top, right, bottom], a
        hand is a box or {"box": box, "hand": "left" or "right"}.
      side: of boxes that do not tell theirs, 'right' or 'left'.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it has another form.
    """
    content = read_json(path)
    if not isinstance(content, Mapping):
      raise ValueError(
        f'{path} must hold an object: {{"photo.jpg": [l, t, r, b], ...}}.'
      )
    self._hands = {name: _hands(v, side, path, name) for name, v in content.items()}
    self._path = path
    self._used: set[str] = set()

  def __call__(self, frame: Frame) -> list[Hand]:
    """The hands of a frame; none if the file does not name it."""
    for name in (frame.name, frame.path.name):
      if name in self._hands:
        self._used.add(name)
        return self._hands[name]
    return []

  def unused(self) -> list[str]:
    """Names that no frame had."""
    return sorted(set(self._hands) - self._used)


def _hands(value: Any, side: str, path: str, name: str) -> list[Hand]:
  if isinstance(value, Mapping) or (isinstance(value, list) and _is_box(value)):
    value = [value]
  if not isinstance(value, list):
    raise ValueError(f'{path}: {name!r} is {value!r:.60}; a box or a list is needed.')
  return [_hand(entry, side, path, name) for entry in value]


def _hand(entry: Any, side: str, path: str, name: str) -> Hand:
  entry = entry if isinstance(entry, Mapping) else {'box': entry}
  unknown = sorted(set(entry) - {'box', 'hand'})
  told = entry.get('hand', side)
  if unknown or told not in SIDES:
    what = unknown[0] if unknown else f'hand {told!r}'
    raise ValueError(
      f'{path}: {name!r} has an unknown entry {what}; there are "box", and "hand" '
      'with "left" or "right".'
    )
  box = entry.get('box')
  if box is not None and not _is_box(box):
    raise ValueError(
      f'{path}: the box of {name!r} is {box!r:.60}; [left, top, right, bottom] in '
      'pixels is needed.'
    )
  return Hand(box, SIDES[told])


def _is_box(value: Any) -> bool:
  return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def parse_numbers(text: str, flag: str, names: str) -> list[float]:
  """Numbers separated by commas.

  Args:
    text: of the flag.
    flag: that has it, for messages.
    names: of the numbers, separated by commas.

  Raises:
    ValueError: they are not numbers, or not as many.
  """
  try:
    numbers = [float(part) for part in text.split(',')]
  except ValueError:
    numbers = []
  if len(numbers) != len(names.split(',')) or not np.isfinite(numbers).all():
    raise ValueError(f'{flag} is {text!r}; it must be {names} in pixels, as numbers.')
  return numbers


class Cameras:
  """Intrinsics: the same for all files, by name, or in the order of the files."""

  def __init__(self, given: str | None, files: Sequence[Path]):
    """Reads what `--intrinsics` says.

    Args:
      given: 'fx,fy,cx,cy'; or a JSON file with one camera, a list in the order of
        `files` (as FreiHAND's evaluation_K.json) or {name: camera}; a camera is a 3 x 3
        matrix or [fx, fy, cx, cy]. None knows none.
      files: that are predicted.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it has another form, or another number of cameras.
    """
    self._one: np.ndarray | None = None
    self._by_name: dict[str, np.ndarray] = {}
    if given is None:
      return
    if not given.endswith('.json'):
      self._one = _matrix(parse_numbers(given, '--intrinsics', 'fx,fy,cx,cy'), given)
      return
    content = read_json(given)
    if isinstance(content, Mapping):
      self._by_name = {k: _matrix(v, f'{given}: {k!r}') for k, v in content.items()}
    elif _is_camera(content):
      self._one = _matrix(content, given)
    elif isinstance(content, list) and len(content) == len(files):
      self._by_name = {
        str(file): _matrix(value, f'{given}: entry {i}')
        for i, (file, value) in enumerate(zip(files, content, strict=True))
      }
    else:
      number = len(content) if isinstance(content, list) else 'no'
      raise ValueError(
        f'{given} holds {number} cameras for {len(files)} files: give one, as many '
        'as files in their order, or an object of cameras by file name.'
      )

  def of(self, frame: Frame) -> np.ndarray | None:
    """The camera (3, 3) of a frame; None if it is not known."""
    names = (str(frame.path), frame.path.name)
    found = (self._by_name[name] for name in names if name in self._by_name)
    return next(found, self._one)


def _is_camera(value: Any) -> bool:
  try:
    return np.shape(value) in ((4,), (3, 3))
  except ValueError:  # lists of different lengths
    return False


def _matrix(value: Any, where: str) -> np.ndarray:
  try:
    camera = np.asarray(value, np.float64)
  except (TypeError, ValueError):
    camera = np.zeros(0)
  if camera.shape == (4,):
    fx, fy, cx, cy = camera
    camera = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
  if camera.shape != (3, 3) or not np.isfinite(camera).all():
    raise ValueError(
      f'{where} is no camera: a 3 x 3 matrix or [fx, fy, cx, cy] in pixels is needed.'
    )
  return camera


def read_json(path: str) -> Any:
  """The content of a JSON file.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is no JSON.
  """
  file = Path(path).expanduser()
  if not file.is_file():
    raise FileNotFoundError(f'There is no file {file}.')
  try:
    return json.loads(file.read_text(encoding='utf-8-sig'))
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{file} is no valid JSON ({error}).') from None
