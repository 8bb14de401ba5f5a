"""The limits of a hand as data: a pytree of ranges and hulls."""

import dataclasses
import numbers
import operator

import jax
import numpy as np
from jaxtyping import Float

from bmc_jax.kinematics import FRAMES
from bmc_jax.limits import checks
from bmc_jax.pose25d import REFERENCE
from bmc_jax.skeleton import JOINT_ORDERS, Array

REFERENCE_UNIT = 'reference bone'
HANDEDNESS = ('right', 'left')


@dataclasses.dataclass(frozen=True)
class LimitsMetadata:
  """Where limits come from and what they apply to.

  Where they come from (`source`, `coverage`, `num_poses`) is no part of what is
  compared: limits of two subjects are trees of one structure for JAX, share a compiled
  program and can be stacked. So what a jitted function returns carries the source of
  the limits that it was compiled with.

  Attributes:
    unit: unit of lengths; curvatures are in its inverse.
    reference: the two joints of the reference bone.
    joint_order: a key of `skeleton.JOINT_ORDERS`.
    handedness: 'right' or 'left'.
    source: free text: dataset, subjects, literature.
    coverage: least share of the source's values that each limit admits.
    num_poses: how many poses they were fitted on; 0 if not fitted.
    frames: in which the hulls' angles are measured, see `kinematics.bone_frames`.

  Raises:
    ValueError: an entry of another type or an unknown name.
  """

  unit: str = REFERENCE_UNIT
  reference: tuple[int, int] = REFERENCE
  joint_order: str = 'canonical'
  handedness: str = 'right'
  source: str = dataclasses.field(default='', compare=False)
  coverage: float = dataclasses.field(default=1.0, compare=False)
  num_poses: int = dataclasses.field(default=0, compare=False)
  frames: str = 'sequential'

  def __post_init__(self):
    _check_choice('joint_order', self.joint_order, tuple(JOINT_ORDERS))
    _check_choice('handedness', self.handedness, HANDEDNESS)
    _check_choice('frames', self.frames, FRAMES)
    for name in ('unit', 'source'):
      if not isinstance(getattr(self, name), str):
        raise ValueError(f'{name} is {getattr(self, name)!r:.60}, but text is needed.')
    plain = {
      'reference': checks.as_reference(self.reference),
      'coverage': _as_share(self.coverage),
      'num_poses': _as_count(self.num_poses),
    }
    for name, value in plain.items():
      object.__setattr__(self, name, value)

  def check_fits_canonical_right_hands(self) -> None:
    """Raises ValueError if the limits are for another joint order or for left hands."""
    if self.joint_order != 'canonical':
      raise ValueError(
        f'These limits are for the joint order {self.joint_order!r}, but the '
        "constraints work on 'canonical' joints: fit them on reordered joints."
      )
    if self.handedness != 'right':
      raise ValueError(
        f'These limits are for {self.handedness!r} hands, but the constraints work on '
        'right hands: fit them on mirrored joints (bmc_jax.skeleton.mirror).'
      )

  @property
  def unit_bone(self) -> tuple[int, int] | None:
    """The joints of the bone that lengths are measured in; None for another unit."""
    return self.reference if self.unit == REFERENCE_UNIT else None

  def check_reference(self, reference: tuple[int, int] | None) -> None:
    """Raises ValueError if the limits are not in the unit of the joints.

    Args:
      reference: the bone that the joints were divided by; None if they were not.
    """
    joints = None if reference is None else tuple(reference)
    if joints != self.unit_bone:
      raise ValueError(
        f'The limits are in the unit {self.unit!r} with the reference bone '
        f'{self.reference}, but the joints are '
        + (f'in reference bones {joints}' if joints else 'not in reference bones')
        + ': fit the limits anew, or name the right reference.'
      )


def _check_choice(name, value, choices):
  if value not in choices:
    raise ValueError(f'{name} is {value!r:.60}; choose one of {choices}.')


def _as_share(value) -> float:
  share = float(value) if isinstance(value, numbers.Real) else np.nan
  if not 0 < share <= 1:
    raise ValueError(f'coverage is {value!r:.60}, but a share in (0, 1] is needed.')
  return share


def _as_count(value) -> int:
  try:
    count = operator.index(value)
  except TypeError:
    count = -1
  if count < 0:
    raise ValueError(f'num_poses is {value!r:.60}, but a whole number is needed.')
  return count


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, eq=False)
class HandLimits:
  """Ranges and hulls of plausible right hands.

  Arrays are checked where a person makes limits, also with `dataclasses.replace`; what
  JAX makes of them (`jax.tree.map`, `jax.vmap`) may have any leaves. Infinite bounds
  leave a range open. Limits are equal if their numbers and metadata are, but for the
  source in these.

  Attributes:
    bone_lengths: (2, 5, 4) least and largest length of each bone.
    curvatures: (2, 4) least and largest palm curvature, 1 / unit.
    root_angles: (2, 4) least and largest angle between root bones, radians.
    hulls: (5, 3, v, 2) convex polygons in (flexion, abduction), radians.
    metadata: unit, reference bone, source.

  Raises:
    ValueError: arrays of another shape, bounds that are not in order, or hulls that are
      not convex and counter-clockwise.
  """

  bone_lengths: Float[Array, '2 5 4']
  curvatures: Float[Array, '2 4']
  root_angles: Float[Array, '2 4']
  hulls: Float[Array, '5 3 v 2']
  metadata: LimitsMetadata = LimitsMetadata()

  def __post_init__(self):
    checks.check_leaves(self._leaves())

  def _leaves(self):
    return {name: getattr(self, name) for name in checks.SHAPES}

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, HandLimits):
      return NotImplemented
    return self.metadata == other.metadata and all(
      np.array_equal(leaf, getattr(other, name))
      for name, leaf in self._leaves().items()
    )

  def __hash__(self) -> int:
    return hash((self.metadata, np.shape(self.hulls)))

  def tree_flatten_with_keys(self):
    keys = (jax.tree_util.GetAttrKey(name) for name in checks.SHAPES)
    return tuple(zip(keys, self._leaves().values(), strict=True)), self.metadata

  @classmethod
  def tree_unflatten(cls, metadata, leaves):
    limits = object.__new__(cls)  # unchecked
    values = dict(zip(checks.SHAPES, leaves, strict=True), metadata=metadata)
    for name, value in values.items():
      object.__setattr__(limits, name, value)
    return limits


def as_boxes(limits: HandLimits) -> HandLimits:
  """The same limits with the bounding box of each hull in place of the hull.

  That is an independent range of flexion and of abduction for each bone, the baseline
  of the paper's Table 5. A hull across a flexion of pi is stored beyond pi, in one
  piece, and so is its box.

  Args:
    limits: with hulls (5, 3, v, 2).

  Returns:
    Limits with hulls (5, 3, 4, 2), counter-clockwise.
  """
  low, high = limits.hulls.min(axis=-2), limits.hulls.max(axis=-2)
  low, high = low[..., None, :], high[..., None, :]
  is_high = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
  is_high = is_high.reshape((1,) * (low.ndim - 2) + is_high.shape)
  return dataclasses.replace(limits, hulls=low * (1 - is_high) + high * is_high)
