"""What commands share: how they tell mistakes, tables, files, compiled programs."""

from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.tables import format_markdown, format_table

__all__ = ['USER_ERRORS', 'fail', 'format_markdown', 'format_table', 'warn']
