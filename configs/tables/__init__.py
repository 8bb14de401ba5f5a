"""The trainings that the paper's tables and figures ask for, on four kinds of data.

Each module has a config with one row for each training, made by `rows.add_rows`. Which
of them a table shows is told by `bmc_jax.experiments.catalogue`:

    bmc-jax experiments table4 --data poses --seeds 0,1,2
"""
