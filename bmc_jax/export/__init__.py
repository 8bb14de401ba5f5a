"""Files that predict hands without this library: `python -m bmc_jax.export`."""

from bmc_jax.exporting.signature import Signature, crop_function

__all__ = ['Signature', 'crop_function']
