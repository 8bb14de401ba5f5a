"""Boxes of COCO's annotations and of lists of results, by the names of their images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files.arrays import plain_keys


def is_coco(content: Any) -> bool:
  """Whether it is an object of COCO's tables, or a list of results."""
  if isinstance(content, Mapping):
    return all(map(_are_objects, (content.get('annotations'), content.get('images'))))
  return _are_objects(content) and bool(content) and all('bbox' in r for r in content)


def _are_objects(rows: Any) -> bool:
  return isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows)


def by_name(content: Any, files: Sequence[Path], path: str) -> dict[str, list[dict]]:
  """The boxes as `Boxes` reads them: {name: [{'xywh': box, ...}]}.

  Args:
    content: that `is_coco`. The side is that of the row or of its category's name.
    files: the inputs; of results without a `file_name` the `image_id` is the name of
      one, or its number, as of 000000000785.jpg.
    path: of the file, for messages.

  Raises:
    ValueError: an image is not listed, or an `image_id` names no input.
  """
  listed: dict[Any, Any] = {}
  sides: dict[Any, str] = {}
  rows = content
  if isinstance(content, Mapping):
    rows = [row for row in content['annotations'] if row.get('bbox')]
    listed = {row.get('id'): row.get('file_name') for row in content['images']}
    for category in content.get('categories', []):
      name = str(category.get('name')).lower()
      told = [side for side in ('left', 'right') if side in name]
      sides |= {category.get('id'): told[0]} if len(told) == 1 else {}
  stems = {name: file.name for file in files for name in _names(file)}
  found: dict[str, list[dict]] = {}
  for row in rows:
    key = row.get('image_id')
    name = row.get('file_name') or (listed or stems).get(key)
    if not isinstance(name, str):
      raise ValueError(
        f'{path}: the image_id {key!r} names none of the {len(files)} inputs, nor does '
        'the file list it: give COCO\'s annotations with their "images", or boxes by '
        'the names of files.'
      )
    hand = {'xywh': row['bbox']}
    own = {k: v for k, v in plain_keys(row).items() if k in told_lib.SIDE_KEYS}
    if not own and row.get('category_id') in sides:
      own = {'hand': sides[row['category_id']]}
    found.setdefault(name, []).append(hand | own)
  return found


def _names(file: Path) -> list[Any]:
  """What an `image_id` may call a file."""
  return [file.name, file.stem, *([int(file.stem)] if file.stem.isdecimal() else [])]
