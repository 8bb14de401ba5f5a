"""Files of an experiment that do not belong together, as after some were copied."""

import math

import numpy as np
from absl import logging

from bmc_jax.report.load import Experiment, Group, Row

_AGREE = 1e-3  # of the error
_NEAR_PX = 1e-2


def warn_of_other_hands(experiment: Experiment) -> None:
  """Warns of predictions that are not those of the figures, or of other test hands."""
  for group in experiment.groups:
    _warn_of_other_figures(group)
    rows = group.predicted
    for row in rows[1:]:
      if not _same_hands(rows[0], row):
        logging.warning(
          'the rows %s and %s were tested on other hands, so their figures cannot be '
          'compared: train both in one --workdir',
          *(rows[0].name, row.name),
        )


def _warn_of_other_figures(group: Group) -> None:
  for row in group.predicted:
    told = (row.metrics or {}).get('epe_mm', math.nan)
    counted = row.visible_3d
    if counted.shape != row.errors.shape or not counted.any():
      continue
    measured = float(row.errors[counted].mean())
    if not math.isnan(told) and not abs(measured - told) <= _AGREE * abs(told):
      logging.warning(
        'the row %s: results.json tells an EPE of %.2f mm, but its predictions have '
        'one of %.2f mm: one of the two files is of another training or test set',
        *(row.name, told, measured),
      )


def _same_hands(row: Row, other: Row) -> bool:
  assert row.predictions is not None and other.predictions is not None
  old, new = (
    row.predictions['keypoints_2d_true'],
    other.predictions['keypoints_2d_true'],
  )
  return old.shape == new.shape and np.allclose(
    old, new, rtol=0, atol=_NEAR_PX, equal_nan=True
  )
