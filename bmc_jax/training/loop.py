"""The training loop, which loses nothing: it resumes, and stops in good order."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from tqdm import tqdm

from bmc_jax.data import pipeline, sources
from bmc_jax.limits import HandLimits
from bmc_jax.models import create_model
from bmc_jax.training import hosts, preemption, sharding
from bmc_jax.training.checkpointing import Checkpointer
from bmc_jax.training.config import Config, check_values
from bmc_jax.training.logs import MetricLog, RunningMean
from bmc_jax.training.objective import check_objective, uses_limits
from bmc_jax.training.optimizers import create_optimizer
from bmc_jax.training.profiling import Profiler
from bmc_jax.training.step import (
  TrainState,
  create_train_state,
  make_train_step,
  state_sharding,
)
from bmc_jax.training.steps import Steps
from bmc_jax.training.validation import evaluate

NONFINITE = ('stop', 'skip')


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
    limits: of the constraints; validation on hands without 3D labels counts how many
      keep them. None for neither.
    label: stands before the progress bar.

  Returns:
    The state after `num_steps` steps.

  Raises:
    ValueError: a config value is wrong.
    FloatingPointError: the loss, its gradient or a parameter is not finite.
    preemption.Preempted: SIGTERM came; the last step is saved.
    KeyboardInterrupt: so did Ctrl-C.
  """
  check_config(config)
  mesh = make_mesh(config)
  model = create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, config.num_steps)
  state = create_train_state(config, model, optimizer)
  shardings = state_sharding(config, state, mesh)
  state = jax.device_put(state, shardings)
  checkpoints = Checkpointer(workdir / 'checkpoints', keep=config.checkpoint.keep)
  saved = checkpoints.restore(state)
  if saved and saved.step == config.num_steps:
    checkpoints.close()
    return saved.state
  data = open_train_batches(config)
  validation = open_validation(config)
  first, mean, steps = 0, RunningMean(), Steps(config, data, workdir)
  if saved:
    first, state, mean = saved.step, saved.state, RunningMean(saved.log['sums'])
    data.set_state(saved.data)
    steps.skipped = saved.log['skipped']
  log = MetricLog(workdir, resume_at=first)
  rates = MetricLog(workdir, name='throughput', resume_at=first)
  step_fn = make_train_step(
    config, model, optimizer, limits if uses_limits(config) else None, shardings
  )
  bar = _progress_bar(config.num_steps, first, label)
  profiler = Profiler(workdir / 'profile' if config.profile else None, first + 1)
  with contextlib.ExitStack() as stack:
    # Closed on errors, too: a checkpoint that has been begun is finished.
    watch = stack.enter_context(preemption.Watch())
    for part in (checkpoints, log, rates, profiler):
      stack.callback(part.close)
    stack.enter_context(bar)
    for step in range(first + 1, config.num_steps + 1):
      with profiler.step(step):
        state, terms = steps.take(step, state, step_fn, mesh)
      profiler.end_step(step, terms)
      mean.add({k: v for k, v in terms.items() if k != 'finite'}, terms['finite'])
      bar.update()
      stop, last = watch.requested(step), step == config.num_steps
      log_now = last or step % config.log_every == 0
      save_now = last or stop or step % config.checkpoint.every == 0
      if log_now or save_now:
        steps.check(checkpoints.latest_step)
      row = {}
      if log_now:
        row = {f'train/{name}': value for name, value in mean.take().items()}
        if config.nonfinite == 'skip':
          row['train/skipped'] = steps.skipped
        speed = steps.timer.take(config.batch_size)
        rates.write(step, speed)
        bar.set_postfix_str(_postfix(row, speed))
      if validation and (last or step % config.eval.every == 0):
        metrics, _ = evaluate(config, model, variables_of(state), validation, limits)
        row |= {f'eval/{name}': value for name, value in metrics.items()}
      if row:
        log.write(step, row)
      if save_now:
        kept = {'sums': mean.state(), 'skipped': steps.skipped}
        checkpoints.save(step, state, data, kept)
      if stop and not last:
        watch.stop()
  return state


def _progress_bar(num_steps: int, first: int, label: str) -> tqdm:
  return tqdm(
    total=num_steps,
    initial=first,
    desc=label,
    unit='step',
    dynamic_ncols=True,
    disable=not hosts.is_first(),
  )


def _postfix(row: Mapping[str, float], speed: Mapping[str, float]) -> str:
  """What stands behind the progress bar."""
  parts = [f'loss={row["train/loss"]:.3f}'] if 'train/loss' in row else []
  if speed:
    parts.append(f'{speed["data_wait_percent"]:.0f} % waiting for data')
  return ', '.join(parts)


def is_trained(config: Config, workdir: Path) -> bool:
  """Whether a run's last checkpoint is there, so that no data are needed any more."""
  return (workdir / 'checkpoints' / str(config.num_steps)).is_dir()


def check_config(config: Config) -> None:
  """Raises ValueError if a value of a run's config can not work.

  Asked for every row before anything is trained, so that the last row of a table does
  not fail after the others have been run.
  """
  check_values(config)
  if config.nonfinite not in NONFINITE:
    raise ValueError(f'nonfinite is {config.nonfinite!r}; choose one of {NONFINITE}.')
  make_mesh(config)
  sharding.make_mesh(config.eval.batch_size, name='eval.batch_size')
  create_model(model_options(config))
  create_optimizer(config.optimizer, config.num_steps)
  check_objective(config)


def make_mesh(config: Config) -> Mesh:
  """The mesh over which each part of a batch is split."""
  if config.accumulate == 1:
    return sharding.make_mesh(config.batch_size)
  if config.batch_size % (2 * config.accumulate):
    raise ValueError(
      f'batch_size is {config.batch_size}; with accumulate = {config.accumulate} it '
      f'must be a multiple of {2 * config.accumulate}: each part has two halves.'
    )
  size = config.batch_size // config.accumulate
  return sharding.make_mesh(size, name='batch_size / accumulate')


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
    raise ValueError(
      f'data.{name} has no kind: set it to one of {", ".join(sources.KINDS)}.'
    )
  if spec.get('kind') == 'tfds' and config.model.name == 'keypoint_lifter':
    spec['with_image'] = False
  return spec
