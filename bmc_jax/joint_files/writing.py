"""Writes hands in the forms that `joint_files.reading` reads."""

import csv
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bmc_jax.console.files import to_lists
from bmc_jax.console.outputs import Kind, replacing
from bmc_jax.skeleton import JOINT_NAMES, NUM_JOINTS

_HEADER = [*(f'{joint}_{axis}' for joint in JOINT_NAMES for axis in 'xyz'), 'is_right']
# What a file may hold that other hands take the place of.
_NAMES = {
  *('joints_canonical', 'joints', 'is_right'),
  *('displacement', 'penalty_before', 'penalty_after'),
}
_DIGITS = 7


def write_joints(
  path: str | os.PathLike,
  joints_3d: np.ndarray,
  is_right: np.ndarray,
  *,
  about: Mapping[str, np.ndarray] | None = None,
) -> None:
  """Writes hands to a file, which is replaced as a whole.

  Args:
    path: its ending, one of `HANDS.endings`, names the form; `.npy` holds joints alone.
    joints_3d: (N, 21, 3) canonical joints in any unit; NaN is missing.
    is_right: (N,) bool.
    about: name -> (N, ...) of more that is known of each hand; kept by `.npz` and
      `.json`.

  Raises:
    ValueError: another ending, or something else than hands is in its place.
    OSError: it cannot be written; what was there before stays.
  """
  about = about or {}
  write = {
    '.npz': lambda: _npz(joints_3d, is_right, about),
    '.npy': lambda: _npy(joints_3d),
    '.csv': lambda: _csv(joints_3d, is_right).encode(),
    '.json': lambda: _json(joints_3d, is_right, about).encode(),
  }
  with replacing(path, HANDS) as partial:
    partial.write_bytes(write[partial.suffix.lower()]())


def _may_replace(path: Path) -> bool:
  """Whether a file holds hands as `write_joints` writes them, and nothing else."""
  try:
    match path.suffix.lower():
      case '.npz':
        with zipfile.ZipFile(path) as archive:
          names = {Path(name).stem for name in archive.namelist()}
        return 'joints_canonical' in names and names <= _NAMES
      case '.npy':
        return np.load(path, mmap_mode='r').shape[1:] == (NUM_JOINTS, 3)
      case '.csv':
        with path.open(encoding='utf-8') as file:
          return file.readline().rstrip('\n').split(',') == _HEADER
      case _:
        hands = json.loads(path.read_text(encoding='utf-8'))
        return all('joints' in hand and hand.keys() <= _NAMES for hand in hands)
  except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
    return False


HANDS = Kind('hands', ('.npz', '.npy', '.csv', '.json'), _may_replace)


def _npz(joints_3d, is_right, about) -> bytes:
  buffer = io.BytesIO()
  np.savez_compressed(buffer, joints_canonical=joints_3d, is_right=is_right, **about)
  return buffer.getvalue()


def _npy(joints_3d) -> bytes:
  buffer = io.BytesIO()
  np.save(buffer, joints_3d)
  return buffer.getvalue()


def _csv(joints_3d, is_right) -> str:
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator='\n')
  writer.writerow(_HEADER)
  for hand, right in zip(joints_3d, is_right, strict=True):
    cells = ['' if np.isnan(value) else f'{value:.9g}' for value in hand.ravel()]
    writer.writerow([*cells, int(right)])
  return buffer.getvalue()


def _json(joints_3d, is_right, about) -> str:
  hands = [
    {'joints': to_lists(hand, _DIGITS), 'is_right': bool(right)}
    for hand, right in zip(joints_3d, is_right, strict=True)
  ]
  for name, values in about.items():
    for hand, value in zip(hands, np.atleast_1d(values), strict=True):
      hand[name] = to_lists(np.atleast_1d(value), _DIGITS)
      if np.ndim(value) == 0:
        (hand[name],) = hand[name]
  return json.dumps(hands) + '\n'
