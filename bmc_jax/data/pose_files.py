"""Pose files: joints of many hands, seen through a given pinhole camera.

Two forms are read, both in metres and camera coordinates (x right, y down, z forward):

- `.npy`: right hands (N, 21, 3);
- `.npz`: one array `joints_<order>` (N, 21, 3), its joint order in its name; with left
  hands also `side_is_right` (N,); with several persons also `subject` (N,).

Cameras that fit the public pose sets: RHD renders 320x320 images with a focal length
that differs from image to image (263-306 px), so 280 px with the centre at (160, 160)
is a fair stand-in; STB's colour camera is fx 607.92, fy 607.88, cx 324.22, cy 236.42
at 640x480; for DexYCB fx 616.64, fy 616.26, cx 308.55, cy 248.52 at 640x480 sees four
fifths of the poses.
"""

import functools
import math
import numbers
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from bmc_jax import geometry, skeleton
from bmc_jax.data import cameras
from bmc_jax.data import example as example_lib
from bmc_jax.joint_files.units import check_every_unit
from bmc_jax.limits import depths, evidence

CAMERA_KEYS = ('fx', 'fy', 'cx', 'cy', 'width', 'height')


def load_poses(
  path: str,
  *,
  camera: Mapping[str, float],
  subjects: Sequence[int] | None = None,
  order: str | None = None,
  rows: Sequence[int] | None = None,
  every: int = 1,
  drop_outside: bool = True,
) -> example_lib.Batch:
  """Reads poses, mirrors left hands and projects the joints.

  Args:
    path: a file of one of the forms above.
    camera: fx, fy, cx, cy, width, height in pixels.
    subjects: keep only these numbers of the file's `subject` array.
    order: joint order, a key of `skeleton.JOINT_ORDERS`; None takes it from the name of
      the array (`.npz`, which it must not contradict) or the canonical order (`.npy`).
    rows: (first, end) of the file's poses to keep, `end` not among them.
    every: keep each `every`-th pose.
    drop_outside: leave out poses with a joint outside the image or behind the camera
      (their number is logged); otherwise a joint behind it is an error.

  Returns:
    The fields of `example.stack_examples`, but no image, for all poses kept.
  """
  joints, is_right, numbers = _read(path, subjects, order, rows, every)
  check_every_unit(joints, path)
  intrinsics = _camera_matrices(path, camera, is_right)
  joints = np.where(is_right[:, None, None], joints, skeleton.mirror(joints))
  keypoints = np.asarray(geometry.project(joints, intrinsics))
  keep = _seen(path, joints, keypoints, camera, drop_outside)
  stem = Path(path).stem
  poses = {
    'joints_3d': joints,
    'keypoints_2d': keypoints,
    'visibility': np.ones(joints.shape[:2]),
    'intrinsics': intrinsics,
    'is_right': is_right,
    'has_joints_3d': np.ones(len(joints)),
  }
  poses = {name: value[keep].astype(np.float32) for name, value in poses.items()}
  return poses | {'sample_id': np.array([f'{stem}/{i:06d}' for i in numbers[keep]])}


def _read(path, subjects, order, within, every):
  """Canonical joints (N, 21, 3), is_right (N,), and their rows in the file (N,)."""
  joints, named, fields = _load_file(path)
  order = _agreed_order(path, named, order)
  if joints.ndim != 3 or joints.shape[1:] != (21, 3) or not len(joints):
    raise ValueError(
      f'{path}: joints have shape {joints.shape}, expected (N, 21, 3) with N > 0.'
    )
  if joints.dtype.kind not in 'iuf':
    raise ValueError(f'{path}: joints are of type {joints.dtype}, expected numbers.')
  if not isinstance(every, int) or every < 1:
    raise ValueError(
      f'{path}: every is {every!r}; it must be a whole number from 1 on.'
    )
  _check_fields(path, fields, len(joints))
  rows = _rows_of(path, subjects, fields, len(joints))
  rows = _rows_within(path, within, rows, len(joints))[::every]
  joints = joints[rows].astype(np.float32)
  if not np.all(np.isfinite(joints)):
    raise ValueError(f'{path}: joints hold a value that is not finite.')
  if doubt := depths.doubt_depth(skeleton.reorder(joints, order)):
    raise ValueError(f'{path}: {doubt}.')
  if doubt := evidence.doubt_order(joints, order):
    raise ValueError(f'{path}: {doubt}; set `order` (.npy) or rename the array (.npz).')
  is_right = np.ones(len(rows), bool)
  if 'side_is_right' in fields:
    is_right = fields['side_is_right'][rows].astype(bool)
  joints = skeleton.reorder(joints, order)
  doubt = evidence.doubt_sides(joints, is_right)
  if doubt and doubt.is_clear:
    _warn_once(
      f'{path}: {doubt}: correct side_is_right, or negate an axis that is mirrored.'
    )
  return joints, is_right, rows


def _check_fields(path, fields, count: int) -> None:
  """Checks the shapes of `subject` and `side_is_right`, and the latter's values."""
  for name, value in fields.items():
    if value.shape != (count,):
      raise ValueError(
        f'{path}: {name} has shape {value.shape}, expected ({count},), as many as '
        'there are poses.'
      )
  # Text never equals a number.
  if not np.all(np.isin(fields.get('side_is_right', ()), (0, 1))):
    raise ValueError(
      f'{path}: side_is_right holds something other than 1 (or True) for right hands '
      'and 0 (or False) for left ones.'
    )


def _rows_of(path, subjects, fields, count: int) -> np.ndarray:
  """The rows of the poses of these subjects; all of them if `subjects` is None."""
  if subjects is None:
    return np.arange(count)
  wanted = np.asarray(subjects)
  if wanted.ndim != 1 or wanted.dtype.kind not in 'iu':
    raise ValueError(
      f'{path}: subjects is {subjects!r}; it must be a list of whole numbers.'
    )
  if 'subject' not in fields:
    raise ValueError(f'{path}: subjects are asked for, but it has no array "subject".')
  rows = np.flatnonzero(np.isin(fields['subject'], wanted))
  if not rows.size:
    known = ', '.join(str(s) for s in np.unique(fields['subject']))
    raise ValueError(
      f'{path}: no pose of the subjects {list(subjects)}; it has those of {known}.'
    )
  return rows


def _rows_within(path, within, rows: np.ndarray, count: int) -> np.ndarray:
  """Those of `rows` from the first number in `within` to before the second."""
  if within is None:
    return rows
  given = list(within) if isinstance(within, Sequence) else []
  whole = len(given) == 2 and all(isinstance(n, int) for n in given)
  if not whole or not 0 <= given[0] < given[1] <= count:
    raise ValueError(
      f'{path}: rows is {within!r}; it must be (first, end) with 0 <= first < end <= '
      f'{count}, the number of poses in the file.'
    )
  rows = rows[(rows >= given[0]) & (rows < given[1])]
  if not rows.size:
    raise ValueError(f'{path}: no pose of these subjects is among the rows {within!r}.')
  return rows


def _load_file(path):
  """The joints as they are in the file, the order in their name, and other arrays."""
  file = Path(path).expanduser()
  if file.is_dir():
    raise ValueError(f'{path} is a folder; give the path of a .npy or .npz file.')
  if not file.is_file():
    raise FileNotFoundError(
      f'The pose file {path} does not exist; give the path of a .npy or .npz file '
      '(the configs of this repository look for theirs in data/poses below the folder '
      'that the variable BMC_JAX_TEST_DATA names).'
    )
  if file.suffix not in ('.npy', '.npz'):
    raise ValueError(f'{path}: a pose file must end in .npy or .npz.')
  try:
    content = np.load(file)
    if isinstance(content, np.ndarray):
      suffix, arrays = '.npy', {'joints_canonical': content}
    else:
      suffix, arrays = '.npz', {k: content[k] for k in content.files if _is_used(k)}
  except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
    raise ValueError(f'{path}: this is no readable NumPy file ({error}).') from error
  if suffix != file.suffix:
    raise ValueError(f'{path}: by its content this is a {suffix} file; rename it.')
  names = [name for name in arrays if name.startswith('joints_')]
  if len(names) != 1:
    found = ', '.join(names) or 'none'
    raise ValueError(f'{path}: expected one array joints_<order>, found {found}.')
  named = names[0].removeprefix('joints_') if suffix == '.npz' else None
  return arrays.pop(names[0]), named, arrays


def _is_used(name: str) -> bool:
  return name.startswith('joints_') or name in ('subject', 'side_is_right')


def _agreed_order(path, named: str | None, order: str | None) -> str:
  """The joint order that the array's name and the argument agree upon."""
  known = skeleton.JOINT_ORDERS
  agreed = order or named or 'canonical'
  if agreed not in known:
    raise ValueError(
      f'{path}: unknown joint order {agreed!r}; known are {", ".join(sorted(known))}.'
    )
  if named in known and known[named] != known[agreed]:
    raise ValueError(
      f'{path}: order is {order!r}, but its array is named joints_{named}; leave order '
      'out or rename the array.'
    )
  return agreed


def _camera_matrices(path, camera: Mapping[str, float], is_right: np.ndarray):
  """Intrinsics (N, 3, 3) of the camera, mirrored for the left hands."""
  if not isinstance(camera, Mapping) or set(camera) != set(CAMERA_KEYS):
    found = ', '.join(map(str, camera)) if isinstance(camera, Mapping) else repr(camera)
    raise ValueError(
      f'{path}: the camera needs {", ".join(CAMERA_KEYS)}, got {found or "nothing"}.'
    )
  for key, value in camera.items():
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
      raise ValueError(
        f"{path}: the camera's {key} is {value!r}; it must be a finite number."
      )
  told = cameras.read_camera(dict(camera), f'{path}: the camera')
  width, height = int(camera['width']), int(camera['height'])
  try:
    cameras.check_for_image(told, width, height)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from None
  for doubt in cameras.doubts(told.matrix, width, height).values():
    _warn_once(f'{path}: {doubt}.')
  matrices = np.zeros((len(is_right), 3, 3), np.float32)
  matrices[:] = told.matrix
  matrices[~is_right, 0, 2] = width - 1 - told.matrix[0, 2]
  return matrices


def _seen(path, joints, keypoints, camera, drop_outside) -> np.ndarray:
  """Which poses (N,) to keep."""
  in_front = np.all(joints[..., 2] > 0, axis=-1)
  if not drop_outside:
    if not in_front.all():
      raise ValueError(
        f'{path}: {np.sum(~in_front)} poses lie behind the camera; set '
        'drop_outside=True, or check the axes (z > 0 is in front).'
      )
    return in_front
  limit = np.array([camera['width'], camera['height']]) - 0.5
  seen = in_front & np.all((keypoints >= -0.5) & (keypoints <= limit), axis=(1, 2))
  if not seen.any():
    raise ValueError(
      f'{path}: no pose lies inside the image; check the camera and the axes '
      '(z > 0 is in front).'
    )
  if not seen.all():
    _warn_once(
      f'{path}: {np.sum(~seen)} of {seen.size} poses lie outside the image and are '
      'left out.'
    )
  return seen


@functools.cache
def _warn_once(message: str) -> None:
  """Each row of an experiment opens the same file again."""
  logging.warning('%s', message)
