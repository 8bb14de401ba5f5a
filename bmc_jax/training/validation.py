"""Evaluation: predictions over a source, and the metrics of a table row.

The network predicts hands in units of the reference bone; metrics are in millimetres
after multiplication by the true length of that bone, as in the paper.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from bmc_jax import metrics, pose25d
from bmc_jax.data import augment, pipeline
from bmc_jax.data.sources import Source
from bmc_jax.training import hosts, sharding
from bmc_jax.training.config import Config

MM_PER_METRE = 1000.0
Predictions = dict[str, np.ndarray]


def evaluate(
  config: Config,
  model: nn.Module,
  variables: Mapping[str, Any],
  source: Source,
) -> tuple[dict[str, float], Predictions]:
  """Metrics and predictions of a model over a fully labelled source.

  Args:
    config: of the run.
    model: a pose network or lifter.
    variables: its variables.
    source: every example of it counts once.

  Raises:
    ValueError: an example has no 3D label.
  """
  predictions = predict(config, model, variables, source)
  if not predictions.pop('has_joints_3d').all():
    raise ValueError(
      'The test set holds examples without 3D labels, so that no 3D metric exists: '
      "open it with labels='3d', or test on another set."
    )
  return summarize(predictions, config.image_size), predictions


def predict(
  config: Config,
  model: nn.Module,
  variables: Mapping[str, Any],
  source: Source,
) -> Predictions:
  """Predictions and truth for each example, in the source's order.

  Returns:
    Arrays over N examples: `joints_3d`, `joints_3d_true` (N, 21, 3) mm relative to the
    root joint; `root_3d`, `root_3d_true` (N, 3) mm in the camera frame;
    `joints_3d_normalized` (N, 21, 3) in predicted reference bones;
    `root_depth_replaced` (N,), see `models.PoseOutput`; `keypoints_2d`,
    `keypoints_2d_true` (N, 21, 2) px; `visibility` (N, 21); `has_joints_3d` (N,), where
    it is 0 the entries in mm mean nothing; `sample_id` (N,).
  """
  mesh = sharding.make_mesh(config.eval.batch_size, name='eval.batch_size')
  options = {
    'model': model,
    'image_size': config.image_size,
    'root': config.root,
    'reference': tuple(config.reference),
  }
  parts: list[Predictions] = []
  for batch in pipeline.eval_batches(
    source,
    config.eval.batch_size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  ):
    outputs = _predict_batch(variables, sharding.put_batch(batch, mesh), **options)
    outputs |= {name: batch[name] for name in ('sample_id', 'mask')}
    outputs = hosts.gather(outputs)
    real = outputs.pop('mask') > 0
    parts.append({name: value[real] for name, value in outputs.items()})
  predictions = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
  if hosts.is_first():
    _tell_behind(predictions)
  return predictions


def _tell_behind(predictions: Predictions) -> None:
  """Logs how many hands would have, or have, a joint at or behind the camera."""
  replaced = int(predictions['root_depth_replaced'].sum())
  behind = int((predictions['joints_3d_normalized'][..., 2] <= 0).any(axis=1).sum())
  if replaced or behind:
    logging.warning(
      'The refined root depth of %d of %d hands puts a joint at or behind the camera; '
      'the calculated one was taken. %d hands have a joint there all the same.',
      replaced,
      len(predictions['root_depth_replaced']),
      behind,
    )


# At the module's level, so that evaluating again along the run does not trace again.
@functools.partial(
  jax.jit, static_argnames=('model', 'image_size', 'root', 'reference')
)
def _predict_batch(variables, batch, *, model, image_size, root, reference):
  if 'image' in batch:
    batch = augment.center_crop_batch(batch, image_size)
  output = model.apply(variables, batch, train=False)
  truth = batch['joints_3d'] * MM_PER_METRE
  scale = pose25d.scale_of(truth, reference)[:, None, None]
  predicted = output.joints_3d * scale
  return {
    'joints_3d': predicted - predicted[:, root : root + 1],
    'joints_3d_true': truth - truth[:, root : root + 1],
    'root_3d': predicted[:, root],
    'root_3d_true': truth[:, root],
    'joints_3d_normalized': output.joints_3d,
    'root_depth_replaced': output.root_depth_replaced,
    'keypoints_2d': output.keypoints_2d,
    'keypoints_2d_true': batch['keypoints_2d'],
    'visibility': batch['visibility'],
    'has_joints_3d': batch['has_joints_3d'],
  }


def summarize(predictions: Predictions, image_size: float) -> dict[str, float]:
  """The metrics of a table row, over all visible joints of all examples.

  The root joint counts among them, and adds an error of 0 to root-relative metrics.

  Args:
    predictions: of `predict`.
    image_size: side of the crop in pixels, for the 2D error in percent.

  Returns:
    Means, where the name says nothing else: `keypoints_2d_px` and
    `keypoints_2d_percent` of the crop's side; `depth_mm`, the error of the depth
    relative to the root; `epe_mm` root-relative, with `epe_median_mm`; `epe_abs_mm` in
    the camera frame; `epe_pa_mm` after Procrustes alignment; `auc_0_50` and
    `auc_pa_0_50`, areas under the PCK curves from 0 to 50 mm of the root-relative and
    of the aligned error; `auc_20_50`, the first from 20 to 50 mm. A prediction that is
    not a number makes its means NaN, and counts as wrong in the areas.
  """
  visible = predictions['visibility'] > 0
  joints, truth = predictions['joints_3d'], predictions['joints_3d_true']
  root, root_true = predictions['root_3d'], predictions['root_3d_true']
  aligned = metrics.procrustes_align(
    joints, truth, visibility=predictions['visibility']
  )
  error = np.asarray(metrics.epe(joints, truth))[visible]
  error_aligned = np.asarray(metrics.epe(aligned, truth))[visible]
  error_absolute = np.asarray(
    metrics.epe(joints + root[:, None], truth + root_true[:, None])
  )[visible]
  error_2d = np.asarray(
    metrics.keypoint_error_2d(
      predictions['keypoints_2d'], predictions['keypoints_2d_true']
    )
  )[visible]
  depth = np.asarray(metrics.depth_error(joints[..., 2], truth[..., 2]))[visible]
  from_20 = metrics.THRESHOLDS_FROM_20_MM
  summary = {
    'keypoints_2d_px': error_2d.mean(),
    'keypoints_2d_percent': 100 * error_2d.mean() / image_size,
    'depth_mm': depth.mean(),
    'epe_mm': error.mean(),
    'epe_median_mm': np.median(error),
    'epe_abs_mm': error_absolute.mean(),
    'epe_pa_mm': error_aligned.mean(),
    'auc_0_50': metrics.auc(metrics.pck(jnp.asarray(error))),
    'auc_20_50': metrics.auc(metrics.pck(jnp.asarray(error), from_20), from_20),
    'auc_pa_0_50': metrics.auc(metrics.pck(jnp.asarray(error_aligned))),
  }
  return {name: float(value) for name, value in summary.items()}


def chance(
  predictions: Predictions, *, reference: tuple[int, int] = pose25d.REFERENCE
) -> dict[str, float]:
  """Depth error of one constant hand: each joint's median relative depth.

  A network that is not clearly better has learned no depth. The medians are taken over
  the visible joints of the very set that is tested, in reference bones.

  Args:
    predictions: of `predict`.
    reference: the two joints of the reference bone.
  """
  truth = predictions['joints_3d_true']
  visible = predictions['visibility'] > 0
  scale = np.asarray(pose25d.scale_of(truth, reference))[:, None]
  depth = np.ma.masked_array(truth[..., 2] / scale, ~visible)
  constant = np.ma.median(depth, axis=0).filled(0)
  error = np.abs(constant[None] * scale - truth[..., 2])
  return {'depth_mm': float(error[visible].mean())}
