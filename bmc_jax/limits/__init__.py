"""Limits of the human hand: data, not code. Fitting, files, literature values.

`HandLimits` is a pytree: pass it to jitted functions, or differentiate through it.
"""

from bmc_jax.limits.clinical import clinical_limits
from bmc_jax.limits.files import (
  is_limits_file,
  load_limits,
  open_limits,
  save_limits,
)
from bmc_jax.limits.fitting import fit_limits
from bmc_jax.limits.types import HandLimits, LimitsMetadata, as_boxes

__all__ = [
  'HandLimits',
  'LimitsMetadata',
  'as_boxes',
  'clinical_limits',
  'fit_limits',
  'is_limits_file',
  'load_limits',
  'open_limits',
  'save_limits',
]
