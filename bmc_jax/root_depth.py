"""The root depth of a 2.5D hand (paper section 3.2; Iqbal et al., ECCV 2018).

Along its viewing rays a 2.5D hand grows with the root depth, and the length of each
bone gives a quadratic equation for it. The paper solves the one of a reference bone,
whose length is 1. Where ranges of all bones' lengths are known, from limits say, they
tell which root is the hand, or give the depth by least squares, which noise in one
bone does not upset.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bmc_jax import geometry, kinematics
from bmc_jax.skeleton import NUM_JOINTS, Array, as_float, check_joints, is_joint

REFERENCE = (9, 10)
"""The reference bone: middle MCP -> PIP, the one of FreiHAND's `scale` files."""

METHODS = ('larger_root', 'likelier_root', 'all_bones')

_MIN_RAY_DISTANCE_SQUARED = 1e-10
"""Under 0.006 px at a focal length of 600 px the reference bone has no direction."""

_NUM_STEPS = 10
_MIN_LEVERAGE = 0.01
"""Least share of the bones' squared extent in the image that a step is divided by."""


class RootDepth(NamedTuple):
  """The recovered root depth, and how far to trust it.

  Attributes:
    value: (*b,) root depth in reference bones.
    coefficients: (*b, 3) a, b, c of the quadratic.
    discriminant: (*b,) b^2 - 4ac; negative if no hand fits (it is clamped to 0).
    conditioning: (*b,) about the squared sine of the angle between the reference
      bone and the viewing ray: 1 if the bone lies parallel to the image, 0 if it
      points at the camera. A relative error e of the bone's length becomes a
      relative error of about e / conditioning of the depth.
  """

  value: Float[Array, '*b']
  coefficients: Float[Array, '*b 3']
  discriminant: Float[Array, '*b']
  conditioning: Float[Array, '*b']


def check_reference(reference: tuple[int, ...], count: int = NUM_JOINTS) -> None:
  """Raises ValueError unless these are two different ones of `count` joints."""
  are_joints = all(is_joint(joint, count) for joint in reference)
  if not are_joints or len(reference) != 2 or reference[0] == reference[1]:
    raise ValueError(
      f'reference is two different joints of 0 to {count - 1}, not {reference}.'
    )


def solve_root_depth(
  keypoints_2d: Float[Array, '*b 21 2'],
  relative_depth: Float[Array, '*b 21'],
  intrinsics: Float[Array, '*b 3 3'],
  *,
  reference: tuple[int, int] = REFERENCE,
  bounds: tuple[float, float] | None = None,
  method: str | None = None,
  bone_lengths: Float[Array, '2 5 4'] | None = None,
) -> RootDepth:
  """Depth of the root joint at which the hand's bones have the lengths they should.

  With the rays r_k of the keypoints and the relative depths z_k, the length 1 of the
  reference bone (n, m) gives `a Z^2 + b Z + c = 0` (paper section 3.2) with

      a = |r_n - r_m|^2
      b = 2 (r_n - r_m) . (r_n z_n - r_m z_m)
      c = |r_n z_n - r_m z_m|^2 + (z_n - z_m)^2 - 1

  The methods, of which the first is the paper's:

  - `larger_root` of this equation.
  - `likelier_root`: the root at which the 20 bones' lengths l_i(Z) lie less outside
    their ranges, in sum; the smaller one only if it puts all joints before the camera.
  - `all_bones`: the least squares solution `min_Z sum_i I(l_i(Z); min_i, max_i)^2`,
    where I says how far a length lies outside its range, by Gauss-Newton steps. They
    start from the larger root of another quadratic: there the squared lengths of all
    bones add up to those of bones in the middle of their ranges.

  Args:
    keypoints_2d: (*b, 21, 2) pixels.
    relative_depth: (*b, 21) in reference bones.
    intrinsics: (*b, 3, 3).
    reference: the two joints n, m of the reference bone. `all_bones` does not need
      it.
    bounds: the least and largest depth to return, in reference bones (a hand at
      arm's length is about 10 to 30 away); None leaves the value as it is.
    method: one of `METHODS`; None is `all_bones` if there are bone lengths, else
      `larger_root`.
    bone_lengths: (2, 5, 4) least and largest length of each bone, in reference bones:
      `limits.bone_lengths`. `larger_root` does not need them.

  Returns:
    `RootDepth`. Value and gradient are finite for rays and depths up to 1e6 in size
    (in float32): a negative discriminant counts as 0, and where the two keypoints (for
    `all_bones` all of them) coincide the root is put at 0 (or at the nearest bound).

  Raises:
    ValueError: an argument of another shape, a reference that is no two joints, bounds
      that are none, an unknown method, or one without the bone lengths that it needs.
  """
  keypoints_2d, relative_depth = as_float(keypoints_2d), as_float(relative_depth)
  check_joints(keypoints_2d, 'keypoints_2d', last=2)
  geometry.check_depth(relative_depth, 'relative_depth', keypoints_2d.shape[:-1])
  check_reference(reference)
  intrinsics = as_float(intrinsics)
  geometry.check_points(keypoints_2d, 'keypoints_2d', 2, intrinsics)
  if bounds is not None and not 0 <= bounds[0] < bounds[1]:
    raise ValueError(f'bounds are the least and the largest depth, not {bounds}.')
  if method is None:
    method = 'larger_root' if bone_lengths is None else 'all_bones'
  _check_method(method, bone_lengths)

  pose = keypoints_2d, relative_depth, intrinsics
  ranges = None
  if bone_lengths is not None:
    ranges = jnp.asarray(bone_lengths, relative_depth.dtype)
  if method == 'all_bones':
    bones = _bones_of(*pose)
    quadratic = _pooled_quadratic(bones, ranges)
    value = _least_squares(bones, ranges, quadratic)
  else:
    quadratic = _reference_quadratic(*pose, reference)
    value = quadratic.vertex + quadratic.half_distance
    if method == 'likelier_root':
      bones = _bones_of(*pose)
      smaller = quadratic.vertex - quadratic.half_distance
      # Behind the camera there is nearly the same hand once more, mirrored.
      is_seen = smaller > -jnp.min(relative_depth, axis=-1)
      fits_better = bones.excess(smaller, ranges) < bones.excess(value, ranges)
      value = jnp.where(is_seen & fits_better, smaller, value)
  if bounds is not None:
    value = jnp.clip(value, *bounds)
  quarter = quadratic.quarter_discriminant
  return RootDepth(
    value, quadratic.coefficients, 4 * quarter, value * geometry.safe_sqrt(quarter)
  )


class _Quadratic(NamedTuple):
  """A quadratic equation for the root depth, with roots `vertex` +- `half_distance`."""

  coefficients: Float[Array, '*b 3']
  quarter_discriminant: Float[Array, '*b']
  vertex: Float[Array, '*b']
  half_distance: Float[Array, '*b']


def _reference_quadratic(keypoints_2d, relative_depth, intrinsics, reference):
  """The equation of the reference bone.

  The textbook form loses its digits in float32, since b^2 and 4ac nearly cancel. With
  d = r_n - r_m and h = z_n - z_m, the vector r_n z_n - r_m z_m is d z_n + h r_m, so
  that a quarter of the discriminant is

      D/4 = a (1 - h)(1 + h) - h^2 (d x r_m)^2

  and nothing large is subtracted.
  """
  n, m = reference
  # The difference of pixels is exact in floating point, that of rays is not.
  d = geometry.pixels_to_rays(
    keypoints_2d[..., n : n + 1, :] - keypoints_2d[..., m : m + 1, :], intrinsics
  )[..., 0, :]
  r_m = geometry.camera_rays(keypoints_2d[..., m : m + 1, :], intrinsics)[..., 0, :]
  z_n = relative_depth[..., n]
  h = z_n - relative_depth[..., m]

  a = jnp.sum(d * d, axis=-1)
  d_dot_r = jnp.sum(d * r_m, axis=-1)
  d_cross_r = d[..., 0] * r_m[..., 1] - d[..., 1] * r_m[..., 0]
  w = d * z_n[..., None] + h[..., None] * r_m
  b = 2 * jnp.sum(d * w, axis=-1)
  c = jnp.sum(w * w, axis=-1) + h * h - 1

  quarter = a * (1 - h) * (1 + h) - (h * d_cross_r) ** 2
  undefined = a <= _MIN_RAY_DISTANCE_SQUARED
  divisor = jnp.where(undefined, 1, a)
  vertex = jnp.where(undefined, 0 * h, -h * d_dot_r / divisor - z_n)  # or NaN
  half_distance = jnp.where(undefined, 0, geometry.safe_sqrt(quarter) / divisor)
  return _Quadratic(jnp.stack([a, b, c], -1), quarter, vertex, half_distance)


class _Bones(NamedTuple):
  """The 20 bones as functions of the root depth Z: `growth` Z + `offset`."""

  growth: Float[Array, '*b 5 4 3']
  offset: Float[Array, '*b 5 4 3']

  def at(self, root_depth):
    return self.growth * root_depth[..., None, None, None] + self.offset

  def excess(self, root_depth, ranges):
    """How far all lengths together lie outside their ranges (2, 5, 4)."""
    lengths = geometry.safe_norm(self.at(root_depth))
    return jnp.sum(jnp.abs(_excess(lengths, ranges)), axis=(-1, -2))


def _bones_of(keypoints_2d, relative_depth, intrinsics) -> _Bones:
  rays = geometry.camera_rays(keypoints_2d, intrinsics)
  flat = jnp.concatenate([rays, jnp.zeros_like(rays[..., :1])], axis=-1)
  hand = geometry.backproject(keypoints_2d, relative_depth, intrinsics)
  return _Bones(kinematics.bone_vectors(flat), kinematics.bone_vectors(hand))


def _excess(lengths, ranges):
  """Signed distance (*b, 5, 4) of lengths to their ranges (2, 5, 4); 0 inside."""
  least, largest = (jnp.broadcast_to(bound, lengths.shape) for bound in ranges)
  return lengths - jnp.clip(lengths, least, largest)


def _pooled_quadratic(bones: _Bones, ranges) -> _Quadratic:
  """`sum_i |g_i Z + o_i|^2 = sum_i t_i^2` over all bones, divided by its right side.

  The lengths t_i are in the middle of their ranges. With the vertex m = -b / 2a and
  the bones p_i = g_i m + o_i there, the squared distance of a root to it is

      (sum_i t_i^2 - sum_i |p_i|^2) / sum_i |g_i|^2

  in which, unlike in b^2 - 4ac, nothing large is subtracted.
  """
  total = jnp.sum(jnp.mean(ranges, axis=0) ** 2)
  axes = -3, -2, -1
  a, half_b, offset = (
    jnp.sum(x * y, axis=axes) / total
    for x, y in (
      (bones.growth, bones.growth),
      (bones.growth, bones.offset),
      (bones.offset, bones.offset),
    )
  )
  vertex = -geometry.safe_divide(half_b, a, eps=_MIN_RAY_DISTANCE_SQUARED)
  room = 1 - jnp.sum(bones.at(vertex) ** 2, axis=axes) / total
  half_distance = geometry.safe_divide(
    geometry.safe_sqrt(room),
    geometry.safe_sqrt(a),
    eps=_MIN_RAY_DISTANCE_SQUARED**0.5,
  )
  coefficients = jnp.stack([a, 2 * half_b, offset - 1], -1)
  return _Quadratic(coefficients, a * room, vertex, half_distance)


def _least_squares(bones: _Bones, ranges, quadratic: _Quadratic):
  """Gauss-Newton for `sum_i I(l_i(Z))^2`, from the quadratic's larger root.

  A step divides by the sum of the squared slopes dl_i/dZ of the bones that lie outside
  their ranges. Where these are few and foreshortened it says little: at least a small
  share of all bones' counts. The depth stays beyond the vertex, at which the hand is
  smallest.
  """
  growth_squared = jnp.sum(bones.growth**2, axis=(-3, -2, -1))

  def step(_, value):
    vectors = bones.at(value)
    slopes = jnp.sum(bones.growth * geometry.normalize(vectors), axis=-1)
    excess = _excess(geometry.safe_norm(vectors), ranges)
    leverage = jnp.sum(jnp.where(excess == 0, 0, slopes**2), axis=(-1, -2))
    leverage = jnp.maximum(leverage, _MIN_LEVERAGE * growth_squared)
    change = jnp.sum(slopes * excess, axis=(-1, -2))
    change = geometry.safe_divide(change, leverage, eps=_MIN_RAY_DISTANCE_SQUARED)
    return jnp.maximum(value - change, quadratic.vertex)

  start = quadratic.vertex + quadratic.half_distance
  return jax.lax.fori_loop(0, _NUM_STEPS, step, start)


def _check_method(method, bone_lengths):
  if method not in METHODS:
    raise ValueError(f'method is {method!r}; it must be one of {", ".join(METHODS)}.')
  if bone_lengths is None and method != 'larger_root':
    raise ValueError(
      f'The method {method} needs bone_lengths, (2, 5, 4): those of HandLimits.'
    )
  if bone_lengths is not None and np.shape(bone_lengths) != (2, 5, 4):
    raise ValueError(
      f'bone_lengths has the shape {np.shape(bone_lengths)}, but (2, 5, 4) is needed: '
      'least and largest length of five fingers of four bones.'
    )
