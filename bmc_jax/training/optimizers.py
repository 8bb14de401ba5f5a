"""Learning-rate schedules and optimizers, by the names that configs use."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import optax

from bmc_jax.training.term_gradients import CLIP_BY


def create_learning_rate_fn(
  optimizer: Mapping[str, Any], num_steps: int
) -> optax.Schedule:
  """The schedule: linear warm-up, then 'cosine' to 0 or 'step' decay (the paper's).

  The cosine starts where the warm-up ends; the step decay counts from the first step.

  Args:
    optimizer: the config's `optimizer`.
    num_steps: of the whole run.

  Raises:
    ValueError: there is no such schedule, or its steps are not counted from 1.
  """
  peak, warmup = optimizer['learning_rate'], optimizer['warmup_steps']
  if optimizer['schedule'] == 'cosine':
    rest = optax.cosine_decay_schedule(peak, max(num_steps - warmup, 1))
  elif optimizer['schedule'] == 'step':
    every = optimizer['decay_every']
    if every < 1:
      raise ValueError(
        f'optimizer.decay_every is {every}; it counts steps, at least 1.'
      )
    decay = optax.exponential_decay(
      peak, every, optimizer['decay_factor'], staircase=True
    )

    def rest(count):
      return decay(count + warmup)

  else:
    raise ValueError(
      f"optimizer.schedule is {optimizer['schedule']!r}; it must be 'cosine' or 'step'."
    )
  if not warmup:
    return rest
  return optax.join_schedules(
    [optax.linear_schedule(0.0, peak, warmup), rest], [warmup]
  )


def create_optimizer(
  optimizer: Mapping[str, Any], num_steps: int
) -> optax.GradientTransformation:
  """SGD with momentum (the paper's) or AdamW, after clipping the gradient's norm.

  Where `clip_by` is 'term', the step has clipped the gradient of each term.

  Weight decay applies to kernels only, not to biases, normalisation and the like.

  Args:
    optimizer: the config's `optimizer`.
    num_steps: of the whole run.

  Raises:
    ValueError: there is no such optimizer or schedule, or nothing that clips so.
  """
  clip_by = optimizer.get('clip_by', 'all')
  if clip_by not in CLIP_BY:
    raise ValueError(f'optimizer.clip_by is {clip_by!r}; choose one of {CLIP_BY}.')
  clip_norm = optimizer['clip_norm'] if clip_by == 'all' else math.inf
  learning_rate = create_learning_rate_fn(optimizer, num_steps)
  decay = optax.add_decayed_weights(optimizer['weight_decay'], mask=_are_kernels)
  if optimizer['name'] == 'sgd':
    rule = [decay, optax.sgd(learning_rate, momentum=optimizer['momentum'])]
  elif optimizer['name'] == 'adamw':
    rule = [optax.scale_by_adam(), decay, optax.scale_by_learning_rate(learning_rate)]
  else:
    raise ValueError(
      f"optimizer.name is {optimizer['name']!r}; it must be 'adamw' or 'sgd'."
    )
  return optax.chain(optax.clip_by_global_norm(clip_norm), *rule)


def _are_kernels(params):
  return jax.tree_util.tree_map_with_path(
    lambda path, _: path[-1].key == 'kernel', params
  )
