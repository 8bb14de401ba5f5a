"""Which hands are right ones: what is told, and what contradicts it.

2D keypoints do not tell the side: seen from afar, a right hand and its mirror image in
depth, which is a left hand, look the same. Results of MediaPipe hold its own 3D hands,
too, whose bend tells theirs.
"""

import numpy as np

from bmc_jax.lift.files import KeypointFile
from bmc_jax.limits.evidence import doubt_sides

CHOICES = ('auto', 'right', 'left', 'swapped')


def resolve_sides(
  found: KeypointFile, path: str, choice: str
) -> tuple[np.ndarray, str | None]:
  """The sides of a file's hands.

  Args:
    found: what was read.
    path: of the file, for messages.
    choice: 'auto' takes those that the file tells, the other way round where its 3D
      hands clearly say so; 'swapped' the other way round; 'right' and 'left' all.

  Returns:
    (N,) bool, and what contradicts the told sides, a sentence without a full stop.

  Raises:
    ValueError: a side is asked of the file, which does not tell it.
  """
  if choice in ('right', 'left'):
    return np.full(len(found.is_right), choice == 'right'), None
  unknown = int(np.sum(found.is_right < 0))
  if unknown:
    raise ValueError(
      f'{path} does not tell the side of {unknown} of {len(found.is_right)} hands, and '
      '2D keypoints show none: say --hand right or --hand left.'
    )
  told = found.is_right > 0
  if choice == 'swapped':
    return ~told, None
  whole = np.isfinite(found.own_3d).all(axis=(1, 2))
  doubt = doubt_sides(found.own_3d[whole], told[whole])
  if not doubt or not doubt.is_clear:
    return told, None
  because = f'{path}: its own 3D hands contradict its sides: {doubt}'
  if not doubt.is_of_most:
    return told, f'{because}; the told sides are taken'
  return ~told, (
    f'{because}, as where a picture is taken for a mirrored one. They are swapped; '
    '--hand right or left overrules that'
  )
