"""Arrays as JSON, which knows neither NaN nor infinity."""

import numpy as np
from numpy.typing import ArrayLike


def to_lists(values: ArrayLike, digits: int) -> list:
  """Nested lists of numbers, None in place of those that are not finite.

  Args:
    values: numbers of any shape but ().
    digits: behind the decimal point.
  """
  array = np.round(np.asarray(values, np.float64), digits)
  lists = array.astype(object)
  lists[~np.isfinite(array)] = None
  return lists.tolist()
