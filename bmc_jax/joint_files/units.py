"""The unit of joints, by the length of the reference bone."""

import numpy as np

from bmc_jax import pose25d

# The reference bone in metres: 29-49 mm in the public sets, children included.
REFERENCE_BONE_RANGE = (0.015, 0.07)


UNITS = {'metres': 1.0, 'centimetres': 1e-2, 'millimetres': 1e-3}  # in metres


def check_unit(joints_3d: np.ndarray, name: str, unit: str = 'metres') -> None:
  """Raises a ValueError if joints are clearly not in the unit they should be in.

  Args:
    joints_3d: (21, 3) or (N, 21, 3); of many poses the median counts.
    name: what the message calls them.
    unit: a key of `UNITS`.
  """
  bone, guess = find_unit(joints_3d)
  if guess == unit:
    return
  low, high = (limit / UNITS[unit] for limit in REFERENCE_BONE_RANGE)
  looks = f'this looks like {guess}, not {unit}'
  if guess is None:
    looks = 'as this fits no other unit either, the joints may be in another order'
  raise ValueError(
    f'{name}: the middle MCP->PIP bone measures {bone:.4g} {unit}, outside '
    f'{low:g}-{high:g}; {looks}.'
  )


def find_unit(joints_3d: np.ndarray) -> tuple[float, str | None]:
  """The length of the reference bone, and the unit in which it is that of a hand.

  Args:
    joints_3d: (21, 3) or (N, 21, 3); of many poses the median counts.

  Returns:
    The length in the joints' own unit, and a key of `UNITS` or None.
  """
  a, b = pose25d.REFERENCE
  bones = np.linalg.norm(joints_3d[..., b, :] - joints_3d[..., a, :], axis=-1)
  bone = float(np.median(bones) if bones.ndim else bones)  # of one it takes long
  low, high = REFERENCE_BONE_RANGE
  fits = (unit for unit, size in UNITS.items() if low <= bone * size <= high)
  return bone, next(fits, None)


def of_other_units(joints_3d: np.ndarray, unit: str = 'metres') -> np.ndarray:
  """Rows of hands whose reference bone is that of a hand in another unit alone.

  Args:
    joints_3d: (N, 21, 3).
    unit: a key of `UNITS`, that of most hands.

  Returns:
    (n,) int; also rows of hands that are larger than in any unit.
  """
  a, b = pose25d.REFERENCE
  bones = np.linalg.norm(joints_3d[:, b] - joints_3d[:, a], axis=-1)
  low, high = REFERENCE_BONE_RANGE
  sizes = [size for name, size in UNITS.items() if name != unit]
  fits = [(low <= bones * size) & (bones * size <= high) for size in sizes]
  return np.flatnonzero(np.any([*fits, bones * min(UNITS.values()) > high], axis=0))


def check_every_unit(joints_3d: np.ndarray, name: str, unit: str = 'metres') -> None:
  """Raises a ValueError if some hands are clearly in another unit than they should be.

  Args: those of `check_unit`, of joints (N, 21, 3), which looks at the median alone.
  """
  check_unit(joints_3d, name, unit)
  rows = of_other_units(joints_3d, unit)
  if rows.size:
    raise ValueError(
      f'{name}: {rows.size} of {len(joints_3d)} hands, first hand {rows[0]}, are in '
      f'another unit than {unit}, by their middle MCP->PIP bones: bring all hands to '
      'one unit.'
    )
