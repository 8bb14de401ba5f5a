"""A self-contained HTML page that shows the results of an experiment.

`write_report` needs the `viz` extra (matplotlib).
"""

from bmc_jax.report.page import write_report

__all__ = ['write_report']
