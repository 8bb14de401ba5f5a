"""What looks wrong about the hands of a COCO export, though it need not be."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from absl import logging

from bmc_jax import skeleton

from .coco_export import Export

_MIN_FINGERS = 20  # fewer cannot outvote names
_MOST = 0.8


def warn_of_corners(hands: Mapping[Any, np.ndarray], where: str) -> None:
  """Warns of labelled keypoints at 0, 0, where tools put those that have no label.

  Args:
    hands: keypoints x, y, v (21, 3) by the name of the hand.
    where: names the export.
  """
  found = {
    key: int(np.sum((points[:, 2] > 0) & ~points[:, :2].any(axis=1)))
    for key, points in hands.items()
  }
  odd = [key for key, count in found.items() if count]
  if odd:
    logging.warning(
      '%s: %d keypoints of %d hands, first of annotation %s, lie at exactly 0, 0, but '
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


def from_base(keypoints: np.ndarray, export: Export) -> np.ndarray:
  """Keypoints whose fingers run from base to tip, as their names say, or turned.

  From the wrist along a finger the way is shorter over its base, however it is bent.

  Args:
    keypoints: (n, 21, 3) x, y, v of all hands, in the order of their names.
    export: turned, with a word, if it is known to run from the tips.

  Raises:
    ValueError: most fingers run from tip to base.
  """
  if export.from_tips:
    logging.warning(
      '%s: the fingers of this dataset run from tip to base, whatever the names of its '
      'keypoints say, and are turned; look at the contact sheet.',
      export.path,
    )
    keypoints = skeleton.reorder(keypoints, 'rhd')
  fingers = keypoints[:, 1:].reshape(-1, 5, 4, 3)
  wrists = np.broadcast_to(keypoints[:, None, None, 0], fingers[:, :, :1].shape)
  chains = np.concatenate([wrists, fingers], axis=2)
  chains = chains[(chains[..., 2] > 0).all(axis=2)][..., :2]
  longer = _length(chains) > _length(chains[:, [0, 4, 3, 2, 1]])
  if len(chains) >= _MIN_FINGERS and longer.mean() > _MOST:
    raise ValueError(
      f'{export.path}: {longer.sum()} of {len(chains)} fingers run from tip to base, '
      'but the names of the keypoints say from base to tip: correct the names.'
    )
  return keypoints


def _length(chains: np.ndarray) -> np.ndarray:
  return np.linalg.norm(np.diff(chains, axis=1), axis=-1).sum(axis=1)
