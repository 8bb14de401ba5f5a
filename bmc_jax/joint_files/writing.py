"""Writes hands in the forms that `joint_files.reading` reads."""

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bmc_jax.console.files import to_lists
from bmc_jax.skeleton import JOINT_NAMES

ENDINGS = ('.npz', '.npy', '.csv', '.json')
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
    path: its ending, one of `ENDINGS`, names the form. `.npy` holds the joints alone.
    joints_3d: (N, 21, 3) canonical joints in any unit; NaN is missing.
    is_right: (N,) bool.
    about: name -> (N, ...) of more that is known of each hand; kept by `.npz` and
      `.json`.

  Raises:
    ValueError: another ending.
  """
  file = Path(path).expanduser()
  _check_ending(file)
  about = about or {}
  write = {
    '.npz': lambda: _npz(joints_3d, is_right, about),
    '.npy': lambda: _npy(joints_3d),
    '.csv': lambda: _csv(joints_3d, is_right).encode(),
    '.json': lambda: _json(joints_3d, is_right, about).encode(),
  }
  file.parent.mkdir(parents=True, exist_ok=True)
  partial = file.with_name(f'{file.name}.partial')
  try:
    partial.write_bytes(write[file.suffix.lower()]())
    partial.replace(file)
  finally:
    partial.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike) -> None:
  """Raises ValueError if hands cannot be written to a file of this name.

  Asked before the hands are computed; it makes nothing.
  """
  _check_ending(path)
  file = Path(path).expanduser().absolute()
  folder = next(parent for parent in file.parents if parent.exists())
  if file.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
    raise ValueError(f'{path} cannot be written: name a file in a folder of yours.')


def _check_ending(path: str | os.PathLike) -> None:
  if Path(path).suffix.lower() not in ENDINGS:
    raise ValueError(f'{path}: hands are written to {", ".join(ENDINGS)} files.')


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
  names = [f'{joint}_{axis}' for joint in JOINT_NAMES for axis in 'xyz']
  writer.writerow([*names, 'is_right'])
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
