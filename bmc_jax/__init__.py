"""3D hand pose from one RGB image, with biomechanical constraints, in JAX.

Nothing is imported here: `from bmc_jax import constraints, limits` needs only JAX,
NumPy, SciPy and jaxtyping; models, data and training need the `train` extra.
"""

__version__ = '0.1.0'
