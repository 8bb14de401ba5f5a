"""Evaluation: predictions over a source, and the metrics of a table row.

The network predicts hands in units of the reference bone; metrics are in millimetres
after multiplication by the true length of that bone, as in the paper. Where hands have
2D labels only, what can be measured is the error in the image, and whether hands keep
their limits.
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
from bmc_jax.limits import HandLimits
from bmc_jax.plausibility.violations import measure_violations
from bmc_jax.training import hosts, sharding
from bmc_jax.training.config import Config

MM_PER_METRE = 1000.0
UNKNOWN_BONE_MM = 40.0
"""The reference bone with which hands of unknown size are drawn, not measured."""
Predictions = dict[str, np.ndarray]


def evaluate(
  config: Config,
  model: nn.Module,
  variables: Mapping[str, Any],
  source: Source,
  limits: HandLimits | None = None,
) -> tuple[dict[str, float], Predictions]:
  """Metrics and predictions of a model over a source.

  Args:
    config: of the run.
    model: a pose network or lifter.
    variables: its variables.
    source: every example of it counts once.
    limits: that hands are compared with where no example has a 3D label.
  """
  predictions = predict(config, model, variables, source)
  return summarize(predictions, config.image_size, limits), predictions


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
    `keypoints_2d_true` (N, 21, 2) px; `visibility` (N, 21); `has_joints_3d` (N,), 1
    where root joint and reference bone have 3D labels: elsewhere the truth in mm is NaN
    and the predicted hand has a reference bone of `UNKNOWN_BONE_MM`; `sample_id` (N,).
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
    here = {name: batch[name] for name in ('sample_id', 'mask')}
    here['row'] = jax.process_index() * len(batch['mask']) + np.arange(
      len(batch['mask']), dtype=np.int32
    )
    placed = sharding.put_batch({**batch, 'row': here['row']}, mesh)
    row = placed.pop('row')
    outputs = _predict_batch(variables, placed, **options) | {'row': row}
    outputs = hosts.gather(outputs, here)
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
  needed = batch['visibility'][:, jnp.array((root, *reference))] > 0
  labelled = (batch['has_joints_3d'] > 0) & needed.all(axis=1)
  truth = jnp.where(labelled[:, None, None], batch['joints_3d'] * MM_PER_METRE, jnp.nan)
  scale = jnp.where(labelled, pose25d.scale_of(truth, reference), UNKNOWN_BONE_MM)
  predicted = output.joints_3d * scale[:, None, None]
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
    'has_joints_3d': labelled.astype(truth.dtype),
  }


def summarize(
  predictions: Predictions, image_size: float, limits: HandLimits | None = None
) -> dict[str, float]:
  """The metrics of a table row that can be measured, over all visible joints.

  Those in 3D are over the hands with 3D labels, and missing where there are none. The
  root joint counts among them, and adds an error of 0 to root-relative metrics.

  Args:
    predictions: of `predict`.
    image_size: side of the crop in pixels, for the 2D error in percent.
    limits: that hands are compared with where none has 3D labels.

  Returns:
    Those of `summarize_2d` and, as far as there are 3D labels, of `summarize_3d`.
  """
  labelled = predictions['has_joints_3d'] > 0
  summary = summarize_2d(predictions, image_size)
  if labelled.any():
    known = {name: values[labelled] for name, values in predictions.items()}
    summary |= summarize_3d(known)
  if not labelled.any() and limits is not None:
    summary |= summarize_limits(predictions['joints_3d_normalized'], limits)
  return {name: float(value) for name, value in summary.items()}


def summarize_2d(predictions: Predictions, image_size: float) -> dict[str, Any]:
  """Metrics in the image.

  Returns:
    Means `keypoints_2d_px` and `keypoints_2d_percent` of the crop's side; and where a
    hand has no 3D labels, for each N of `metrics.PCK_PX`, `pck_2d_Npx`, the percentage
    of keypoints within N pixels of their label.
  """
  visible = predictions['visibility'] > 0
  error = np.asarray(
    metrics.keypoint_error_2d(
      predictions['keypoints_2d'], predictions['keypoints_2d_true']
    )
  )[visible]
  summary = {
    'keypoints_2d_px': error.mean(),
    'keypoints_2d_percent': 100 * error.mean() / image_size,
  }
  if not predictions['has_joints_3d'].all():
    summary |= {f'pck_2d_{px}px': 100 * np.mean(error <= px) for px in metrics.PCK_PX}
  return summary


def summarize_limits(joints_3d: np.ndarray, limits: HandLimits) -> dict[str, Any]:
  """How plausible hands (N, 21, 3) are.

  Returns:
    `hands_within_limits`, the percentage of hands that keep all limits, and
    `broken_limits`, how many of the 43 a hand breaks in the mean. A hand that is not
    finite or has no size keeps none, and is left out of the mean.
  """
  found = measure_violations(joints_3d, limits)
  within = np.all(list(found.within().values()), axis=0)
  broken = [b.reshape(len(within), -1).sum(axis=1) for b in found.broken().values()]
  count = np.sum(broken, axis=0)[found.judged]
  summary = {'hands_within_limits': 100 * within.mean()}
  return summary | ({'broken_limits': count.mean()} if len(count) else {})


def summarize_3d(predictions: Predictions) -> dict[str, Any]:
  """Metrics of hands that all have 3D labels.

  Returns:
    Means, where the name says nothing else: `depth_mm`, the error of the depth
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
  depth = np.asarray(metrics.depth_error(joints[..., 2], truth[..., 2]))[visible]
  from_20 = metrics.THRESHOLDS_FROM_20_MM
  return {
    'depth_mm': depth.mean(),
    'epe_mm': error.mean(),
    'epe_median_mm': np.median(error),
    'epe_abs_mm': error_absolute.mean(),
    'epe_pa_mm': error_aligned.mean(),
    'auc_0_50': metrics.auc(metrics.pck(jnp.asarray(error))),
    'auc_20_50': metrics.auc(metrics.pck(jnp.asarray(error), from_20), from_20),
    'auc_pa_0_50': metrics.auc(metrics.pck(jnp.asarray(error_aligned))),
  }


def chance(
  predictions: Predictions, *, reference: tuple[int, int] = pose25d.REFERENCE
) -> dict[str, float]:
  """Depth error of one constant hand: each joint's median relative depth.

  A network that is not clearly better has learned no depth. The medians are taken over
  the visible joints of the very set that is tested, in reference bones. Nothing where
  that has no 3D labels.

  Args:
    predictions: of `predict`.
    reference: the two joints of the reference bone.
  """
  labelled = predictions['has_joints_3d'] > 0
  if not labelled.any():
    return {}
  truth = predictions['joints_3d_true'][labelled]
  visible = predictions['visibility'][labelled] > 0
  scale = np.asarray(pose25d.scale_of(truth, reference))[:, None]
  depth = np.ma.masked_array(truth[..., 2] / scale, ~visible)
  constant = np.ma.median(depth, axis=0).filled(0)
  error = np.abs(constant[None] * scale - truth[..., 2])
  return {'depth_mm': float(error[visible].mean())}
