"""State dicts and files of torch, written without it.

The names and shapes are those of torchvision's `resnet18` to `resnet152`, the files
those of `torch.save`: small classes stand for torch's in what is pickled.
"""

import collections
import pickle
import sys
import types
import zipfile
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

STORAGES = {
  'float32': 'FloatStorage',
  'float16': 'HalfStorage',
  'bfloat16': 'BFloat16Storage',
  'float64': 'DoubleStorage',
  'int64': 'LongStorage',
}
BLOCKS = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
}


def shapes(depth: int, blocks: list[int] | None = None) -> dict[str, tuple[int, ...]]:
  """{name: shape} of torchvision's ResNet with 10 classes, in its order."""
  found: dict[str, tuple[int, ...]] = {}

  def add(conv: str, norm: str, *shape: int) -> None:
    found[f'{conv}.weight'] = shape
    for leaf in ('weight', 'bias', 'running_mean', 'running_var'):
      found[f'{norm}.{leaf}'] = shape[:1]
    found[f'{norm}.num_batches_tracked'] = ()

  add('conv1', 'bn1', 64, 3, 7, 7)
  channels = 64
  for stage, count in enumerate(blocks or BLOCKS[depth]):
    inner = 64 * 2**stage
    outer = inner if depth < 50 else 4 * inner
    for block in range(count):
      name = f'layer{stage + 1}.{block}'
      if depth < 50:
        sizes = [(inner, channels, 3), (inner, inner, 3)]
      else:
        sizes = [(inner, channels, 1), (inner, inner, 3), (outer, inner, 1)]
      for i, (out, into, size) in enumerate(sizes, 1):
        add(f'{name}.conv{i}', f'{name}.bn{i}', out, into, size, size)
      if block == 0 and (stage or channels != outer):
        add(f'{name}.downsample.0', f'{name}.downsample.1', outer, channels, 1, 1)
      channels = outer
  found |= {'fc.weight': (10, channels), 'fc.bias': (10,)}
  return found


def random_state(depth: int, seed: int = 0) -> dict[str, np.ndarray]:
  """Values with which the features neither vanish nor explode, at any depth."""
  rng = np.random.default_rng(seed)

  def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith('num_batches_tracked'):
      return np.array(7, np.int64)
    if name.endswith('running_var'):
      return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith('weight') and len(shape) == 1:
      return rng.uniform(0.2, 0.6, shape).astype(np.float32)
    fan_in = np.prod(shape[1:]) if len(shape) > 1 else 100
    return rng.standard_normal(shape, np.float32) * np.float32(fan_in**-0.5)

  return {name: draw(name, shape) for name, shape in shapes(depth).items()}


class Storage(NamedTuple):
  """Numbers in a row, and the name of torch's class for their type."""

  key: str
  kind: str
  numbers: np.ndarray
  count: int


def storage(key: str, numbers: np.ndarray, count: int | None = None) -> Storage:
  """A storage; `count` is how many numbers it claims to have."""
  numbers = np.ravel(numbers)
  kind = STORAGES[numbers.dtype.name]
  return Storage(key, kind, numbers, numbers.size if count is None else count)


class Tensor:
  """A view of a storage, pickled as torch does."""

  def __init__(self, storage, offset, shape, strides):
    self.arguments = storage, offset, shape, strides, False, collections.OrderedDict()

  def __reduce__(self):
    return _rebuild_tensor_v2, self.arguments


class Parameter(Tensor):
  """A parameter around a tensor."""

  def __reduce__(self):
    data = Tensor(*self.arguments[:4])
    return _rebuild_parameter, (data, True, collections.OrderedDict())


class OldTensor(Tensor):
  """A tensor as torch pickled it before 0.4."""

  def __reduce__(self):
    return _rebuild_tensor, self.arguments[:4]


def _rebuild_tensor_v2(*_):
  raise AssertionError('only its name is pickled')


_rebuild_tensor = types.FunctionType(
  _rebuild_tensor_v2.__code__, {}, name='_rebuild_tensor'
)
_rebuild_parameter = types.FunctionType(
  _rebuild_tensor_v2.__code__, {}, name='_rebuild_parameter'
)
_UTILS = types.ModuleType('torch._utils')
_TORCH = types.ModuleType('torch')
for _function in (_rebuild_tensor, _rebuild_tensor_v2, _rebuild_parameter):
  _function.__module__ = 'torch._utils'
  _function.__qualname__ = _function.__name__
  setattr(_UTILS, _function.__name__, _function)
for _name in STORAGES.values():
  setattr(_TORCH, _name, type(_name, (), {'__module__': 'torch'}))


def tensor(array: np.ndarray, key: str, kind: type[Tensor] = Tensor) -> Tensor:
  """A contiguous tensor with a storage of its own."""
  array = np.asarray(array)
  strides = tuple(stride // array.itemsize for stride in np.empty_like(array).strides)
  return kind(storage(key, array), 0, array.shape, strides)


def tensors(arrays: dict[str, np.ndarray]) -> collections.OrderedDict:
  """A state dict of contiguous tensors, with the attribute that torch gives it."""
  state = collections.OrderedDict(
    (name, tensor(array, str(i))) for i, (name, array) in enumerate(arrays.items())
  )
  state._metadata = {'': {'version': 1}}  # type: ignore[attr-defined]
  return state


def views(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
  """Tensors of zeros that all look at one storage, so that the file is small."""
  zeros = storage('0', np.zeros(max(map(np.prod, shapes.values())), np.float16))

  def view(shape: tuple[int, ...]) -> Tensor:
    strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    return Tensor(zeros, 0, shape, strides)

  return {name: view(shape) for name, shape in shapes.items()}


def dumps(
  tree: Any, *, legacy: bool = False, protocol: int = 2
) -> tuple[bytes, list[Storage]]:
  """The pickle of a tree of tensors, and the storages that it refers to."""
  storages: dict[str, Storage] = {}

  class Pickler(pickle._Pickler):  # type: ignore[name-defined]
    def persistent_id(self, obj):
      if not isinstance(obj, Storage):
        return None
      storages[obj.key] = obj
      kind = getattr(_TORCH, obj.kind)
      return ('storage', kind, obj.key, 'cpu', obj.count, *([None] if legacy else []))

  file = _Bytes()
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, 'torch', _TORCH)
    patch.setitem(sys.modules, 'torch._utils', _UTILS)
    Pickler(file, protocol).dump(tree)
  return bytes(file), list(storages.values())


class _Bytes(bytearray):
  write = bytearray.extend


def save_zip(path, tree: Any) -> None:
  """Writes what `torch.save` writes since torch 1.6."""
  pickled, storages = dumps(tree)
  write_zip(path, pickled, {s.key: s.numbers.tobytes() for s in storages})


def write_zip(path, pickled: bytes, data: dict[str, bytes], **options) -> None:
  """Writes an archive of a pickle and of the storages' bytes."""
  with zipfile.ZipFile(path, 'w', **options) as archive:
    archive.writestr('archive/data.pkl', pickled)
    archive.writestr('archive/byteorder', 'little')
    for key, content in data.items():
      archive.writestr(f'archive/data/{key}', content)
    archive.writestr('archive/version', '3\n')


def save_legacy(path, tree: Any) -> None:
  """Writes what `torch.save` wrote before torch 1.6."""
  pickled, storages = dumps(tree, legacy=True)
  write_legacy(path, pickled, {s.key: s.numbers for s in storages})


def write_legacy(path, pickled: bytes, data: dict[str, np.ndarray]) -> None:
  """Writes a pickle between others, and the storages behind them."""
  system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {'int': 4}}
  heads = [0x1950A86A20F9469CFC6C, 1001, system]
  parts = [pickle.dumps(head, 2) for head in heads]
  parts += [pickled, pickle.dumps(sorted(data), 2)]
  for key in sorted(data):
    parts += [np.int64(data[key].size).tobytes(), data[key].tobytes()]
  path.write_bytes(b''.join(parts))


def save_safetensors(path, arrays: dict[str, np.ndarray]) -> None:
  """Writes arrays with the package of the format's authors."""
  from safetensors.numpy import save_file

  save_file({k: np.ascontiguousarray(array) for k, array in arrays.items()}, path)


BFLOAT16 = jnp.bfloat16
