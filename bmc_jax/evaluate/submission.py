"""Prediction files of the FreiHAND and HO-3D challenges: reading, checking, writing.

`pred.json` holds two lists of one entry per image, in the order of the benchmark: 21
joints and 778 vertices of the MANO mesh, both (x, y, z) in metres in the camera frame.
A submission is `pred.json` alone in a zip archive. This library predicts no vertices:
it writes zeros, so the mesh figures of a leaderboard mean nothing, its joint figures do
not use them. Forms differ in what `FORMS` says of them.
"""

import dataclasses
import json
import lzma
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.files import read_text
from bmc_jax.console.outputs import Kind, check_ending, replacing
from bmc_jax.console.tables import counted
from bmc_jax.joint_files import units
from bmc_jax.limits.depths import doubt_depth

FILE_NAME = 'pred.json'
NUM_VERTICES = 778

_MAX_BYTES = 4 << 30
"""A full submission with vertices for HO-3D measures about 1 GB."""


_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
"""What Python raises for archives with wrong bytes."""


@dataclasses.dataclass(frozen=True)
class Form:
  """A form of prediction files.

  Attributes:
    order: of the joints, a key of `skeleton.JOINT_ORDERS`.
    axes: of the camera, a key of `skeleton.CAMERA_AXES`.
    counts: number of images of each test set of the challenge; none if it is free.
    has_vertices: whether each image must have vertices, or may have them.
    is_right: whether all hands are right ones.
  """

  order: str
  axes: str = 'opencv'
  counts: tuple[int, ...] = ()
  has_vertices: bool = True
  is_right: bool = True


FORMS = {
  'freihand': Form(order='freihand', counts=(3960,)),
  # Versions 2 and 3 of the data.
  'ho3d': Form(order='ho3d', axes='opengl', counts=(11524, 20137)),
  # For the protocols of sets without a challenge.
  'camera': Form(order='canonical', has_vertices=False, is_right=False),
}


def to_form(joints_3d: np.ndarray, form: Form) -> np.ndarray:
  """Canonical joints (N, 21, 3) with OpenCV axes in a form's order and axes."""
  joints = skeleton.change_axes(joints_3d, 'opencv', form.axes)
  return np.asarray(skeleton.reorder(joints, 'canonical', form.order))


def from_form(joints: np.ndarray, form: Form) -> np.ndarray:
  """The inverse of `to_form`."""
  joints = skeleton.change_axes(joints, form.axes)
  return np.asarray(skeleton.reorder(joints, form.order))


def write_submission(
  path: str | os.PathLike, joints_3d: np.ndarray, form: Form
) -> None:
  """Writes a zip archive with `pred.json`, as a whole or not at all.

  Args:
    path: of the archive, ending in .zip.
    joints_3d: (N, 21, 3) metres, canonical order, OpenCV axes, in the order of the
      benchmark.
    form: of `FORMS`.

  Raises:
    ValueError: another ending, or joints that are not finite or clearly in another
      unit, as `read_predictions` refuses them.
  """
  path = Path(path)
  check_ending(path, SUBMISSIONS)
  joints = to_form(np.asarray(joints_3d, np.float64), form)
  _check_finite(path, 'joints', joints)
  check_unit(path, joints_3d)
  # Zeros by hand: 47 million numbers take JSON a minute.
  vertices = json.dumps(np.zeros((NUM_VERTICES, 3), int).tolist())
  text = f'[{json.dumps(joints.tolist())}, [{", ".join([vertices] * len(joints))}]]'
  with (
    replacing(path, SUBMISSIONS) as partial,
    zipfile.ZipFile(partial, 'w', zipfile.ZIP_DEFLATED) as archive,
  ):
    archive.writestr(FILE_NAME, text)


def _is_submission(path: Path) -> bool:
  try:
    with zipfile.ZipFile(path) as archive:
      return archive.namelist() == [FILE_NAME]
  except _DAMAGE:
    return False


SUBMISSIONS = Kind('submissions', ('.zip',), _is_submission)


def read_predictions(
  path: str | os.PathLike, form: Form, count: int | None = None
) -> np.ndarray:
  """Reads predictions, made by anyone, and checks their form.

  What is odd about the hands themselves is no error: see `bmc_jax.evaluate.doubts`.

  Args:
    path: `pred.json`, or a zip archive that holds it.
    form: of `FORMS`.
    count: the number of images; None takes what the form's challenge has.

  Returns:
    (N, 21, 3) float64 metres, canonical order, OpenCV axes.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: one sentence that says what is wrong.
  """
  content = _load(Path(path).expanduser())
  if not isinstance(content, list) or len(content) != 2:
    what = counted(len(content), 'entry') if isinstance(content, list) else 'no list'
    raise ValueError(
      f'{path}: expected a list of two lists, joints and vertices of each image, found '
      f'{what}.'
    )
  counts = form.counts if count is None else (count,)
  joints, vertices = content
  joints = _array(path, 'joints', joints, (21, 3), counts)
  if form.has_vertices or vertices:
    _array(path, 'vertices', vertices, (NUM_VERTICES, 3), (len(joints),))
  joints = from_form(joints, form)
  check_unit(path, joints)
  return joints


def check_unit(path: str | os.PathLike, joints_3d: np.ndarray) -> None:
  """Raises a ValueError for canonical joints (N, 21, 3) clearly not in metres.

  Poor or made-up predictions may have bones that fit no unit at all.
  """
  _, unit = units.find_unit(joints_3d)
  if unit not in (None, 'metres') and (doubt := doubt_depth(joints_3d)):
    raise ValueError(f'{path}: {doubt}.')
  if unit is not None:
    units.check_unit(joints_3d, str(path))


def packing_doubts(path: str | os.PathLike, form: Form) -> list[str]:
  """What a challenge may not take about the packing of a file that can be read."""
  path = Path(path).expanduser()
  if not form.counts:
    return []
  if not zipfile.is_zipfile(path):
    return [f'the challenge wants it alone in a zip archive, called {FILE_NAME}']
  with zipfile.ZipFile(path) as archive:
    further = archive.namelist()
  further.remove(FILE_NAME)
  if not further:
    return []
  return [
    f'the challenge wants {FILE_NAME} alone in the archive, which holds '
    f'{", ".join(further[:3])}{" and more" if len(further) > 3 else ""} as well; zip '
    'it alone (zip -j)'
  ]


def _check_finite(path, name: str, values: np.ndarray) -> None:
  finite = np.isfinite(values).all(axis=(1, 2))
  if not finite.all():
    raise ValueError(
      f'{path}: the {name} of {np.sum(~finite)} of {len(values)} images are not all '
      f'finite numbers, first those of image {int(np.argmin(finite))}.'
    )


def _load(path: Path):
  """The content of a JSON file, or of `pred.json` in an archive."""
  if not path.is_file():
    raise FileNotFoundError(f'There is no prediction file {path}.')
  with path.open('rb') as file:
    is_archive = file.read(2) == b'PK'
  content = _unzip(path) if is_archive else _text(path)
  try:
    return json.loads(content)
  except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
    raise ValueError(f'{path}: this is no valid JSON ({error}).') from error
  except ValueError as error:  # which advises to raise Python's limit
    raise ValueError(f'{path}: it holds a number of too many digits.') from error


def _text(path: Path) -> str:
  try:
    return read_text(path)
  except ValueError as error:
    raise ValueError(
      f'{path}: {error}; {FILE_NAME}, or a zip archive of it, is needed.'
    ) from None


def _unzip(path: Path) -> bytes:
  """The bytes of `pred.json` in an archive."""
  try:
    with zipfile.ZipFile(path) as archive:
      return archive.read(_member(path, archive))
  except _DAMAGE as error:
    raise ValueError(
      f'{path}: this is a damaged archive ({error}); get a complete copy.'
    ) from error
  except RuntimeError as error:  # NotImplementedError is one, too
    raise ValueError(
      f'{path}: the archive is encrypted, or compressed in a way that Python does not '
      f'know; zip {FILE_NAME} anew, without a password (zip -j).'
    ) from error


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
  names = archive.namelist()
  if FILE_NAME not in names:
    raise ValueError(
      f'{path}: the archive holds no {FILE_NAME} at its top, but '
      f'{", ".join(names[:3]) or "nothing"}; zip that file alone (zip -j).'
    )
  member = archive.getinfo(FILE_NAME)
  if member.file_size > _MAX_BYTES:
    raise ValueError(
      f'{path}: {FILE_NAME} would unpack to {member.file_size / 2**30:.0f} GiB, more '
      'than any submission has.'
    )
  return member


def _array(path, name, values, shape, counts) -> np.ndarray:
  """(N, *shape) of nested lists; N is one of the counts if there are any."""
  if not isinstance(values, list) or not values:
    raise ValueError(f'{path}: there are no {name}; expected a list of one per image.')
  if counts and len(values) not in counts:
    wanted = ' or '.join(map(str, counts))
    raise ValueError(
      f'{path}: {name} of {counted(len(values), "image")}, but there are {wanted} '
      'images.'
    )
  array = np.stack(
    [_entry(path, name, i, value, shape) for i, value in enumerate(values)]
  )
  _check_finite(path, name, array)
  return array


def _entry(path, name, number: int, value, shape) -> np.ndarray:
  """The numbers of one image, float64 of the given shape."""
  try:
    array = np.asarray(value)
    found = array.shape
  except ValueError:
    found = 'ragged'
  if found != shape:
    raise ValueError(
      f'{path}: the {name} of image {number} have the shape {found}, expected {shape}.'
    )
  if array.dtype.kind not in 'iuf':
    raise ValueError(
      f'{path}: the {name} of image {number} hold something other than numbers.'
    )
  return array.astype(np.float64)
