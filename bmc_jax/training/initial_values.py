"""The values that training starts from: random ones, or those of a weights file."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bmc_jax.torch_import.weights import fill_backbone, is_torch_file
from bmc_jax.training import hosts
from bmc_jax.training.weights import load_weights


def init_variables(
  model: nn.Module, image_size: int, *, seed: int = 0, init_from: str = ''
) -> Mapping[str, Any]:
  """A model's variables: random ones, or those of the weights in `init_from`.

  Weights of torch fill the backbone alone, and a model without a refiner starts from
  weights with one; it is printed what was taken.
  """
  init, key = _initializer(model, image_size, seed)
  if init_from and not is_torch_file(init_from):
    if hosts.is_first() and (unused := _unused_modules(model)):
      print(f'{init_from} starts the model without its {", ".join(unused)}.')
    return _load(model, init_from, jax.eval_shape(init, key))
  variables = jax.jit(init)(key)
  if init_from:
    variables, line = fill_backbone(variables, model, init_from)
    if hosts.is_first():
      print(line)
  return variables


def check_weights(model: nn.Module, image_size: int, init_from: str) -> None:
  """Raises ValueError or OSError if a model cannot start from these weights."""
  like = jax.eval_shape(*_initializer(model, image_size))
  if is_torch_file(init_from):
    fill_backbone(like, model, init_from)
  else:
    _load(model, init_from, like)


def _load(model: nn.Module, path: str, like) -> Mapping[str, Any]:
  return load_weights(path, like, leave_out=_unused_modules(model))


def _unused_modules(model: nn.Module) -> tuple[str, ...]:
  """What weights of ours may hold beside the modules of a model."""
  return () if getattr(model, 'refine', True) else ('refiner',)


def _initializer(
  model: nn.Module, image_size: int, seed: int = 0
) -> tuple[Callable[[jax.Array], Mapping[str, Any]], jax.Array]:
  """The function that makes a model's random variables, and its key."""
  example = {
    'image': jnp.zeros((2, image_size, image_size, 3)),
    'keypoints_2d': jnp.zeros((2, 21, 2)),
    'intrinsics': jnp.eye(3)[None] * jnp.ones((2, 1, 1)),
  }

  def init(key):
    variables = model.init(key, example, train=False)
    return {k: v for k, v in variables.items() if k in ('params', 'batch_stats')}

  # JAX's default random numbers take 10 s longer to compile for a ResNet on a CPU.
  return init, jax.random.key(seed, impl='rbg')
