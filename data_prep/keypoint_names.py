"""The joint order of an export, told by the names of its keypoints."""

from collections.abc import Sequence
from pathlib import Path

from absl import logging

from bmc_jax.joint_files.names import are_numbers, canonical_order


def read_order(names: Sequence[str], path: Path) -> list[int]:
  """Where the keypoints of these names have each canonical joint.

  Numbers do not tell whose they are: that they are taken for canonical ones is logged.

  Args:
    names: of 21 keypoints.
    path: of the export.

  Raises:
    ValueError: `canonical_order` does not understand them.
  """
  try:
    order = canonical_order(names)
  except ValueError as error:
    raise ValueError(f'{path}: {error}.') from None
  if are_numbers(names):
    logging.warning(
      '%s: the keypoints are named by numbers (%s, ...), which are taken for those of '
      'the canonical order; look at the contact sheet.',
      path,
      names[0],
    )
  return list(order)
