"""YOLO's pose labels: data.yaml and a text file for each image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.data import image_headers, images

from . import annotations
from .tool_tables import HAND_JOINTS, Group, Picture, Point

_SPLITS = ('train', 'val', 'test')
_SUFFIXES = ('.jpg', '.jpeg', '.png')


def is_yolo(path: Path) -> bool:
  """Whether it is a YAML file with `kpt_shape`."""
  return b'kpt_shape' in path.read_bytes()


def read_yolo(path: Path) -> dict[str, tuple[Path, tuple[Path, ...], list[Picture]]]:
  """By split: the file, the folder of the images, and these.

  `kpt_names` tell the keypoints; without them they are numbered in their order.

  Raises:
    FileNotFoundError: no folder of images is there.
    ValueError: the file, or one of labels, has another form.
  """
  told = annotations.load_yaml(path)
  shape = told.get('kpt_shape')
  if shape not in ([HAND_JOINTS, 2], [HAND_JOINTS, 3]):
    raise ValueError(f'{path}: kpt_shape is {shape}, but 21 keypoints are needed.')
  classes, names = _list(told.get('names')), _keypoint_names(told, path)
  found = {}
  for split in _SPLITS:
    folder = _folder(told, split, path)
    if folder:
      pictures = [
        _picture(file, folder, classes, names, shape[1])
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith('.')
      ]
      found[split] = (path, (folder,), pictures)
  if not found:
    raise FileNotFoundError(
      f'{path} names no folder of images that is there; give train and val relative to '
      'it.'
    )
  return found


def _list(value: Any) -> list[str]:
  """Names by number, which are a list or an object."""
  value = value or []
  if isinstance(value, Mapping):
    value = [value[key] for key in sorted(value)]
  return [str(name) for name in value]


def _keypoint_names(told: Mapping, path: Path) -> list[str]:
  names = told.get('kpt_names')
  if isinstance(names, Mapping) and all(isinstance(n, list) for n in names.values()):
    orders = {tuple(map(str, order)) for order in names.values()}
    if len(orders) > 1:
      raise ValueError(
        f'{path}: kpt_names differ between classes; give them one order.'
      )
    names = list(orders.pop())
  names = _list(names) or [str(number) for number in range(HAND_JOINTS)]
  if len(names) != HAND_JOINTS:
    raise ValueError(f'{path}: kpt_names has {len(names)} names, not {HAND_JOINTS}.')
  return names


def _folder(told: Mapping, split: str, path: Path) -> Path | None:
  """Where the images of a split are; Roboflow writes ../train/images for its own."""
  name = told.get(split, told.get('valid') if split == 'val' else None)
  if not isinstance(name, str):
    return None
  parts = [part for part in Path(name).parts if part not in ('..', '.')]
  own = Path(*parts) if parts and not Path(name).is_absolute() else None
  for base in (path.parent, path.parent / str(told.get('path') or '')):
    for place in filter(None, (own, own and own / 'images')):
      if any(f.suffix.lower() in _SUFFIXES for f in _entries(base / place)):
        return base / place
  return None


def _entries(folder: Path) -> list[Path]:
  return list(folder.iterdir()) if folder.is_dir() else []


def _picture(
  file: Path, folder: Path, classes: list[str], names: list[str], columns: int
) -> Picture:
  opened = images.read_header(file.read_bytes(), str(file))
  header = image_headers.describe(opened, str(file))
  text = _labels(file)
  groups = []
  for number, line in enumerate(text.splitlines() if text else (), 1):
    if line.strip():
      where = f'{file}: line {number} of its labels'
      cls, values = _numbers(line, columns, where)
      points = [
        Point(name, x * header.width, y * header.height, v)
        for name, (x, y, v) in zip(names, values, strict=True)
      ]
      label = classes[cls] if 0 <= cls < len(classes) else str(cls)
      groups.append(Group(label, points))
  return Picture(file.name, header.width, header.height, groups)


def _labels(file: Path) -> str | None:
  """The labels of an image; one without any has no hands."""
  folder = file.parent
  parts = list(folder.parts)
  places = [folder, folder.parent / 'labels' / folder.name]
  if 'images' in parts:
    last = len(parts) - 1 - parts[::-1].index('images')
    places.insert(0, Path(*parts[:last], 'labels', *parts[last + 1 :]))
  for place in places:
    path = place / f'{file.stem}.txt'
    if path.is_file():
      return path.read_text()
  return None


def _numbers(line: str, columns: int, where: str):
  """The class, and x, y in parts of the image and v of each keypoint."""
  try:
    numbers = np.array([float(word) for word in line.split()])
  except ValueError:
    numbers = np.zeros(0)
  count = 5 + HAND_JOINTS * columns
  if len(numbers) != count or not np.isfinite(numbers).all():
    raise ValueError(
      f'{where} has {len(line.split())} entries, but {count} numbers are needed: class,'
      f' box and 21 keypoints of {columns}.'
    )
  points = numbers[5:].reshape(HAND_JOINTS, columns)
  if columns == 2:  # what is not labelled is at 0, 0
    points = np.c_[points, np.where(points.any(axis=1), 2, 0)]
  if np.any(np.abs(points[:, :2] - 0.5) > 1):
    raise ValueError(f'{where} has pixels; YOLO has parts of the image, from 0 to 1.')
  return int(numbers[0]), [(x, y, int(v)) for x, y, v in points.tolist()]
