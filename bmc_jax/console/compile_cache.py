"""Compiled programs outlive the process: a second run starts in seconds."""

import os
from pathlib import Path

import jax

from bmc_jax.console.errors import warn


def enable() -> None:
  """Lets JAX keep what it compiles in a folder of the user's.

  JAX_COMPILATION_CACHE_DIR and JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS win, where
  they are set, and JAX_ENABLE_COMPILATION_CACHE=0 turns it off.
  """
  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    try:
      folder = _caches() / 'bmc_jax' / 'jax'
    except RuntimeError:  # of a user without a home
      warn(
        'There is no home folder: name one for what JAX compiles by '
        'JAX_COMPILATION_CACHE_DIR, or each start compiles anew.'
      )
      return
    jax.config.update('jax_compilation_cache_dir', str(folder))
  if 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS' not in os.environ:
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


def _caches() -> Path:
  """Where a user's caches are, by the XDG specification."""
  named = Path(os.environ.get('XDG_CACHE_HOME', ''))
  return named if named.is_absolute() else Path.home() / '.cache'
