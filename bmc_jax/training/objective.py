"""What training minimises: the terms of the loss, and their weights over the run."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from bmc_jax import pose25d
from bmc_jax.constraints import bmc_loss
from bmc_jax.hull import DISTANCES
from bmc_jax.limits import HandLimits, as_boxes
from bmc_jax.models import PoseOutput
from bmc_jax.skeleton import Array
from bmc_jax.training import losses
from bmc_jax.training.config import Config
from bmc_jax.training.extra_terms import (
  check_extra_terms,
  compute_extra,
  extra_weights,
)

JOINTS_FOR_BMC = ('refined', 'calculated', 'labelled')
SHAPES = ('hull', 'box')


def uses_limits(config: Config) -> bool:
  """Whether a run has constraints, and thus needs limits."""
  return any(config.bmc.weights.values()) or config.bmc.mirror > 0


def trains_refiner_apart(config: Config) -> bool:
  """Whether a run has a refiner that no constraint judges (see `compute_bmc`)."""
  return config.bmc.joints != 'refined' and config.model[config.model.name].refine


def check_objective(config: Config) -> None:
  """Raises ValueError if a value of `bmc` or a term of the loss has no meaning."""
  bmc = config.bmc
  if bmc.joints not in JOINTS_FOR_BMC:
    raise ValueError(f'bmc.joints is {bmc.joints!r}; choose one of {JOINTS_FOR_BMC}.')
  if bmc.hull_power not in (1, 2):
    raise ValueError(f'bmc.hull_power is {bmc.hull_power}; it must be 1 or 2.')
  if bmc.hull_distance not in DISTANCES:
    raise ValueError(
      f'bmc.hull_distance is {bmc.hull_distance!r}; choose one of {DISTANCES}.'
    )
  if bmc.shape not in SHAPES:
    raise ValueError(f'bmc.shape is {bmc.shape!r}; choose one of {SHAPES}.')
  if bmc.mirror > 0 and not any(bmc.weights.values()):
    raise ValueError(
      'bmc.mirror compares a hand with its mirror image by bmc.weights, which are all '
      '0: give at least one of them a value.'
    )
  if not 0 <= bmc.ramp_start <= bmc.ramp_end <= 1:
    raise ValueError(
      f'bmc.ramp_start and bmc.ramp_end are {bmc.ramp_start} and {bmc.ramp_end}; they '
      'are shares of the run, 0 <= ramp_start <= ramp_end <= 1.'
    )
  check_extra_terms(config)


def ramp(progress: jax.Array, start: float, end: float) -> jax.Array:
  """Weight of the constraints: 0 until `start` of the run, 1 from `end` on."""
  return jnp.clip((progress - start) / max(end - start, 1e-9), 0, 1)


def term_weights(config: Config, progress: jax.Array) -> dict:
  """The weight of every term of `compute_losses` at a point of the run in [0, 1]."""
  bmc = config.bmc
  gate = ramp(progress, bmc.ramp_start, bmc.ramp_end)
  constraints = bmc.weights.to_dict() | {'mirror': bmc.mirror}
  if trains_refiner_apart(config):
    constraints['root_depth'] = config.loss.root_depth
  constraints = {f'bmc_{k}': gate * v for k, v in constraints.items()}
  return config.loss.to_dict() | constraints | extra_weights(config)


def compute_losses(
  output: PoseOutput,
  batch: Mapping[str, jax.Array],
  limits: HandLimits | None,
  config: Config,
  heatmaps: jax.Array | None = None,
) -> dict[str, Array]:
  """Every term of the loss, unweighted, each the mean over the examples it applies to.

  Args:
    output: the model's prediction.
    batch: what it was made for; `mask` and `has_joints_3d` say which labels count, and
      a depth counts where root and reference bone are annotated, too.
    limits: of the constraints; None leaves them out.
    config: the run's config.
    heatmaps: (b, h, w, 21) logits of a network that has heatmaps.
  """
  visibility = batch['visibility']
  needed = visibility[:, jnp.array((config.root, *config.reference))].min(-1)
  labelled = batch['mask'] * batch['has_joints_3d'] * needed
  # Not only masked in the loss: the gradient of a masked NaN is still NaN.
  joints = jnp.where(labelled[:, None, None] > 0, batch['joints_3d'], 0)
  target = pose25d.to_pose25d(
    joints, batch['intrinsics'], root=config.root, reference=tuple(config.reference)
  )
  terms = {
    'relative_depth': losses.masked_mean(
      losses.relative_depth_loss(
        output.relative_depth, target.relative_depth, visibility
      ),
      labelled,
    ),
    # How far a hand is cannot be told without the focal length.
    'root_depth': losses.masked_mean(
      losses.root_depth_loss(output.root_depth, target.root_depth),
      labelled * batch.get('camera_known', jnp.ones_like(labelled)),
    ),
  }
  if output.depth_scale is not None and config.loss.depth_likelihood:
    terms['depth_likelihood'] = losses.masked_mean(
      losses.depth_likelihood_loss(
        output.relative_depth,
        output.depth_scale,
        target.relative_depth,
        visibility,
        root=config.root,
      ),
      labelled,
    )
  if 'observed_2d' in batch:
    terms['keypoints_2d'] = losses.masked_mean(
      losses.moved_keypoints_loss(
        output.keypoints_2d, batch['keypoints_2d'], visibility
      ),
      batch['mask'],
    )
  if 'image' in batch:
    terms['keypoints_2d'] = losses.masked_mean(
      losses.keypoints_2d_loss(
        output.keypoints_2d, batch['keypoints_2d'], visibility, config.image_size
      ),
      batch['mask'],
    )
  if heatmaps is not None:
    terms['heatmap'] = losses.masked_mean(
      losses.heatmap_loss(
        heatmaps, batch['keypoints_2d'], visibility, config.image_size
      ),
      batch['mask'],
    )
  if limits is not None:
    terms |= compute_bmc(output, batch, limits, config)
  return terms | compute_extra(output, batch, config)


def compute_bmc(
  output: PoseOutput,
  batch: Mapping[str, jax.Array],
  limits: HandLimits,
  config: Config,
) -> dict[str, Array]:
  """The constraints' terms and the mirror term, over the examples they apply to.

  `bmc.joints` says which 3D hand is judged: the one lifted with the 'refined' root
  depth (the paper's), with the 'calculated' one, or the same with the 'labelled' 2D
  keypoints in place of the predicted ones, so that the constraints act on depth alone
  and do not pay for wrong 2D with wrong depth. Where a keypoint has no label, the
  predicted one takes its place, as a constant.

  Predictions are lifted with the refined root depth whatever `bmc.joints` is. Of hands
  without a 3D label no other term than the 'refined' ones reaches the refiner, so the
  others have a fourth term, `bmc_root_depth`: see `losses.root_depth_of_bones`.
  """
  bmc = config.bmc
  if bmc.shape == 'box':
    limits = as_boxes(limits)
  keypoints_2d = output.keypoints_2d
  if bmc.joints == 'labelled':
    keypoints_2d = jnp.where(
      batch['visibility'][..., None] > 0,
      batch['keypoints_2d'],
      jax.lax.stop_gradient(output.keypoints_2d),
    )
  geometry = {
    'reference': tuple(config.reference),
    'bounds': tuple(config.depth_bounds),
  }
  joints = output.joints_3d
  if bmc.joints != 'refined':
    joints = losses.lift_normalized(
      keypoints_2d, output.relative_depth, batch['intrinsics'], **geometry
    )
  mask = batch['mask']
  if 'image' not in batch and 'observed_2d' not in batch:
    # A lifter that passes keypoints on has no 2D in place of a missing label.
    mask = mask * batch['visibility'].min(-1)
  if bmc.weak_only:
    mask = mask * (1 - batch['has_joints_3d'])
  _, terms = bmc_loss(
    joints,
    limits,
    hull_power=bmc.hull_power,
    hull_distance=bmc.hull_distance,
    stop_frame_gradient=bmc.stop_frame_gradient,
    reference=geometry['reference'],
  )
  terms = {f'bmc_{k}': losses.masked_mean(v, mask) for k, v in terms.items()}
  if trains_refiner_apart(config):
    error = losses.root_depth_loss(
      output.root_depth,
      losses.root_depth_of_bones(
        keypoints_2d,
        output.relative_depth,
        batch['intrinsics'],
        limits,
        bounds=geometry['bounds'],
      ),
    )
    unlabelled = mask * (1 - batch['has_joints_3d'])
    terms['bmc_root_depth'] = losses.masked_mean(error, unlabelled)
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
