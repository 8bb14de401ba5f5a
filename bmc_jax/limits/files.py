"""Limits as JSON files that people can read and edit."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from bmc_jax.limits.types import HandLimits, LimitsMetadata
from bmc_jax.skeleton import BONES, FINGERS

FORMAT = 'bmc_jax hand limits 1'
_PAIRS = tuple(f'{a}-{b}' for a, b in zip(FINGERS[:-1], FINGERS[1:], strict=True))
_HULL_BONES = BONES[1:]


def save_limits(path: str | os.PathLike, limits: HandLimits) -> None:
  """Writes limits as JSON to read and edit: lengths in the metadata's unit, angles and
  hulls in degrees.
  """
  lengths, curvatures = np.asarray(limits.bone_lengths), np.asarray(limits.curvatures)
  angles = np.rad2deg(np.asarray(limits.root_angles, np.float64))
  hulls = np.rad2deg(np.asarray(limits.hulls, np.float64))
  content = {
    'format': FORMAT,
    'metadata': dataclasses.asdict(limits.metadata),
    'bone_lengths': {
      finger: {bone: lengths[:, f, b].tolist() for b, bone in enumerate(BONES)}
      for f, finger in enumerate(FINGERS)
    },
    'palm_curvatures': {p: curvatures[:, i].tolist() for i, p in enumerate(_PAIRS)},
    'root_angles_deg': {p: angles[:, i].tolist() for i, p in enumerate(_PAIRS)},
    'hulls_flexion_abduction_deg': {
      finger: {bone: hulls[f, b].tolist() for b, bone in enumerate(_HULL_BONES)}
      for f, finger in enumerate(FINGERS)
    },
  }
  pathlib.Path(path).write_text(json.dumps(content, indent=1) + '\n')


def load_limits(path: str | os.PathLike) -> HandLimits:
  """Reads limits written by `save_limits`, or edited by hand.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not a limits file, something is missing, or a range is empty.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f'There is no limits file {path}; bmc_jax.limits.fit_limits and save_limits '
      'make one.'
    )
  try:
    content = json.loads(path.read_text())
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise ValueError(f'{path} is not valid JSON: {error}.') from None
  if not isinstance(content, dict) or content.get('format') != FORMAT:
    raise ValueError(f'{path} is not a limits file: its "format" is not "{FORMAT}".')
  try:
    metadata = dict(content['metadata'])
    metadata['reference'] = tuple(metadata['reference'])
    lengths, hulls = content['bone_lengths'], content['hulls_flexion_abduction_deg']
    limits = HandLimits(
      bone_lengths=_stack(lengths, FINGERS, BONES).transpose(2, 0, 1),
      curvatures=np.array([content['palm_curvatures'][p] for p in _PAIRS]).T,
      root_angles=np.deg2rad([content['root_angles_deg'][p] for p in _PAIRS]).T,
      hulls=np.deg2rad(_stack_hulls(hulls)),
      metadata=LimitsMetadata(**metadata),
    )
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(f'{path} is not a complete limits file: {error}.') from None
  _check(limits, path)
  return limits


def _stack(table, fingers, bones):
  return np.array([[table[f][b] for b in bones] for f in fingers], np.float64)


def _stack_hulls(table):
  """Hulls may have different numbers of corners: short ones repeat their last."""
  most = max(len(table[f][b]) for f in FINGERS for b in _HULL_BONES)
  padded = {
    f: {b: table[f][b] + table[f][b][-1:] * (most - len(table[f][b])) for b in bones}
    for f, bones in table.items()
  }
  return _stack(padded, FINGERS, _HULL_BONES)


def _check(limits, path):
  for name, shape in {
    'bone_lengths': (2, 5, 4),
    'curvatures': (2, 4),
    'root_angles': (2, 4),
  }.items():
    bounds = getattr(limits, name)
    if bounds.shape != shape:
      raise ValueError(f'{path}: {name} needs [least, largest] for each entry.')
    if not np.all(bounds[0] <= bounds[1]):  # also true of NaN
      raise ValueError(f'{path}: in {name} a least value is above its largest.')
  if limits.hulls.ndim != 4 or limits.hulls.shape[2] < 3 or limits.hulls.shape[3] != 2:
    raise ValueError(
      f'{path}: hulls need at least 3 [flexion, abduction] corners each.'
    )
  # Of each edge and each corner: how far left of the edge the corner lies.
  start, corner = limits.hulls[..., :, None, :], limits.hulls[..., None, :, :]
  edge, offset = np.roll(start, -1, axis=2) - start, corner - start
  side = edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0]
  valid = np.all(side >= -1e-9, axis=(-1, -2)) & np.any(side > 0, axis=(-1, -2))
  if not np.all(valid):
    finger, bone = np.argwhere(~valid)[0]
    raise ValueError(
      f'{path}: the hull of {FINGERS[finger]} {_HULL_BONES[bone]} is not convex and '
      'counter-clockwise in (flexion, abduction): move or reverse its corners.'
    )
