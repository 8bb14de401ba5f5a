"""COCO-keypoints exports of annotation tools: their files, tables and cameras."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from data_prep import annotations, image_headers

Row = Mapping[str, Any]
"""An entry of one of the tables."""

CORRECT = 'correct the export'

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
  """

  path: Path
  split: str
  folders: tuple[Path, ...]

  def load(self) -> dict[str, list[Row]]:
    """The tables `images`, `annotations` and `categories`.

    Raises:
      ValueError: the file has not got them.
    """
    content = annotations.load_json(self.path)
    tables = {}
    for name in ('images', 'annotations', 'categories'):
      rows = content.get(name) if isinstance(content, Mapping) else None
      if not isinstance(rows, list) or not all(isinstance(r, Mapping) for r in rows):
        raise ValueError(
          f'{self.path} has no table {name}; export it as "COCO keypoints".'
        )
      tables[name] = rows
    for row in tables['annotations']:
      for name in ('image_id', 'category_id'):
        if not isinstance(row.get(name), int | str):
          raise ValueError(
            f'{self.path}: annotation {row.get("id")!r} has no {name}; get a complete '
            'export.'
          )
    return tables

  def find_image(self, file_name: Any) -> Path:
    """The image of this name.

    Raises:
      FileNotFoundError: it is in none of the folders.
      ValueError: the name leads out of them.
    """
    name = PurePosixPath(str(file_name).replace('\\', '/'))
    if name.is_absolute() or '..' in name.parts or not name.name:
      raise ValueError(
        f'{self.path}: the file_name {file_name!r} does not lie in the folder of the '
        'export; put the images into it and name them relative to it.'
      )
    for folder in self.folders:
      if (folder / name).is_file():
        return folder / name
    raise FileNotFoundError(
      f'{self.path}: the image {file_name!r} is in none of '
      f'{", ".join(str(folder) for folder in self.folders)}; put it there.'
    )


def find_exports(source: Path) -> list[Export]:
  """The exports in a folder, one for each split.

  Raises:
    FileNotFoundError: there is none.
    ValueError: there are two for one split.
  """
  found = sorted(source.glob(f'annotations/{_PREFIX}*.json'))
  found = found or sorted(source.glob(f'*/{_NESTED}'))
  found = found or sorted([*source.glob('annotations/*.json'), *source.glob('*.json')])
  if not found:
    raise FileNotFoundError(
      f'{source} holds no COCO export: neither annotations/*.json nor */{_NESTED} nor '
      '*.json.'
    )
  exports: dict[str, Export] = {}
  for path in found:
    nested = path.name == _NESTED and path.parent != source
    name = path.parent.name if nested else path.stem.removeprefix(_PREFIX)
    split = 'train' if name in _NO_SPLIT else re.sub(r'\W+', '_', name)
    if split in exports:
      raise ValueError(
        f'{exports[split].path} and {path} are both of the split {split!r}; keep one.'
      )
    images = source / 'images'
    folders = (path.parent, images / name, source / name, images, source)
    exports[split] = Export(path, split, tuple(dict.fromkeys(folders)))
  return list(exports.values())


@dataclasses.dataclass(frozen=True)
class View:
  """An image and its camera.

  Attributes:
    image: its file.
    size: (2,) width and height in pixels.
    intrinsics: (3, 3), pixel centres at integers.
    is_guess: whether the focal length is not known.
  """

  image: Path
  size: np.ndarray
  intrinsics: np.ndarray
  is_guess: bool


def read_view(export: Export, row: Row, pixel_center: float) -> View:
  """Finds an image and makes its camera.

  Args:
    export: that lists the image.
    row: its entry in `images`.
    pixel_center: both coordinates of the first pixel's centre in the export.

  Raises:
    FileNotFoundError: the image is missing.
    ValueError: it has not the size in its entry, or the entry is wrong.
  """
  image = export.find_image(row.get('file_name'))
  header = image_headers.read_header(image)
  size = np.array([header.width, header.height])
  listed = [row.get('width', header.width), row.get('height', header.height)]
  if listed != size.tolist():
    raise ValueError(
      f'{image} is {header.width}x{header.height} after the rotation in its EXIF data, '
      f'but {export.path} lists it as {listed[0]}x{listed[1]}; annotate the images '
      'that are prepared.'
    )
  intrinsics = _listed_intrinsics(row, f'{export.path}: image {row.get("id")!r}')
  if intrinsics is None:
    return View(image, size, guess_intrinsics(header), is_guess=True)
  intrinsics[:2, 2] -= pixel_center
  return View(image, size, intrinsics, is_guess=False)


def guess_intrinsics(header: image_headers.Header) -> np.ndarray:
  """A camera (3, 3) for an image of which only the header is known."""
  focal = header.focal_length or max(header.width, header.height)
  cx, cy = (header.width - 1) / 2, (header.height - 1) / 2
  return np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1]])


def _listed_intrinsics(row: Row, where: str) -> np.ndarray | None:
  """The camera in an entry of `images`, as it is there."""
  if row.get('intrinsics') is not None:
    return annotations.as_numbers(
      row['intrinsics'], (3, 3), f'{where}: intrinsics', remedy=CORRECT
    )
  camera = row.get('cam_param')
  if camera is None:
    return None
  if not isinstance(camera, Mapping):
    raise ValueError(f'{where}: cam_param is {camera!r}, no camera; {CORRECT}.')
  (fx, fy), (cx, cy) = (
    annotations.as_numbers(
      camera.get(part), (2,), f'{where}: {part} of cam_param', remedy=CORRECT
    )
    for part in ('focal', 'princpt')
  )
  return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


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
