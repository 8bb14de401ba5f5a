"""The train state and the jitted step: augment, predict, losses, gradient, update."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from bmc_jax.data import augment
from bmc_jax.limits import HandLimits
from bmc_jax.training import sharding
from bmc_jax.training.config import Config
from bmc_jax.training.initial_values import init_variables
from bmc_jax.training.objective import compute_losses, term_weights
from bmc_jax.training.term_gradients import gradient_by_term

Batch = Mapping[str, jax.Array]


class TrainState(flax.struct.PyTreeNode):
  """Everything that a step changes.

  Attributes:
    step: number of steps taken.
    params, batch_stats: the model's variables; a lifter has no batch_stats.
    opt_state: of optax.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: Any


def create_train_state(
  config: Config,
  model: nn.Module,
  optimizer: optax.GradientTransformation,
) -> TrainState:
  """A fresh state from the config's seed, or from the weights in `init_from`."""
  variables = init_variables(
    model, config.image_size, seed=config.seed, init_from=config.init_from
  )
  params = variables['params']
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    batch_stats=variables.get('batch_stats', {}),
    opt_state=jax.jit(optimizer.init)(params),
  )


def state_sharding(config: Config, state: TrainState, mesh: Mesh) -> TrainState:
  """Where each array of the state lies: a tree of shardings.

  Every device holds all of it; with `shard_optimizer` each one holds a part of the
  optimizer's state (ZeRO, stage 1).

  Args:
    config: of the run.
    state: arrays, or their shapes.
    mesh: of all devices.
  """
  whole = jax.tree.map(lambda _: sharding.replicated(mesh), state)
  if not config.shard_optimizer:
    return whole
  return whole.replace(
    opt_state=jax.tree.map(
      lambda leaf: sharding.split_largest(leaf.shape, mesh), state.opt_state
    )
  )


def make_train_step(
  config: Config,
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  limits: HandLimits | None,
  shardings: TrainState | None = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]:
  """Makes the jitted step. The state is donated.

  A step whose loss, gradient or result is not finite changes nothing but the count of
  steps.

  Args:
    config: of the run. With `accumulate` > 1 the batch is taken in so many parts, one
      after the other, and the gradient is the mean of theirs; statistics of BatchNorm
      are then those of the parts.
    model: a pose network or lifter.
    optimizer: of optax. With `optimizer.clip_by` = 'term' gradients come to it clipped,
      those of each part of a batch.
    limits: of the constraints, or None for a run without them.
    shardings: of the state (`state_sharding`); None leaves it where it is.

  Returns:
    A function of a state and a batch: the next state, and the loss, its terms, the
    norm of the gradient and `finite` (whether the step was taken), all scalars; with
    `log_gradients`, or clipping by term, the norm of each term's gradient, too.
  """
  parts = config.accumulate
  weighted = _weighted_terms(config, model, limits)
  clips_terms = config.optimizer.get('clip_by', 'all') == 'term'
  by_term = clips_terms or config.get('log_gradients', False)
  clip_norm = config.optimizer.clip_norm if clips_terms else math.inf

  def gradient_of(state: TrainState, batch_stats, batch: Batch, key: jax.Array):
    """Gradient, terms and statistics of one part of the batch."""
    batch = _augment(config, key, batch)

    def of_params(params):
      return weighted(params, batch_stats, state.step, batch)

    def loss(params):
      terms, found = of_params(params)
      return sum(terms.values(), start=jnp.zeros(())), found

    if not by_term:
      gradient, (terms, batch_stats) = jax.grad(loss, has_aux=True)(state.params)
      return gradient, terms, batch_stats
    gradient, norms, (terms, batch_stats) = gradient_by_term(
      of_params, state.params, clip_norm
    )
    return gradient, terms | norms, batch_stats

  def mean_gradient(state: TrainState, batch: Batch, key: jax.Array):
    def add_part(carry, part):
      total, batch_stats = carry
      number, batch = part
      key_of_part = jax.random.fold_in(key, number)
      gradient, terms, batch_stats = gradient_of(state, batch_stats, batch, key_of_part)
      return (optax.tree.add(total, gradient), batch_stats), terms

    zeros = jax.tree.map(jnp.zeros_like, state.params)
    (gradient, batch_stats), terms = jax.lax.scan(
      add_part,
      (zeros, state.batch_stats),
      (jnp.arange(parts), jax.tree.map(lambda x: _split(x, parts), batch)),
    )
    terms = jax.tree.map(jnp.mean, terms)
    return optax.tree.scale(1 / parts, gradient), terms, batch_stats

  def step(state: TrainState, batch: Batch):
    key = jax.random.fold_in(jax.random.key(config.seed), state.step)
    if parts == 1:
      gradient, terms, batch_stats = gradient_of(state, state.batch_stats, batch, key)
    else:
      gradient, terms, batch_stats = mean_gradient(state, batch, key)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    new = state.replace(params=params, batch_stats=batch_stats, opt_state=opt_state)
    norm = optax.tree.norm(gradient)
    finite = jnp.isfinite(
      jnp.stack([terms['loss'], norm, optax.tree.norm((params, batch_stats))])
    ).all()
    new = jax.tree.map(
      lambda after, before: jnp.where(finite, after, before), new, state
    )
    new = new.replace(step=state.step + 1)
    return new, {**terms, 'gradient_norm': norm, 'finite': finite}

  return jax.jit(step, donate_argnums=0, out_shardings=(shardings, None))


def _weighted_terms(config: Config, model: nn.Module, limits: HandLimits | None):
  """The weighted terms of the loss of an augmented batch; and those that are logged,
  with the new statistics.
  """

  def weighted(params, batch_stats, step, batch):
    variables = {'params': params, 'batch_stats': batch_stats}
    output, updates = model.apply(
      variables, batch, train=True, mutable=['batch_stats', 'heatmaps']
    )
    (heatmaps,) = jax.tree.leaves(updates.get('heatmaps')) or (None,)
    terms = compute_losses(output, batch, limits, config, heatmaps)
    weight = term_weights(config, step / config.num_steps)
    parts = {k: weight[k] * v for k, v in terms.items()}
    total = sum(parts.values(), start=jnp.zeros(()))
    return parts, ({'loss': total, **terms}, updates.get('batch_stats', {}))

  return weighted


def _augment(config: Config, key: jax.Array, batch: Batch) -> Batch:
  if 'image' in batch:
    return augment.augment_batch(
      key, batch, image_size=config.image_size, **config.augment.to_dict()
    )
  return augment.augment_poses(key, batch, **config.augment_poses.to_dict())


def _split(x: jax.Array, parts: int) -> jax.Array:
  """(B, ...) -> (parts, B / parts, ...): part i has the examples i, i + parts, ...

  So half of each part is fully labelled, as of the batch, and it lies on all devices.
  """
  return jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0)
