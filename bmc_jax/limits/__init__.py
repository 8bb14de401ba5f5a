"""Limits of the human hand: data, not code. Fitting, files, those that ship.

`HandLimits` is a pytree: pass it to jitted functions, or differentiate through it.
"""

from bmc_jax.limits.clinical import clinical_limits
from bmc_jax.limits.files import load_limits, save_limits
from bmc_jax.limits.fitting import fit_limits
from bmc_jax.limits.presets import mano_limits, open_limits, surface_limits
from bmc_jax.limits.types import HandLimits, LimitsMetadata, as_boxes
from bmc_jax.limits.widening import widen_limits

__all__ = [
  'HandLimits',
  'LimitsMetadata',
  'as_boxes',
  'clinical_limits',
  'fit_limits',
  'load_limits',
  'mano_limits',
  'open_limits',
  'save_limits',
  'surface_limits',
  'widen_limits',
]
