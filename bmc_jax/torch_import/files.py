"""State dicts of torch as NumPy arrays, read without torch and without running them.

Read are `.safetensors` and both formats of `torch.save`: a zip archive (torch 1.6 and
newer) and pickles one after the other with the numbers behind them (torch 0.1.10 and
newer; `_use_new_zipfile_serialization=False` still writes it).

A pickle is a program: `pickle.load` calls whatever functions the file names. Here it
can name tensors, containers and numbers, and nothing else; every size that it states is
compared with the bytes that are there before anything is allocated.
"""

import functools
import io
import math
import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bmc_jax.torch_import import pickle_scan

_BFLOAT16 = np.dtype(jnp.bfloat16)  # NumPy itself has none
_STORAGES = {
  'FloatStorage': np.dtype('<f4'),
  'HalfStorage': np.dtype('<f2'),
  'BFloat16Storage': _BFLOAT16,
  'DoubleStorage': np.dtype('<f8'),
  'LongStorage': np.dtype('<i8'),
}
_SAFETENSORS = {
  'F32': np.dtype('<f4'),
  'F16': np.dtype('<f2'),
  'BF16': _BFLOAT16,
  'F64': np.dtype('<f8'),
  'I64': np.dtype('<i8'),
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the older format
_NESTED = ('state_dict', 'model')


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
  """Reads the tensors of a state dict, alone or below 'state_dict' or 'model'.

  Args:
    path: a `.safetensors` file, or one of `torch.save`; it may come from anywhere.

  Returns:
    {name: array}, read-only. What else a training checkpoint holds is left out.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is damaged, or holds more than tensors and plain containers.
  """
  if not path.is_file():
    raise FileNotFoundError(
      f'There are no weights {path}; docs/training.md says where to get them.'
    )
  kind = 'safetensors' if path.suffix == '.safetensors' else 'torch.save'
  read = _read_safetensors if kind == 'safetensors' else _read_torch
  try:
    return read(path)
  except _RefusedError as error:
    raise ValueError(f'{path} was not read, because {error}.') from None
  except Exception as error:  # damaged files make Python raise almost anything
    reason = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
    raise ValueError(
      f'{path} cannot be read as a file of {kind} ({reason}); get a complete copy.'
    ) from error


class _RefusedError(Exception):
  """Says why a file that may be complete is not read."""


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
  import safetensors  # only here, so that nothing else asks for it

  arrays = {}
  for name, tensor in safetensors.deserialize(path.read_bytes()):
    dtype = _SAFETENSORS.get(tensor['dtype'])
    if dtype is None:
      raise _RefusedError(
        f'{name!r} has the type {tensor["dtype"]}; read are {", ".join(_SAFETENSORS)}'
      )
    arrays[name] = np.frombuffer(
      memoryview(tensor['data']).toreadonly(), dtype
    ).reshape(tensor['shape'])
  return arrays


def _read_torch(path: Path) -> dict[str, np.ndarray]:
  data = path.read_bytes()
  if data.startswith(b'PK\3\4'):
    return _read_zip(data)
  if data[257:262] == b'ustar':
    raise _RefusedError(
      'it has the tar format of torch before 0.1.10: take a newer file, or load it '
      'with torch and save it again'
    )
  return _read_legacy(data)


class _Storage(NamedTuple):
  """Numbers that tensors are views of."""

  key: str
  dtype: np.dtype
  count: int

  @property
  def num_bytes(self) -> int:
    return self.count * self.dtype.itemsize


class _Tensor(NamedTuple):
  """A view of a storage; offset and strides count numbers, not bytes."""

  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def _read_zip(data: bytes) -> dict[str, np.ndarray]:
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    members = {member.filename: member for member in archive.infolist()}
    # A directory may state less than a member unpacks to.
    if any(member.compress_type for member in archive.infolist()):
      raise _RefusedError('it is compressed, and torch.save compresses nothing')
    # Members may share bytes.
    if sum(member.file_size for member in archive.infolist()) > len(data):
      raise _RefusedError(f'its {len(data)} bytes claim to hold more than that')
    pickles = [name for name in members if name.endswith('/data.pkl')]
    if len(pickles) != 1:
      raise ValueError(f'it holds {len(pickles)} data.pkl in place of one')
    folder = pickles[0].removesuffix('data.pkl')
    if f'{folder}byteorder' in members:
      if archive.read(f'{folder}byteorder') != b'little':
        raise _RefusedError('it was written on a machine of another byte order')
    unpickler = _Unpickler(archive.read(pickles[0]))
    tensors = _find_tensors(unpickler.load())
    content = {}
    for storage in {tensor.storage for tensor in tensors.values()}:
      name = f'{folder}data/{storage.key}'
      have = members[name].file_size if name in members else 0
      if have != storage.num_bytes:
        raise ValueError(f'{name} has {have} bytes in place of {storage.num_bytes}')
      content[storage.key] = memoryview(archive.read(name) if have else b'')
  return _as_arrays(tensors, content)


def _read_legacy(data: bytes) -> dict[str, np.ndarray]:
  place = 0

  def unpickle() -> tuple[Any, Mapping[str, _Storage]]:
    nonlocal place
    start, place = place, pickle_scan.find_end(data, place)
    unpickler = _Unpickler(data[start:place])
    return unpickler.load(), unpickler.storages

  for number in (_MAGIC, _PROTOCOL):
    if unpickle()[0] != number:
      raise ValueError(f'it does not start with the number {_MAGIC:x}')
  unpickle()  # sizes of C's types where it was written
  tree, storages = unpickle()
  keys, _ = unpickle()
  content = {}
  for key in keys:
    storage = storages[key]
    count = int.from_bytes(data[place : place + 8], 'little')
    start, place = place + 8, place + 8 + storage.num_bytes
    if count != storage.count or place > len(data):
      raise ValueError(f'it is cut off, or storage {key} is not as long as it says')
    content[key] = memoryview(data)[start:place]
  if missing := storages.keys() - content.keys():
    raise ValueError(f'it lacks the storage {min(missing)}')
  return _as_arrays(_find_tensors(tree), content)


class _Unpickler(pickle.Unpickler):
  """Calls functions of this module in the place of those that the file names.

  Attributes:
    storages: those that the pickle has named so far.
  """

  def __init__(self, data: bytes):
    pickle_scan.find_end(data)
    super().__init__(io.BytesIO(data), encoding='utf-8')  # of Python 2's text
    self.storages: dict[str, _Storage] = {}

  def find_class(self, module: str, name: str) -> Any:
    """What a name stands for; nothing that the file could change by setting it."""
    if module in ('torch', 'torch.cuda') and name in _STORAGES:
      return name
    function = _FUNCTIONS.get((module, name))
    if function is None:
      raise _RefusedError(
        f'it holds {f"{module}.{name}"[:100]!r}, and only tensors and plain '
        'containers are read: write those alone, by torch.save(model.state_dict(), '
        'PATH)'
      )
    return functools.partial(function)

  def persistent_load(self, pid: Any) -> _Storage:
    """The storage of ('storage', type, key, device, count[, view])."""
    kind, dtype, key, _, count, *view = pid
    if kind != 'storage' or not isinstance(key, str) or view not in ([], [None]):
      raise ValueError('it refers to something that is no storage')
    storage = _Storage(key, _STORAGES[dtype], _natural(count))
    if self.storages.setdefault(key, storage) != storage:
      raise ValueError(f'it names the storage {key!r} in two ways')
    return storage


class _Dict(dict):
  """An OrderedDict, but for the attributes that a file sets: torch's `_metadata`."""

  def __setstate__(self, state: Any) -> None:
    """Forgets the attributes."""


def _ordered_dict(items: Iterable = ()) -> _Dict:
  return _Dict(items)  # Python 2 hands over the items


def _rebuild_tensor(storage, offset, shape, strides, *_) -> _Tensor:
  """Takes what torch's function takes; gradients and hooks are not looked at."""
  if not isinstance(storage, _Storage) or len(shape) != len(strides):
    raise ValueError('a tensor is no view of a storage')
  shape, strides = (tuple(map(_natural, numbers)) for numbers in (shape, strides))
  count = math.prod(shape)
  last = _natural(offset) + sum(
    (n - 1) * stride for n, stride in zip(shape, strides, strict=True)
  )
  # Strides of 0 make a tensor of any size out of one number.
  if count and (last >= storage.count or count > storage.count):
    raise ValueError(
      f'a tensor of shape {shape}, strides {strides} and offset {offset} does not fit '
      f'into its storage of {storage.count}'
    )
  return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor, *_) -> Any:
  return tensor


def _natural(value: Any) -> int:
  if type(value) is not int or value < 0:
    raise ValueError(f'a {type(value).__name__} stands in the place of a size')
  return value


_FUNCTIONS: Mapping[tuple[str, str], Callable] = {
  ('collections', 'OrderedDict'): _ordered_dict,
  ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,  # before torch 0.4
  ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
  ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
}


def _find_tensors(tree: Any) -> dict[str, _Tensor]:
  """The tensors by name, of a state dict or of a checkpoint around it."""
  if isinstance(tree, dict):
    inner = (tree.get(name) for name in _NESTED)
    tree = next((value for value in inner if isinstance(value, dict)), tree)
    tensors = {
      name: value
      for name, value in tree.items()
      if isinstance(name, str) and isinstance(value, _Tensor)
    }
    if tensors:
      return tensors
  raise _RefusedError('it holds no state dict, which is a dict of tensors by name')


def _as_arrays(
  tensors: Mapping[str, _Tensor], content: Mapping[str, memoryview]
) -> dict[str, np.ndarray]:
  """Views of the storages' bytes, whose places `_rebuild_tensor` has checked."""
  arrays = {}
  for name, tensor in tensors.items():
    dtype = tensor.storage.dtype
    numbers = np.frombuffer(content[tensor.storage.key], dtype)
    arrays[name] = np.lib.stride_tricks.as_strided(
      numbers[tensor.offset :],
      tensor.shape,
      [dtype.itemsize * stride for stride in tensor.strides],
      writeable=False,
    )
  return arrays
