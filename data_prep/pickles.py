"""Annotation pickles of others, read without running what they ask for.

A pickle is a program: `pickle.load` calls whatever functions the file names. Here it
can build arrays and scalars of numbers or text, and plain containers of them, and
nothing else. NumPy's functions are replaced by small ones of this module, since its
own make arrays of any size, and of objects, from a few bytes.

Read are all protocols, of Python 2 (its text as latin-1) and 3, with the module names
of NumPy 1 (`numpy.core`) and 2 (`numpy._core`).
"""

import functools
import io
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.torch_import import pickle_scan

_MAX_DEPTH = 16  # of containers in containers
# Values in all containers, for each byte of the file: a container that is named again
# in others takes few bytes, but each time all of its values.
_MAX_VALUES_PER_BYTE = 8
_NUMBERS_OR_TEXT = re.compile('b1|[iu][1248]|f[248]|[US][0-9]{1,6}')


def load(path: Path) -> Any:
  """Reads a pickle of arrays, numbers, text and plain containers (dict, list, tuple).

  Args:
    path: of the file, which may come from anywhere.

  Returns:
    What was pickled; arrays are copies that can be written to.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is damaged.
    HostileFileError: it asks for anything else.
  """
  data = path.read_bytes()
  try:
    pickle_scan.find_end(data)
    result = _plain(_Unpickler(io.BytesIO(data), encoding='latin1').load(), {})
    if _count(result, {}) > _MAX_VALUES_PER_BYTE * len(data):
      raise _RefusedError('containers that repeat each other without end')
    return result
  except _RefusedError as error:
    raise HostileFileError(
      f'{path} was not read, because it asks for {error}; annotations need only arrays '
      "of numbers and plain containers, so get the file from the dataset's own site."
    ) from None
  except Exception as error:  # a damaged pickle makes Python raise almost anything
    reason = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
    raise ValueError(
      f'{path} cannot be read as a pickle ({reason}); get a complete copy.'
    ) from error


class HostileFileError(ValueError):
  """A file that asks for what no annotation needs; never one to be left out only."""


class _RefusedError(Exception):
  """Names what a pickle asks for in vain."""


class _Unpickler(pickle.Unpickler):
  """Calls the functions of this module in the place of those that the file names."""

  def find_class(self, module: str, name: str) -> Any:
    function = _FUNCTIONS.get((module.replace('numpy._core', 'numpy.core'), name))
    if function is None:
      raise _RefusedError(f'{module}.{name}')
    # Not the function itself: a pickle can set attributes of what it is given.
    return functools.partial(function)


class _Dtype:
  """Stands for the dtype that NumPy would make of the same arguments."""

  def __init__(self, code: str, align: bool = False, copy: bool = False):
    if not _NUMBERS_OR_TEXT.fullmatch(code):
      raise _RefusedError(f'an array of type {code!r}')
    self.dtype = np.dtype(code)

  def __setstate__(self, state: tuple) -> None:
    """Takes (version, byte order, subarray, names, fields, ...) of a simple dtype."""
    if any(part is not None for part in state[2:5]):
      raise _RefusedError('an array of records')
    self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
  """Stands for an array until its state is known; `_plain` puts it in its place."""

  def __init__(self, subtype: Any, shape: tuple, code: str | bytes):
    self.array = np.empty(0, np.int8)  # as NumPy begins, whatever the shape

  def __setstate__(self, state: tuple) -> None:
    """Takes (version, shape, dtype, is in Fortran order, bytes)."""
    _, shape, dtype, fortran, data = state
    self.array = _from_buffer(data, dtype, shape, 'F' if fortran else 'C')


def _from_buffer(data, dtype: _Dtype, shape: tuple, order: Any) -> np.ndarray:
  """The array of these bytes, whose number must be that of the shape."""
  values = np.frombuffer(_as_bytes(data), dtype.dtype)
  return values.reshape(shape, order=order).copy()


def _scalar(dtype: _Dtype, data) -> np.generic:
  (value,) = np.frombuffer(_as_bytes(data), dtype.dtype)
  return value


def _as_bytes(data) -> bytes:
  """Bytes, which in pickles of Python 2 come as text."""
  return data.encode('latin1') if isinstance(data, str) else data


def _encode(text: str, encoding: str) -> bytes:
  """Bytes in protocols below 3."""
  return text.encode('latin1')


def _no_bytes() -> bytes:
  """No bytes in protocols below 3."""
  return b''


_FUNCTIONS: Mapping[tuple[str, str], Callable] = {
  ('numpy', 'ndarray'): _Array,  # only named, as an argument of _reconstruct
  ('numpy', 'dtype'): _Dtype,
  ('numpy.core.multiarray', '_reconstruct'): _Array,
  ('numpy.core.multiarray', 'scalar'): _scalar,
  ('numpy.core.numeric', '_frombuffer'): _from_buffer,
  ('_codecs', 'encode'): _encode,
  ('__builtin__', 'bytes'): _no_bytes,
}


def _plain(value: Any, done: dict[int, Any], depth: int = 0) -> Any:
  """Puts the arrays in their places in nested containers, and checks that is all.

  Args:
    value: of the unpickler.
    done: the results so far, by the value's id: a container may occur many times.
    depth: of the containers around it.
  """
  if id(value) in done:
    return done[id(value)]
  if depth > _MAX_DEPTH:
    raise _RefusedError(f'containers nested more than {_MAX_DEPTH} deep')
  plain = functools.partial(_plain, done=done, depth=depth + 1)
  if isinstance(value, dict):
    result = {plain(key): plain(item) for key, item in value.items()}
  elif isinstance(value, list | tuple):
    result = type(value)(map(plain, value))
  elif isinstance(value, _Array):
    result = value.array
  elif isinstance(value, bool | int | float | str | bytes | np.generic | np.ndarray):
    result = value
  elif value is None:
    result = None
  else:
    raise _RefusedError(f'a value of type {type(value).__name__.lstrip("_")}')
  done[id(value)] = result
  return result


def _count(value: Any, done: dict[int, int]) -> int:
  """The values in nested containers, each as often as it occurs."""
  if not isinstance(value, dict | list | tuple):
    return 1
  if id(value) not in done:
    items = value.values() if isinstance(value, dict) else value
    done[id(value)] = 1 + sum(_count(item, done) for item in items)
  return done[id(value)]
