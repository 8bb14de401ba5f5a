"""Your own images with 2D labels: a COCO-keypoints JSON of an annotation tool.

Export "COCO keypoints", one skeleton of 21 keypoints for each hand. The folder may have
the form of any of these:

    annotations/person_keypoints_<split>.json, images/<split>/*    CVAT, COCO
    result.json, images/*                                          Label Studio
    <split>/_annotations.coco.json, <split>/*                      Roboflow

Images (JPEG or PNG) are looked for by `file_name` beside the JSON, in `images/<split>`,
`<split>`, `images` and the folder itself. One file without the name of a split
becomes `train`.

Build it:

    python -m data_prep.build coco_hands --source export --out ~/data

Each annotated hand becomes an example with the whole image, so an image with two hands
is stored twice (`--crop-size` crops to the hands). Of the JSON is read:

    categories   those with 21 `keypoints`; the joint order comes from these names
                 (`data_prep.keypoint_names`), and is canonical where they say nothing
    annotations  `keypoints` [x, y, v] * 21; joints with v = 0 have `visibility` 0,
                 occluded ones (v = 1) are labels; left or right from `hand`,
                 `handedness`, `hand_type`, `side` or `is_right` (in `attributes`, too),
                 else from the category's name, else from the option `hand`; a hand
                 without a labelled joint, or with `iscrowd`, is left out
    images       `file_name`, `width`, `height`; the camera from `intrinsics` (3 x 3) or
                 `cam_param` ({focal: [fx, fy], princpt: [cx, cy]})

Without a camera the focal length is a guess: the 35 mm equivalent in the image's EXIF
data, else the longer side of the image (a view of 53 degrees); the principal point is
the middle of the image. A wrong focal length scales depth and tilts rays, it moves no
2D label. The number of guesses is logged.

Annotation tools measure from the corner of the image: the centre of its first pixel is
(0.5, 0.5), which is subtracted. The option `pixel_center` (default 0.5) is 0 for labels
that count pixels from 0, as COCO's own do. It holds for cameras, too.

There are no 3D labels: `has_joints_3d` is 0.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from bmc_jax import skeleton
from data_prep import annotations, base, coco_export, keypoint_names
from data_prep.coco_export import Export, Row, View
from data_prep.records import Record, make_record, read_example

_SIDE_FIELDS = ('hand', 'handedness', 'hand_type', 'side', 'is_right')
_RIGHT = {'right', 'r', 'true', '1'}
_LEFT = {'left', 'l', 'false', '0'}
# How far a label may lie outside of the image, as a part of its size.
_MARGIN = 0.1
# Labels that lie nearer to each other, in pixels, are no pixels.
_LEAST_EXTENT = 2.0


def read_records(
  source: Path, *, hand: str | None = None, pixel_center: float = 0.5
) -> dict[str, list[Record]]:
  """Reads and checks the exports in the folder.

  Args:
    source: the folder of the export.
    hand: 'left' or 'right' for hands of which the export does not say it.
    pixel_center: both coordinates of the first pixel's centre in the export.

  Returns:
    The hands of each split, in the order of the annotations.

  Raises:
    FileNotFoundError: there is no export, or an image is missing.
    ValueError: an export is not of the expected form, or does not fit its images.
  """
  if hand not in (None, 'left', 'right'):
    raise ValueError(f"hand is {hand!r}; it must be 'left' or 'right'.")
  if not 0 <= pixel_center <= 1:
    raise ValueError(f'pixel_center is {pixel_center}; it must be from 0 to 1.')
  return {
    export.split: _read_export(export, hand, pixel_center)
    for export in coco_export.find_exports(source)
  }


def _read_export(export: Export, hand: str | None, pixel_center: float) -> list[Record]:
  tables = export.load()
  images = coco_export.by_id(tables['images'], f'{export.path}: images')
  categories = coco_export.by_id(tables['categories'], f'{export.path}: categories')
  orders = {
    key: _order_of(names, export.path)
    for key, category in categories.items()
    if (names := coco_export.names_of(category))
  }
  rows = coco_export.by_id(tables['annotations'], f'{export.path}: annotations')
  hands = {key: row for key, row in rows.items() if _is_labelled(row, orders)}
  if not hands:
    raise ValueError(
      f'{export.path} has no hand: no annotation with labelled keypoints of a category '
      'with 21 keypoints; export skeletons as "COCO keypoints".'
    )
  views: dict[Any, View] = {}
  records = []
  for key, row in hands.items():
    where = f'{export.path}: annotation {key!r}'
    image = row.get('image_id')
    if image not in images:
      raise ValueError(
        f'{where} is of the image {image!r}, which is not listed; '
        f'{coco_export.CORRECT}.'
      )
    if image not in views:
      views[image] = coco_export.read_view(export, images[image], pixel_center)
    view, category = views[image], row['category_id']
    keypoints = _read_keypoints(row, orders[category], view, where)
    records.append(
      make_record(
        view.image,
        f'{view.image.stem}/{key}',
        keypoints_2d=keypoints[:, :2] - pixel_center,
        intrinsics=view.intrinsics,
        is_right=_is_right(row, categories[category], hand, where),
        visibility=keypoints[:, 2] > 0,
      )
    )
  _log(export, len(rows) - len(hands), views)
  return records


def _order_of(names: list[str], path: Path) -> list[int]:
  """Where the keypoints of these names have each canonical joint."""
  try:
    order = keypoint_names.canonical_order(names)
  except ValueError as error:
    raise ValueError(f'{path}: {error}.') from None
  if order is None:
    logging.warning(
      '%s: the keypoint names (%s, ...) say nothing; their order is taken to be '
      'canonical.',
      path,
      names[0],
    )
  return list(order or skeleton.JOINT_ORDERS['canonical'])


def _is_labelled(row: Row, orders: Mapping[Any, list[int]]) -> bool:
  """Whether an annotation is of a hand and has a labelled keypoint."""
  if row.get('category_id') not in orders or row.get('iscrowd'):
    return False
  keypoints = row.get('keypoints')
  return not isinstance(keypoints, list) or any(keypoints[2::3])


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


def _read_keypoints(row: Row, order: list[int], view: View, where: str) -> np.ndarray:
  """The canonical keypoints x, y, v (21, 3) of an annotation.

  Raises:
    ValueError: those that are labelled are no pixels of the image.
  """
  flat = annotations.as_numbers(
    row.get('keypoints'), (63,), f'{where}: keypoints', remedy=coco_export.CORRECT
  )
  keypoints = flat.reshape(21, 3)[order]
  labelled = keypoints[keypoints[:, 2] > 0, :2]
  margin = _MARGIN * view.size
  if np.any(labelled < -margin) or np.any(labelled > view.size + margin):
    raise ValueError(
      f'{where} has a keypoint outside of {view.image.name} '
      f'({view.size[0]}x{view.size[1]}); export pixels of the images that are prepared.'
    )
  if len(labelled) > 1 and np.ptp(labelled, axis=0).max() < _LEAST_EXTENT:
    raise ValueError(
      f'{where} has all keypoints within {_LEAST_EXTENT:g} pixels; export pixels, not '
      "parts of the image's size."
    )
  return keypoints


def _log(export: Export, left_out: int, views: dict[Any, View]) -> None:
  """Says what was left out and what was guessed."""
  if left_out:
    logging.warning(
      '%s: %d annotations are no labelled hands and are left out.',
      export.path,
      left_out,
    )
  guesses = [view for view in views.values() if view.is_guess]
  if guesses:
    focal = [view.intrinsics[0, 0] / view.size.max() for view in guesses]
    logging.warning(
      '%s: %d of %d images have no camera; their focal length is a guess, %.2f to %.2f '
      'times the longer side.',
      export.path,
      len(guesses),
      len(views),
      min(focal),
      max(focal),
    )


class CocoHands(base.LayoutBuilder):
  """Builder of the images; the module's docstring says how to export and build them."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://cocodataset.org/#format-data'
  CITATION = ''
  LICENSE = 'That of the images, which are your own.'

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)
