"""Weights of torchvision's and timm's ResNets as the first values of our backbone."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.traverse_util
import numpy as np

from bmc_jax.models import PoseNetwork, resnet
from bmc_jax.torch_import import files

SUFFIXES = ('.safetensors', '.pth', '.pt', '.bin')
_BLOCK = 'layer1.0.'
_ANCHOR = f'{_BLOCK}conv1.weight'  # whatever stands before it stands before all
_COUNTER = 'num_batches_tracked'
_TRUNK = re.compile(r'(conv|bn|layer)\d')
_KNOWN = re.compile(
  r'(layer[1-4]\.\d+\.)?(conv[1-3]\.weight|bn[1-3]\.(weight|bias|running_(mean|var)))'
  r'|layer[1-4]\.\d+\.downsample\.(0\.weight|1\.(weight|bias|running_(mean|var)))'
)
# Of every depth, but not of deep stems, of groups, or of wide networks.
_SHAPES = {'conv1.weight': (64, 3, 7, 7), f'{_BLOCK}conv2.weight': (64, 64, 3, 3)}
_LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}


def is_torch_file(path: str) -> bool:
  """Whether a path names weights of torch, by its ending."""
  return path.endswith(SUFFIXES)


def fill_backbone(
  variables: Mapping[str, Any], model: nn.Module, path: str
) -> tuple[dict[str, Any], str]:
  """Puts the weights of a ResNet's state dict into a pose network's backbone.

  Args:
    variables: of the model, 'params' and 'batch_stats'; arrays, or their shapes where
      it is only asked whether the file fits.
    model: a pose network.
    path: of a `.safetensors` file or one of `torch.save`. The classifier (`fc`) in it
      is not taken.

  Returns:
    The variables with the backbone's replaced, in their types, and a line that says
    what was taken and what was left out.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is no state dict of a plain ResNet of the model's depth, or the
      model is no pose network with such a ResNet.
  """
  _check_model(model, path)
  tensors = files.read_state_dict(Path(path))
  prefix = _find_prefix(tensors, path)
  trunk = {
    name.removeprefix(prefix): array
    for name, array in tensors.items()
    if name.startswith(prefix)
    and _TRUNK.match(name, len(prefix))
    # Of no use where the momentum is fixed.
    and not name.endswith(_COUNTER)
  }
  _check_kind(trunk, path)
  _check_depth(trunk, model.depth, path)
  flat = flax.traverse_util.flatten_dict(variables)
  keys = {_torch_name(key[2:]): key for key in flat if key[1] == 'backbone'}
  for name in sorted(trunk.keys() | keys.keys()):
    need = _torch_shape(flat[keys[name]].shape) if name in keys else None
    _check_shape(name, trunk, need, path)
  for name, key in keys.items():
    flat[key] = _convert(trunk[name], flat[key].dtype, f'{path}: {name}')
  names = (name.removeprefix(prefix) for name in tensors)
  left = [name for name in names if name not in trunk]
  own = [key[1] for key in flat if key[1] != 'backbone']
  size = sum(array.size for array in trunk.values())
  line = (
    f'{path}: {len(trunk)} arrays ({size:,} numbers) of a ResNet-{model.depth} start '
    f'the backbone; left out: {_count(left)}; random: {_count(own)}.'
  )
  return flax.traverse_util.unflatten_dict(flat), line


def _check_model(model: nn.Module, path: str) -> None:
  if not isinstance(model, PoseNetwork):
    raise ValueError(
      f'A {type(model).__name__} has no ResNet that could start from {path}: leave '
      "init_from empty, or set model.name='pose_network'."
    )
  for name, need in (('stem', 'imagenet'), ('width', 64)):
    if (have := getattr(model, name)) != need:
      raise ValueError(
        f'{path} does not fit a model of {name} {have!r}: set '
        f'model.pose_network.{name}={need!r}.'
      )


def _find_prefix(names: Iterable[str], path: str) -> str:
  """What stands before the names of the ResNet, such as 'module.'."""
  prefixes = [
    name.removesuffix(_ANCHOR) for name in names if f'.{name}'.endswith(f'.{_ANCHOR}')
  ]
  if not prefixes:
    raise _misfit(path, f'it has no {_ANCHOR}')
  if len(prefixes) > 1:
    raise ValueError(
      f'{path} holds {len(prefixes)} ResNets, below {_list(map(repr, prefixes))}: keep '
      'one of them.'
    )
  return prefixes[0]


def _check_kind(trunk: Mapping[str, np.ndarray], path: str) -> None:
  """Refuses other kinds of ResNets, of whatever depth."""
  for name in trunk:
    if not _KNOWN.fullmatch(name):
      raise _misfit(path, f'{name!r} has no place in one')
  for name, need in _SHAPES.items():
    _check_shape(name, trunk, need, path)


def _check_depth(trunk: Mapping[str, np.ndarray], depth: int, path: str) -> None:
  firsts = (re.match(r'layer(.)\.\d+\.conv1', name) for name in trunk)
  blocks = Counter(match[1] for match in firsts if match)
  counts, bottleneck = (
    tuple(blocks[i] for i in '1234'),
    f'{_BLOCK}conv3.weight' in trunk,
  )
  found = next((d for d, k in resnet.DEPTHS.items() if k == (counts, bottleneck)), None)
  if found is None:
    kind = 'bottleneck' if bottleneck else 'basic'
    depths = ', '.join(map(str, resnet.DEPTHS))
    raise _misfit(path, f'{counts} {kind} blocks are those of no depth of {depths}')
  if found != depth:
    raise ValueError(
      f'{path} holds a ResNet-{found}, the model has depth {depth}: set '
      f'model.pose_network.depth={found}.'
    )


def _check_shape(
  name: str,
  trunk: Mapping[str, np.ndarray],
  need: tuple[int, ...] | None,
  path: str,
) -> None:
  if name not in trunk:
    raise _misfit(path, f'{name} is missing')
  if need is None:
    raise _misfit(path, f'{name} has no place in one of this depth')
  if trunk[name].shape != need:
    raise _misfit(path, f'{name} has the shape {trunk[name].shape}, not {need}')


def _misfit(path: str, reason: str) -> ValueError:
  return ValueError(
    f'{path} holds no plain ResNet with the names of torchvision: {reason}.'
  )


def _torch_name(path: tuple[str, ...]) -> str:
  """torch's name of a variable: ('layer1_0', 'conv1', 'kernel') and the like."""
  *modules, leaf = path
  name = '.'.join((*modules, _LEAVES[leaf]))
  name = re.sub(r'^(layer\d)_', r'\1.', name)
  return name.replace('downsample_conv', 'downsample.0').replace(
    'downsample_bn', 'downsample.1'
  )


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
  """Kernels are (height, width, in, out) here and (out, in, height, width) in torch."""
  return tuple(shape[i] for i in (3, 2, 0, 1)) if len(shape) == 4 else tuple(shape)


def _convert(array: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
  if array.ndim == 4:
    array = array.transpose(2, 3, 1, 0)
  with np.errstate(over='ignore'):  # told below
    array = array.astype(dtype, order='C')
  if not np.isfinite(array).all():
    raise ValueError(f'{name} holds values that are not finite: get another copy.')
  return array


def _count(names: Iterable[str]) -> str:
  """How many arrays of which kind, by their first names: '2 of fc'."""
  counts = Counter(
    _COUNTER if name.endswith(_COUNTER) else name.split('.')[0] for name in names
  )
  return _list(f'{n} of {name}' for name, n in counts.items()) or 'nothing'


def _list(words: Iterable[str]) -> str:
  words = list(words)
  more = f' and {len(words) - 6} more' if len(words) > 6 else ''
  return ', '.join(words[:6]) + more
