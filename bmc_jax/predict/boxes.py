"""Boxes and sides of hands, as people and detectors write them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files.arrays import plain_keys
from bmc_jax.predict import coco_boxes
from bmc_jax.predict.media import Frame
from bmc_jax.predict.names import ByName, read_json
from bmc_jax.predict.views import check_box

SIDES = {'right': True, 'left': False}
_SCORE_KEYS = ('score', 'confidence', 'conf')
_FORM = 'an object {"photo.jpg": [left, top, right, bottom], ...}'
_ENTRIES = '"box" (or "xywh"), and "hand" with "left" or "right"'
_BOX_NEEDED = (
  '[left, top, right, bottom] in pixels is needed, maybe with a score from 0 to 1 '
  'behind it, and no class in front.'
)


class Hand(NamedTuple):
  """A hand in an image.

  Attributes:
    box: left, top, right, bottom in pixels; None for the whole image.
    is_right: False for a left hand.
  """

  box: Sequence[float] | None
  is_right: bool


class Boxes:
  """Boxes by the names of inputs, or of frames of a video (`wave.mp4#12`)."""

  def __init__(self, path: str, side: str, files: Sequence[Path]):
    """Reads a JSON file.

    Args:
      path: {name: box} or {name: [hand, ...]}; names are those of `ByName`. A box is
        [left, top, right, bottom], maybe with a score behind it; a hand is a box or
        {"box": box, "hand": "left" or "right"}, or has {"xywh": [x, y, width, height]}.
        Or COCO's annotations or results, whose `bbox` is x, y, width, height.
      side: of boxes that do not tell theirs, 'right' or 'left'.
      files: that are predicted.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it has another form, or names none of the files.
    """
    content = read_json(path)
    if coco_boxes.is_coco(content):
      content = coco_boxes.by_name(content, files, path)
    if not isinstance(content, Mapping):
      raise ValueError(
        f'{path} holds a {type(content).__name__}, which names no files: {_FORM} is '
        'needed (or {"xywh": [x, y, width, height]} for each).'
      )
    hands = {name: _hands(v, side, path, name) for name, v in content.items()}
    if not hands:
      raise ValueError(f'{path} names no file: {_FORM} is needed.')
    self._hands = ByName(hands, files, path)
    self._hands.check_known(required=True)

  def __call__(self, frame: Frame) -> list[Hand]:
    """The hands of a frame; none if the file does not name it."""
    return self._hands.of(frame) or []

  def unseen(self) -> list[str]:
    """Names of frames that no video had."""
    return self._hands.unseen()


def _hands(value: Any, side: str, path: str, name: str) -> list[Hand]:
  if isinstance(value, Mapping) or (isinstance(value, list) and _is_box(value)):
    value = [value]
  if not isinstance(value, list):
    raise ValueError(f'{path}: {name!r} is {value!r:.60}; a box or a list is needed.')
  if value and all(map(_is_number, value)):
    raise ValueError(f'{path}: {name!r} is {value!r:.80}; {_BOX_NEEDED}')
  return [_hand(entry, side, path, name) for entry in value]


def _hand(entry: Any, default: str, path: str, name: str) -> Hand:
  told = plain_keys(entry) if isinstance(entry, Mapping) else {'box': entry}
  if 'bbox' in told:
    raise ValueError(
      f'{path}: {name!r} has a "bbox", which some tools mean as corners and COCO as x, '
      'y, width, height: call it "box" or "xywh".'
    )
  known = ('box', 'xywh', *told_lib.SIDE_KEYS, *_SCORE_KEYS)
  if unknown := sorted(set(told) - set(known)):
    raise ValueError(
      f'{path}: {name!r} has an unknown entry {unknown[0]}; there are {_ENTRIES}.'
    )
  box = told.get('box')
  if (given := told.get('xywh')) is not None:
    if box is not None:
      raise ValueError(f'{path}: {name!r} has both "box" and "xywh": keep one of them.')
    if _is_box(given):
      x, y, width, height = given[:4]
      box = [x, y, x + width, y + height]
  if box is None and given is None:
    return Hand(None, _is_right(told, default, path, name))
  if not _is_box(box):
    raise ValueError(
      f'{path}: the box of {name!r} is {given or box!r:.60}; {_BOX_NEEDED}'
    )
  try:
    check_box(box[:4])
  except ValueError as error:
    raise ValueError(f'{path}: {name!r}: {error}') from None
  return Hand(box[:4], _is_right(told, default, path, name))


def _is_right(told: Mapping, default: str, path: str, name: str) -> bool:
  sides: dict[str, list[float]] = {}
  for key in told_lib.SIDE_KEYS:
    if key in told:
      try:
        sides[key] = [told_lib.side_of(key, told[key])]
      except ValueError as error:
        raise ValueError(
          f'{path}: {name!r}: {error} (entry {key}); there are {_ENTRIES}.'
        ) from None
  values = {value for (value,) in sides.values() if not np.isnan(value)}
  if len(values) > 1:
    raise ValueError(
      f'{path}: {" and ".join(sides)} of {name!r} contradict each other; keep one.'
    )
  return bool(values.pop()) if values else SIDES[default]


def _is_box(value: Any) -> bool:
  """Whether these are four numbers, maybe with a score from 0 to 1.

  YOLO's lines are not: a class, then shares of the image.
  """
  if not isinstance(value, list) or not all(map(_is_number, value)):
    return False
  if len(value) != 5:
    return len(value) == 4
  return 0 <= value[4] <= 1 < max(value[:4])


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def parse_box(text: str) -> list[float]:
  """The box of `--box`; raises a ValueError if it is none."""
  box = parse_numbers(text, '--box', 'left,top,right,bottom')
  check_box(box)
  return box


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
