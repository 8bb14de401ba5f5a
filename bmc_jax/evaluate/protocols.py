"""Evaluation protocols of public hand benchmarks: what each aligns, counts and reports.

A protocol is an entry of `PROTOCOLS`; `docs/evaluation.md` gives their sources and says
what other papers' numbers mean. All of them score hands in the camera frame:

    scores = protocols.score(hands, protocols.PROTOCOLS['freihand'])
    scores['procrustes'].epe_mm, scores['procrustes'].areas['auc_0_50']

As in the public evaluation code, errors and PCK curves are averaged over hands for each
joint, then over joints. Areas under the curves are by the trapezoidal rule, divided by
the range of the thresholds.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bmc_jax import geometry, metrics, pose25d
from bmc_jax.skeleton import WRIST, Array

MIDDLE_MCP = 9
FINGERTIPS = (4, 8, 12, 16, 20)

_MIN_FITTED = 3
"""A hand with fewer labels fits any prediction too well to count where it is fitted."""

_ROUNDING_MM = 1e-6
"""Errors below count as 0, and so within the first threshold of 0 mm: otherwise the
areas of perfect predictions would miss 0.005 after an alignment."""


class Hands(NamedTuple):
  """Predictions and truth, canonical joints in the camera frame.

  Attributes:
    joints: (b, n, 3) predictions in mm.
    truth: (b, n, 3) in mm.
    visibility: (b, n) 1 where the truth is labelled, 0 where it is not.
    scale: (b,) the given length of the reference bone in mm.
  """

  joints: Float[Array, 'b n 3']
  truth: Float[Array, 'b n 3']
  visibility: Float[Array, 'b n']
  scale: Float[Array, ' b']


class Score(NamedTuple):
  """The figures of one alignment.

  Attributes:
    epe_mm: mean end-point error.
    areas: name -> area under the PCK curve, in [0, 1].
    curves: name -> the PCK curve (t,) that the area is under.
  """

  epe_mm: Array
  areas: dict[str, Array]
  curves: dict[str, Array]


def _as_submitted(hands: Hands) -> Array:
  return hands.joints


def _given_scale(hands: Hands) -> Array:
  return metrics.rescale(hands.joints, hands.scale)


def _root(hands: Hands) -> Array:
  return metrics.root_align(hands.joints, hands.truth)


def _root_given_scale(hands: Hands) -> Array:
  return metrics.root_align(_given_scale(hands), hands.truth)


def _root_true_palm(hands: Hands) -> Array:
  palm = hands.truth[:, MIDDLE_MCP] - hands.truth[:, WRIST]
  scaled = metrics.rescale(
    hands.joints, geometry.safe_norm(palm), reference=(WRIST, MIDDLE_MCP)
  )
  return metrics.root_align(scaled, hands.truth)


def _centroid(hands: Hands) -> Array:
  return metrics.centroid_align(hands.joints, hands.truth, visibility=hands.visibility)


def _centroid_scale(hands: Hands) -> Array:
  return metrics.centroid_align(
    hands.joints, hands.truth, visibility=hands.visibility, with_scale=True
  )


def _procrustes(hands: Hands) -> Array:
  return metrics.procrustes_align(
    hands.joints, hands.truth, visibility=hands.visibility
  )


def _procrustes_reflected(hands: Hands) -> Array:
  return metrics.procrustes_align(
    hands.joints, hands.truth, visibility=hands.visibility, allow_reflection=True
  )


@dataclasses.dataclass(frozen=True)
class Alignment:
  """A way of bringing predictions to the truth before they are compared.

  Attributes:
    title: what a table calls it.
    apply: makes aligned joints (b, n, 3) of hands.
    labels: the joints whose truth it uses by themselves.
    fitted: whether it fits to all labelled joints.
  """

  title: str
  apply: Callable[[Hands], Array]
  labels: tuple[int, ...] = ()
  fitted: bool = False


ALIGNMENTS: dict[str, Alignment] = {
  'none': Alignment('as submitted', _as_submitted),
  'scale': Alignment('after given scale', _given_scale, pose25d.REFERENCE),
  'root': Alignment('root-aligned', _root, (WRIST,)),
  'root_scale': Alignment(
    'root-aligned, given scale', _root_given_scale, (WRIST, *pose25d.REFERENCE)
  ),
  'scale_translation': Alignment(
    'scale and translation', _root_true_palm, (WRIST, MIDDLE_MCP)
  ),
  'centroid': Alignment('centroid-aligned', _centroid, fitted=True),
  'centroid_scale': Alignment('centroid and scale', _centroid_scale, fitted=True),
  'procrustes': Alignment('Procrustes', _procrustes, fitted=True),
  'procrustes_reflected': Alignment(
    'Procrustes, reflections', _procrustes_reflected, fitted=True
  ),
}

# 20 thresholds from 0 to 50 mm without the first 8: what the public code of Zimmermann
# and Brox (2017) calls 20-50 mm is 21.05-50 mm.
_HAND3D_MM = np.linspace(0, 50, 20)[8:]
_AREA_0_50 = {'auc_0_50': metrics.THRESHOLDS_MM}
_AREA_20_50 = {'auc_20_50': metrics.THRESHOLDS_FROM_20_MM}


@dataclasses.dataclass(frozen=True)
class Protocol:
  """What a benchmark reports.

  Attributes:
    title: of the benchmark.
    form: of its predictions, a key of `submission.FORMS`.
    alignments: keys of `ALIGNMENTS`, in the order of the table.
    thresholds: name of an area -> thresholds (t,) in mm of its PCK curve.
    joints: the canonical joints that count.
  """

  title: str
  form: str
  alignments: tuple[str, ...]
  thresholds: Mapping[str, np.ndarray]
  joints: tuple[int, ...] = tuple(range(21))

  @property
  def labels(self) -> tuple[int, ...]:
    """The joints that must be labelled in every hand."""
    return tuple(sorted({k for a in self.alignments for k in ALIGNMENTS[a].labels}))

  def with_reflections(self) -> 'Protocol':
    """The same, but the Procrustes alignment may mirror hands, as the public code's."""
    return dataclasses.replace(
      self,
      alignments=tuple(
        f'{name}_reflected' if name == 'procrustes' else name
        for name in self.alignments
      ),
    )


PROTOCOLS: dict[str, Protocol] = {
  'freihand': Protocol(
    title='FreiHAND',
    form='freihand',
    alignments=('none', 'scale', 'procrustes'),
    thresholds=_AREA_0_50,
  ),
  'ho3d': Protocol(
    title='HO-3D',
    form='ho3d',
    alignments=('none', 'root', 'scale_translation', 'procrustes'),
    thresholds=_AREA_0_50,
  ),
  'dexter_object': Protocol(
    title='Dexter+Object',
    form='camera',
    alignments=('none', 'centroid', 'centroid_scale', 'procrustes'),
    thresholds=_AREA_20_50,
    joints=FINGERTIPS,
  ),
  'stb': Protocol(
    title='STB',
    form='camera',
    alignments=('root', 'root_scale', 'procrustes'),
    thresholds=_AREA_20_50 | {'auc_hand3d': _HAND3D_MM},
  ),
  'rhd': Protocol(
    title='RHD',
    form='camera',
    alignments=('root', 'root_scale', 'procrustes'),
    thresholds=_AREA_20_50 | {'auc_hand3d': _HAND3D_MM},
  ),
}


def score(hands: Hands, protocol: Protocol) -> dict[str, Score]:
  """The figures of a protocol, by alignment.

  Args:
    hands: with all 21 joints.
    protocol: of `PROTOCOLS`.

  Returns:
    {alignment: figures}. Where an alignment fits to all labelled joints, hands with
    fewer than three of them do not count.
  """
  chosen = np.array(protocol.joints)
  hands = hands._replace(
    joints=hands.joints[:, chosen],
    truth=hands.truth[:, chosen],
    visibility=hands.visibility[:, chosen],
  )
  scores = {}
  for name in protocol.alignments:
    alignment = ALIGNMENTS[name]
    aligned = alignment.apply(hands)
    mask = hands.visibility
    if alignment.fitted:
      mask = jnp.where(mask.sum(-1, keepdims=True) >= _MIN_FITTED, mask, 0)
    scores[name] = _score_errors(
      metrics.epe(aligned, hands.truth), mask, protocol.thresholds
    )
  return scores


def _score_errors(errors, mask, thresholds) -> Score:
  errors = jnp.where(errors < _ROUNDING_MM, 0, errors)
  curves = {
    name: metrics.joint_mean_pck(errors, values, mask)
    for name, values in thresholds.items()
  }
  return Score(
    epe_mm=metrics.joint_mean(errors, mask),
    areas={name: metrics.auc(curves[name], thresholds[name]) for name in curves},
    curves=curves,
  )


def decompose(
  hands: Hands, protocol: Protocol, intrinsics: Float[Array, 'b 3 3']
) -> dict[str, Array]:
  """Errors in the image and along the depth (paper Table 2), by the pinhole model,
  of predictions as they were submitted.

  Args:
    hands: with all 21 joints, in the camera frame.
    protocol: says which joints count.
    intrinsics: (b, 3, 3) of the images.

  Returns:
    `keypoints_2d_px`, the distance of the projected joints; `depth_mm`, the error of
    their z, and, where the protocol's joints have the wrist among them,
    `relative_depth_mm`, that of z behind the wrist's. Averaged as all else.
  """
  image_error = metrics.keypoint_error_2d(
    geometry.project(hands.joints, intrinsics),
    geometry.project(hands.truth, intrinsics),
  )
  depth, depth_true = hands.joints[..., 2], hands.truth[..., 2]
  errors = {
    'keypoints_2d_px': image_error,
    'depth_mm': metrics.depth_error(depth, depth_true),
  }
  if WRIST in protocol.joints:
    errors['relative_depth_mm'] = metrics.depth_error(
      depth - depth[:, WRIST : WRIST + 1], depth_true - depth_true[:, WRIST : WRIST + 1]
    )
  chosen = np.array(protocol.joints)
  mask = hands.visibility[:, chosen]
  return {
    name: metrics.joint_mean(error[:, chosen], mask) for name, error in errors.items()
  }
