"""What is wrong with hands, in units and words that people read."""

import dataclasses
import functools

import numpy as np

from bmc_jax.joint_files.flags import Poses
from bmc_jax.limits import HandLimits
from bmc_jax.plausibility import violations

NAMES = np.concatenate([names.ravel() for names in violations.NAMES.values()])
"""What the 43 limits are called."""


@dataclasses.dataclass(frozen=True)
class Judgement:
  """Hands, and by how much they break which of the 43 limits.

  Attributes:
    poses: the hands, as they were read.
    found: in reference bones and radians.
  """

  poses: Poses
  found: violations.Violations

  @functools.cached_property
  def broken(self) -> np.ndarray:
    """(N, 43) which limits are broken."""
    return _flat(self.found.broken())

  @functools.cached_property
  def sizes(self) -> np.ndarray:
    """(N, 43) by how much, in reference bones, their inverse or radians; at least 0."""
    values = {name: np.abs(getattr(self.found, name)) for name in violations.NAMES}
    return np.where(self.broken, _flat(values), 0)

  def worst(self) -> np.ndarray:
    """The hands that break limits: those first whose violations sum up to most."""
    totals = self.sizes.sum(axis=1)
    order = np.argsort(-totals, kind='stable')
    return order[totals[order] > 0]

  def describe(self, hand: int) -> list[str]:
    """What is wrong with one hand, one phrase a limit, the largest violation first."""
    order = np.argsort(-self.sizes[hand], kind='stable')
    return [
      f'{NAMES[limit]} {self._amount(hand, limit)}'
      for limit in order[: self.broken[hand].sum()]
    ]

  def table(self) -> list[list[str]]:
    """A heading, and each limit that is broken, the most frequent first."""
    counts = self.broken.sum(axis=0)
    total = max(int(self.found.judged.sum()), 1)
    rows = [['limit', 'broken by', 'median excess', 'largest']]
    for limit in np.argsort(-counts, kind='stable')[: np.count_nonzero(counts)]:
      excess, unit = self.excess[limit]
      sizes = np.abs(excess[self.broken[:, limit]])
      hand = int(np.argmax(np.where(self.broken[:, limit], np.abs(excess), -1)))
      rows.append(
        [
          str(NAMES[limit]),
          f'{counts[limit]} ({counts[limit] / total:.1%})',
          f'{np.median(sizes):.3g}{unit}',
          f'{self._amount(hand, limit)} (hand {hand})',
        ]
      )
    return rows

  def _amount(self, hand: int, limit: int) -> str:
    excess, unit = self.excess[limit]
    return f'{excess[hand]:+.3g}{unit}'

  @functools.cached_property
  def excess(self) -> list[tuple[np.ndarray, str]]:
    """By limit: (N,) how far hands are outside, with a sign, and its unit."""
    scale = self.found.scale
    degrees = np.full_like(scale, 180 / np.pi), '°'
    if self.poses.millimetres:
      length, curvature = (scale, ' mm'), (1e3 / scale, ' 1/m')
    else:
      length = np.full_like(scale, 100), ' % of the reference bone'
      curvature = np.ones_like(scale), ' / reference bone'
    units = {
      'bone_lengths': length,
      'curvatures': curvature,
      'root_angles': degrees,
      'joint_angles': degrees,
    }
    return [
      (factor * values, unit)
      for name, (factor, unit) in units.items()
      for values in _flat({name: getattr(self.found, name)}).T
    ]

  def summary(self) -> str:
    """How many hands keep all limits, in a few sentences."""
    judged = int(self.found.judged.sum())
    within = int(np.sum(self.found.judged & ~self.broken.any(axis=1)))
    without = int(np.sum(self.poses.complete & ~self.found.judged))
    verb = 'is' if without == 1 else 'are'
    flat = (
      f' {without} of no size (all joints at one place) {verb} not judged.'
      if without
      else ''
    )
    share = f' ({within / judged:.1%})' if judged else ''
    kept = f'{within} of {judged} hands{share} keep all limits.'
    if not judged:
      kept = 'No hand could be judged.'
    return f'{self.poses.describe()}{flat} {kept}'


def judge(poses: Poses, limits: HandLimits) -> Judgement:
  """Compares hands with limits."""
  return Judgement(poses, violations.measure_violations(poses.joints_3d, limits))


def _flat(values):
  """(N, limits) of arrays (N, ...) in the order of `NAMES`."""
  return np.concatenate([v.reshape(len(v), -1) for v in values.values()], axis=1)
