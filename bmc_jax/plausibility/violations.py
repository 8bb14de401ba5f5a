"""By how much hands break limits, bone by bone: what the penalties add up.

Unlike `constraints`, which serves training, this keeps the parts apart (curvatures and
angles of the palm), counts, and takes hands in any unit.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from bmc_jax import constraints, geometry, kinematics
from bmc_jax.limits import HandLimits
from bmc_jax.limits.scale_fit import fit_scale
from bmc_jax.limits.types import REFERENCE_UNIT
from bmc_jax.skeleton import FINGERS, Array, check_joints

TOLERANCE = 1e-4
"""Reference bones, their inverse, or radians: up to this a value counts as within its
limit, since hands and limits are rounded to float32."""

_THUMB_CHAIN = ('wrist', 'CMC', 'MCP', 'IP', 'tip')
_FINGER_CHAIN = ('wrist', 'MCP', 'PIP', 'DIP', 'tip')
_CHAINS = (_THUMB_CHAIN,) + 4 * (_FINGER_CHAIN,)
NAMES = {
  'bone_lengths': np.array(
    [
      [f'{finger} {chain[b]}-{chain[b + 1]} length' for b in range(4)]
      for finger, chain in zip(FINGERS, _CHAINS, strict=True)
    ]
  ),
  'curvatures': np.array(
    [f'palm curvature {FINGERS[i]}-{FINGERS[i + 1]}' for i in range(4)]
  ),
  'root_angles': np.array(
    [f'palm angle {FINGERS[i]}-{FINGERS[i + 1]}' for i in range(4)]
  ),
  'joint_angles': np.array(
    [
      [f'{finger} {joint} joint' for joint in chain[1:4]]
      for finger, chain in zip(FINGERS, _CHAINS, strict=True)
    ]
  ),
}
"""What people call the limits, in the layout of `Violations`."""

GROUPS = {
  'bone_lengths': 'bone lengths',
  'curvatures': 'palm curvatures',
  'root_angles': 'palm angles',
  'joint_angles': 'joint angles',
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Violations:
  """How far hands are outside their limits; 0 within them, NaN for hands with NaN or
  of no size.

  Attributes:
    scale: (*b,) length of the reference bone at the hand's size, in the joints' unit.
    bone_lengths: (*b, 5, 4) in reference bones; negative if a bone is too short.
    curvatures: (*b, 4) in 1 / reference bone; negative if the palm is too hollow.
    root_angles: (*b, 4) radians; negative if root bones are too close.
    joint_angles: (*b, 5, 3) radians, the distance to the hull.
  """

  scale: Float[Array, '*b']
  bone_lengths: Float[Array, '*b 5 4']
  curvatures: Float[Array, '*b 4']
  root_angles: Float[Array, '*b 4']
  joint_angles: Float[Array, '*b 5 3']

  @property
  def judged(self) -> Bool[np.ndarray, '*b']:
    """Which hands were judged: all but those with NaN and those of no size."""
    return np.asarray(np.isfinite(self.scale))

  def broken(self) -> dict[str, Bool[np.ndarray, '...']]:
    """Which limits are broken, by group; never for hands that are not judged."""
    return {name: np.abs(getattr(self, name)) > TOLERANCE for name in NAMES}

  def within(self) -> dict[str, Bool[np.ndarray, '*b']]:
    """Which hands keep all limits of each group; NaN keeps none."""
    batch = np.ndim(self.scale)
    return {
      name: np.asarray(self.judged & ~b.any(axis=tuple(range(batch, b.ndim))))
      for name, b in self.broken().items()
    }


def measure_violations(
  joints_3d: Float[Array, '*b 21 3'],
  limits: HandLimits,
  scale: Float[Array, '*b'] | None = None,
) -> Violations:
  """How far hands are outside their limits (paper section 3.1), on the host.

  Args:
    joints_3d: (*b, 21, 3) canonical right-hand joints in any unit.
    limits: in units of the reference bone.
    scale: (*b,) length of the reference bone that counts, in the unit of the joints.
      None fits it to all bones, so that a wrong reference bone is found like any other:
      `scale_fit.fit_scale`. Hands whose scale is 0 become NaN.

  Raises:
    ValueError: joints of another shape, or limits for another order, for left hands or
      in another unit.
  """
  check_joints(joints_3d, 'joints_3d')
  limits.metadata.check_fits_canonical_right_hands()
  if limits.metadata.unit != REFERENCE_UNIT:
    raise ValueError(
      f'These limits are in {limits.metadata.unit!r}, but hands are compared in units '
      f'of the reference bone ({REFERENCE_UNIT!r}).'
    )
  joints = np.asarray(joints_3d, np.float64)
  joints = joints - joints[..., :1, :]  # in float32 a far wrist would cost digits
  extent = np.abs(joints).max(axis=(-1, -2))
  with np.errstate(divide='ignore', invalid='ignore'):
    joints = (joints / extent[..., None, None]).astype(np.float32)
    given = None if scale is None else (scale / extent).astype(np.float32)
  found = jax.tree.map(np.asarray, _measure(joints, limits, given))
  valid = found.scale > 0  # not for NaN
  found = jax.tree.map(lambda values: _nan_unless(valid, values), found)
  return dataclasses.replace(found, scale=extent * found.scale)


@jax.jit
def _measure(joints, limits, scale):
  scale = fit_scale(joints, limits) if scale is None else scale
  joints = geometry.safe_divide(joints, scale[..., None, None])

  def outside(value, bounds):
    bounds = [
      jnp.broadcast_to(jnp.asarray(b, value.dtype), value.shape) for b in bounds
    ]
    return value - jnp.clip(value, *bounds)

  return Violations(
    scale=scale,
    bone_lengths=outside(kinematics.bone_lengths(joints), limits.bone_lengths),
    curvatures=outside(kinematics.root_bone_curvatures(joints), limits.curvatures),
    root_angles=outside(kinematics.root_bone_angles(joints), limits.root_angles),
    joint_angles=constraints.joint_angle_penalty(joints, limits),
  )


def _nan_unless(valid, values):
  """Values of hands (*b, ...) with NaN for those that are not valid (*b,)."""
  return np.where(
    valid.reshape(valid.shape + (1,) * (values.ndim - valid.ndim)), values, np.nan
  )
