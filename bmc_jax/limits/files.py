"""Limits as JSON files that people can read and edit; see docs/limits.md."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from bmc_jax import hull
from bmc_jax.console.files import read_text
from bmc_jax.console.outputs import Kind, write_text
from bmc_jax.limits.checks import PAIRS, is_convex
from bmc_jax.limits.types import REFERENCE_UNIT, HandLimits, LimitsMetadata
from bmc_jax.skeleton import BONES, FINGERS

FORMAT = 'bmc_jax hand limits 1'
_ABOUT = (
  'Ranges are [least, largest]. A bone is named after the joint at its end: "root" '
  'goes from the wrist to the first joint, and the angles of "pip", "dip" and "tip" '
  'are those of the joint at its beginning (MCP, PIP, DIP; thumb: CMC, MCP, IP).',
  'Hulls are corners [flexion, abduction] in degrees, convex and counter-clockwise, at '
  'least three, or {"flexion": [least, largest], "abduction": [least, largest]}.',
)
_HULL_BONES = BONES[1:]
# A hundredth of what hulls are grown by for the rounding of float32.
_DEGREE_DIGITS, _DIGITS = 6, 8
_MAX_VERTICES = 10_000
_MIN_AREA = 1e-12


def save_limits(path: str | os.PathLike, limits: HandLimits) -> None:
  """Writes limits as JSON to read and edit: lengths in the metadata's unit, angles and
  hulls in degrees, to eight and six digits after the point.

  Raises:
    ValueError: the path does not end in .json, or something else is in its place.
    OSError: it cannot be written; what was there before stays.
  """
  lengths, curvatures = np.asarray(limits.bone_lengths), np.asarray(limits.curvatures)
  angles = np.rad2deg(np.asarray(limits.root_angles, np.float64))
  hulls = np.rad2deg(np.asarray(limits.hulls, np.float64))
  content = {
    'format': FORMAT,
    'about': list(_ABOUT),
    'metadata': dataclasses.asdict(limits.metadata),
    'bone_lengths': {
      finger: {b: _rounded(lengths[:, f, i], _DIGITS) for i, b in enumerate(BONES)}
      for f, finger in enumerate(FINGERS)
    },
    'palm_curvatures': {
      pair: _rounded(curvatures[:, i], _DIGITS) for i, pair in enumerate(PAIRS)
    },
    'root_angles_deg': {
      pair: _rounded(angles[:, i], _DEGREE_DIGITS) for i, pair in enumerate(PAIRS)
    },
    'hull_vertices': hulls.shape[2],
    'hulls_flexion_abduction_deg': {
      finger: {bone: _hull_entry(hulls[f, b]) for b, bone in enumerate(_HULL_BONES)}
      for f, finger in enumerate(FINGERS)
    },
  }
  text = _layout(content) + '\n'
  write_text(path, text, LIMITS)


def _is_limits_file(path: str | os.PathLike) -> bool:
  """Whether a file says that it holds limits, which may be wrong ones."""
  try:
    content = json.loads(pathlib.Path(path).read_text(encoding='utf-8-sig'))
  except (OSError, ValueError):
    return False
  return isinstance(content, dict) and content.get('format') == FORMAT


LIMITS = Kind('limits', ('.json',), _is_limits_file)


def _rounded(values, digits):
  return np.round(np.asarray(values, np.float64), digits).tolist()


def _hull_entry(corners):
  """A polygon as it is written: a box by its ranges, others without their padding."""
  corners = np.round(corners, _DEGREE_DIGITS)
  repeated = np.all(corners[1:] == corners[:-1], axis=1)
  corners = corners[[True, *~repeated]]
  low, high = corners.min(axis=0), corners.max(axis=0)
  if np.array_equal(corners, _box(*zip(low, high, strict=True))):
    ranges = np.stack([low, high], axis=1).tolist()
    return dict(zip(('flexion', 'abduction'), ranges, strict=True))
  return corners.tolist()


def _box(flexion, abduction):
  """Corners (4, 2) of a box, counter-clockwise."""
  (f0, f1), (a0, a1) = flexion, abduction
  return np.array([[f0, a0], [f1, a0], [f1, a1], [f0, a1]], np.float64)


def _layout(value, indent=0):
  """JSON with one entry a line: `json.dumps` would give every number its own."""
  if not isinstance(value, dict) or {'flexion', 'abduction'} == set(value):
    return json.dumps(value)
  space = ' ' * (indent + 1)
  lines = [
    f'{space}{json.dumps(k)}: {_layout(v, indent + 1)}' for k, v in value.items()
  ]
  return '{\n' + ',\n'.join(lines) + '\n' + ' ' * indent + '}'


def load_limits(path: str | os.PathLike) -> HandLimits:
  """Reads limits written by `save_limits`, or edited by hand.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not a limits file, something is missing or of another kind, a
      range is empty or out of reach, or a polygon is not convex; the message names the
      file and the place.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f'There is no limits file {path}: `bmc-jax limits fit JOINTS --out {path}` makes '
      "one of 3D hands; 'mano', 'surface' and 'clinical' name limits that are there."
    )
  try:
    content = json.loads(read_text(path))
  except ValueError as error:
    raise ValueError(f'{path} is not valid JSON: {error}.') from None
  if not isinstance(content, dict) or content.get('format') != FORMAT:
    raise ValueError(f'{path} is not a limits file: its "format" is not "{FORMAT}".')
  try:
    return _parse(content)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from None


def _parse(content) -> HandLimits:
  metadata = _metadata(content)
  lengths = [
    [
      _range(content, 'bone_lengths', finger, bone, within=(0, np.inf))
      for bone in BONES
    ]
    for finger in FINGERS
  ]
  curvatures = [_range(content, 'palm_curvatures', pair) for pair in PAIRS]
  angles = [_range(content, 'root_angles_deg', pair, within=(0, 180)) for pair in PAIRS]
  _check_units(np.array(lengths), np.array(angles), metadata)
  hulls = [
    [
      _hull(content, 'hulls_flexion_abduction_deg', finger, bone)
      for bone in _HULL_BONES
    ]
    for finger in FINGERS
  ]
  # Hulls may have different numbers of corners: short ones repeat their last.
  most = max(len(corners) for row in hulls for corners in row)
  most = max(most, _num_vertices(content))
  padded = [
    [
      np.pad(corners, ((0, most - len(corners)), (0, 0)), mode='edge')
      for corners in row
    ]
    for row in hulls
  ]
  return HandLimits(
    bone_lengths=np.array(lengths).transpose(2, 0, 1),
    curvatures=np.array(curvatures).T,
    root_angles=np.deg2rad(angles).T,
    hulls=np.array(padded),
    metadata=metadata,
  )


def _metadata(content) -> LimitsMetadata:
  entries = _entry(content, 'metadata')
  known = [field.name for field in dataclasses.fields(LimitsMetadata)]
  if not isinstance(entries, dict):
    raise ValueError(f'metadata is {entries!r:.60}, but a table of entries is needed.')
  for name in entries:
    if name not in known:
      raise ValueError(f'metadata > {name} is unknown; known are {", ".join(known)}.')
  _entry(content, 'metadata', 'reference')
  try:
    return LimitsMetadata(**entries)
  except ValueError as error:
    raise ValueError(f'metadata > {error}') from None


def _num_vertices(content) -> int:
  count = content.get('hull_vertices', 3)
  if type(count) is not int or not 3 <= count <= _MAX_VERTICES:
    raise ValueError(
      f'hull_vertices is {count!r:.60}, but a whole number from 3 to {_MAX_VERTICES} '
      'is needed.'
    )
  return count


def _check_units(lengths, angles, metadata):
  """Of ranges (..., 2): are they in the units that the file says they are in?"""
  start, end = metadata.reference
  finger, bone = divmod(end - 1, 4)
  is_bone = start == (end - 1 if bone else 0)
  if metadata.unit == REFERENCE_UNIT and is_bone:
    low, high = lengths[finger, bone]
    if not low <= 1 + 1e-6 or not high >= 1 - 1e-6:
      raise ValueError(
        f'bone_lengths > {FINGERS[finger]} > {BONES[bone]} is [{low:g}, {high:g}], but '
        'it is the reference bone, of length 1: divide all lengths by it.'
      )
  if angles.max() < np.pi:
    raise ValueError(
      'root_angles_deg are all below 3.15 degrees: they look like radians.'
    )


def _entry(content, *keys):
  """What stands in the nested tables below these keys."""
  for depth, key in enumerate(keys):
    if not isinstance(content, dict) or key not in content:
      raise ValueError(f'{" > ".join(keys[: depth + 1])} is missing.')
    content = content[key]
  return content


def _numbers(value, where, form) -> np.ndarray:
  """Nested lists of numbers as an array."""
  try:
    array = np.array(value)
    is_numeric = array.dtype.kind in 'iuf' and not _holds_bool(value)
  except (ValueError, OverflowError):
    is_numeric = False
  if not is_numeric or np.isnan(array).any():
    raise ValueError(f'{where} is {value!r:.60}, but {form} is needed.')
  return array.astype(np.float64)


def _holds_bool(value) -> bool:
  if isinstance(value, list):
    return any(map(_holds_bool, value))
  return isinstance(value, bool)


def _range(content, *keys, within=(-np.inf, np.inf)) -> np.ndarray:
  """[least, largest] below these keys."""
  value, where = _entry(content, *keys), ' > '.join(keys)
  form = '[least, largest], two numbers,'
  bounds = _numbers(value, where, form)
  if bounds.shape != (2,):
    raise ValueError(f'{where} is {value!r:.60}, but {form} is needed.')
  if bounds[0] > bounds[1]:
    raise ValueError(f'{where} is {value!r:.60}: the least value is above the largest.')
  is_out = (bounds < within[0]) | (bounds > within[1])
  if np.any(is_out & np.isfinite(bounds)):  # infinite bounds leave a range open
    raise ValueError(
      f'{where} is {value!r:.60}, but such values lie in [{within[0]}, {within[1]}].'
    )
  return bounds


def _hull(content, *keys) -> np.ndarray:
  """Corners (v, 2) in radians below these keys, given as such or as two ranges."""
  value, where = _entry(content, *keys), ' > '.join(keys)
  if isinstance(value, dict):
    corners = _box(
      _range(content, *keys, 'flexion', within=(-360, 360)),
      # What is measured ends at 90; fitted boxes are a little wider than that.
      _range(content, *keys, 'abduction', within=(-91, 91)),
    )
  else:
    form = 'a list of at least 3 corners [flexion, abduction]'
    corners = _numbers(value, where, form)
    if corners.ndim != 2 or len(corners) < 3 or corners.shape[1] != 2:
      raise ValueError(f'{where} is {value!r:.60}, but {form} is needed.')
    if corners[:, 1].min() > 90 or corners[:, 1].max() < -90:
      raise ValueError(f'{where} is out of reach: abduction lies in [-90, 90].')
  if not np.isfinite(corners).all():
    raise ValueError(f'{where} is not finite: draw it as far as the joint moves.')
  corners = np.deg2rad(corners)
  if not is_convex(corners) or hull.polygon_area(corners) < _MIN_AREA:
    raise ValueError(
      f'{where} is not convex and counter-clockwise in (flexion, abduction), or has no '
      'area: move or reverse its corners.'
    )
  return corners
