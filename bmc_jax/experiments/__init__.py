"""The paper's experiments: every table and figure is a command.

    python -m bmc_jax.experiments table4 --data poses --seeds 0,1,2

`catalogue` says what each shows, `configs.tables` what is trained for it.
"""
