"""Weights as one portable file: a NumPy `.npz` of half-precision arrays, no pickle."""

import os
import pathlib
import zipfile
from collections.abc import Collection, Mapping
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from bmc_jax import models
from bmc_jax.console.files import write_arrays
from bmc_jax.console.outputs import Kind

PACKAGED = pathlib.Path(models.__file__).parent / 'pretrained'
"""Weights that ship with the package; `package:NAME` names one of them."""

_COLLECTIONS = ('params/', 'batch_stats/')


def save_weights(path: str | os.PathLike, variables: Mapping[str, Any]) -> None:
  """Writes model variables (params, batch_stats, ...) in half precision.

  Args:
    path: a `.npz` file; it is replaced as a whole.
    variables: a tree of arrays.

  Raises:
    ValueError: a value is not finite in half precision, the path does not end in .npz,
      or something else than weights is in its place.
    OSError: it cannot be written; what was there before stays.
  """
  flat = flax.traverse_util.flatten_dict(jax.device_get(variables), sep='/')
  with np.errstate(over='ignore'):  # told below
    halves = {name: np.asarray(value, np.float16) for name, value in flat.items()}
  for name, value in halves.items():
    if not np.isfinite(value).all():
      raise ValueError(f'{name} holds values that half precision cannot hold.')
  write_arrays(pathlib.Path(path), halves, WEIGHTS)


def _is_weights(path: pathlib.Path) -> bool:
  try:
    with zipfile.ZipFile(path) as archive:
      return all(name.startswith(_COLLECTIONS) for name in archive.namelist())
  except zipfile.BadZipFile:
    return False


WEIGHTS = Kind('weights', ('.npz',), _is_weights)


def load_weights(
  path: str, like: Mapping[str, Any], *, leave_out: Collection[str] = ()
) -> Mapping[str, Any]:
  """Reads variables written by `save_weights`.

  Args:
    path: a `.npz` file, or `package:NAME` for one that ships with the package.
    like: variables of the model; the file has to fit them.
    leave_out: modules whose arrays are not taken, should the file have them.

  Returns:
    A tree like `like`, in its types.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it does not fit the model.
  """
  if path.startswith('package:'):
    file = PACKAGED / f'{path.removeprefix("package:")}.npz'
  else:
    file = pathlib.Path(path)
  if not file.is_file():
    raise FileNotFoundError(
      f'There are no weights {file}; configs/pretrain.py makes those of a network, '
      'configs/lift.py those of a lifter.'
    )
  saved = {
    name: value
    for name, value in _read(file).items()
    if not set(leave_out) & set(name.split('/'))
  }
  wanted = flax.traverse_util.flatten_dict(like, sep='/')
  for name in sorted(wanted.keys() | saved.keys()):
    have, need = (getattr(tree.get(name), 'shape', None) for tree in (saved, wanted))
    if have != need:
      raise ValueError(
        f'The weights {file} do not fit the model: {name} has the shape {have} in '
        f'the file and {need} in the model (None: missing).'
      )
  flat = {name: saved[name].astype(value.dtype) for name, value in wanted.items()}
  return flax.traverse_util.unflatten_dict(flat, sep='/')


def _read(file: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with np.load(file, allow_pickle=False) as saved:
      return {name: saved[name] for name in saved.files}
  except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
    # A .npy file loads as an array, which is no context manager: TypeError.
    raise ValueError(
      f'{file} is no weights file, which is a .npz of plain arrays ({error}).'
    ) from None
