"""Weights as one portable file: a NumPy `.npz` of half-precision arrays, no pickle."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
import numpy as np

PACKAGED = pathlib.Path(__file__).parent / 'pretrained'
"""Weights that ship with the package; `package:NAME` names one of them."""


def save_weights(path: str | os.PathLike, variables: Mapping[str, Any]) -> None:
  """Writes model variables (params, batch_stats, ...) in half precision.

  Args:
    path: a `.npz` file.
    variables: a tree of arrays.
  """
  flat = flax.traverse_util.flatten_dict(jax.device_get(variables), sep='/')
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  np.savez_compressed(path, **{k: v.astype(np.float16) for k, v in flat.items()})


def load_weights(path: str, like: Mapping[str, Any]) -> Mapping[str, Any]:
  """Reads variables written by `save_weights`.

  Args:
    path: a `.npz` file, or `package:NAME` for one that ships with the package.
    like: variables of the model; the file has to fit them.

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
      f'There are no weights {file}; configs/pretrain.py makes them.'
    )
  wanted = flax.traverse_util.flatten_dict(like, sep='/')
  with np.load(file, allow_pickle=False) as saved:
    shapes = {k: saved[k].shape for k in saved.files}
    for name in sorted(wanted.keys() | shapes.keys()):
      have, need = shapes.get(name), getattr(wanted.get(name), 'shape', None)
      if have != need:
        raise ValueError(
          f'The weights {file} do not fit the model: {name} has the shape {have} in '
          f'the file and {need} in the model (None: missing).'
        )
    flat = {k: saved[k].astype(v.dtype) for k, v in wanted.items()}
  return flax.traverse_util.unflatten_dict(flat, sep='/')
