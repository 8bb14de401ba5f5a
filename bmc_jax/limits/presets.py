"""Limits that come with the library, for those who have no 3D hands to fit them on.

`benchmarks/preset_limits.py` makes the files, which hold limits and no poses, and
measures whom they admit; docs/limits.md has the tables.
"""

import pathlib

from bmc_jax.limits.clinical import clinical_limits
from bmc_jax.limits.files import load_limits
from bmc_jax.limits.types import HandLimits

FOLDER = pathlib.Path(__file__).parent / 'preset'


def mano_limits() -> HandLimits:
  """Limits of hands labelled at MANO's joints: FreiHAND, HO-3D, DexYCB, InterHand.

  Fitted on 8 people of DexYCB, and widened for others. They refuse fingers that bend
  backwards at the PIP and hands mirrored in depth.

  Returns:
    `HandLimits` in units of the middle MCP -> PIP bone.
  """
  return load_limits(FOLDER / 'mano.json')


def surface_limits() -> HandLimits:
  """Limits of hands labelled on the skin, as in STB, Ge et al. and by MediaPipe.

  These labels differ from set to set more than hands do, so the limits are wide. Fitted
  on STB, RHD, DexYCB (its joint angles) and 3D hands of MediaPipe, and widened.

  Returns:
    `HandLimits` in units of the middle MCP -> PIP bone.
  """
  return load_limits(FOLDER / 'surface.json')


PRESETS = {
  'mano': mano_limits,
  'surface': surface_limits,
  'clinical': clinical_limits,
}


def open_limits(name: str) -> HandLimits:
  """The limits that a command or a config names: a file's path, or one of `PRESETS`.

  Raises:
    FileNotFoundError, ValueError: see `load_limits`.
  """
  return PRESETS[name]() if name in PRESETS else load_limits(name)
