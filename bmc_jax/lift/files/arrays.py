"""2D keypoints in arrays of NumPy."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bmc_jax import skeleton
from bmc_jax.joint_files import told as told_lib
from bmc_jax.joint_files.arrays import plain_keys
from bmc_jax.joint_files.reading import load_numpy
from bmc_jax.lift.files import content as content_lib
from bmc_jax.lift.files.content import Content, Hand

_NAMES = ('keypoints2d', 'keypoints', 'landmarks', 'joints2d', 'points2d', 'uv', 'kpts')
_CONFIDENCES = (
  'confidence',
  'confidences',
  'conf',
  'scores',
  'keypointscores',
  'score',
)
_CONFIDENCES += ('visibility', 'visible', 'mask')
_FRAMES = (
  'frames',
  'frame',
  'names',
  'filenames',
  'files',
  'images',
  'sampleid',
  'ids',
)
_SIZES = ('imagesizes', 'imagesize', 'sizes')
_BOXES = ('bbox', 'bboxes', 'box', 'boxes')
_PERSONS = ('persons', 'person', 'trackid', 'tracks', 'handid')


def read_numpy(file: Path) -> Content:
  """Hands of an array, or of an archive of arrays.

  Raises:
    ValueError: there are none, or they have another shape.
  """
  content = load_numpy(file)
  if isinstance(content, np.ndarray):
    return Content('NumPy', [Hand(hand) for hand in _as_hands(content)])
  arrays = {name: content[name] for name in content.files}
  keys = plain_keys(arrays)
  name = _find(arrays)
  hands = _as_hands(arrays[name])
  count = len(hands)
  for key in _CONFIDENCES:
    if key in keys:
      hands[..., 2] = _fitting(keys[key], (count, 21), key)
      break
  told = told_lib.by_arrays(arrays, count)
  ending = name.lower().rpartition('_')[2]
  if ending in skeleton.JOINT_ORDERS:
    told.orders.append(ending)
  hands, order, unclear = told_lib.arranged(hands, told.orders)
  sides = told.sides or [math.nan] * count
  if len(sides) != count:
    raise ValueError(f'it has {count} hands, but {len(sides)} sides')
  frames = _values(keys, _FRAMES, count) or list(range(count))
  persons = _values(keys, _PERSONS, count) or [None] * count
  sizes = _rows(keys, _SIZES, count, 2)
  boxes = _rows(keys, _BOXES, count, 4)
  return Content(
    'NumPy',
    [
      Hand(
        hands[i],
        frames[i],
        sides[i],
        None if sizes is None else content_lib.as_size(sizes[i]),
        persons[i],
        None if boxes is None else boxes[i],
      )
      for i in range(count)
    ],
    order,
    unclear,
  )


def _find(arrays: Mapping[str, np.ndarray]) -> str:
  """The name of the array of keypoints."""
  by_name = [
    name for key in _NAMES for name, own in _spelt(arrays) if own.startswith(key)
  ]
  by_shape = [
    name
    for name, array in arrays.items()
    if array.shape[-2:] in ((21, 2), (21, 3)) or array.shape[1:] in ((42,), (63,))
  ]
  named = [name for name in dict.fromkeys(by_name) if name in by_shape]
  if len(named) == 1 or not named and len(by_shape) == 1:
    return (named or by_shape)[0]
  raise ValueError(
    f'expected one array of keypoints, found {", ".join(named or by_shape) or "none"}; '
    'call it keypoints_2d'
  )


def _spelt(arrays: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
  return [(name, own) for name in arrays for own in plain_keys({name: 0})]


def _as_hands(values: np.ndarray) -> np.ndarray:
  """(N, 21, 3) x, y and confidence."""
  if values.ndim == 2 and values.shape[1] in (42, 63):
    values = values.reshape(len(values), 21, -1)
  points = content_lib.as_points(values, 'the array')
  if points.shape[1] != 21 or not len(points):
    raise ValueError(
      f'its array has the shape {values.shape}, but (N, 21, 2), or (N, 21, 3) with a '
      'confidence, is needed, with N > 0'
    )
  return points


def _fitting(value: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
  if value.dtype.kind not in 'biuf' or value.shape not in (shape, (*shape, 1)):
    raise ValueError(f'{name} has the shape {value.shape}, but {shape} is needed')
  return value.reshape(shape).astype(np.float64)


def _values(keys: Mapping[str, np.ndarray], names, count: int) -> list | None:
  """What an array of one of these names tells of each hand."""
  key = next((name for name in names if name in keys), None)
  if key is None or keys[key].ndim != 1 or keys[key].dtype.kind not in 'iuUS':
    return None
  if len(keys[key]) != count:
    raise ValueError(f'{key} has {len(keys[key])} values, but there are {count} hands')
  values = keys[key].tolist()
  return [value.decode() if isinstance(value, bytes) else value for value in values]


def _rows(keys: Mapping[str, np.ndarray], names, count: int, width: int):
  """(count, width) of an array of one of these names; one row counts for all."""
  key = next((name for name in names if name in keys), None)
  if key is None:
    return None
  value = keys[key]
  if value.shape == (width,):
    value = np.broadcast_to(value, (count, width))
  return _fitting(value, (count, width), key)
