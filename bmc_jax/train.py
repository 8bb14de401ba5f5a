"""Training: state, the jitted step, and the loop that loses nothing."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from tqdm import tqdm

from bmc_jax import evaluate, hosts, sharding
from bmc_jax.checkpointing import Checkpointer
from bmc_jax.config import Config, check_values
from bmc_jax.data import augment, pipeline, sources
from bmc_jax.initial_values import init_variables
from bmc_jax.limits import HandLimits
from bmc_jax.logs import MetricLog, RunningMean
from bmc_jax.models import create_model
from bmc_jax.objective import check_objective, compute_losses, term_weights
from bmc_jax.optimizers import create_optimizer


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


def make_train_step(
  config: Config,
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  limits: HandLimits | None,
) -> Callable[[TrainState, Mapping[str, jax.Array]], tuple[TrainState, dict]]:
  """The jitted step: augment, predict, losses, update. The state is donated."""
  augmentation = config.augment.to_dict()

  def loss_fn(params, state, batch):
    variables = {'params': params, 'batch_stats': state.batch_stats}
    output, updates = model.apply(
      variables, batch, train=True, mutable=['batch_stats', 'heatmaps']
    )
    (heatmaps,) = jax.tree.leaves(updates.get('heatmaps')) or (None,)
    terms = compute_losses(output, batch, limits, config, heatmaps)
    weight = term_weights(config, state.step / config.num_steps)
    total = sum((weight[k] * v for k, v in terms.items()), start=jnp.zeros(()))
    return total, ({'loss': total, **terms}, updates.get('batch_stats', {}))

  def step(state: TrainState, batch: Mapping[str, jax.Array]):
    key = jax.random.fold_in(jax.random.key(config.seed), state.step)
    if 'image' in batch:
      batch = augment.augment_batch(
        key, batch, image_size=config.image_size, **augmentation
      )
    else:
      batch = augment.augment_poses(key, batch, **config.augment_poses.to_dict())
    gradient, (terms, batch_stats) = jax.grad(loss_fn, has_aux=True)(
      state.params, state, batch
    )
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    terms['gradient_norm'] = optax.tree.norm(gradient)
    return state.replace(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      batch_stats=batch_stats,
      opt_state=opt_state,
    ), terms

  return jax.jit(step, donate_argnums=0)


def train(
  config: Config,
  workdir: Path,
  limits: HandLimits | None,
  *,
  label: str = 'train',
) -> TrainState:
  """Trains one model, from its newest checkpoint if there is one.

  Args:
    config: of the run.
    workdir: for checkpoints and logs.
    limits: of the constraints, or None for a run without them.
    label: stands before the progress bar.

  Returns:
    The state after `num_steps` steps.

  Raises:
    ValueError: a config value is wrong.
    FloatingPointError: the loss, its gradient or a parameter is not finite.
  """
  check_config(config)
  mesh = sharding.make_mesh(config.batch_size)
  model = create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, config.num_steps)
  state = create_train_state(config, model, optimizer)
  state = jax.device_put(state, sharding.replicated(mesh))
  trained = is_trained(config, workdir)
  checkpoints = Checkpointer(workdir / 'checkpoints', keep=config.checkpoint.keep)
  if trained:
    with closing(checkpoints):
      return checkpoints.restore_state(state)
  data = open_train_batches(config)
  validation = open_validation(config)
  first, mean = checkpoints.latest_step or 0, RunningMean()
  if first:
    state, saved = checkpoints.restore(state, data)
    mean = RunningMean(**saved)
  log = MetricLog(workdir, resume_at=first)
  step_fn = make_train_step(config, model, optimizer, limits)

  bar = tqdm(
    total=config.num_steps,
    initial=first,
    desc=label,
    unit='step',
    dynamic_ncols=True,
    disable=not hosts.is_first(),
  )
  # Closed on errors, too: a checkpoint that has been begun is finished.
  with closing(checkpoints), closing(log), bar:
    for step in range(first + 1, config.num_steps + 1):
      state, terms = step_fn(state, sharding.put_batch(next(data), mesh))
      mean.add(terms)
      bar.update()
      last = step == config.num_steps
      log_now = last or step % config.log_every == 0
      save_now = last or step % config.checkpoint.every == 0
      if log_now or save_now:
        _check_finite(mean, state, step, checkpoints.latest_step)
      row = {}
      if log_now:
        row = {f'train/{name}': value for name, value in mean.take().items()}
        bar.set_postfix(loss=f'{row["train/loss"]:.3f}')
      if validation and (last or step % config.eval.every == 0):
        metrics, _ = evaluate.evaluate(config, model, variables_of(state), validation)
        row |= {f'eval/{name}': value for name, value in metrics.items()}
      if row:
        log.write(step, row)
      if save_now:
        checkpoints.save(step, state, data, mean.state())
  return state


def is_trained(config: Config, workdir: Path) -> bool:
  """Whether a run's last checkpoint is there, so that no data are needed any more."""
  return (workdir / 'checkpoints' / str(config.num_steps)).is_dir()


_norm = jax.jit(optax.tree.norm)  # one program, not one for each array


def _check_finite(
  mean: RunningMean, state: TrainState, step: int, saved: int | None
) -> None:
  # The loss at `step` was that of the parameters before their last update.
  if mean.is_finite and jnp.isfinite(_norm(variables_of(state))):
    return
  what = 'norm of the parameters' if mean.is_finite else 'loss'
  kept = f'the last good checkpoint is that of step {saved}'
  values = ', '.join(f'{k} {v:g}' for k, v in mean.take().items())
  raise FloatingPointError(
    f'The {what} is not finite at step {step} ({values}); '
    f'{kept if saved else "no checkpoint was saved before"}. '
    'Lower optimizer.learning_rate, in a new --workdir.'
  )


def check_config(config: Config) -> None:
  """Raises ValueError if a value of a run's config can not work.

  Asked for every row before anything is trained, so that the last row of a table does
  not fail after the others have been run.
  """
  check_values(config)
  sharding.make_mesh(config.batch_size)
  sharding.make_mesh(config.eval.batch_size, name='eval.batch_size')
  create_model(model_options(config))
  create_optimizer(config.optimizer, config.num_steps)
  check_objective(config)


def variables_of(state: TrainState) -> dict[str, Any]:
  """The model's variables in a train state."""
  return {'params': state.params, 'batch_stats': state.batch_stats}


def model_options(config: Config) -> dict[str, Any]:
  """The model's options, with those that the whole run shares."""
  name = config.model.name
  if name not in config.model:
    names = sorted(set(config.model) - {'name'})
    raise ValueError(f'model.name is {name!r}; choose one of {names}.')
  return config.model[name].to_dict() | {
    'name': name,
    'root': config.root,
    'reference': tuple(config.reference),
    'root_depth_bounds': tuple(config.depth_bounds),
  }


def open_train_batches(
  config: Config,
  open_source: Callable[[Mapping[str, Any]], sources.Source] = sources.open_source,
  *,
  num_threads: int | None = None,
):
  """This host's batches: the full source, mixed with the weak one if it is used.

  Args:
    config: of the run.
    open_source: opens the source of a specification.
    num_threads: that read ahead; None takes the config's.
  """
  full = open_source(source_spec(config, 'full'))
  weak = open_source(source_spec(config, 'weak')) if config.data.use_weak else None
  return pipeline.train_batches(
    full,
    weak,
    batch_size=config.batch_size,
    seed=config.seed,
    num_threads=config.data.num_threads if num_threads is None else num_threads,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )


def open_validation(config: Config):
  """The source that is evaluated along the way, or None."""
  return sources.open_source(source_spec(config, 'val')) if config.data.val else None


def source_spec(config: Config, name: str) -> dict[str, Any]:
  """The specification of `config.data[name]`; a lifter's sources leave images out.

  Raises:
    ValueError: it says not of what kind it is.
  """
  spec = config.data[name].to_dict()
  if 'kind' not in spec:
    raise ValueError(f"data.{name} has no kind: set it to 'tfds' or 'poses'.")
  if spec.get('kind') == 'tfds' and config.model.name == 'keypoint_lifter':
    spec['with_image'] = False
  return spec
