"""The nearest plausible hand to noisy joints: `bmc-jax repair`.

Not part of the pure core, since it needs optax (the extra `repair`).
"""

from bmc_jax.repair.nearest import KEEP, WEIGHTS, Repaired, repair

__all__ = ['KEEP', 'WEIGHTS', 'Repaired', 'repair']
