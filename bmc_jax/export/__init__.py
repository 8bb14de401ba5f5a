"""Files that predict hands without this library: `bmc-jax export`."""

from bmc_jax.export.signature import Signature, crop_function
from bmc_jax.export.writing import export_row

__all__ = ['Signature', 'crop_function', 'export_row']
