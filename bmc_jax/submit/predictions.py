"""The hands of a submission: predicted by a trained row, and brought into metres."""

import numpy as np

from bmc_jax import pose25d, skeleton
from bmc_jax.data import sources
from bmc_jax.evaluate.ground_truth import GroundTruth
from bmc_jax.skeleton import WRIST
from bmc_jax.training.trained_row import TrainedRow
from bmc_jax.training.validation import predict

_TOLERANCE = 0.01


def predict_hands(row: TrainedRow, data: str, split: str) -> np.ndarray:
  """Predicted right hands (N, 21, 3) of a prepared split, in reference bones."""
  spec = {'kind': 'tfds', 'path': data, 'split': split}
  if row.config.model.name == 'keypoint_lifter':
    spec['with_image'] = False
  elif size := row.config.data.test.get('image_size'):
    spec['image_size'] = size
  predictions = predict(row.config, row.model, row.variables, sources.open_source(spec))
  return predictions['joints_3d_normalized']


def to_metres(
  joints: np.ndarray,
  truth: GroundTruth,
  reference: tuple[int, int] = pose25d.REFERENCE,
  scale: np.ndarray | None = None,
) -> np.ndarray:
  """Hands in the camera frame of their images, in metres.

  Args:
    joints: (N, 21, 3) predicted right hands in reference bones.
    truth: what is known of the images.
    reference: the two joints of the reference bone.
    scale: (N,) the length in metres of the middle MCP->PIP bone, or None to take it
      from `truth` as the module's docstring says.

  Returns:
    (N, 21, 3), left hands mirrored back.

  Raises:
    ValueError: a hand's size is not known, or given for another bone.
  """
  has_bone = (truth.visibility[:, list(reference)] > 0).all(axis=1)
  rest = np.delete(truth.joints_3d, WRIST, axis=1)
  only_wrist = (truth.joints_3d[:, WRIST, 2] > 0) & ~rest.any(axis=(1, 2))
  if scale is None:
    unknown = int(np.sum(~has_bone & ~only_wrist))
    if unknown:
      raise ValueError(
        f'The size of {unknown} of {len(joints)} hands is not known: give the lengths '
        'of their middle MCP->PIP bones with --scale.'
      )
    behind = int(np.sum(only_wrist & ~has_bone & ~(joints[:, WRIST, 2] > 0)))
    if behind:
      raise ValueError(
        f'The predicted wrists of {behind} of {len(joints)} hands do not lie before '
        'the camera, so the given ones tell no size: give lengths with --scale.'
      )
    by_depth = truth.joints_3d[:, WRIST, 2] / joints[:, WRIST, 2]
    bones = np.asarray(pose25d.scale_of(truth.joints_3d, reference))
    scale = np.where(has_bone, bones, by_depth)
  elif reference != pose25d.REFERENCE:
    raise ValueError(
      f'--scale is the length of the bone {pose25d.REFERENCE}, but the reference bone '
      f'of this row is {reference}: leave it out.'
    )
  joints = joints * scale[:, None, None]
  to_wrist = truth.joints_3d[:, WRIST] - joints[:, WRIST]
  joints = joints + np.where(only_wrist[:, None], to_wrist, 0)[:, None]
  return np.where(truth.is_right[:, None, None], joints, skeleton.mirror(joints))


def doubt_scale(truth: GroundTruth, scale: np.ndarray) -> str | None:
  """The doubt that lengths (N,) of bones are of other hands than the 3D labels.

  Returns:
    A sentence without a full stop, or None.
  """
  labelled = (truth.visibility[:, list(pose25d.REFERENCE)] > 0).all(axis=1)
  wrong = labelled & ~(np.abs(scale - truth.scale) <= _TOLERANCE * truth.scale)
  if not wrong.any():
    return None
  first = int(wrong.argmax())
  return (
    f'{wrong.sum()} of {labelled.sum()} lengths are not those of the 3D labels, first '
    f'{scale[first]:.4g} for {truth.scale[first]:.4g} m of {truth.names[first]!r}: '
    'they must be in the order of the prepared images'
  )
