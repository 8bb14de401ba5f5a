"""The One-Euro filter (Casiez, Roussel, Vogel, CHI 2012), for all joints at once."""

import math

import numpy as np


class OneEuroFilter:
  """Smooths a signal: much while it rests, little while it moves fast.

      y_t = y_(t-1) + a (x_t - y_(t-1)),   a = 1 / (1 + 1 / (2 pi cutoff dt)),
      cutoff = min_cutoff + beta |dy/dt|

  over the time dt since the value before. The speed is itself smoothed with the cutoff
  `speed_cutoff`.
  """

  def __init__(
    self,
    *,
    min_cutoff: float = 1.5,
    beta: float = 8.0,
    speed_cutoff: float = 1.0,
  ):
    """Starts without a past.

    Args:
      min_cutoff: in hertz, for a signal at rest: smaller is smoother.
      beta: hertz per unit of speed (of joints in metres: per metre a second): larger
        lags less.
      speed_cutoff: in hertz.

    Raises:
      ValueError: a value is not positive.
    """
    if min(min_cutoff, speed_cutoff) <= 0 or beta < 0:
      raise ValueError('min_cutoff and speed_cutoff must be above 0, beta not less.')
    self._min_cutoff, self._beta = min_cutoff, beta
    self._speed_cutoff = speed_cutoff
    self._value: np.ndarray | None = None
    self._speed: np.ndarray | None = None
    self._seconds = -math.inf

  def __call__(self, value: np.ndarray, seconds: float) -> np.ndarray:
    """The next smoothed value.

    Args:
      value: (..., 3); each point has one speed.
      seconds: at which it was, later than the one before.

    Raises:
      ValueError: it is not later.
    """
    step = seconds - self._seconds
    if not step > 0:
      raise ValueError(
        f'The value at {seconds} s comes after that at {self._seconds} s.'
      )
    self._seconds = seconds
    value = np.asarray(value, np.float64)
    if self._value is None or self._speed is None:
      self._value, self._speed = value, np.zeros_like(value)
      return value
    speed = (value - self._value) / step
    self._speed += _weight(self._speed_cutoff, step) * (speed - self._speed)
    norm = np.linalg.norm(self._speed, axis=-1, keepdims=True)
    weight = _weight(self._min_cutoff + self._beta * norm, step)
    smoothed = self._value + weight * (value - self._value)
    self._value = smoothed
    return smoothed


def _weight(cutoff, step):
  return 1 / (1 + 1 / (2 * math.pi * cutoff * step))
