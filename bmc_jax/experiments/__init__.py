"""Experiments: the rows of a config, and every table and figure of the paper.

    bmc-jax experiments table4 --data poses --seeds 0,1,2

`rows` trains and tests what a config names. `catalogue` says what each table shows, and
`bmc_jax.configs.tables` what is trained for it.
"""

from bmc_jax.console.lazy import hand_on

__getattr__, __all__ = hand_on(
  __name__, {'rows': ('finished_rows', 'run_experiment', 'run_rows')}
)
