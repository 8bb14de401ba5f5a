"""What limits have to be: shapes, bounds in order, convex hulls (paper section 3.1)."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from bmc_jax import pose25d
from bmc_jax.skeleton import BONES, FINGERS, is_concrete

PAIRS = tuple(f'{a}-{b}' for a, b in zip(FINGERS[:-1], FINGERS[1:], strict=True))
"""Neighbouring root bones."""
SHAPES = {
  'bone_lengths': (2, 5, 4),
  'curvatures': (2, 4),
  'root_angles': (2, 4),
  'hulls': (5, 3, 'v', 2),
}
_BONES = [[f'{finger} > {bone}' for bone in BONES] for finger in FINGERS]
_PLACES = {
  'bone_lengths': np.array(_BONES),
  'curvatures': np.array(PAIRS),
  'root_angles': np.array(PAIRS),
  'hulls': np.array(_BONES)[:, 1:],
}
_MAX_DENT = 1e-6
"""Radians that a corner may lie inside its neighbours' line."""


def check_leaves(leaves: Mapping[str, Any]) -> None:
  """Raises ValueError for arrays that are no limits.

  Leaves without a shape, such as the axes of `jax.vmap`, pass; of traced arrays the
  shape alone is checked. Limits of several hands have the same leading axes in all.
  """
  leading = {}
  for name, leaf in leaves.items():
    if hasattr(leaf, 'shape'):
      leading[name] = _leading_axes(name, leaf.shape)
      if is_concrete(leaf):
        _check_values(name, leaf)
  if len(set(leading.values())) > 1:
    raise ValueError(f'The limits have different leading axes: {leading}.')


def _leading_axes(name, shape):
  wanted = SHAPES[name]
  own = shape[-len(wanted) :]
  matches = len(own) == len(wanted) and all(
    want in ('v', got) for want, got in zip(wanted, own, strict=True)
  )
  if not matches or (name == 'hulls' and own[2] < 3):
    form = ', '.join(map(str, wanted))
    corners = ' with at least 3 corners (v)' if name == 'hulls' else ''
    raise ValueError(
      f'{name} of the limits has the shape {shape}, but ({form}){corners} is needed.'
    )
  return shape[: -len(wanted)]


def _check_values(name, leaf):
  values = np.asarray(leaf, np.float64)
  places = _PLACES[name]
  if name == 'hulls':
    is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
    rounding = 8 * float(jnp.finfo(leaf.dtype).eps) if is_float else 0.0
    max_dent = _MAX_DENT + rounding * np.abs(values).max(initial=0)
    polygons = values.reshape(-1, *values.shape[-2:])
    valid = [np.isfinite(p).all() and is_convex(p, max_dent) for p in polygons]
    valid = np.reshape(valid, values.shape[:-2])
    mistake = 'is not convex and counter-clockwise in (flexion, abduction)'
  else:
    low, high = np.moveaxis(values, -places.ndim - 1, 0)
    valid = low <= high  # not if one is NaN
    mistake = 'has a least value above the largest, or one that is no number'
  if not valid.all():
    valid = valid.reshape(-1, *places.shape).all(axis=0)
    raise ValueError(f'{name} of the limits: {places[~valid][0]} {mistake}.')


def is_convex(corners: np.ndarray, max_dent: float = _MAX_DENT) -> bool:
  """Whether no corner (v, 2) of a polygon lies right of an edge, but for a dent
  (radians); edges shorter than that are passed over, since rounding turns them any way.
  """
  edge = np.roll(corners, -1, axis=0) - corners
  length = np.linalg.norm(edge, axis=1)
  is_long = length > max_dent
  start, edge, length = corners[is_long], edge[is_long], length[is_long]
  offset = start - start[:, None]
  side = edge[:, :1] * offset[..., 1] - edge[:, 1:] * offset[..., 0]
  return bool(np.all(side >= -max_dent * length[:, None]))


def as_reference(reference: Iterable[int]) -> tuple[int, int]:
  """The two joints of a reference bone as plain integers.

  Raises:
    ValueError: these are no two different joints.
  """
  try:
    start, end = (operator.index(joint) for joint in reference)
  except (TypeError, ValueError):
    raise ValueError(
      f'reference is two different joints of 0 to 20, not {reference!r:.60}.'
    ) from None
  pose25d.check_reference((start, end))
  return start, end
