"""The truth that predictions are scored against, from original or prepared files.

| folder | what is read |
| --- | --- |
| FreiHAND | `<split>_xyz.json`, `<split>_K.json`, `<split>_scale.json` |
| HO-3D | `<split>_xyz.json` in HO-3D order and OpenGL axes, `<split>.txt` |
| prepared by `data_prep` | the labels of a split, in their stored order |

The default split of the first two is `evaluation`, and a folder that holds their files
is read as such, also where a prepared dataset lies below it. All hands become right
ones, as `bmc_jax.data.sources` gives them.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmc_jax import pose25d
from bmc_jax.console.errors import warn
from bmc_jax.console.tables import counted
from bmc_jax.data import cameras, prepared, sources
from bmc_jax.evaluate import doubts, submission
from bmc_jax.joint_files import units

_FREIHAND_SIDE = 224  # pixels of its pictures
_SCALE_TOLERANCE = 0.01
ORIGINAL_SPLIT = 'evaluation'
_ORIGINAL_FILES = ('*_xyz.json', '*_K.json', f'{ORIGINAL_SPLIT}.txt')


class GroundTruth(NamedTuple):
  """Labels of N images, in the order of the benchmark; left hands mirrored.

  Attributes:
    joints_3d: (N, 21, 3) metres, canonical order, OpenCV axes.
    visibility: (N, 21) 1 where a joint is labelled.
    scale: (N,) length in metres of the reference bone.
    names: (N,) of the images.
    intrinsics: (N, 3, 3), or None if the folder does not hold them.
    is_right: (N,) bool, of the hands before they were mirrored.
  """

  joints_3d: np.ndarray
  visibility: np.ndarray
  scale: np.ndarray
  names: np.ndarray
  intrinsics: np.ndarray | None
  is_right: np.ndarray


def read_ground_truth(
  folder: str | os.PathLike, protocol: str, split: str | None = None
) -> GroundTruth:
  """Reads the truth of a benchmark.

  Args:
    folder: of the original files (FreiHAND, HO-3D), or a prepared dataset.
    protocol: a key of `protocols.PROTOCOLS`.
    split: None is `evaluation` for original files, and all of a prepared dataset.

  Raises:
    FileNotFoundError: the folder or a file is missing.
    ValueError: a file is damaged, files disagree, or there are no 3D labels.
  """
  path = Path(folder).expanduser()
  if not path.is_dir():
    raise FileNotFoundError(f'There is no folder of ground truth {folder}.')
  readers = {'freihand': _read_freihand, 'ho3d': _read_ho3d}
  if protocol in readers and any(any(path.glob(name)) for name in _ORIGINAL_FILES):
    return readers[protocol](path, split or ORIGINAL_SPLIT)
  if prepared.find_folders(path):
    truth = read_prepared(path, split or 'all')
    missing = int(np.sum(~truth.visibility.any(axis=1)))
    if missing:
      raise ValueError(
        f'{folder}: {missing} of {len(truth.names)} examples have no 3D labels to '
        'score against; --protocol 2d scores hands by 2D labels.'
      )
    return truth
  if protocol not in readers:
    raise FileNotFoundError(
      f'{folder} holds no prepared dataset; prepare the original files of this '
      'benchmark with `bmc-jax build`.'
    )
  return readers[protocol](path, split or ORIGINAL_SPLIT)


def _read_freihand(folder: Path, split: str) -> GroundTruth:
  joints = _read_numbers(folder / f'{split}_xyz.json', (21, 3))
  count = len(joints)
  path = folder / f'{split}_K.json'
  intrinsics = _read_numbers(path, (3, 3), count)
  for index, matrix in enumerate(intrinsics):
    cameras.check_matrix(matrix, f'{path}: entry {index}')
  _doubt_cameras(path, intrinsics)
  path = folder / f'{split}_xyz.json'
  _check_hands(path, joints, submission.FORMS['freihand'])
  scale = _read_numbers(folder / f'{split}_scale.json', (), count)
  _check_scale(path, joints, scale)
  return GroundTruth(
    joints_3d=joints,
    visibility=np.ones((count, 21)),
    scale=scale,
    names=np.array([f'{number:08d}' for number in range(count)]),
    intrinsics=intrinsics,
    is_right=np.ones(count, bool),
  )


def _doubt_cameras(path: Path, intrinsics: np.ndarray) -> None:
  """Warns of cameras (N, 3, 3) that are not those of FreiHAND's pictures."""
  side = _FREIHAND_SIDE
  found = [cameras.doubts(matrix, side, side) for matrix in intrinsics]
  odd = [index for index, doubt in enumerate(found) if doubt]
  if odd:
    warn(
      f'{path}: {len(odd)} of {len(found)} cameras look wrong, first entry {odd[0]}: '
      f'{next(iter(found[odd[0]].values()))}; errors in pixels are by these cameras.'
    )


def _check_hands(path: Path, joints: np.ndarray, form: submission.Form) -> None:
  """Raises a ValueError for labels (N, 21, 3) that cannot be those of hands."""
  submission.check_unit(path, joints)
  for doubt in doubts.find(joints, form):
    raise ValueError(f'{path}: {doubt}.')
  behind = ~(joints[..., 2] > 0).all(axis=1)
  if behind.any():
    raise ValueError(
      f'{path}: {behind.sum()} of {len(joints)} hands, first hand {behind.argmax()}, '
      'have a joint that does not lie before the camera; get the labels as published.'
    )


def _check_scale(path: Path, joints: np.ndarray, scale: np.ndarray) -> None:
  """Raises a ValueError unless joints (N, 21, 3) have the bone lengths `scale` (N,)."""
  bones = _reference_length(joints)
  wrong = np.flatnonzero(~(np.abs(bones - scale) <= _SCALE_TOLERANCE * bones))
  if wrong.size:
    first = wrong[0]
    raise ValueError(
      f'{path}: in {wrong.size} of {len(scale)} images, first image {first}, the '
      f'middle MCP->PIP bone ({bones[first]:.4g} m) has not the length in '
      f'{path.name.replace("xyz", "scale")} ({scale[first]:.4g} m); take all files '
      'from one download, in the same order.'
    )


def _read_ho3d(folder: Path, split: str) -> GroundTruth:
  path = folder / f'{split}_xyz.json'
  joints = _read_numbers(path, (21, 3))
  form = submission.FORMS['ho3d']
  joints = submission.from_form(joints, form)
  _check_hands(path, joints, form)
  listing = folder / f'{split}.txt'
  names = _read_bytes(listing).decode(errors='replace').split()
  if len(names) != len(joints):
    raise ValueError(
      f'{listing} names {counted(len(names), "image")}, but {path.name} holds joints '
      f'of {len(joints)}.'
    )
  return GroundTruth(
    joints_3d=joints,
    visibility=np.ones(joints.shape[:2]),
    scale=_reference_length(joints),
    names=np.array(names),
    intrinsics=None,
    is_right=np.ones(len(joints), bool),
  )


def read_prepared(folder: str | os.PathLike, split: str = 'all') -> GroundTruth:
  """The labels of a prepared split; examples without 3D labels have visibility 0."""
  source = sources.open_source(
    {'kind': 'tfds', 'path': str(folder), 'split': split, 'with_image': False}
  )
  labels = source.batch(range(len(source)))
  joints = labels['joints_3d'].astype(np.float64)
  return GroundTruth(
    joints_3d=joints,
    visibility=labels['visibility'] * labels['has_joints_3d'][:, None],
    scale=_reference_length(joints),
    names=labels['sample_id'],
    intrinsics=labels['intrinsics'].astype(np.float64),
    is_right=labels['is_right'] > 0,
  )


def read_scale(given: str, count: int) -> np.ndarray:
  """Lengths (N,) in metres of the reference bone.

  Args:
    given: a JSON file with one number per image, such as FreiHAND's; or one number.
    count: of the images.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it holds something else, or lengths of no hand.
  """
  try:
    lengths = np.full(count, float(given))
  except ValueError:
    lengths = _read_numbers(Path(given).expanduser(), (), count)
  low, high = units.REFERENCE_BONE_RANGE
  wrong = np.flatnonzero(~((low <= lengths) & (lengths <= high)))
  if wrong.size:
    of = '' if wrong.size == count else f' of {wrong.size} of {count} hands'
    raise ValueError(
      f'{given}: the middle MCP->PIP bone{of} would measure {lengths[wrong[0]]:.4g} '
      f'metres, outside {low:g}-{high:g}: give metres.'
    )
  return lengths


def _reference_length(joints: np.ndarray) -> np.ndarray:
  start, end = pose25d.REFERENCE
  return np.linalg.norm(joints[:, end] - joints[:, start], axis=-1)


def _read_numbers(path: Path, shape: tuple[int, ...], count: int | None = None):
  """A JSON file with numbers of one shape for each image, (N, *shape) float64."""
  try:
    values = np.array(json.loads(_read_bytes(path)), np.float64)
  except (ValueError, TypeError, OverflowError, RecursionError) as error:
    raise ValueError(f'{path}: this is no JSON list of numbers ({error}).') from error
  if values.ndim != len(shape) + 1 or values.shape[1:] != shape or not values.size:
    raise ValueError(
      f'{path}: found numbers of the shape {values.shape}, expected '
      f'{("N", *shape)}, N images.'.replace("'", '')
    )
  if count is not None and len(values) != count:
    raise ValueError(f'{path} is about {counted(len(values), "image")}, not {count}.')
  if not np.isfinite(values).all():
    raise ValueError(f'{path}: a number is not finite.')
  return values


def _read_bytes(path: Path) -> bytes:
  if not path.is_file():
    raise FileNotFoundError(
      f'{path.parent} has no {path.name}; name the folder with the original files of '
      'the benchmark, labels included, or a prepared dataset.'
    )
  return path.read_bytes()
