"""Annotations in the form of COCO: of hands, and COCO-WholeBody's."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bmc_jax.joint_files.arrays import plain_keys
from bmc_jax.lift.files import content as content_lib
from bmc_jax.lift.files.content import Content, Hand

_CORNER = 0.5
"""Annotation tools measure from the corner of the image."""


def is_coco(content: Any) -> bool:
  """Whether it is an object of COCO's tables."""
  return isinstance(content, Mapping) and isinstance(content.get('annotations'), list)


def read_coco(content: Mapping) -> Content:
  """The hands of annotated pictures; those of `iscrowd` are left out.

  Raises:
    ValueError: they are of another form, or of pictures that are not listed.
  """
  images = _by_id(content.get('images', []), 'images')
  categories = _by_id(content.get('categories', []), 'categories')
  hands, named, left_out, corner = [], [], 0, 0.0
  for number, row in enumerate(content['annotations']):
    where = f'annotation {row.get("id", number)}' if isinstance(row, Mapping) else ''
    if not where:
      raise ValueError(f'annotation {number} is {row!r:.40}, no object')
    found = [] if row.get('iscrowd') else list(_hands(row, categories, where))
    left_out += not found
    key = _key(row, 'image_id')
    if found and images and key not in images:
      raise ValueError(f'{where} is of the image {key!r:.40}, which is not listed')
    image = images.get(key, {})
    frame = image['file_name'] if isinstance(image.get('file_name'), str) else key
    person = content_lib.person_in(plain_keys({**row, **_attributes(row)}))
    for points, side, is_named, box, is_tool in found:
      size = content_lib.size_in(image)
      hands.append(Hand(points, frame, side, size, person, box))
      named.append(is_named)
      corner = _CORNER if is_tool else corner
  notes = ()
  if left_out:
    notes = (f'{left_out} annotation{"s" * (left_out > 1)} without a hand left out',)
  order = content_lib.agreed_name(named)
  return Content('COCO', hands, order, notes=notes, pixel_center=corner)


def _hands(row: Mapping, categories: Mapping, where: str):
  """Points, side, whether named, box and whether a tool wrote it, of each hand."""
  keys = plain_keys(row)
  whole = [side for side in ('left', 'right') if f'{side}handkpts' in keys]
  for side in whole:
    if keys.get(f'{side}handvalid', True) and keys[f'{side}handkpts']:
      points = _points(keys[f'{side}handkpts'], f'{where}: {side}hand_kpts')
      if len(points) != 21:
        raise ValueError(
          f'{where}: {side}hand_kpts has {len(points)} keypoints, not 21'
        )
      box = content_lib.box_in(keys.get(f'{side}handbox'), is_xywh=True)
      yield points, float(side == 'right'), True, box, False
  if whole or not row.get('keypoints'):
    return
  category = categories.get(_key(row, 'category_id'), {})
  points = _points(row['keypoints'], where)
  names = category.get('keypoints')
  names = list(map(str, names)) if names and isinstance(names, list) else None
  if len(points) == 17 or not np.any(points[:, 2] > 0):
    return  # a body without hands, or nothing but a box
  box = content_lib.box_in(row.get('bbox'), is_xywh=True)
  for hand, side, named in content_lib.hands_of(points, names, where):
    if math.isnan(side):
      side = content_lib.told_side({**row, **_attributes(row)})
    if math.isnan(side):
      side = content_lib.side_in(str(category.get('name')))
    own = box if len(points) == len(hand) else None
    yield hand, side, named, own, len(points) == 21


def _points(flat: Any, where: str) -> np.ndarray:
  """(k, 3) x, y and a confidence of 1 where there is a label: v is 1 or 2."""
  points = content_lib.from_flat(flat, where)
  wrong = points[
    ~np.isfinite(points[:, 2]) | (points[:, 2] < 0) | (points[:, 2] > 2), 2
  ]
  if len(wrong):
    raise ValueError(
      f'{where} has a keypoint with v = {wrong[0]:g}; it must be 0 (not labelled), 1 '
      '(occluded) or 2 (visible)'
    )
  points[:, 2] = np.minimum(points[:, 2], 1)
  return points


def _key(row: Mapping, name: str) -> int | str | None:
  return row[name] if isinstance(row.get(name), int | str) else None


def _attributes(row: Mapping) -> Mapping:
  attributes = row.get('attributes')
  return attributes if isinstance(attributes, Mapping) else {}


def _by_id(rows: Any, name: str) -> dict[Any, Mapping]:
  """The objects of a table by their id."""
  if not isinstance(rows, list):
    raise ValueError(f'{name} is no list of objects')
  found: dict[Any, Mapping] = {}
  for row in rows:
    key = row.get('id') if isinstance(row, Mapping) else None
    if not isinstance(key, int | str) or key in found:
      raise ValueError(
        f'{name} has an entry whose id {key!r:.40} is none, or not unique'
      )
    found[key] = row
  return found
