"""Exports of annotation tools that are no COCO files, as the tables of one.

Read are, below the folder of the export:

    annotations.xml (or any *.xml)   "CVAT for images 1.1": skeletons
    *.json beside each image         labelme, X-AnyLabeling: points; those of one hand
                                     have one `group_id`, and a rectangle of that group
                                     tells what it is
    *.json                           Label Studio's own: a list of tasks; points that
                                     lie in the region of a hand are its own, others of
                                     a task are one hand
    data.yaml, labels/**/*.txt       YOLO pose (`bmc_jax.data_prep.yolo_exports`)

Names of points tell the joints (`bmc_jax.joint_files.names`), also where they are
numbers. The name of what a hand is, or an attribute, tells its side.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from absl import logging

from . import annotations, yolo_exports
from .coco_export import CORRECT, Export
from .hand_tables import Point, Tables, as_float

# Label Studio's uploads are named so.
_UPLOAD = re.compile(r'[0-9a-f]{8}-')


def find_exports(source: Path) -> list[Export]:
  """The exports of such tools in a folder; none if it holds a COCO file or nothing.

  Raises:
    ValueError: one is damaged, or says something that can not be.
  """
  if found := yolo_exports.find_exports(source):
    return found
  for path in _glob(source, '*.xml'):
    return [_export(source, path, _read_cvat(path))]
  files = _glob(source, '*.json') + _glob(source, 'images/*.json')
  contents = {}
  for path in files:
    content = annotations.load_json(path)
    if _is_label_studio(content):
      return [_export(source, path, _read_label_studio(source, path, content))]
    if isinstance(content, Mapping) and 'shapes' in content and 'imagePath' in content:
      contents[path] = content
  if not contents:
    return []
  return [_export(source, source, _read_labelme(source, contents))]


def _glob(source, pattern):
  found = [*source.glob(pattern), *source.glob(f'annotations/{pattern}')]
  return sorted(path for path in found if not path.name.startswith('.'))


def _export(source: Path, path: Path, tables: Tables) -> Export:
  folders = (path.parent if path.is_file() else path, source / 'images', source)
  return Export(path, 'train', tuple(dict.fromkeys(folders)), tables.as_coco(path))


def _read_cvat(path: Path) -> Tables:
  data = path.read_bytes()
  if b'<!DOCTYPE' in data or b'<!ENTITY' in data:
    raise ValueError(f'{path} declares entities, which no export needs; {CORRECT}.')
  try:
    root = ElementTree.fromstring(data)
  except ElementTree.ParseError as error:
    raise ValueError(
      f'{path} cannot be read as XML ({error}); get a complete copy.'
    ) from None
  tables = Tables()
  for image in root.iter('image'):
    size = (image.get('width'), image.get('height'))
    key = tables.add_image(str(image.get('name')), *size)
    for skeleton in image.iter('skeleton'):
      points = [_cvat_point(point, path) for point in skeleton.iter('points')]
      attributes = {a.get('name'): a.text for a in skeleton.findall('attribute')}
      where = f'{path}: a skeleton in {image.get("name")!r}'
      tables.add_hand(key, str(skeleton.get('label')), points, where, attributes)
  return tables


def _cvat_point(point: ElementTree.Element, path: Path) -> Point:
  name, text = str(point.get('label')), str(point.get('points'))
  x, comma, y = text.partition(',')
  if not comma:
    raise ValueError(f'{path}: a point {name!r} lies at {text!r:.40}; {CORRECT}.')
  where = f'{path}: the point {name!r}'
  v = 0 if point.get('outside') == '1' else 1 if point.get('occluded') == '1' else 2
  return Point(name, as_float(x, where), as_float(y, where), v)


def _read_labelme(source: Path, contents: Mapping[Path, Any]) -> Tables:
  tables = Tables()
  for path, content in contents.items():
    file = path.parent / PurePosixPath(content['imagePath'].replace('\\', '/')).name
    size = (content.get('imageWidth'), content.get('imageHeight'))
    key = tables.add_image(str(file.relative_to(source)), *size)
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for shape in content['shapes']:
      groups.setdefault(shape.get('group_id'), []).append(shape)
    for group, shapes in groups.items():
      points = [s for s in shapes if s.get('shape_type') == 'point']
      others = [s for s in shapes if s.get('shape_type') != 'point']
      if not points:
        continue
      where = f'{path}: the group {group!r}'
      label = str(others[0].get('label')) if group is not None and others else 'hand'
      attributes = dict(others[0].get('attributes') or {}) if others else {}
      found = [_labelme_point(point, where) for point in points]
      tables.add_hand(key, label, found, where, attributes)
  return tables


def _labelme_point(shape: Mapping[str, Any], where: str) -> Point:
  name = str(shape.get('label'))
  try:
    ((x, y),) = shape['points']
  except (KeyError, TypeError, ValueError):
    raise ValueError(f'{where}: the point {name!r} has no place; {CORRECT}.') from None
  where = f'{where}: the point {name!r}'
  v = 1 if shape.get('difficult') else 2
  return Point(name, as_float(x, where), as_float(y, where), v)


def _is_label_studio(content: Any) -> bool:
  """A list of tasks with data and annotations."""
  return (
    isinstance(content, list)
    and bool(content)
    and all(isinstance(task, Mapping) and 'data' in task for task in content)
  )


def _read_label_studio(source: Path, path: Path, tasks: list[Any]) -> Tables:
  tables, several = Tables(), 0
  for task in tasks:
    done = [a for a in task.get('annotations') or [] if not a.get('was_cancelled')]
    several += len(done) > 1
    regions = {r.get('id'): r for r in (done[-1].get('result') or [])} if done else {}
    points = [r for r in regions.values() if r.get('type') == 'keypointlabels']
    if not points:
      continue
    where = f'{path}: task {task.get("id")!r}'
    size = (points[0].get('original_width'), points[0].get('original_height'))
    key = tables.add_image(_find_upload(source, path, task['data'], where), *size)
    hands: dict[Any, list[Mapping[str, Any]]] = {}
    for point in points:
      hands.setdefault(point.get('parentID'), []).append(point)
    for parent, found in hands.items():
      label = _label_of(regions.get(parent, {})) or 'hand'
      tables.add_hand(key, label, [_studio_point(p, where) for p in found], where, {})
  if several:
    logging.warning(
      '%s: %d tasks were labelled more than once; the last label is taken.',
      *(path, several),
    )
  return tables


def _label_of(region: Mapping[str, Any]) -> str:
  """The first label of a region, whatever its shape."""
  value = region.get('value') or {}
  labels = [v for name, v in value.items() if name.endswith('labels') and v]
  return str(labels[0][0]) if labels else ''


def _studio_point(region: Mapping[str, Any], where: str) -> Point:
  name, value = _label_of(region), region.get('value') or {}
  where = f'{where}: the point {name!r}'
  x, y = (
    as_float(value.get(axis), where) / 100 * as_float(region.get(s), f'{where}: {s}')
    for axis, s in (('x', 'original_width'), ('y', 'original_height'))
  )
  return Point(name, x, y, 2)


def _find_upload(source: Path, path: Path, data: Mapping[str, Any], where: str) -> str:
  """The image of a task: the file of that name, or the one before its upload."""
  values = [value for value in data.values() if isinstance(value, str)]
  images = [re.split(r'[/\\=]', value)[-1] for value in values]
  images = [name for name in images if '.' in name]
  if not images:
    raise ValueError(f'{where} names no image; {CORRECT}.')
  for name in (images[0], _UPLOAD.sub('', images[0], count=1)):
    if any((f / name).is_file() for f in (path.parent, source / 'images', source)):
      return name
  return images[0]
