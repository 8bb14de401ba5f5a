"""CVAT's XML, "CVAT for images 1.1"."""

from pathlib import Path
from xml.etree import ElementTree

from .tool_tables import Group, Picture, Point

_HEAD = 1000  # bytes


def is_cvat(path: Path) -> bool:
  """Whether it may be an export of CVAT."""
  return b'<annotations' in path.read_bytes()[:_HEAD]


def read_cvat(path: Path) -> dict[str, list[Picture]]:
  """The skeletons of the images by subset; boxes, masks and the like are left out.

  Raises:
    ValueError: it is damaged, of a video, has points without names, or declares
      entities, which can grow without end.
  """
  content = path.read_bytes()
  if b'<!DOCTYPE' in content or b'<!ENTITY' in content:
    raise ValueError(f'{path} declares entities, which CVAT does not; export it again.')
  try:
    root = ElementTree.fromstring(content)
  except ElementTree.ParseError as error:
    raise ValueError(
      f'{path} cannot be read as XML ({error}); get a complete copy.'
    ) from error
  if root.tag != 'annotations' or root.find('track') is not None:
    raise ValueError(f'{path} is no export of the kind "CVAT for images 1.1".')
  subsets: dict[str, list[Picture]] = {}
  for image in root.iter('image'):
    subset = image.get('subset', '').lower()
    split = subset if subset not in ('', 'default') else 'train'
    subsets.setdefault(split, []).append(_picture(image, path))
  return subsets


def _picture(image: ElementTree.Element, path: Path) -> Picture:
  name = image.get('name', '')
  where = f'{path}: {name}'
  groups = []
  for skeleton in image.findall('skeleton'):
    points = [_point(p, where) for p in skeleton.findall('points')]
    fields = {a.get('name', '').lower(): a.text for a in skeleton.findall('attribute')}
    groups.append(Group(skeleton.get('label', ''), points, {'attributes': fields}))
  for shape in image.findall('points'):
    if len(shape.get('points', '').split(';')) > 1:
      raise ValueError(
        f'{where}: {shape.get("label")!r} has points without names, whose order nobody '
        'knows; draw a skeleton.'
      )
  return Picture(name, image.get('width'), image.get('height'), groups)


def _point(element: ElementTree.Element, where: str) -> Point:
  name = element.get('label', '')
  try:
    x, y = map(float, element.get('points', '').split(','))
  except ValueError:
    raise ValueError(
      f'{where}: the keypoint {name!r} is at {element.get("points")!r}, not x,y.'
    ) from None
  if element.get('outside') == '1':
    return Point(name, 0, 0, 0)
  return Point(name, x, y, 1 if element.get('occluded') == '1' else 2)
