"""What looks wrong about the hands of a COCO export, though it need not be."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from absl import logging


def warn_of_corners(hands: Mapping[Any, np.ndarray], where: str) -> None:
  """Warns of labelled keypoints at 0, 0, where tools put those that have no label.

  Args:
    hands: keypoints x, y, v (21, 3) by the id of the annotation.
    where: names the export.
  """
  found = {
    key: int(np.sum((points[:, 2] > 0) & ~points[:, :2].any(axis=1)))
    for key, points in hands.items()
  }
  odd = [key for key, count in found.items() if count]
  if odd:
    logging.warning(
      '%s: %d keypoints of %d hands, first of annotation %r, lie at exactly 0, 0, but '
      'are labelled (v > 0); if they have no label, set their v to 0.',
      *(where, sum(found.values()), len(odd), odd[0]),
    )


def warn_of_sides(sides: Collection[bool], hand: str | None, where: str) -> None:
  """Warns if an export tells another side than the option `hand`, which gives way.

  Args:
    sides: of the hands, whether each is a right one.
    hand: 'left', 'right' or None.
    where: names the export.
  """
  others = sum(is_right != (hand == 'right') for is_right in sides)
  if hand and others:
    logging.warning(
      '%s tells of %d of %d hands that they are %s ones, which counts, not --hand %s: '
      'leave it out, or correct the export.',
      *(where, others, len(sides), {'left': 'right', 'right': 'left'}[hand], hand),
    )
