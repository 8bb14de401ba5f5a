"""Hands whose points have names, gathered as the tables of a COCO export."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmc_jax.joint_files.names import number_places

from .coco_export import CORRECT, Row


class Point(NamedTuple):
  """A labelled point.

  Attributes:
    name: of the joint.
    x, y: pixels, as the tool counts them.
    v: COCO's: 0 not labelled, 1 occluded, 2 visible.
  """

  name: str
  x: float
  y: float
  v: int


def as_float(value: Any, where: str) -> float:
  """A finite number, which tools write as text, too.

  Raises:
    ValueError: it is none.
  """
  try:
    number = float(value)
  except (TypeError, ValueError):
    number = math.nan
  if not math.isfinite(number):
    raise ValueError(f'{where} has {value!r:.40} in place of a number; {CORRECT}.')
  return number


class Tables:
  """Collects images and hands; `as_coco` makes the tables of them."""

  def __init__(self):
    self._images: list[Row] = []
    self._hands: list[tuple[int, str, dict[str, Point], Mapping[str, Any]]] = []
    self._names: dict[str, dict[str, None]] = {}

  def add_image(self, name: str, width: Any, height: Any) -> int:
    """Adds an image; its id."""
    key = len(self._images) + 1
    row = {'id': key, 'file_name': name, 'width': width, 'height': height}
    self._images.append(row)
    return key

  def add_hand(
    self,
    image: int,
    label: str,
    points: Sequence[Point],
    where: str,
    attributes: Mapping[str, Any],
  ) -> None:
    """Adds a hand.

    Args:
      image: id of its image.
      label: what the tool calls it, which may tell its side.
      points: those that are labelled; the others may be left out.
      where: names the hand in messages.
      attributes: may tell its side, too.

    Raises:
      ValueError: two points have one name.
    """
    names = [point.name for point in points]
    if twice := {name for name in names if names.count(name) > 1}:
      raise ValueError(
        f'{where} has the point {min(twice)!r} twice; if these are two hands, group '
        'the points of each.'
      )
    self._hands.append((image, label, {p.name: p for p in points}, attributes))
    self._names.setdefault(label, {}).update(dict.fromkeys(names))

  def as_coco(self, path: Path) -> dict[str, list[Row]]:
    """The tables `images`, `annotations` and `categories`.

    Raises:
      ValueError: there is no hand, or hands of one label do not have 21 names.
    """
    if not self._hands:
      raise ValueError(f'{path} has no hand: no labelled points; {CORRECT}.')
    names = {label: _sorted(list(found)) for label, found in self._names.items()}
    # The joints of both sides have the same names, of which one side may miss some.
    together = _sorted(list(dict.fromkeys(sum(names.values(), []))))
    if len(together) == 21:
      names = dict.fromkeys(names, together)
    for label, found in names.items():
      if len(found) != 21:
        raise ValueError(
          f'{path}: the points of {label!r} have {len(found)} different names '
          f'({", ".join(found[:3])}, ...), but the 21 of a hand are needed, each of '
          f'them labelled at least once; {CORRECT}.'
        )
    labels = {label: key for key, label in enumerate(names, start=1)}
    nothing = Point('', 0, 0, 0)
    hands: list[Row] = []
    for key, (image, label, points, attributes) in enumerate(self._hands, start=1):
      listed = [points.get(name, nothing) for name in names[label]]
      hands.append(
        {
          'id': key,
          'image_id': image,
          'category_id': labels[label],
          'keypoints': [n for point in listed for n in point[1:]],
          'attributes': attributes,
        }
      )
    categories: list[Row] = [
      {'id': labels[label], 'name': label, 'keypoints': found}
      for label, found in names.items()
    ]
    return {'images': self._images, 'annotations': hands, 'categories': categories}


def _sorted(names: list[str]) -> list[str]:
  """Numbers in their order, other names as they are."""
  places = number_places(names)
  return names if places is None else [names[place] for place in places]
