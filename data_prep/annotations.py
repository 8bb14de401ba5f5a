"""Annotation files of datasets: reading them, with a clear error if one is wrong."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def load_text(path: Path) -> str:
  """The content of a text file.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: it is no text.
  """
  _check_file(path)
  try:
    return path.read_text(encoding='utf-8')
  except UnicodeDecodeError as error:
    raise ValueError(f'{path} is no text file; get a complete copy.') from error


def load_json(path: Path) -> Any:
  """The content of a JSON file.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: it is no JSON, for example because it is cut off.
  """
  _check_file(path)
  try:
    return json.loads(path.read_bytes())
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f'{path} cannot be read as JSON ({error}); get a complete copy.'
    ) from error


def load_yaml(path: Path) -> dict[str, Any]:
  """The object in a YAML file.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: it is no YAML, or holds something else.
  """
  import yaml

  text = load_text(path)
  try:
    content = yaml.safe_load(text)
  except yaml.YAMLError as error:
    raise ValueError(f'{path} cannot be read as YAML; get a complete copy.') from error
  if not isinstance(content, dict):
    raise ValueError(f'{path} holds no keys and values; get a complete copy.')
  return content


def load_matlab(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
  """The named variables of a MATLAB file.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: it cannot be read, or a variable is missing.
  """
  import scipy.io

  _check_file(path)
  try:
    content = scipy.io.loadmat(path, variable_names=names)  # others may be huge
  except Exception as error:  # a damaged file makes SciPy raise almost anything
    raise ValueError(
      f'{path} cannot be read as a MATLAB file ({error}); get a complete copy.'
    ) from error
  for name in names:
    if name not in content:
      raise ValueError(f'{path} has no {name}; get a complete copy.')
  return {name: content[name] for name in names}


def _check_file(path: Path) -> None:
  if not path.is_file():
    raise FileNotFoundError(f'The file {path} is missing; get a complete copy.')


def as_numbers(
  value: Any,
  shape: Sequence[int | None],
  name: str,
  *,
  remedy: str = 'get a complete copy',
) -> np.ndarray:
  """A float64 array of finite numbers and of a given shape.

  Args:
    value: nested lists, or an array.
    shape: the lengths that are needed; None admits any.
    name: what the message calls the value, for example its file.
    remedy: what the message says is to be done.

  Raises:
    ValueError: the value has another shape, or holds something else.
  """
  try:
    array = np.asarray(value)
  except ValueError:  # lists of different lengths
    array = np.asarray(None)
  if array.dtype.kind not in 'iuf':
    raise ValueError(
      f'{name} holds something other than an even table of numbers; {remedy}.'
    )
  same = array.ndim == len(shape) and all(
    needed in (None, found) for needed, found in zip(shape, array.shape, strict=True)
  )
  if not same:
    needed = ', '.join('N' if length is None else str(length) for length in shape)
    raise ValueError(
      f'{name} has the shape {array.shape}, but ({needed}) is needed; {remedy}.'
    )
  if not np.all(np.isfinite(array)):
    raise ValueError(f'{name} holds a value that is not finite; {remedy}.')
  return array.astype(np.float64)
