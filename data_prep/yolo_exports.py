"""YOLO pose: `data.yaml` and a text file for each image.

    data.yaml                        kpt_shape: [21, 3] (or 2), names of the classes
    images/<split>/*, labels/<split>/*.txt     or     <split>/images/*, <split>/labels/*

A line is a hand: class, box and keypoints in parts of the image's size. Keypoints have
no names but in `kpt_names` of newer files; without them they are numbers, taken for
those of the canonical order, with a warning.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bmc_jax.data import image_headers, images

from .annotations import load_text
from .coco_export import CORRECT, Export
from .hand_tables import Point, Tables, as_float

_IMAGES = ('.jpg', '.jpeg', '.png')


def find_exports(source: Path) -> list[Export]:
  """The splits of such an export; none if there is no `data.yaml` with `kpt_shape`.

  Raises:
    ValueError: it is for other keypoints than a hand's, or a line is damaged.
    FileNotFoundError: it has no labels.
  """
  for path in sorted([*source.glob('*.yaml'), *source.glob('*.yml')]):
    described = _read_yaml(path)
    if isinstance(described, Mapping) and 'kpt_shape' in described:
      return _read_splits(source, path, described)
  return []


def _read_yaml(path: Path) -> Any:
  import yaml

  try:
    return yaml.safe_load(load_text(path))
  except yaml.YAMLError as error:
    problem = str(error).splitlines()[0]
    raise ValueError(f'{path} cannot be read as YAML ({problem}); {CORRECT}.') from None


def _read_splits(source: Path, path: Path, described: Mapping[str, Any]):
  shape = described['kpt_shape']
  if not isinstance(shape, list) or shape not in ([21, 2], [21, 3]):
    raise ValueError(
      f'{path}: kpt_shape is {shape!r:.40}; a hand has [21, 3] or [21, 2].'
    )
  classes = described.get('names') or {}
  classes = dict(enumerate(classes)) if isinstance(classes, list) else dict(classes)
  named = described.get('kpt_names') or {}
  named = named if isinstance(named, Mapping) else dict(enumerate([named]))
  exports = []
  for split, labels in sorted(_label_folders(source).items()):
    parts = labels.relative_to(source).parts
    pictures = source.joinpath(*('images' if p == 'labels' else p for p in parts))
    tables = Tables()
    for file in sorted(labels.glob('*.txt')):
      _read_image(file, pictures, shape[1], classes, named, tables)
    exports.append(Export(path, split, (pictures,), tables.as_coco(labels)))
  if not exports:
    raise FileNotFoundError(
      f'{source} holds neither labels/<split>/*.txt nor <split>/labels/*.txt; put the '
      'labels there.'
    )
  return exports


def _label_folders(source: Path) -> dict[str, Path]:
  """The folder of labels of each split."""
  found = {folder.name: folder for folder in source.glob('labels/*')}
  found |= {folder.parent.name: folder for folder in source.glob('*/labels')}
  found = {split: folder for split, folder in found.items() if folder.is_dir()}
  if not found and (source / 'labels').is_dir():
    return {'train': source / 'labels'}
  return found


def _read_image(file, pictures, size, classes, named, tables: Tables) -> None:
  lines = [line.split() for line in load_text(file).splitlines() if line.strip()]
  if not lines:
    return
  found = [pictures / f'{file.stem}{ending}' for ending in _IMAGES]
  picture = next((path for path in found if path.is_file()), None)
  if picture is None:
    raise FileNotFoundError(
      f'{file} has no image {found[0]} (or .png); put it there, or delete the labels.'
    )
  opened = images.read_header(picture.read_bytes(), str(picture))
  header = image_headers.describe(opened, str(picture))
  key = tables.add_image(picture.name, header.width, header.height)
  for number, line in enumerate(lines, start=1):
    where = f'{file}: line {number}'
    if len(line) != 5 + 21 * size:
      raise ValueError(
        f'{where} has {len(line)} numbers; a class, a box and 21 keypoints of {size} '
        f'are {5 + 21 * size}; {CORRECT}.'
      )
    kind = int(as_float(line[0], where))
    names = named.get(kind) or [str(joint) for joint in range(21)]
    numbers = [as_float(word, where) for word in line[5:]]
    points = [
      _point(str(name), numbers[joint * size :][:size], header, where)
      for joint, name in enumerate(names)
    ]
    tables.add_hand(key, str(classes.get(kind, 'hand')), points, where, {})


def _point(name, numbers, header, where) -> Point:
  x, y, *v = numbers
  if max(abs(x), abs(y)) > 2:
    raise ValueError(f'{where} has pixels; YOLO has parts of the image; {CORRECT}.')
  labelled = int(v[0]) if v else 2 * bool(x or y)
  return Point(name, x * header.width, y * header.height, labelled)
