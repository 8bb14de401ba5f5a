"""JSON files, which know neither NaN nor infinity, and names of files and folders."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bmc_jax.console.outputs import ANY, Kind, replacing, write_text

_KINDS = {
  b'PK': 'a zip archive (or .npz)',
  b'\x93NUMPY': 'an array of NumPy (.npy)',
  b'\x89PNG': 'a PNG image',
  b'\xff\xd8\xff': 'a JPEG image',
  b'\x1f\x8b': 'a gzip archive',
  b'\x89HDF': 'an HDF5 file',
  b'MATLAB 5': 'a MATLAB file',
  b'%PDF': 'a PDF',
  b'\x80': 'a pickle, or another binary file',
  b'<': 'a page of the web (HTML)',
  b'version https://git-lfs': 'a pointer of Git LFS; git lfs pull gets the file',
}


def read_text(path: Path) -> str:
  """The text of a file in UTF-8, or in UTF-16 as Windows writes it.

  Raises:
    ValueError: the file is empty or no text; the message says what it is instead, and
      leaves its name to the caller.
    OSError: it cannot be read.
  """
  content = path.read_bytes()
  if not content.strip():
    raise ValueError('the file is empty')
  for start, kind in _KINDS.items():
    if content.startswith(start):
      raise ValueError(f'by its content this is {kind}')
  is_wide = content.startswith((b'\xff\xfe', b'\xfe\xff'))
  try:
    return content.decode('utf-16' if is_wide else 'utf-8-sig')
  except UnicodeDecodeError:
    raise ValueError('this is no text') from None


def slug_of(name: str) -> str:
  """The directory name of a row: its words in lower case, joined by _; + is plus."""
  words = re.findall(r'[^\W_]+', name.lower().replace('+', ' plus '))
  return '_'.join(words) or 'row'


def natural_key(path: Path) -> list:
  """Sorts names by the numbers in them: 1, 2, 10."""
  parts = re.split(r'(\d+)', str(path))
  return [int(part) if part.isdecimal() else part for part in parts]


def read_json(path: Path) -> dict[str, Any]:
  """The object in a JSON file.

  Raises:
    ValueError: it holds something else, or was cut short.
  """
  try:
    value = json.loads(read_text(path))
  except ValueError as error:
    raise ValueError(
      f'{path} is not valid JSON ({error}): mend it or delete it.'
    ) from error
  if not isinstance(value, dict):
    raise ValueError(f'{path} must hold a JSON object, not a {type(value).__name__}.')
  return value


def write_json(path: Path, content: Any, kind: Kind = ANY) -> None:
  """Replaces a file as a whole; NaN and infinity become null.

  The kind and errors are those of `replacing`.
  """
  text = json.dumps(_without_nan(content), indent=1, allow_nan=False)
  write_text(path, text + '\n', kind)


def has_keys(path: Path, *keys: str) -> bool:
  """Whether there is a file of a JSON object with these keys."""
  try:
    return set(keys) <= read_json(path).keys()
  except (OSError, ValueError):
    return False


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike], kind: Kind = ANY) -> None:
  """Writes a compressed .npz file; the kind and errors are those of `replacing`."""
  with replacing(path, kind) as partial:
    np.savez_compressed(partial, **arrays)  # pyright: ignore[reportArgumentType]


def _without_nan(content: Any) -> Any:
  """JSON content with None in the place of numbers that are not finite."""
  if isinstance(content, Mapping):
    return {key: _without_nan(value) for key, value in content.items()}
  if isinstance(content, list | tuple):
    return [_without_nan(value) for value in content]
  return None if isinstance(content, float) and not math.isfinite(content) else content


def to_lists(values: ArrayLike, digits: int) -> list:
  """Nested lists of numbers, None in place of those that are not finite.

  Args:
    values: numbers of any shape but ().
    digits: behind the decimal point.
  """
  array = np.round(np.asarray(values, np.float64), digits)
  lists = array.astype(object)
  lists[~np.isfinite(array)] = None
  return lists.tolist()
