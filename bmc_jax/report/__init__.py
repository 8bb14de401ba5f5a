"""Self-contained HTML pages: of an experiment, of limits, of hands, and the viewer.

`write_report` and what draws curves need the `viz` extra (matplotlib).
"""

from bmc_jax.console.lazy import hand_on

__getattr__, __all__ = hand_on(
  __name__,
  {
    'page': ('write_report',),
    'viewer_page': ('ViewedHand', 'write_viewer_page'),
  },
)
