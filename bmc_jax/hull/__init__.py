"""Convex hulls in the (flexion, abduction) plane: distance and fitting (paper 3.1)."""

from bmc_jax.hull.distance import DISTANCES, angle_distance, hull_distance
from bmc_jax.hull.fitting import (
  MIN_WIDTH,
  ROUNDING,
  check_options,
  fit_hull,
  polygon_area,
)

__all__ = [
  'DISTANCES',
  'MIN_WIDTH',
  'ROUNDING',
  'angle_distance',
  'check_options',
  'fit_hull',
  'hull_distance',
  'polygon_area',
]
