"""Which hands break which limits, and by how much: `bmc-jax plausibility`."""

from bmc_jax.plausibility.judgement import Judgement, judge
from bmc_jax.plausibility.violations import Violations, measure_violations

__all__ = ['Judgement', 'Violations', 'judge', 'measure_violations']
