"""Your own images with 2D labels, as an annotation tool exports them.

Export "COCO keypoints", one skeleton of 21 keypoints for each hand. The folder may have
the form of any of these:

    annotations/person_keypoints_<split>.json, images/<split>/*    CVAT, COCO
    result.json, images/*                                          Label Studio
    <split>/_annotations.coco.json, <split>/*                      Roboflow

or have the tool's own form, which is turned into the same tables (`tool_exports`):

    annotations.xml, images/*           CVAT for images 1.1, with skeletons
    *.json, images/*                    Label Studio's JSON: keypoints whose parent is a
                                        box that tells the side
    *.json beside the images            labelme, X-AnyLabeling: points of a `group_id`
    data.yaml, images/, labels/         YOLO pose; `kpt_names` tell the order, without
                                        them it is taken for the canonical one

There the names of points tell the joints, and `left` or `right` in them the side.

Images (JPEG or PNG) are looked for by `file_name` beside the JSON, in `images/<split>`,
`<split>`, `images` and the folder itself. Persons with `lefthand_kpts` and
`righthand_kpts`, or with 133 or 136 keypoints, have two hands (`coco_public`). One file
without the name of a split (`default`, `all`...) becomes `train`. Other JSON files in
the place of `result.json` are left out.

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
(0.5, 0.5), which is subtracted. Public datasets (`coco_public`) count pixels from 0. So
may other labels: the option `pixel_center` is 0 then. It holds for cameras, too.

There are no 3D labels: `has_joints_3d` is 0.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from bmc_jax.data import example as example_lib
from bmc_jax.data import image_headers, images

from . import base, coco_doubts, coco_export, coco_rows, records
from .coco_export import Export, Row, View
from .records import Record, make_record

# How far a label may lie outside of the image, as a part of its size.
_MARGIN = 0.1


def read_records(
  source: Path, *, hand: str | None = None, pixel_center: float | None = None
) -> dict[str, list[Record]]:
  """Reads and checks the exports in the folder.

  Args:
    source: the folder of the export.
    hand: 'left' or 'right' for hands of which the export does not say it.
    pixel_center: both coordinates of the first pixel's centre in the export; None is
      0.5, and 0 of public datasets.

  Returns:
    The hands of each split, in the order of the annotations.

  Raises:
    FileNotFoundError: there is no export, or all images of one are missing.
    ValueError: an export is not of the expected form.
  """
  if hand not in (None, 'left', 'right'):
    raise ValueError(f"hand is {hand!r}; it must be 'left' or 'right'.")
  if pixel_center is not None and not 0 <= pixel_center <= 1:
    raise ValueError(f'pixel_center is {pixel_center}; it must be from 0 to 1.')
  return {
    export.split: _read_export(export, hand, pixel_center)
    for export in coco_export.find_exports(source)
  }


def _read_export(
  export: Export, hand: str | None, pixel_center: float | None
) -> list[Record]:
  if pixel_center is None:
    pixel_center = export.pixel_center
  listed = coco_export.by_id(export.tables['images'], f'{export.path}: images')
  categories = coco_export.by_id(
    export.tables['categories'], f'{export.path}: categories'
  )
  rows = coco_export.by_id(export.tables['annotations'], f'{export.path}: annotations')
  hands = coco_rows.read_hands(rows, categories, export.path, hand=hand)
  for row, *_ in hands:
    if row['image_id'] not in listed:
      raise ValueError(
        f'{export.path}: annotation {row["id"]!r} is of the image {row["image_id"]!r}, '
        f'which is not listed; {coco_export.CORRECT}.'
      )
  used = {row['image_id']: listed[row['image_id']] for row, *_ in hands}
  files = export.find_images(used.values())
  views = {
    key: coco_export.read_view(export.path, image, pixel_center)
    for key, image in used.items()
  }
  keypoints = coco_doubts.from_base(
    np.stack([hand.keypoints for hand in hands]), export
  )
  hand_records = []
  for (row, key, _, is_right), points in zip(hands, keypoints, strict=True):
    view, file = views[row['image_id']], files[row['image_id']]
    record = make_record(
      file,
      f'{file.stem}/{key}',
      keypoints_2d=points[:, :2] - pixel_center,
      # Of an image without a camera `read_example` guesses it.
      intrinsics=np.zeros((3, 3)) if view.intrinsics is None else view.intrinsics,
      is_right=is_right,
      visibility=points[:, 2] > 0,
    )
    hand_records.append(record | {'view': view})
  labelled = {h.key: p for h, p in zip(hands, keypoints, strict=True)}
  coco_doubts.warn_of_corners(labelled, str(export.path))
  coco_doubts.warn_of_sides([h.is_right for h in hands], hand, str(export.path))
  _log(export, _left_out(rows, hands), views)
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


def _left_out(rows: Mapping[Any, Row], hands: Sequence[coco_rows.Hand]) -> int:
  """How many annotations, or hands of persons, gave no hand."""
  return sum(1 + coco_rows.is_person(row) for row in rows.values()) - len(hands)


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
