"""Your own images with 2D labels: what an annotation tool exports.

The forms of CVAT's XML, labelme and X-AnyLabeling, Label Studio's own JSON and YOLO
pose are in `bmc_jax.data_prep.tool_exports`. The rest is about COCO's.

Export "COCO keypoints", one skeleton of 21 keypoints for each hand. The folder may have
the form of any of these:

    annotations/person_keypoints_<split>.json, images/<split>/*    CVAT, COCO
    result.json, images/*                                          Label Studio
    <split>/_annotations.coco.json, <split>/*                      Roboflow

Images (JPEG or PNG) are looked for by `file_name` beside the JSON, in `images/<split>`,
`<split>`, `images` and the folder itself. One file without the name of a split
(`default`, `all`...) becomes `train`. Other JSON files in the place of `result.json`
are left out.

Build it:

    bmc-jax build coco_hands --source export --out ~/data

Each annotated hand becomes an example with the whole image, so an image with two hands
is stored twice (`--crop-size` crops to the hands). Of the JSON is read:

    categories   those with 21 `keypoints`; the joint order comes from these names
                 (`bmc_jax.joint_files.names`); numbers are those of canonical joints
    annotations  `keypoints` [x, y, v] * 21; joints with v = 0 have `visibility` 0,
                 occluded (v = 1) and visible ones (v = 2) are labels, another v is a
                 mistake; left or right from `hand`, `handedness`, `hand_type`, `side`
                 or `is_right` (in `attributes`, too), else from the category's name,
                 else from the option `hand`; an annotation without a labelled joint,
                 such as a box alone, or with `iscrowd`, is left out and counted
    images       `file_name`, `width`, `height`; the camera from `intrinsics` or
                 `cam_param`, in any form that `bmc_jax.data.cameras` reads

What is wrong in the JSON ends the build. A hand whose image is missing, damaged or of
another size than listed, or does not hold the keypoints, may be left out with
`--max-bad`.

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

from bmc_jax.data import example as example_lib
from bmc_jax.data import image_headers, images

from . import (
  annotations,
  base,
  coco_doubts,
  coco_export,
  keypoint_names,
  records,
  tool_exports,
)
from .coco_export import Export, Row, View
from .records import Record, make_record

_SIDE_FIELDS = ('hand', 'handedness', 'hand_type', 'side', 'is_right')
_RIGHT = {'right', 'r', 'true', '1'}
_LEFT = {'left', 'l', 'false', '0'}
# How far a label may lie outside of the image, as a part of its size.
_MARGIN = 0.1
# Labels that lie nearer to each other, in pixels, are no pixels.
_LEAST_EXTENT = 2.0
# COCO's v: not labelled, occluded, visible.
_VISIBILITIES = (0, 1, 2)


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
    FileNotFoundError: there is no export, or all images of one are missing.
    ValueError: an export is not of the expected form.
  """
  if hand not in (None, 'left', 'right'):
    raise ValueError(f"hand is {hand!r}; it must be 'left' or 'right'.")
  if not 0 <= pixel_center <= 1:
    raise ValueError(f'pixel_center is {pixel_center}; it must be from 0 to 1.')
  exports = tool_exports.find_exports(source) or coco_export.find_exports(source)
  return {export.split: _read_export(export, hand, pixel_center) for export in exports}


def _read_export(export: Export, hand: str | None, pixel_center: float) -> list[Record]:
  listed = coco_export.by_id(export.tables['images'], f'{export.path}: images')
  categories = coco_export.by_id(
    export.tables['categories'], f'{export.path}: categories'
  )
  rows = coco_export.by_id(export.tables['annotations'], f'{export.path}: annotations')
  hands = _labelled_hands(rows, categories, export.path)
  for key in hands:
    if rows[key]['image_id'] not in listed:
      raise ValueError(
        f'{export.path}: annotation {key!r} is of the image {rows[key]["image_id"]!r}, '
        f'which is not listed; {coco_export.CORRECT}.'
      )
  used = {rows[key]['image_id']: listed[rows[key]['image_id']] for key in hands}
  files = export.find_images(used.values())
  views = {
    key: coco_export.read_view(export.path, image, pixel_center)
    for key, image in used.items()
  }
  hand_records = []
  for key, keypoints in hands.items():
    row, where = rows[key], f'{export.path}: annotation {key!r}'
    view, file = views[row['image_id']], files[row['image_id']]
    is_right = _is_right(row, categories[row['category_id']], hand, where)
    record = make_record(
      file,
      f'{file.stem}/{key}',
      keypoints_2d=keypoints[:, :2] - pixel_center,
      # Of an image without a camera `read_example` guesses it.
      intrinsics=np.zeros((3, 3)) if view.intrinsics is None else view.intrinsics,
      is_right=is_right,
      visibility=keypoints[:, 2] > 0,
    )
    hand_records.append(record | {'view': view})
  coco_doubts.warn_of_corners(hands, str(export.path))
  sides = [bool(record['is_right']) for record in hand_records]
  coco_doubts.warn_of_sides(sides, hand, str(export.path))
  _log(export, len(rows) - len(hands), views)
  return hand_records


def read_example(record: Record) -> example_lib.Example:
  """Reads the image of a record and, where it has no camera, guesses that.

  Raises:
    ValueError: it is no JPEG or PNG, has another size than the export lists, or does
      not hold the keypoints.
    OSError: it cannot be read.
  """
  example = records.read_example(record)
  view: View = example.pop('view')
  file = record['image']
  opened = images.read_header(example['image'], str(file))
  header = image_headers.describe(opened, str(file))
  view.check_size(header, file)
  _check_inside(record, header.width, header.height)
  if view.intrinsics is None:
    intrinsics = image_headers.guess_intrinsics(header)
    example['intrinsics'] = intrinsics.astype(np.float32)
  return example


def _labelled_hands(
  rows: Mapping[Any, Row], categories: Mapping[Any, Row], path: Path
) -> dict[Any, np.ndarray]:
  """The canonical keypoints x, y, v (21, 3) of each hand with a labelled one, by id."""
  orders = {
    key: keypoint_names.read_order(names, path)
    for key, category in categories.items()
    if (names := coco_export.names_of(category))
  }
  hands = {}
  for key, row in rows.items():
    # Boxes and masks of the same category have no keypoints, or an empty list.
    is_hand = row['category_id'] in orders and not row.get('iscrowd')
    if is_hand and row.get('keypoints') not in (None, []):
      keypoints = _read_keypoints(row, f'{path}: annotation {key!r}')
      if np.any(keypoints[:, 2] > 0):
        hands[key] = keypoints[orders[row['category_id']]]
  if not hands:
    raise ValueError(
      f'{path} has no hand: no annotation with labelled keypoints of a category '
      'with 21 keypoints; export skeletons as "COCO keypoints".'
    )
  return hands


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


def _read_keypoints(row: Row, where: str) -> np.ndarray:
  """The keypoints x, y, v (21, 3) of an annotation, in its own order.

  Raises:
    ValueError: they are no keypoints, or those that are labelled are no pixels.
  """
  flat = annotations.as_numbers(
    row['keypoints'], (63,), f'{where}: keypoints', remedy=coco_export.CORRECT
  )
  keypoints = flat.reshape(21, 3)
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


def _check_inside(record: Record, width: int, height: int) -> None:
  """Raises a ValueError if a labelled keypoint lies far outside of the image."""
  labelled = record['keypoints_2d'][record['visibility'] > 0]
  size = np.array([width, height])
  margin = _MARGIN * size
  if np.any(labelled < -margin) or np.any(labelled > size + margin):
    key = record['sample_id'].rpartition('/')[2]
    raise ValueError(
      f'{record["image"]}: its annotation {key} has a keypoint outside of the image '
      f'({width}x{height}); export pixels of the images that are prepared.'
    )


def _log(export: Export, left_out: int, views: Mapping[Any, View]) -> None:
  """Says what was left out and what will be guessed."""
  if left_out:
    logging.warning(
      '%s: %d annotations are no labelled hands and are left out.',
      export.path,
      left_out,
    )
  if doubts := [text for view in views.values() for text in view.doubts().values()]:
    logging.warning(
      '%s: cameras look wrong, %d times: %s.', export.path, len(doubts), doubts[0]
    )
  guesses = sum(view.intrinsics is None for view in views.values())
  if guesses:
    logging.warning(
      '%s: %d of %d images have no camera; their focal length is a guess: the 35 mm '
      'equivalent in the EXIF data, else the longer side.',
      export.path,
      guesses,
      len(views),
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
