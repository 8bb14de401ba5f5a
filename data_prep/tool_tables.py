"""Points that annotation tools write one by one, as the tables of a COCO export."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

_SIDE = re.compile(r'(?<![a-z])(left|right)(?![a-z])[\W_]*', re.IGNORECASE)
HAND_JOINTS = 21


class Point(NamedTuple):
  """A labelled keypoint: its name, its pixels and COCO's v."""

  name: str
  x: float
  y: float
  v: int = 2


class Group(NamedTuple):
  """Points of one thing: a hand, or both hands whose points name their side.

  Attributes:
    label: of the thing, such as its class; '' if there is none.
    points: those that are labelled; others may be left out.
    fields: what else is told of it, for example `hand`.
  """

  label: str
  points: Sequence[Point]
  fields: Mapping[str, Any] = {}


class Picture(NamedTuple):
  """An image: its name, its size (None if it is not told) and what is labelled."""

  file_name: str
  width: Any
  height: Any
  groups: Sequence[Group]


def make_tables(pictures: Iterable[Picture], path: Path) -> dict[str, list[dict]]:
  """The tables `images`, `annotations` and `categories`.

  Names tell the points, but for `left` and `right` in them, which tell the side. Hands
  of one kind share their names, so that those of which some are not labelled fit.

  Args:
    pictures: all of them.
    path: of the export, for messages.

  Raises:
    ValueError: a name occurs twice in one hand, sides contradict each other, or no kind
      of thing has 21 names of points.
  """
  images, hands = [], []
  for number, picture in enumerate(pictures):
    images.append(
      {
        'id': number,
        'file_name': picture.file_name,
        'width': picture.width,
        'height': picture.height,
      }
    )
    where = f'{path}: {picture.file_name}'
    for group in picture.groups:
      hands += [(number, *hand) for hand in _split(group, where)]
  names = _names_by_kind(hands, path)
  categories: dict[tuple[str, str], dict] = {}
  rows = []
  for number, kind, label, fields, points in hands:
    if kind in names:
      key = (kind, label)
      if key not in categories:
        keypoints = names[kind]
        category = {'id': len(categories), 'name': label, 'keypoints': keypoints}
        categories[key] = category
      found = {name: [p.x, p.y, p.v] for name, p in points.items()}
      flat = [value for name in names[kind] for value in found.get(name, (0, 0, 0))]
      row = {'id': len(rows), 'image_id': number, 'keypoints': flat}
      rows.append({**fields, **row, 'category_id': categories[key]['id']})
  return {'images': images, 'annotations': rows, 'categories': [*categories.values()]}


def _split(group: Group, where: str):
  """Kind, label, fields and points by name of each side's hand in a group."""
  sides: dict[str, dict[str, Point]] = {}
  for point in group.points:
    told = _SIDE.search(point.name)
    side = told[1].lower() if told else ''
    name = _SIDE.sub('', point.name).strip(' _-') if told else point.name
    points = sides.setdefault(side, {})
    if name in points:
      raise ValueError(
        f'{where} has the keypoint {point.name!r} twice in one hand; group the points '
        'of each hand, or put left and right into their names.'
      )
    points[name] = point
  kind = _SIDE.sub('', group.label).strip(' _-').lower()
  told = _SIDE.search(group.label)
  for side, points in sides.items():
    if side and told and side != told[1].lower():
      first = next(iter(points.values())).name
      raise ValueError(
        f'{where}: {group.label!r} holds the keypoint {first!r}; correct the side of '
        'one of them.'
      )
    fields = {**group.fields, 'hand': side} if side else group.fields
    yield kind, group.label, fields, points


def _names_by_kind(hands: Sequence, path: Path) -> dict[str, list[str]]:
  """The names of the points of each kind that has those of a hand."""
  names: dict[str, dict[str, None]] = {}
  for _, kind, _, _, points in hands:
    names.setdefault(kind, {}).update(dict.fromkeys(points))
  found = {kind: list(n) for kind, n in names.items() if len(n) == HAND_JOINTS}
  others = [
    f'{len(n)} of {kind or "points"!r} ({", ".join([*n][:3])}, ...)'
    for kind, n in names.items()
    if kind not in found
  ]
  if not found:
    raise ValueError(
      f'{path} has no hand with {HAND_JOINTS} named keypoints, but '
      f'{"; ".join(others) or "none at all"}: name the points of a hand, such as wrist '
      'and thumb_cmc, each by one name in all images.'
    )
  if others:
    logging.warning('%s: left out, being no hands: %s.', path, '; '.join(others))
  return found
