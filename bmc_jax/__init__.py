"""3D hand pose from one RGB image, with biomechanical constraints, in JAX.

Nothing is imported here: `from bmc_jax import constraints, limits` needs only JAX,
NumPy, SciPy and jaxtyping; models, data and training need the `train` extra.
"""

import os
import sys

__version__ = '0.1.0'

# Only for commands, `bmc-jax` and `python -m bmc_jax.COMMAND` (while that module is
# looked for): Ctrl-C while libraries are imported ends in a sentence, too. Until that
# is ready it ends the process without one.
if os.path.basename(sys.argv[0] if sys.argv else '') in ('bmc-jax', 'bmc-jax.exe') or (
  sys.argv[:1] == ['-m'] and any(arg.startswith('bmc_jax.') for arg in sys.orig_argv)
):
  import signal

  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
  from bmc_jax.console import interrupts

  interrupts.begin()

# `bmc_jax.configs` and `bmc_jax.data_prep` lie inside an installed package, but at the
# top of the repository, where people look for what they want to change.
_REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_REPOSITORY, 'pyproject.toml')):
  __path__.append(_REPOSITORY)
