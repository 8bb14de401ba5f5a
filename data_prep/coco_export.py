"""COCO-keypoints exports of annotation tools: their files, tables and cameras."""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from absl import logging

from bmc_jax.data import cameras, image_headers

from . import annotations, coco_layouts, tool_exports, tool_tables

Row = Mapping[str, Any]
"""An entry of one of the tables."""

CORRECT = 'correct the export'

_TABLES = ('images', 'annotations', 'categories')
_PREFIX = 'person_keypoints_'
_NESTED = '_annotations.coco.json'
_NO_SPLIT = ('default', 'result', 'annotations', '_annotations.coco')


@dataclasses.dataclass(frozen=True)
class Export:
  """One JSON file.

  Attributes:
    path: of the file.
    split: its name.
    folders: where its images may be.
    tables: `images`, `annotations` and `categories`.
    pixel_center: both coordinates of the first pixel's centre, as far as is known.
    from_tips: whether fingers run from tip to base in spite of their names.
  """

  path: Path
  split: str
  folders: tuple[Path, ...]
  tables: Mapping[str, Sequence[Row]]
  pixel_center: float = 0.5
  from_tips: bool = False

  def find_images(self, rows: Iterable[Row]) -> dict[Any, Path]:
    """The files of entries of `images`, by id.

    A missing one gets the path that it would have beside the others, so that reading
    its examples fails.

    Raises:
      FileNotFoundError: all of them are missing.
      ValueError: a name leads out of the folders.
    """
    names = {row['id']: self._relative(row.get('file_name')) for row in rows}
    found: dict[Any, Path] = {}
    home = None
    for key, name in names.items():
      folder = next((f for f in self.folders if (f / name).is_file()), None)
      if folder:
        home = home or folder
        found[key] = folder / name
    if home is None:
      raise FileNotFoundError(
        f'{self.path}: none of its {len(names)} images, such as '
        f'{str(next(iter(names.values())))!r}, is in '
        f'{", ".join(str(folder) for folder in self.folders)}; put them there.'
      )
    return {key: found.get(key, home / name) for key, name in names.items()}

  def _relative(self, file_name: Any) -> PurePosixPath:
    name = PurePosixPath(str(file_name).replace('\\', '/'))
    if name.is_absolute() or '..' in name.parts or not name.name:
      raise ValueError(
        f'{self.path}: the file_name {file_name!r} does not lie in the folder of the '
        'export; put the images into it and name them relative to it.'
      )
    return name


def find_exports(source: Path) -> list[Export]:
  """Reads the exports in a folder, one for each split.

  Raises:
    FileNotFoundError: there is none.
    ValueError: there are two for one split, or one is damaged.
  """
  found = coco_layouts.find_public(source)
  found = found or _glob(source, f'annotations/{_PREFIX}*.json')
  found = found or _glob(source, f'*/{_NESTED}')
  if not found and (tools := tool_exports.find_tools(source)):
    return [
      Export(path, split, folders, tool_tables.make_tables(pictures, path))
      for split, (path, folders, pictures) in tools.items()
    ]
  loose = not found
  found = found or _glob(source, 'annotations/*.json', '*.json')
  if not found:
    raise FileNotFoundError(
      f'{source} holds no COCO export: neither annotations/*.json nor */{_NESTED} nor '
      '*.json; nor one of CVAT, Label Studio, labelme or YOLO.'
    )
  contents = {path: annotations.load_json(path) for path in found}
  if loose:  # other JSON files may lie there, too
    contents = _without_others(contents)
  exports: dict[str, Export] = {}
  for path, content in contents.items():
    nested = path.name == _NESTED and path.parent != source
    name = path.parent.name if nested else path.stem.removeprefix(_PREFIX)
    unnamed = name in _NO_SPLIT or name == 'all' and len(contents) == 1
    public = coco_layouts.split_of(path)
    split = public or ('train' if unnamed else re.sub(r'\W+', '_', name))
    if split in exports:
      raise ValueError(
        f'{exports[split].path} and {path} are both of the split {split!r}; keep one.'
      )
    images = source / 'images'
    folders = (path.parent, images / name, source / name, images, source)
    folders += coco_layouts.folders_of(path, source)
    exports[split] = Export(
      path,
      split,
      tuple(dict.fromkeys(folders)),
      _read_tables(content, path),
      0.0 if public else 0.5,
      coco_layouts.runs_from_tips(content, path),
    )
  return list(exports.values())


def _glob(source: Path, *patterns: str) -> list[Path]:
  found = (path for pattern in patterns for path in source.glob(pattern))
  return sorted(path for path in found if not path.name.startswith('.'))


def _missing_table(content: Any) -> str | None:
  """The first of the tables that a JSON file has not got."""
  for name in _TABLES:
    rows = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(r, Mapping) for r in rows):
      return name
  return None


def _without_others(contents: Mapping[Path, Any]) -> dict[Path, Any]:
  """Those that are exports, or all if none is."""
  missing = {path: _missing_table(content) for path, content in contents.items()}
  if all(missing.values()):
    return dict(contents)
  for path, name in missing.items():
    if name:
      logging.warning('%s has no table %s, so it is left out.', path, name)
  return {path: content for path, content in contents.items() if not missing[path]}


def _read_tables(content: Any, path: Path) -> dict[str, list[Row]]:
  if name := _missing_table(content):
    raise ValueError(f'{path} has no table {name}; export it as "COCO keypoints".')
  for row in content['annotations']:
    for name in ('image_id', 'category_id'):
      if not isinstance(row.get(name), int | str):
        raise ValueError(
          f'{path}: annotation {row.get("id")!r} has no {name}; get a complete export.'
        )
  return {name: content[name] for name in _TABLES}


@dataclasses.dataclass(frozen=True)
class View:
  """What an export says of an image.

  Attributes:
    export: its path.
    width: in pixels; None if it is not listed.
    height: the same.
    intrinsics: (3, 3), pixel centres at integers; None if they are not listed.
  """

  export: Path
  width: int | None
  height: int | None
  intrinsics: np.ndarray | None

  def check_size(self, header: image_headers.Header, image: Path) -> None:
    """Raises a ValueError if the image has another size than is listed."""
    listed = (self.width or header.width, self.height or header.height)
    if listed != (header.width, header.height):
      raise ValueError(
        f'{image} is {header.width}x{header.height} after the rotation in its EXIF '
        f'data, but {self.export} lists it as {listed[0]}x{listed[1]}; annotate the '
        'images that are prepared.'
      )

  def doubts(self) -> dict[str, str]:
    """What looks wrong about the listed camera; see `cameras.doubts`."""
    if self.intrinsics is None or self.width is None or self.height is None:
      return {}
    return cameras.doubts(self.intrinsics, self.width, self.height)


def read_view(path: Path, row: Row, pixel_center: float) -> View:
  """Reads what an entry of `images` says.

  Args:
    path: of the export.
    row: the entry.
    pixel_center: both coordinates of the first pixel's centre in the export.

  Raises:
    ValueError: the size or the camera is wrong.
  """
  where = f'{path}: image {row.get("id")!r}'
  width, height = (_read_length(row, name, where) for name in ('width', 'height'))
  intrinsics = _listed_intrinsics(row, where)
  if intrinsics is not None:
    intrinsics[:2, 2] -= pixel_center
  return View(path, width, height, intrinsics)


def _read_length(row: Row, name: str, where: str) -> int | None:
  """The width or height of an image; tools write it as text, too, or as null."""
  value = row.get(name)
  if value is None:
    return None
  try:
    length = float(value)
  except (TypeError, ValueError, OverflowError):
    length = 0.0
  if not 1 <= length < math.inf or length % 1:
    raise ValueError(f'{where}: {name} is {value!r}, no number of pixels; {CORRECT}.')
  return int(length)


def _listed_intrinsics(row: Row, where: str) -> np.ndarray | None:
  """The camera in an entry of `images`, as it is there."""
  for name in ('intrinsics', 'cam_param'):
    if row.get(name) is not None:
      try:
        return cameras.read_camera(row[name], f'{where}: {name}').matrix.copy()
      except ValueError as error:
        raise ValueError(f'{str(error).rstrip(".")}; {CORRECT}.') from None
  return None


def by_id(rows: Iterable[Row], where: str) -> dict[Any, Row]:
  """The entries of a table by their id."""
  found: dict[Any, Row] = {}
  for row in rows:
    key = row.get('id')
    if not isinstance(key, int | str) or key in found:
      raise ValueError(
        f'{where} has an entry whose id {key!r} is missing or not unique; {CORRECT}.'
      )
    found[key] = row
  return found


def names_of(category: Row) -> list[str] | None:
  """The 21 keypoint names of a category; None if it is no hand."""
  names = category.get('keypoints')
  if not isinstance(names, list) or len(names) != 21:
    return None
  return [str(name) for name in names]
