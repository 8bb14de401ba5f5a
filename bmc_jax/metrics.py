"""Evaluation metrics: errors, PCK and AUC, alignment of predictions to the truth.

Errors come back per joint and unreduced, in the unit of the input, so that callers
choose what to average, mask or accumulate. Which of them a benchmark reports is told
by `bmc_jax.evaluate.protocols`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bmc_jax import geometry, skeleton
from bmc_jax.root_depth import REFERENCE, check_reference
from bmc_jax.skeleton import WRIST, Array, as_float, check_root


def epe(
  joints: Float[Array, '*b n 3'], joints_true: Float[Array, '*b n 3']
) -> Float[Array, '*b n']:
  """End-point error: distance of each joint to its true place, in the joints' unit."""
  return geometry.safe_norm(_difference(joints, joints_true))


def keypoint_error_2d(
  keypoints_2d: Float[Array, '*b n 2'], keypoints_2d_true: Float[Array, '*b n 2']
) -> Float[Array, '*b n']:
  """Distance of each keypoint to its true place, in pixels."""
  return geometry.safe_norm(_difference(keypoints_2d, keypoints_2d_true))


def depth_error(
  depth: Float[Array, '*b n'], depth_true: Float[Array, '*b n']
) -> Float[Array, '*b n']:
  """Absolute error of the (relative) depth of each joint, in the depths' unit."""
  return jnp.abs(_difference(depth, depth_true))


def root_relative(
  joints: Float[Array, '*b n 3'], root: int = WRIST
) -> Float[Array, '*b n 3']:
  """Joints with the root joint at the origin.

  Raises:
    ValueError: a root that is none of the joints.
  """
  joints = as_float(joints)
  check_root(root, joints.shape[-2])
  return joints - joints[..., root : root + 1, :]


def root_align(
  joints: Float[Array, '*b n 3'],
  joints_true: Float[Array, '*b n 3'],
  root: int = WRIST,
) -> Float[Array, '*b n 3']:
  """Joints moved so that the root joint lies at its true place.

  Raises:
    ValueError: joints of different shapes, or a root that is none of them.
  """
  _check_same_shape(joints, joints_true)
  return root_relative(joints, root) + as_float(joints_true)[..., root : root + 1, :]


def rescale(
  joints: Float[Array, '*b n 3'],
  length: Float[Array, '*b'],
  reference: tuple[int, int] = REFERENCE,
) -> Float[Array, '*b n 3']:
  """Joints scaled about the origin, the camera's centre, to the size of a known bone.

  That moves no joint in the image.

  Args:
    joints: (*b, n, 3).
    length: (*b,) the wanted distance of the two reference joints, in any unit.
    reference: the two joints.

  Returns:
    (*b, n, 3) in the unit of `length`; 0 where the two joints coincide.

  Raises:
    ValueError: a reference that is no two of the joints.
  """
  joints = as_float(joints)
  check_reference(reference, joints.shape[-2])
  start, end = reference
  found = geometry.safe_norm(joints[..., end, :] - joints[..., start, :])
  factor = geometry.safe_divide(as_float(length), found)
  return joints * factor[..., None, None]


def centroid_align(
  joints: Float[Array, '*b n 3'],
  joints_true: Float[Array, '*b n 3'],
  *,
  visibility: Float[Array, '*b n'] | None = None,
  with_scale: bool = False,
) -> Float[Array, '*b n 3']:
  """Joints moved, and perhaps scaled, so that they lie closest to the true ones.

  Args:
    joints, joints_true: (*b, n, 3), any unit.
    visibility: (*b, n) weights of the joints in the fit; all are moved.
    with_scale: also scale by `sum x . y / sum x . x` of the centred joints x, y.
  """
  x, y, weight, centre_true = _centred(joints, joints_true, visibility)
  if with_scale:
    spread = (x * x * weight).sum((-1, -2))
    scale = geometry.safe_divide((x * y * weight).sum((-1, -2)), spread)
    x = x * scale[..., None, None]
  return x + centre_true


def procrustes_align(
  joints: Float[Array, '*b n 3'],
  joints_true: Float[Array, '*b n 3'],
  *,
  visibility: Float[Array, '*b n'] | None = None,
  allow_reflection: bool = False,
) -> Float[Array, '*b n 3']:
  """The similarity (proper rotation, scale, translation) of joints that lies closest
  to the true ones: ordinary Procrustes analysis (Umeyama 1991).

  Args:
    joints, joints_true: (*b, n, 3), any unit.
    visibility: (*b, n) weights of the joints in the fit; all are moved.
    allow_reflection: also mirror the joints where that brings them closer, as the
      public evaluation code of FreiHAND and HO3D does.

  Returns:
    (*b, n, 3) aligned joints. A hand shrunk to a point goes to the true centre. No
    gradient flows through a rotation about an axis that the joints leave open: those
    on one line, say.
  """
  x, y, weight, centre_true = _centred(joints, joints_true, visibility)
  covariance = jnp.einsum('...ni,...nj->...ij', x * weight, y)
  rotation = _rotation(covariance, allow_reflection)
  spread = (x * x * weight).sum((-1, -2))
  scale = geometry.safe_divide((covariance * rotation).sum((-1, -2)), spread)
  aligned = jnp.einsum('...ni,...ij->...nj', x, rotation)
  return scale[..., None, None] * aligned + centre_true


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _rotation(covariance, allow_reflection):
  """The rotation R (*b, 3, 3) of which `sum R * covariance` is largest."""
  u, _, vt = _signed_svd(covariance, allow_reflection)
  return u @ vt


def _signed_svd(covariance, allow_reflection):
  """A singular value decomposition u, s, vt of which u vt is the rotation sought."""
  u, s, vt = jnp.linalg.svd(covariance)
  if allow_reflection:
    return u, s, vt
  # A reflection would turn a right hand into a left one: flip the weakest axis.
  mirrors = jnp.linalg.det(u) * jnp.linalg.det(vt) < 0
  is_weakest = jnp.broadcast_to(np.arange(3) == 2, s.shape)
  flip = jnp.where(mirrors[..., None] & is_weakest, -1.0, 1.0)
  return u * flip[..., None, :], s * flip, vt


@_rotation.defjvp
def _rotation_jvp(allow_reflection, primals, tangents):
  """R w with (s_i + s_j) w_ij = n_ij - n_ji in the axes of the decomposition.

  That of the decomposition itself is infinite where singular values coincide.
  """
  (covariance,), (change,) = primals, tangents
  u, s, vt = _signed_svd(covariance, allow_reflection)
  turn = u.mT @ change @ vt.mT
  turn = geometry.safe_divide(turn - turn.mT, s[..., :, None] + s[..., None, :])
  return u @ vt, u @ turn @ vt


def _centred(joints, joints_true, visibility):
  """Joints about the centres of the visible ones, their weights, the true centre."""
  _check_same_shape(joints, joints_true)
  joints, joints_true = as_float(joints), as_float(joints_true)
  if visibility is None:
    visibility = jnp.ones(joints.shape[:-1], joints.dtype)
  weight = as_float(visibility)[..., None]
  total = jnp.maximum(weight.sum(-2, keepdims=True), 1e-12)
  centre = (joints * weight).sum(-2, keepdims=True) / total
  centre_true = (joints_true * weight).sum(-2, keepdims=True) / total
  return joints - centre, joints_true - centre_true, weight, centre_true


THRESHOLDS_MM = np.linspace(0, 50, 100)
"""The 100 thresholds from 0 to 50 mm of FreiHAND's public evaluation."""

THRESHOLDS_FROM_20_MM = np.linspace(20, 50, 100)
"""The same number from 20 to 50 mm, the range of many papers on RGB images."""

PCK_PX = (2, 5, 10)
"""The distances in pixels for which PCK in the image is told as a number."""

THRESHOLDS_PX = np.linspace(0, 30, 100)
"""100 thresholds from 0 to 30 px, for its curve."""


def pck(
  errors: Float[Array, '*b'],
  thresholds: Float[Array, ' t'] = THRESHOLDS_MM,
  mask: Float[Array, '*b'] | None = None,
) -> Float[Array, ' t']:
  """Percentage of correct keypoints: the share of errors at or under each threshold.

  Args:
    errors: errors of any shape, in the unit of the thresholds. NaN is over each.
    thresholds: (t,).
    mask: weights of the errors; those of weight 0 do not count.

  Returns:
    (t,) shares in [0, 1]; NaN if no error counts.
  """
  errors = jnp.ravel(as_float(errors))
  weights = jnp.ones_like(errors) if mask is None else jnp.ravel(as_float(mask))
  within = errors[:, None] <= jnp.asarray(thresholds, errors.dtype)[None]
  return jnp.where(within, weights[:, None], 0).sum(0) / weights.sum()


def auc(
  pck_curve: Float[Array, ' t'], thresholds: Float[Array, ' t'] = THRESHOLDS_MM
) -> Float[Array, '']:
  """Area under a PCK curve over the range of its thresholds, in [0, 1].

  Raises:
    ValueError: as many thresholds as values of the curve are needed, two at least, and
      they must span a range.
  """
  pck_curve = as_float(pck_curve)
  if np.size(thresholds) < 2 or (
    skeleton.is_concrete(thresholds) and np.isclose(thresholds[0], thresholds[-1])
  ):
    raise ValueError(
      'An area needs thresholds that span a range, two at least: the value of `pck` at '
      'a single one is the figure itself.'
    )
  thresholds = jnp.asarray(thresholds, pck_curve.dtype)
  if pck_curve.shape != thresholds.shape:
    raise ValueError(
      f'pck_curve has the shape {pck_curve.shape}, but its thresholds '
      f'{thresholds.shape}: pass those that `pck` was given.'
    )
  area = jnp.trapezoid(pck_curve, thresholds)
  return area / (thresholds[-1] - thresholds[0])


def joint_mean(
  values: Float[Array, 'b n'], mask: Float[Array, 'b n']
) -> Float[Array, '']:
  """The mean over joints of each joint's mean over hands.

  So the public evaluation code averages. It differs from the mean of all values where
  some joints have fewer labels than others. Joints without any are left out.
  """
  labelled = jnp.asarray(mask) > 0
  means = jnp.mean(as_float(values), axis=0, where=labelled)
  return jnp.mean(means, where=labelled.any(axis=0))


def joint_mean_pck(
  errors: Float[Array, 'b n'],
  thresholds: Float[Array, ' t'],
  mask: Float[Array, 'b n'],
) -> Float[Array, ' t']:
  """The mean over joints of each joint's PCK curve, see `joint_mean` and `pck`."""
  curves = jax.vmap(pck, in_axes=(1, None, 1))(as_float(errors), thresholds, mask)
  labelled = (jnp.asarray(mask) > 0).any(axis=0)
  return jnp.mean(curves, axis=0, where=labelled[:, None])


def _difference(a, b):
  _check_same_shape(a, b)
  return as_float(a) - as_float(b)


def _check_same_shape(a, b):
  if np.shape(a) != np.shape(b):
    raise ValueError(
      f'Prediction and ground truth differ in shape: {np.shape(a)} and {np.shape(b)}.'
    )
