"""Training: optimizer, state, the jitted step, and the loop that loses nothing."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import optax
from tqdm import tqdm

from bmc_jax import evaluate, losses, pose25d, sharding, weights
from bmc_jax.checkpointing import Checkpointer
from bmc_jax.constraints import bmc_loss
from bmc_jax.data import augment, pipeline, sources
from bmc_jax.limits import HandLimits
from bmc_jax.logs import MetricLog
from bmc_jax.models import PoseOutput, create_model

JOINTS_FOR_BMC = ('refined', 'calculated', 'labelled')


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


def create_learning_rate_fn(
  optimizer: Mapping[str, Any], num_steps: int
) -> optax.Schedule:
  """The schedule: linear warm-up, then 'cosine' to 0 or 'step' decay (the paper's).

  Args:
    optimizer: the config's `optimizer`.
    num_steps: of the whole run.
  """
  peak, warmup = optimizer['learning_rate'], optimizer['warmup_steps']
  if optimizer['schedule'] == 'cosine':
    rest = optax.cosine_decay_schedule(peak, max(num_steps - warmup, 1))
  elif optimizer['schedule'] == 'step':
    every = optimizer['decay_every']
    if every < 1:
      raise ValueError(f'optimizer.decay_every is {every}; it counts steps, at least 1.')
    drops = {step - warmup: optimizer['decay_factor'] for step in
             range(every, num_steps, every) if step > warmup}
    rest = optax.piecewise_constant_schedule(peak, drops)
  else:
    raise ValueError(
      f"optimizer.schedule is {optimizer['schedule']!r}; it must be 'cosine' or 'step'."
    )
  if not warmup:
    return rest
  return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), rest], [warmup])


def create_optimizer(
  optimizer: Mapping[str, Any], num_steps: int
) -> optax.GradientTransformation:
  """SGD with momentum (the paper's) or AdamW, after clipping the gradient's norm.

  Weight decay applies to kernels only, not to biases and normalisation.
  """
  learning_rate = create_learning_rate_fn(optimizer, num_steps)
  decay = optax.add_decayed_weights(
    optimizer['weight_decay'], mask=functools.partial(jax.tree.map, lambda x: x.ndim > 1)
  )
  if optimizer['name'] == 'sgd':
    rule = [decay, optax.sgd(learning_rate, momentum=optimizer['momentum'])]
  elif optimizer['name'] == 'adamw':
    rule = [
      optax.scale_by_adam(), decay, optax.scale_by_learning_rate(learning_rate)
    ]
  else:
    raise ValueError(
      f"optimizer.name is {optimizer['name']!r}; it must be 'adamw' or 'sgd'."
    )
  return optax.chain(optax.clip_by_global_norm(optimizer['clip_norm']), *rule)


def create_train_state(
  config: ml_collections.ConfigDict,
  model: nn.Module,
  optimizer: optax.GradientTransformation,
) -> TrainState:
  """A fresh state from the config's seed, or from the weights in `init_from`."""
  size = config.image_size
  example = {
    'image': jnp.zeros((2, size, size, 3)),
    'keypoints_2d': jnp.zeros((2, 21, 2)),
    'intrinsics': jnp.eye(3)[None] * jnp.ones((2, 1, 1)),
  }

  @jax.jit
  def init(key):
    return model.init(key, example, train=False)

  variables = init(jax.random.key(config.seed))
  if config.init_from:
    variables = weights.load_weights(config.init_from, variables)
  params = variables['params']
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    batch_stats=variables.get('batch_stats', {}),
    opt_state=optimizer.init(params),
  )


def ramp(progress: jax.Array, start: float, end: float) -> jax.Array:
  """Weight of the constraints: 0 until `start` of the run, 1 from `end` on."""
  return jnp.clip((progress - start) / max(end - start, 1e-9), 0, 1)


def compute_losses(
  output: PoseOutput,
  batch: Mapping[str, jax.Array],
  limits: HandLimits | None,
  config: ml_collections.ConfigDict,
) -> dict[str, jax.Array]:
  """Every term of the loss, unweighted, each the mean over the examples it applies to.

  Args:
    output: the model's prediction.
    batch: what it was made for; `mask` and `has_joints_3d` say which labels count.
    limits: of the constraints; None leaves them out.
    config: the run's config.
  """
  labelled = batch['mask'] * batch['has_joints_3d']
  target = pose25d.to_pose25d(
    batch['joints_3d'], batch['intrinsics'], root=config.root, reference=_reference(config)
  )
  visibility = batch['visibility']
  terms = {
    'relative_depth': losses.masked_mean(
      losses.relative_depth_loss(
        output.relative_depth, target.relative_depth, visibility
      ),
      labelled,
    ),
    'root_depth': losses.masked_mean(
      losses.root_depth_loss(output.root_depth, target.root_depth), labelled
    ),
  }
  if 'image' in batch:
    terms['keypoints_2d'] = losses.masked_mean(
      losses.keypoints_2d_loss(
        output.keypoints_2d, batch['keypoints_2d'], visibility, config.image_size
      ),
      batch['mask'],
    )
  if limits is not None:
    terms |= compute_bmc(output, batch, limits, config)
  return terms


def compute_bmc(
  output: PoseOutput,
  batch: Mapping[str, jax.Array],
  limits: HandLimits,
  config: ml_collections.ConfigDict,
) -> dict[str, jax.Array]:
  """The constraints' three terms and the mirror term, over the examples they apply to.

  `bmc.joints` says which 3D hand is judged: the one lifted with the 'refined' root
  depth (the paper's), with the 'calculated' one, or the same with the 'labelled' 2D
  keypoints in place of the predicted ones, so that the constraints act on depth alone
  and do not pay for wrong 2D with wrong depth.
  """
  bmc = config.bmc
  if bmc.joints not in JOINTS_FOR_BMC:
    raise ValueError(f'bmc.joints is {bmc.joints!r}; choose one of {JOINTS_FOR_BMC}.')
  labelled_2d = bmc.joints == 'labelled'
  keypoints_2d = batch['keypoints_2d'] if labelled_2d else output.keypoints_2d
  geometry = {'reference': _reference(config), 'bounds': tuple(config.depth_bounds)}
  joints = output.joints_3d
  if bmc.joints != 'refined':
    joints = losses.lift_normalized(
      keypoints_2d, output.relative_depth, batch['intrinsics'], **geometry
    )
  mask = batch['mask'] * (batch['visibility'].min(-1) if labelled_2d else 1.0)
  if bmc.weak_only:
    mask = mask * (1 - batch['has_joints_3d'])
  _, terms = bmc_loss(joints, limits, hull_power=bmc.hull_power)
  terms = {f'bmc_{k}': losses.masked_mean(v, mask) for k, v in terms.items()}
  if bmc.mirror:
    mirrored = losses.mirrored_is_more_plausible(
      keypoints_2d,
      output.relative_depth,
      batch['intrinsics'],
      limits,
      weights=bmc.weights.to_dict(),
      **geometry,
    )
    mirror = losses.mirror_loss(output.relative_depth, mirrored)
    terms['bmc_mirror'] = losses.masked_mean(mirror, mask)
  return terms


def term_weights(config: ml_collections.ConfigDict, progress: jax.Array) -> dict:
  """The weight of every term of `compute_losses` at a point of the run in [0, 1]."""
  bmc = config.bmc
  gate = ramp(progress, bmc.ramp_start, bmc.ramp_end)
  constraints = bmc.weights.to_dict() | {'mirror': bmc.mirror}
  return config.loss.to_dict() | {f'bmc_{k}': gate * v for k, v in constraints.items()}


def make_train_step(
  config: ml_collections.ConfigDict,
  model: nn.Module,
  optimizer: optax.GradientTransformation,
  limits: HandLimits | None,
) -> Callable[[TrainState, Mapping[str, jax.Array]], tuple[TrainState, dict]]:
  """The jitted step: augment, predict, losses, update. The state is donated."""
  augmentation = config.augment.to_dict()

  def loss_fn(params, state, batch):
    variables = {'params': params, 'batch_stats': state.batch_stats}
    output, updates = model.apply(variables, batch, train=True, mutable=['batch_stats'])
    terms = compute_losses(output, batch, limits, config)
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
    terms['gradient_norm'] = optax.global_norm(gradient)
    return state.replace(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      batch_stats=batch_stats,
      opt_state=opt_state,
    ), terms

  return jax.jit(step, donate_argnums=0)


def train(
  config: ml_collections.ConfigDict,
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
  """
  mesh = sharding.make_mesh(config.batch_size)
  model = create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, config.num_steps)
  data = open_train_batches(config)
  checkpoints = Checkpointer(workdir / 'checkpoints', keep=config.checkpoint.keep)
  state = create_train_state(config, model, optimizer)
  state = jax.device_put(state, sharding.replicated(mesh))
  first = checkpoints.latest_step or 0
  if first:
    state = checkpoints.restore(state, data)
  log = MetricLog(workdir, resume_at=first)
  step_fn = make_train_step(config, model, optimizer, limits)
  validation = open_validation(config)

  bar = tqdm(
    total=config.num_steps, initial=first, desc=label, unit='step', dynamic_ncols=True
  )
  totals, count = None, 0
  for step in range(first + 1, config.num_steps + 1):
    state, terms = step_fn(state, sharding.put_batch(next(data), mesh))
    totals = terms if totals is None else jax.tree.map(jnp.add, totals, terms)
    count += 1
    bar.update()
    last = step == config.num_steps
    if step % config.log_every == 0 or last:
      row = {f'train/{k}': float(v) / count for k, v in totals.items()}
      if not jnp.isfinite(row['train/loss']):
        raise FloatingPointError(
          f'The loss is not finite at step {step}: {row}. The last good checkpoint is '
          f'{checkpoints.latest_step}; lower optimizer.learning_rate.'
        )
      totals, count = None, 0
      bar.set_postfix(loss=f'{row["train/loss"]:.3f}')
      if validation is not None and (step % config.eval.every == 0 or last):
        metrics, _ = evaluate.evaluate(config, model, variables_of(state), validation)
        row |= {f'eval/{k}': v for k, v in metrics.items()}
      log.write(step, row)
    if step % config.checkpoint.every == 0 or last:
      checkpoints.save(step, state, data)
  bar.close()
  checkpoints.close()
  log.close()
  return state


def variables_of(state: TrainState) -> dict[str, Any]:
  """The model's variables in a train state."""
  return {'params': state.params, 'batch_stats': state.batch_stats}


def model_options(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """The model's options, with those that the whole run shares."""
  return dict(config.model) | {
    'root': config.root,
    'reference': _reference(config),
    'root_depth_bounds': tuple(config.depth_bounds),
  }


def open_train_batches(config: ml_collections.ConfigDict):
  """This host's batches: the full source, mixed with the weak one if it is used."""
  full = sources.open_source(source_spec(config, 'full'))
  weak = None
  if config.data.use_weak:
    weak = sources.open_source(source_spec(config, 'weak'))
  return pipeline.train_batches(
    full,
    weak,
    batch_size=config.batch_size // jax.process_count(),
    seed=config.seed,
    num_threads=config.data.num_threads,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )


def open_validation(config: ml_collections.ConfigDict):
  """The source that is evaluated along the way, or None."""
  return sources.open_source(source_spec(config, 'val')) if config.data.val else None


def source_spec(config: ml_collections.ConfigDict, name: str) -> dict[str, Any]:
  """The specification of `config.data[name]`; a lifter's sources leave images out."""
  spec = config.data[name].to_dict()
  if spec.get('kind') == 'tfds' and config.model.name == 'keypoint_lifter':
    spec['with_image'] = False
  return spec


def _reference(config) -> tuple[int, int]:
  start, end = config.reference
  return start, end
