"""Models: ResNet pose network and keypoint lifter (Flax Linen)."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bmc_jax.models.lifter import LifterNetwork
from bmc_jax.models.output import PoseOutput, assemble
from bmc_jax.models.pose_network import PoseNetwork

__all__ = [
  'LifterNetwork',
  'PoseNetwork',
  'PoseOutput',
  'assemble',
  'count_parameters',
  'create_model',
]

MODELS = {'pose_network': PoseNetwork, 'keypoint_lifter': LifterNetwork}


def create_model(model_config: Mapping[str, Any]) -> nn.Module:
  """Creates a model from its configuration.

  Args:
    model_config: 'name' ('pose_network' or 'keypoint_lifter') and any of that model's
      attributes; `dtype` may be a name such as 'bfloat16'.

  Returns:
    The model, called as `model.apply(variables, batch, train=...)`.

  Raises:
    ValueError: the name, a key or a value is not one of the allowed ones.
  """
  options = dict(model_config)
  name = options.pop('name', None)
  if name not in MODELS:
    raise ValueError(f'model name is {name!r}; choose one of {sorted(MODELS)}.')
  allowed = [
    field.name
    for field in dataclasses.fields(MODELS[name])
    if field.name not in ('name', 'parent')
  ]
  unknown = sorted(set(options) - set(allowed))
  if unknown:
    raise ValueError(f'{name} has no option {unknown}; its options are {allowed}.')
  for key, value in options.items():
    if isinstance(value, list):
      options[key] = tuple(value)  # modules must be hashable
  if 'dtype' in options:
    try:
      options['dtype'] = jnp.dtype(options['dtype'])
    except TypeError:
      raise ValueError(
        f"dtype is {options['dtype']!r}; name one such as 'bfloat16'."
      ) from None
  return MODELS[name](**options)


def count_parameters(params: Any) -> int:
  """Counts the numbers in a tree of arrays or of `jax.ShapeDtypeStruct`s."""
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
