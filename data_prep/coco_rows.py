"""The hands of a COCO export's annotations: keypoints, orders and sides.

An annotation is a hand of 21 keypoints, or a person whose hands are `lefthand_kpts` and
`righthand_kpts` (COCO-WholeBody) or a part of 133 or 136 keypoints (Halpe).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import annotations, coco_export, keypoint_names
from .coco_export import Row

_SIDE_FIELDS = ('hand', 'handedness', 'hand_type', 'side', 'is_right')
_RIGHT = {'right', 'r', 'true', '1'}
_LEFT = {'left', 'l', 'false', '0'}
# Labels that lie nearer to each other, in pixels, are no pixels.
_LEAST_EXTENT = 2.0
# COCO's v: not labelled, occluded, visible.
_VISIBILITIES = (0, 1, 2)
# By the number of a whole body's keypoints: where its left and its right hand begin.
_WHOLE_BODIES = {133: (91, 112), 136: (94, 115)}


class Hand(NamedTuple):
  """A labelled hand.

  Attributes:
    row: of the annotation; a person has two hands.
    key: names the hand.
    keypoints: (21, 3) x, y, v in canonical order, as they are in the export.
    is_right: False for a left hand.
  """

  row: Row
  key: str
  keypoints: np.ndarray
  is_right: bool


def read_hands(
  rows: Mapping[Any, Row],
  categories: Mapping[Any, Row],
  path: Path,
  *,
  hand: str | None,
) -> list[Hand]:
  """The hands with a labelled keypoint, in the order of the annotations.

  Args:
    rows: the annotations by id.
    categories: by id.
    path: of the export, for messages.
    hand: 'left' or 'right' for hands of which the export does not say it.

  Raises:
    ValueError: there are none, or an annotation is wrong.
  """
  orders = {
    key: keypoint_names.read_order(names, path)
    for key, category in categories.items()
    if (names := coco_export.names_of(category))
  }
  hands = []
  for key, row in rows.items():
    where = f'{path}: annotation {key!r}'
    if row.get('iscrowd'):
      continue
    if is_person(row):
      hands += _of_person(row, key, where)
    # Boxes and masks of the same category have no keypoints, or an empty list.
    elif row['category_id'] in orders and row.get('keypoints') not in (None, []):
      keypoints = _read_keypoints(row['keypoints'], where)
      if np.any(keypoints[:, 2] > 0):
        is_right = _is_right(row, categories[row['category_id']], hand, where)
        keypoints = keypoints[orders[row['category_id']]]
        hands.append(Hand(row, str(key), keypoints, is_right))
  if not hands:
    raise ValueError(
      f'{path} has no hand: no annotation with labelled keypoints of a category '
      'with 21 keypoints; export skeletons as "COCO keypoints".'
    )
  return hands


def is_person(row: Row) -> bool:
  """Whether an annotation is one of a whole body with hands."""
  if 'lefthand_kpts' in row or 'righthand_kpts' in row:
    return True
  flat = row.get('keypoints')
  return isinstance(flat, list) and len(flat) in [3 * n for n in _WHOLE_BODIES]


def _of_person(row: Row, key: Any, where: str) -> Iterator[Hand]:
  """The valid hands; those that are too small to be told from a point are none."""
  starts = _WHOLE_BODIES.get(len(row.get('keypoints') or ()) // 3, (None, None))
  for side, start in zip(('left', 'right'), starts, strict=True):
    flat = row.get(f'{side}hand_kpts')
    if flat is None and start is not None:
      flat = row['keypoints'][3 * start : 3 * (start + 21)]
    if not flat or not row.get(f'{side}hand_valid', True):
      continue
    keypoints = _as_rows(flat, f'{where}: {side}hand_kpts')
    if np.any((keypoints[:, 2] < 0) | (keypoints[:, 2] > 2)):
      raise ValueError(
        f'{where}: {side}hand_kpts has a v that is not from 0 to 2; '
        f'{coco_export.CORRECT}.'
      )
    labelled = keypoints[keypoints[:, 2] > 0, :2]
    if len(labelled) and np.ptp(labelled, axis=0).max() >= _LEAST_EXTENT:
      yield Hand(row, f'{key}_{side}', keypoints, side == 'right')


def _is_right(row: Row, category: Row, hand: str | None, where: str) -> bool:
  """Left or right: from the annotation, else its category, else the option."""
  attributes = row.get('attributes')
  fields = {**row, **(attributes if isinstance(attributes, Mapping) else {})}
  for name in _SIDE_FIELDS:
    if fields.get(name) is not None:
      words = set(re.findall(r'[a-z]+|\d+', str(fields[name]).lower()))
      if bool(words & _RIGHT) == bool(words & _LEFT):
        raise ValueError(
          f"{where}: {name} is {fields[name]!r}; it must be 'left' or 'right'."
        )
      return bool(words & _RIGHT)
  name = str(category.get('name')).lower()
  named = [side for side in ('left', 'right') if side in name]
  side = named[0] if len(named) == 1 else hand
  if side is None:
    raise ValueError(
      f'{where} does not say whether it is a left or a right hand, nor does its '
      f'category {category.get("name")!r}; add an attribute hand, or say it for all of '
      'them with --hand.'
    )
  return side == 'right'


def _as_rows(flat: Any, where: str) -> np.ndarray:
  """Keypoints x, y, v (21, 3) of a flat list, or of a list of points."""
  if isinstance(flat, list) and flat and all(isinstance(p, list) for p in flat):
    flat = [number for point in flat for number in point]
  numbers = annotations.as_numbers(flat, (63,), where, remedy=coco_export.CORRECT)
  return numbers.reshape(21, 3)


def _read_keypoints(flat: Any, where: str) -> np.ndarray:
  """The keypoints x, y, v (21, 3) of an annotation, in its own order.

  Raises:
    ValueError: they are no keypoints, or those that are labelled are no pixels.
  """
  keypoints = _as_rows(flat, f'{where}: keypoints')
  wrong = keypoints[~np.isin(keypoints[:, 2], _VISIBILITIES), 2]
  if len(wrong):
    raise ValueError(
      f'{where} has a keypoint with v = {wrong[0]:g}; it must be 0 (not labelled), 1 '
      f'(occluded) or 2 (visible): {coco_export.CORRECT}.'
    )
  labelled = keypoints[keypoints[:, 2] > 0, :2]
  if len(labelled) > 1 and np.ptp(labelled, axis=0).max() < _LEAST_EXTENT:
    raise ValueError(
      f'{where} has all keypoints within {_LEAST_EXTENT:g} pixels; export pixels, not '
      "parts of the image's size."
    )
  return keypoints
