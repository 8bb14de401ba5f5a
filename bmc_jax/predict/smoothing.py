"""The One-Euro filter (Casiez, Roussel, Vogel, CHI 2012), for all joints at once."""

import math

import numpy as np


class OneEuroFilter:
  """Smooths a signal: much while it rests, little while it moves fast.

      y_t = y_(t-1) + a (x_t - y_(t-1)),   a = 1 / (1 + rate / (2 pi cutoff)),
      cutoff = min_cutoff + beta |dy/dt|

  The speed is itself smoothed with the cutoff `speed_cutoff`.
  """

  def __init__(
    self,
    rate: float,
    *,
    min_cutoff: float = 1.5,
    beta: float = 8.0,
    speed_cutoff: float = 1.0,
  ):
    """Starts without a past.

    Args:
      rate: samples per second.
      min_cutoff: in hertz, for a signal at rest: smaller is smoother.
      beta: hertz per unit of speed (of joints in metres: per metre a second): larger
        lags less.
      speed_cutoff: in hertz.

    Raises:
      ValueError: a value is not positive.
    """
    if min(rate, min_cutoff, speed_cutoff) <= 0 or beta < 0:
      raise ValueError(
        'rate, min_cutoff and speed_cutoff must be above 0, beta not less.'
      )
    self._rate, self._min_cutoff, self._beta = rate, min_cutoff, beta
    self._speed_cutoff = speed_cutoff
    self._value: np.ndarray | None = None
    self._speed: np.ndarray | None = None

  def __call__(self, value: np.ndarray) -> np.ndarray:
    """The next smoothed value; each point (..., 3) has one speed."""
    value = np.asarray(value, np.float64)
    if self._value is None or self._speed is None:
      self._value, self._speed = value, np.zeros_like(value)
      return value
    speed = (value - self._value) * self._rate
    self._speed += self._weight(self._speed_cutoff) * (speed - self._speed)
    norm = np.linalg.norm(self._speed, axis=-1, keepdims=True)
    weight = self._weight(self._min_cutoff + self._beta * norm)
    smoothed = self._value + weight * (value - self._value)
    self._value = smoothed
    return smoothed

  def _weight(self, cutoff):
    return 1 / (1 + self._rate / (2 * math.pi * cutoff))
