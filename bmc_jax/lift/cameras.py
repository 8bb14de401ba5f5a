"""Hands of a file lifted with the cameras that are given, or one guessed for each size.

A camera that cannot be that of the pictures is refused, an odd one is warned of.
"""

from collections.abc import Sequence

import numpy as np

from bmc_jax.console.errors import warn
from bmc_jax.console.tables import counted, shorten
from bmc_jax.data import cameras
from bmc_jax.lift import reach
from bmc_jax.lift.files import KeypointFile
from bmc_jax.lift.lifter import LEAST_PRESENT, KeypointLifter, LiftedHands
from bmc_jax.lift.pictures import Pictures
from bmc_jax.predict.cameras import Cameras
from bmc_jax.predict.names import read_json


def check_given(given: str | None) -> None:
  """Raises the error of an `--intrinsics` that is wrong for all pictures."""
  if given and given.endswith('.json'):
    read_json(given)
  else:
    Cameras(given, [])


def read_cameras(
  given: str | None, found: KeypointFile, pictures: Pictures
) -> list[cameras.Camera | None]:
  """The camera of each hand's picture as `--intrinsics` gives it, else None.

  Args:
    given: see `predict.cameras.Cameras`; by the order and names of the pictures.
    found: the hands.
    pictures: that they are from.

  Raises:
    ValueError, FileNotFoundError: see there.
  """
  places = {name: pictures.place_of(name) for name in found.frames}
  known = Cameras(given, list(dict.fromkeys(places.values())))
  of_place = {name: known.of(place) for name, place in places.items()}
  if unseen := known.unseen():
    warn(f'{given} names frames of which there is no hand: {shorten(unseen)}.')
  return [of_place[name] for name in found.frames]


def parse_size(text: str) -> tuple[float, float]:
  """The numbers of `--image-size`; raises a ValueError if these are not two."""
  try:
    width, height = (float(part) for part in text.replace('x', ',').split(','))
  except ValueError:
    raise ValueError(
      f'--image-size is {text!r}; give width,height in pixels, as in 640,480.'
    ) from None
  return width, height


def lift_hands(
  lifter: KeypointLifter,
  found: KeypointFile,
  is_right: np.ndarray,
  *,
  given: Sequence[cameras.Camera | None],
  bone_length: float | None = None,
) -> LiftedHands:
  """Lifts all hands of a file.

  Args:
    lifter: that does it.
    found: the hands.
    is_right: (N,).
    given: N cameras of the hands' pictures; None: guessed from the size of each.
    bone_length: see `KeypointLifter`.

  Raises:
    ValueError: the camera or its pictures' sizes are not known, it cannot be the camera
      of such pictures, or no hand has enough keypoints.
  """
  _check_cameras(given, found)
  known = np.array([camera is not None for camera in given])
  groups = []
  if known.any():
    matrices = np.stack([camera.matrix for camera in given if camera])
    groups = [(np.flatnonzero(known), {'intrinsics': matrices})]
  sizes = np.unique(found.image_sizes[~known], axis=0)
  if np.isnan(sizes).any():
    raise ValueError(
      'The size of the pictures is not known, from which the camera is guessed: give '
      '--images, --image-size width,height, or better --intrinsics fx,fy,cx,cy.'
    )
  for size in sizes:
    rows = np.flatnonzero(~known & (found.image_sizes == size).all(axis=1))
    groups.append((rows, {'image_size': size}))
  parts = [
    lifter(
      found.keypoints_2d[rows],
      confidence=found.confidence[rows],
      is_right=is_right[rows],
      bone_length=bone_length,
      check_camera=False,
      **camera,
    )
    for rows, camera in groups
  ]
  back = np.argsort(np.concatenate([rows for rows, _ in groups]))
  hands = LiftedHands(
    *(np.concatenate(field)[back] for field in zip(*parts, strict=True))
  )
  if not np.isfinite(hands.joints_3d).any():
    raise ValueError(
      f'None of the {len(is_right)} hands has the {LEAST_PRESENT} keypoints, not all '
      'in one place, that lifting needs.'
    )
  return hands


def _check_cameras(given: Sequence[cameras.Camera | None], found: KeypointFile) -> None:
  """Refuses cameras that cannot be those of their pictures, and warns of odd ones."""
  told = np.isfinite(found.image_sizes).all(axis=1)
  rows_of: dict[tuple, list[int]] = {}
  for row, camera in enumerate(given):
    if camera is not None:
      size = tuple(found.image_sizes[row]) if told[row] else None
      key = (camera.matrix.tobytes(), camera.size if told[row] else None, size)
      rows_of.setdefault(key, []).append(row)
  doubts: dict[str, list[str]] = {}
  for (_, own, size), rows in rows_of.items():
    camera = given[rows[0]]
    if camera is None:
      continue
    camera = camera._replace(size=own)
    if size is None:
      points = found.keypoints_2d[rows].reshape(1, -1, 2)
      (size,) = reach.least_sizes(points, camera.matrix[None])
    width, height = (round(side) for side in size)
    try:
      cameras.check_for_image(camera, width, height)
    except ValueError as error:
      raise ValueError(f'The picture of {found.frames[rows[0]]!r}: {error}') from None
    for kind, doubt in cameras.doubts(camera.matrix, width, height).items():
      doubts.setdefault(kind, []).append(doubt)
  for lines in doubts.values():
    more = f' ({counted(len(lines) - 1, "more camera")} likewise)' if lines[1:] else ''
    warn(f'{lines[0]}{more}.')
  untold = [row for row, camera in enumerate(given) if camera and not told[row]]
  if untold:
    matrices = np.stack(
      [c.matrix for row, c in enumerate(given) if c and not told[row]]
    )
    if doubt := reach.doubt_crops(found.keypoints_2d[untold], matrices):
      warn(f'--intrinsics: {doubt}; or tell the size of the pictures by --image-size.')
