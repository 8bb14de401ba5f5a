"""Exports of annotation tools that are not COCO's: CVAT, Label Studio, labelme, YOLO.

annotations.xml, images/*                      CVAT for images 1.1
*.json (a list of tasks), images/*             Label Studio's own JSON
*.json beside the images, or <split>/*.json    labelme, X-AnyLabeling
data.yaml (kpt_shape), images/, labels/        YOLO pose, Roboflow
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from . import annotations
from .tool_cvat import is_cvat, read_cvat
from .tool_tables import Group, Picture, Point
from .tool_yolo import is_yolo, read_yolo

_UPLOADED = re.compile(r'^[0-9a-f]{8}-')

Found = dict[str, tuple[Path, tuple[Path, ...], list[Picture]]]
"""By split: the export, the folders of its images, and these."""


def find_tools(source: Path) -> Found:
  """Reads the exports of tools in a folder; none if there is none.

  Raises:
    ValueError: one is damaged.
  """
  places = (source / 'images', source)
  for path in _visible(source.glob('*.yaml')):
    if is_yolo(path):
      return read_yolo(path)
  for path in filter(is_cvat, _visible(source.glob('*.xml'))):
    subsets = read_cvat(path)
    return {
      split: (path, (source / 'images' / split, *places), pictures)
      for split, pictures in subsets.items()
    }
  singles: Found = {}
  damaged = None
  for path in _visible([*source.glob('*.json'), *source.glob('*/*.json')]):
    content = _peek(path)
    if is_labelme(content):
      split = 'train' if path.parent == source else path.parent.name
      folders = (path.parent, *places)
      first = singles.setdefault(split, (path.parent, folders, []))
      first[2].append(read_labelme(content, path))
    elif is_label_studio(content):
      return {'train': (path, places, read_label_studio(content, path, places))}
    elif content is None:
      damaged = damaged or path
  if singles and damaged:
    raise ValueError(f'{damaged} cannot be read as JSON; get a complete copy.')
  return singles


def _visible(paths) -> list[Path]:
  return sorted(path for path in paths if not path.name.startswith('.'))


def _peek(path: Path) -> Any:
  try:
    return json.loads(path.read_bytes())
  except (ValueError, RecursionError):
    return None


def is_labelme(content: Any) -> bool:
  """Whether it is the file that labelme, or X-AnyLabeling, writes for an image."""
  shapes = content.get('shapes') if isinstance(content, Mapping) else None
  return isinstance(shapes, list) and all(isinstance(s, Mapping) for s in shapes)


def read_labelme(content: Mapping, path: Path) -> Picture:
  """The points of an image, by `group_id`; a box of the group names the hand.

  Raises:
    ValueError: a point is none.
  """
  groups: dict[Any, list[Point]] = {}
  labels: dict[Any, str] = {}
  for shape in content['shapes']:
    key, label = shape.get('group_id'), str(shape.get('label'))
    if shape.get('shape_type') == 'point':
      xy = _pair(shape.get('points'), f'{path}: the point {label!r}')
      groups.setdefault(key, []).append(Point(label, *xy))
    elif key is not None and shape.get('shape_type') == 'rectangle':
      labels[key] = label
  name = PurePosixPath(str(content.get('imagePath')).replace('\\', '/')).name
  found = [Group(labels.get(key, ''), points) for key, points in groups.items()]
  # Of the label of a group only the side counts: all points are those of hands.
  found = [g._replace(label=_side_of(g.label)) for g in found]
  return Picture(name, content.get('imageWidth'), content.get('imageHeight'), found)


def is_label_studio(content: Any) -> bool:
  """Whether it is Label Studio's own JSON: a list of tasks."""
  return (
    isinstance(content, list)
    and bool(content)
    and all(
      isinstance(task, Mapping) and isinstance(task.get('data'), Mapping)
      for task in content
    )
  )


def read_label_studio(
  content: list, path: Path, places: Sequence[Path]
) -> list[Picture]:
  """The images of the tasks; points belong to the region that is their parent.

  Label Studio puts eight letters before the name of an uploaded image, which its file
  in one of the places need not have.

  Raises:
    ValueError: a task has another form, or annotations of two people.
  """
  pictures = [_task(task, f'{path}: task {task.get("id")!r}') for task in content]
  for number, picture in enumerate(pictures):
    name = picture.file_name
    bare = _UPLOADED.sub('', name)
    if not any((p / name).is_file() for p in places) and any(
      (p / bare).is_file() for p in places
    ):
      pictures[number] = picture._replace(file_name=bare)
  return pictures


def _task(task: Mapping, where: str) -> Picture:
  told = [value for value in task['data'].values() if isinstance(value, str)]
  if not told:
    raise ValueError(f'{where} names no image; get a complete export.')
  name = PurePosixPath(told[0].rpartition('?d=')[2].replace('\\', '/')).name
  given = task.get('annotations', task.get('completions')) or []
  done = [one.get('result') for one in given if not one.get('was_cancelled')]
  if len(done) > 1:
    raise ValueError(f'{where} has {len(done)} annotations; keep one of them.')
  regions = done[0] or [] if done else []
  labels = {
    region.get('id'): _side_of(' '.join(region['value'].get(region['type'], ())))
    for region in regions
    if region.get('type') in ('rectanglelabels', 'choices')
  }
  groups: dict[Any, list[Point]] = {}
  width = height = None
  for region in regions:
    if region.get('type') == 'keypointlabels':
      width, height = region.get('original_width'), region.get('original_height')
      if region.get('image_rotation') or not (width and height):
        raise ValueError(
          f'{where} has a keypoint of a turned image, or of one of unknown size; turn '
          'the image itself.'
        )
      value = region['value']
      label = ' '.join(value.get('keypointlabels', ()))
      x, y = _pair([[value.get('x'), value.get('y')]], f'{where}: {label!r}')
      point = Point(label, x / 100 * width, y / 100 * height)
      groups.setdefault(region.get('parentID'), []).append(point)
  found = [Group(labels.get(key, ''), points) for key, points in groups.items()]
  return Picture(name, width, height, found)


def _side_of(label: str) -> str:
  told = [side for side in ('left', 'right') if side in label.lower()]
  return told[0] if len(told) == 1 else ''


def _pair(points: Any, where: str) -> tuple[float, float]:
  remedy = 'correct the export'
  x, y = annotations.as_numbers(points, (1, 2), where, remedy=remedy)[0].tolist()
  return x, y
