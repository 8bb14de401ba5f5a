"""3D hand pose from one RGB image, with biomechanical constraints, in JAX.

Nothing is imported here: `from bmc_jax import constraints, limits` needs only JAX,
NumPy, SciPy and jaxtyping; models, data and training need the `train` extra.
"""

import pathlib
import sys

__version__ = '0.1.0'

# Only for `python -m bmc_jax.COMMAND`, while that module is looked for: Ctrl-C while it
# is imported ends in a sentence, too.
if sys.argv[:1] == ['-m'] and any(arg.startswith('bmc_jax.') for arg in sys.orig_argv):
  from bmc_jax.console import interrupts

  interrupts.begin()

# `bmc_jax.configs` and `bmc_jax.data_prep` lie inside an installed package, but at the
# top of the repository, where people look for what they want to change.
_REPOSITORY = pathlib.Path(__file__).parent.parent
if (_REPOSITORY / 'pyproject.toml').is_file():
  __path__.append(str(_REPOSITORY))
