"""Compiled programs outlive the process: a second run starts in seconds."""

import os
from pathlib import Path

import jax


def enable() -> None:
  """Lets JAX keep what it compiles in a folder of the user's.

  JAX_COMPILATION_CACHE_DIR and JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS win, where
  they are set, and JAX_ENABLE_COMPILATION_CACHE=0 turns it off.
  """
  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    caches = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    jax.config.update('jax_compilation_cache_dir', str(caches / 'bmc_jax' / 'jax'))
  if 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS' not in os.environ:
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
