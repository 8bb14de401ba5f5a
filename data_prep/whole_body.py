"""Hands of people in everyday photos: COCO-WholeBody and Halpe, 2D labels alone.

COCO-WholeBody (Jin et al., ECCV 2020): https://github.com/jin-s13/COCO-WholeBody. A
folder with the images of COCO 2017 and the two files of annotations:

    coco_wholebody_train_v1.0.json, train2017/*.jpg
    coco_wholebody_val_v1.0.json, val2017/*.jpg

Halpe-FullBody (Fang et al., TPAMI 2022): https://github.com/Fang-Haoshu/Halpe-FullBody.
Training images are those of HICO-DET, the others those of COCO:

    halpe_train_v1.json, hico_20160224_det/images/train2015/*.jpg
    halpe_val_v1.json, val2017/*.jpg

The annotations may also lie in `annotations`, the images in `images/*`. One split alone
will do.

Build it, cropped, since an image has many small hands:

    bmc-jax build coco_wholebody --source coco --out ~/data --crop-size 128
    bmc-jax build halpe --source halpe --out ~/data --crop-size 128

Each hand of a person with a labelled keypoint (v > 0) becomes an example. Left out and
counted: hands that the annotators call invalid (`lefthand_valid`), those of crowds, and
hands whose labelled keypoints span less than `--min-size` pixels (default 24). Labels
count pixels from 0. Images have no camera: the focal length is a guess (see
`bmc_jax.data_prep.coco_hands`). There are no 3D labels: `has_joints_3d` is 0.

It was tried on made-up files of this form, not on the datasets themselves.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from . import annotations, base, coco_export, coco_hands
from .coco_export import Export, Row
from .records import Record, make_record

MIN_SIZE = 24

_IMAGES = ('hico_20160224_det/images/train2015', 'train2017', 'val2017', 'train2015')
# Halpe's 136 keypoints are 26 of the body, 68 of the face and 21 of each hand.
_HALPE_HANDS = {'left': slice(94, 115), 'right': slice(115, 136)}

Hands = Callable[[Row, str], Mapping[str, np.ndarray | None]]
"""From an annotation, and its name for messages, to the keypoints x, y, v (21, 3) of
`left` and `right` hand, None where it says that there are none."""


def wholebody_hands(row: Row, where: str) -> dict[str, np.ndarray | None]:
  """The hands of an annotation of COCO-WholeBody."""
  return {
    side: _numbers(row.get(f'{side}hand_kpts'), 21, f'{where}: {side}hand_kpts')
    if row.get(f'{side}hand_valid')
    else None
    for side in ('left', 'right')
  }


def halpe_hands(row: Row, where: str) -> dict[str, np.ndarray | None]:
  """The hands of an annotation of Halpe."""
  points = _numbers(row.get('keypoints'), 136, f'{where}: keypoints')
  return {side: points[part] for side, part in _HALPE_HANDS.items()}


def _numbers(value, count, name):
  return annotations.as_numbers(value, (3 * count,), name).reshape(count, 3)


def _read(source: Path, prefix: str, hands_of: Hands, min_size: int):
  """The records of the splits whose file is there."""
  if min_size < 0:
    raise ValueError(f'min_size is {min_size}; it must be 0 or more pixels.')
  splits = {}
  for split in ('train', 'val'):
    found = sorted(source.glob(f'{prefix}_{split}_v*.json'))
    found += sorted((source / 'annotations').glob(f'{prefix}_{split}_v*.json'))
    if len(found) > 1:
      raise ValueError(f'{found[0]} and {found[1]} are both of {split!r}; keep one.')
    if found:
      splits[split] = _read_split(source, split, found[0], hands_of, min_size)
  if not splits:
    raise FileNotFoundError(
      f'{source} holds no {prefix}_train_v*.json or {prefix}_val_v*.json, nor does '
      'annotations in it; put the annotations there.'
    )
  return splits


def _read_split(source, split, path, hands_of, min_size) -> list[Record]:
  tables = coco_export.read_tables(annotations.load_json(path), path)
  folders = (source / part / name for part in ('', 'images') for name in _IMAGES)
  export = Export(path, split, (*folders, source / 'images', source), tables)
  listed = coco_export.by_id(tables['images'], f'{path}: images')
  people = coco_export.by_id(tables['annotations'], f'{path}: annotations')
  left_out: Counter[str] = Counter()
  hands = {}
  for key, row in people.items():
    where = f'{path}: annotation {key!r}'
    if row.get('iscrowd'):
      left_out['of crowds'] += 2
      continue
    if row['image_id'] not in listed:
      raise ValueError(
        f'{where} is of the image {row["image_id"]!r}, which is not listed; get a '
        'complete copy.'
      )
    for side, points in hands_of(row, where).items():
      if problem := _problem(points, min_size):
        left_out[problem] += 1
      else:
        hands[key, side] = points
  if not hands:
    raise ValueError(f'{path} has no hand of {min_size} or more pixels.')
  logging.warning(
    '%s: %d hands; left out are %s.',
    *(path, len(hands), ', '.join(f'{n} {what}' for what, n in left_out.items()) or 0),
  )
  used = {people[key]['image_id'] for key, _ in hands}
  files = export.find_images(listed[image] for image in listed if image in used)
  views = {image: coco_export.read_view(path, listed[image], 0.0) for image in used}
  return [
    _record(key, side, points, people[key]['image_id'], files, views)
    for (key, side), points in hands.items()
  ]


def _problem(points: np.ndarray | None, min_size: int) -> str | None:
  """Why a hand is left out; None if it is not."""
  if points is None:
    return 'called invalid'
  labelled = points[points[:, 2] > 0, :2]
  if not len(labelled):
    return 'without a label'
  if np.ptp(labelled, axis=0).max() < min_size:
    return f'smaller than {min_size} pixels'
  return None


def _record(key: Any, side: str, points, image, files, views) -> Record:
  record = make_record(
    files[image],
    f'{files[image].stem}/{key}/{side}',
    keypoints_2d=points[:, :2],
    intrinsics=np.zeros((3, 3)),  # `coco_hands.read_example` guesses them
    is_right=side == 'right',
    visibility=points[:, 2] > 0,
  )
  return record | {'view': views[image]}


def read_wholebody(source: Path, *, min_size: int = MIN_SIZE):
  """The records of COCO-WholeBody; `min_size` of the labelled keypoints, pixels."""
  return _read(source, 'coco_wholebody', wholebody_hands, min_size)


def read_halpe(source: Path, *, min_size: int = MIN_SIZE):
  """The records of Halpe; `min_size` of the labelled keypoints, pixels."""
  return _read(source, 'halpe', halpe_hands, min_size)


class CocoWholebody(base.LayoutBuilder):
  """Builder of COCO-WholeBody's hands."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://github.com/jin-s13/COCO-WholeBody'
  CITATION = """@inproceedings{jin2020whole,
  title={Whole-Body Human Pose Estimation in the Wild},
  author={Jin, Sheng and Xu, Lumin and Xu, Jin and Wang, Can and Liu, Wentao and
    Qian, Chen and Ouyang, Wanli and Luo, Ping},
  booktitle={ECCV}, year={2020}}"""
  LICENSE = 'Annotations for non-commercial research; images under those of Flickr.'

  read_records = staticmethod(read_wholebody)
  read_example = staticmethod(coco_hands.read_example)


class Halpe(base.LayoutBuilder):
  """Builder of Halpe's hands."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://github.com/Fang-Haoshu/Halpe-FullBody'
  CITATION = """@article{fang2022alphapose,
  title={AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking in
    Real-Time},
  author={Fang, Hao-Shu and Li, Jiefeng and Tang, Hongyang and Xu, Chao and Zhu, Haoyi
    and Xiu, Yuliang and Li, Yong-Lu and Lu, Cewu},
  journal={TPAMI}, year={2022}}"""
  LICENSE = 'Annotations for non-commercial research; images under those of HICO-DET.'

  read_records = staticmethod(read_halpe)
  read_example = staticmethod(coco_hands.read_example)
