"""Limits for people who are not among those that they were fitted on."""

import dataclasses

import numpy as np

from bmc_jax import hull
from bmc_jax.limits.types import HandLimits
from bmc_jax.skeleton import check_not_negative

_NUM_DIRECTIONS = 64


def widen_limits(
  limits: HandLimits,
  *,
  length: float = 0.0,
  curvature: float = 0.0,
  root_angle: float = 0.0,
  angle: float = 0.0,
) -> HandLimits:
  """The same limits, each further by a margin, on the host.

  Limits that are fitted on few people are too narrow for others: those of six subjects
  of DexYCB admit the lengths of half of the hands of two others. The length of the
  reference bone is left as it is.

  Args:
    limits: with hulls (5, 3, v, 2).
    length: part of itself by which each least length becomes less, and each largest
      one more.
    curvature: of the palm, in 1 / unit.
    root_angle: between root bones, radians.
    angle: in all directions around each hull, radians.

  Raises:
    ValueError: a margin below 0.
  """
  margins = (length, curvature, root_angle, angle)
  names = ('length', 'curvature', 'root_angle', 'angle')
  for name, margin in zip(names, margins, strict=True):
    check_not_negative(margin, name)
  low, high = np.asarray(limits.bone_lengths, np.float64)
  factor = np.full((5, 4), length)
  if limits.metadata.unit_bone:
    start, end = limits.metadata.unit_bone
    finger, bone = divmod(end - 1, 4)
    if start == (end - 1 if bone else 0):
      factor[finger, bone] = 0
  curvatures = np.asarray(limits.curvatures, np.float64)
  angles = np.asarray(limits.root_angles, np.float64)
  apart = np.array([[-1], [1]])
  return dataclasses.replace(
    limits,
    bone_lengths=np.stack([low * np.maximum(1 - factor, 0), high * (1 + factor)]),
    curvatures=curvatures + curvature * apart,
    root_angles=np.clip(angles + root_angle * apart, 0, np.pi),
    hulls=_around(np.asarray(limits.hulls, np.float64), angle),
  )


def _around(hulls: np.ndarray, margin: float) -> np.ndarray:
  """Hulls (5, 3, v, 2) with all points nearer to them than the margin."""
  if margin == 0:
    return hulls
  turn = np.linspace(0, 2 * np.pi, _NUM_DIRECTIONS, endpoint=False)
  disc = margin * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
  grown = [
    hull.fit_hull((corners[:, None] + disc).reshape(-1, 2), len(corners))
    for corners in hulls.reshape(-1, *hulls.shape[2:])
  ]
  return np.reshape(grown, hulls.shape)
