"""Safe vector primitives and the pinhole camera.

"Safe" means: value and gradient of the primitives (down to `safe_atan2`) stay
finite on every input whose square is finite (up to 1e18 in float32). A direction that
is undefined (a zero vector) is returned as zero, with a zero gradient. Lengths under
3e-10 in float32, 1e-77 in float64, count as zero: gradients grow with their inverse,
and products of those would overflow. What is NaN stays NaN.

Cameras have OpenCV axes (x right, y down, z forward). `intrinsics` are (3, 3) with
the last row (0, 0, 1); pixel centres lie at integers.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bmc_jax.skeleton import Array, as_float, check_intrinsics

_MIN_DEPTH = 1e-12
"""Under it a point has no projection: gradients grow with its inverse squared."""


def _negligible(dtype) -> float:
  """Up to this size a number counts as zero: its inverse squared is still finite."""
  return float(jnp.finfo(dtype).tiny) ** 0.5


def safe_sqrt(x: Array) -> Array:
  """Square root, and 0 with gradient 0 (not NaN) where x is not above about 0.

  Args:
    x: of any shape; the result has the same.
  """
  x = as_float(x)
  # d sqrt(x) / dx is infinite at 0, and infinity times 0 is NaN: take the square
  # root of 1 there and choose the other branch. Here as below, the comparison must
  # be false for NaN, which then goes through the formula.
  zero = x <= _negligible(x.dtype)
  return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, x)))


def safe_norm(
  x: Float[Array, '*b n'], *, keepdims: bool = False
) -> Float[Array, '...']:
  """Euclidean norm over the last axis, with gradient 0 (not NaN) at zero.

  Args:
    x: (*b, n).
    keepdims: keep the last axis, with length 1.
  """
  x = as_float(x)
  return safe_sqrt(jnp.sum(x * x, axis=-1, keepdims=keepdims))


def normalize(x: Float[Array, '*b n'], *, eps: float = 0.0) -> Float[Array, '*b n']:
  """Unit vectors along the last axis; the zero vector where |x| <= eps.

  Args:
    x: (*b, n).
    eps: length under which a direction counts as undefined.
  """
  x = as_float(x)
  norm = safe_norm(x, keepdims=True)
  undefined = norm <= eps
  return jnp.where(undefined, 0, x / jnp.where(undefined, 1, norm))


def safe_divide(x: Array, y: Array, *, eps: float = 0.0) -> Array:
  """x / y, and 0 where |y| <= eps.

  Args:
    x, y: of shapes that broadcast, which gives the result's.
    eps: size up to which y counts as 0, in the unit of y.
  """
  x, y = as_float(x), as_float(y)
  undefined = jnp.abs(y) <= max(eps, _negligible(y.dtype))
  # 0 * x instead of 0 keeps a NaN of x.
  return jnp.where(undefined, 0 * x, x / jnp.where(undefined, 1, y))


def safe_atan2(y: Array, x: Array, *, eps: float = 0.0) -> Array:
  """atan2(y, x), and 0 where both arguments are at most eps in size.

  Args:
    y, x: of one shape, in one unit.
    eps: size up to which they count as 0, in that unit.

  Returns:
    Radians in [-pi, pi], of the same shape.
  """
  y, x = as_float(y), as_float(x)
  undefined = jnp.maximum(jnp.abs(x), jnp.abs(y)) <= max(eps, _negligible(y.dtype))
  return jnp.where(
    undefined, 0, _atan2(jnp.where(undefined, 0, y), jnp.where(undefined, 1, x))
  )


@jax.custom_jvp
def _atan2(y, x):
  """atan2 away from the origin; in float32 by a polynomial.

  XLA calls the C library for it on CPUs, number by number, which takes ten times as
  long.
  """
  if jnp.result_type(y, x) != jnp.float32:
    return jnp.arctan2(y, x)
  width, height = jnp.abs(x), jnp.abs(y)
  slope = jnp.minimum(width, height) / jnp.maximum(width, height)
  square = slope * slope
  # Unrolled Horner: the carry of a scan would have to be sharded as the slope is.
  angle = slope * functools.reduce(lambda value, a: value * square + a, _ATAN)
  angle = jnp.where(height > width, jnp.pi / 2 - angle, angle)
  angle = jnp.where(x < 0, jnp.pi - angle, angle)
  return jnp.copysign(angle, y)


@_atan2.defjvp
def _atan2_jvp(primals, tangents):
  (y, x), (dy, dx) = primals, tangents
  scale = 1 / (x * x + y * y)
  return _atan2(y, x), (x * scale) * dy - (y * scale) * dx


def _atan_polynomial(degree):
  """Coefficients, highest power first, of p with atan(t) = t p(t^2) for t in [0, 1]."""
  interpolant = np.polynomial.Chebyshev.interpolate(
    lambda square: np.arctan(square**0.5) / square**0.5, degree, domain=[0, 1]
  )
  polynomial = interpolant.convert(domain=[-1, 1], kind=np.polynomial.Polynomial)
  return polynomial.coef[::-1].tolist()


_ATAN = _atan_polynomial(10)
"""Its error, 5e-9, is far below float32's rounding."""


def check_points(
  points: Array, name: str, size: int, matrix: Array, matrix_name: str = 'intrinsics'
) -> None:
  """Raises ValueError unless the points are (*b, n, size) and for each set of them, or
  for all, there is a matrix (3, 3). Intrinsics are looked at, too, unless traced.
  """
  if points.ndim < 2 or points.shape[-1] != size:
    raise ValueError(
      f'{name} has the shape {points.shape}, but (..., n, {size}) is needed.'
    )
  _check_matrix(matrix, matrix_name)
  if matrix_name == 'intrinsics':
    check_intrinsics(matrix)
  batch = points.shape[:-2]
  if matrix.shape[:-2] not in ((), batch):
    raise ValueError(
      f'{matrix_name} has the shape {matrix.shape}, but {name} of the shape '
      f'{points.shape} calls for {(*batch, 3, 3)}, or (3, 3) for all.'
    )


def _check_matrix(matrix, name):
  if matrix.shape[-2:] != (3, 3):
    raise ValueError(f'{name} has the shape {matrix.shape}, but (..., 3, 3) is needed.')


def check_depth(depth: Float[Array, '*d'], name: str, needed: tuple) -> None:
  """Raises ValueError unless the depths have the shape that the keypoints call for."""
  if depth.shape != needed:
    raise ValueError(
      f'{name} has the shape {depth.shape}, but keypoints_2d calls for {needed}.'
    )


def project(
  joints_3d: Float[Array, '*b n 3'], intrinsics: Float[Array, '*b 3 3']
) -> Float[Array, '*b n 2']:
  """Pinhole projection of camera-frame points.

  Args:
    joints_3d: (*b, n, 3) points before the camera (z > 0), any unit.
    intrinsics: (*b, 3, 3).

  Returns:
    (*b, n, 2) pixels. A point at z = 0 goes to the principal point.

  Raises:
    ValueError: points or intrinsics of another shape, or what are no intrinsics.
  """
  joints_3d, intrinsics = as_float(joints_3d), as_float(intrinsics)
  check_points(joints_3d, 'joints_3d', 3, intrinsics)
  xy = safe_divide(joints_3d[..., :2], joints_3d[..., 2:], eps=_MIN_DEPTH)
  return transform_keypoints(xy, intrinsics)


def camera_rays(
  keypoints_2d: Float[Array, '*b n 2'], intrinsics: Float[Array, '*b 3 3']
) -> Float[Array, '*b n 2']:
  """Viewing rays (K^-1 [u, v, 1])_xy of pixels, on the plane z = 1.

  Args:
    keypoints_2d: (*b, n, 2) pixels.
    intrinsics: (*b, 3, 3).

  Returns:
    (*b, n, 2), in focal lengths.

  Raises:
    ValueError: pixels or intrinsics of another shape, or what are no intrinsics.
  """
  keypoints_2d, intrinsics = as_float(keypoints_2d), as_float(intrinsics)
  check_points(keypoints_2d, 'keypoints_2d', 2, intrinsics)
  return pixels_to_rays(keypoints_2d - intrinsics[..., None, :2, 2], intrinsics)


def pixels_to_rays(
  offsets: Float[Array, '*b n 2'], intrinsics: Float[Array, '*b 3 3']
) -> Float[Array, '*b n 2']:
  """Differences of rays from differences of pixels: the inverse of K's 2 x 2 block.

  Args:
    offsets: (*b, n, 2) pixels.
    intrinsics: (*b, 3, 3).

  Returns:
    (*b, n, 2), in focal lengths.

  Raises:
    ValueError: offsets or intrinsics of another shape, or what are no intrinsics.
  """
  offsets, intrinsics = as_float(offsets), as_float(intrinsics)
  check_points(offsets, 'offsets', 2, intrinsics)
  linear = intrinsics[..., None, :2, :2]  # the same for all pixels
  fx, skew_x = linear[..., 0, 0], linear[..., 0, 1]
  skew_y, fy = linear[..., 1, 0], linear[..., 1, 1]
  u, v = offsets[..., 0], offsets[..., 1]
  determinant = fx * fy - skew_x * skew_y
  xy = jnp.stack([fy * u - skew_x * v, fx * v - skew_y * u], axis=-1)
  return safe_divide(xy, determinant[..., None])


def backproject(
  keypoints_2d: Float[Array, '*b n 2'],
  depth: Float[Array, '*b n'],
  intrinsics: Float[Array, '*b 3 3'],
) -> Float[Array, '*b n 3']:
  """The inverse of `project`: pixels and depths to camera-frame points.

  Args:
    keypoints_2d: (*b, n, 2) pixels.
    depth: (*b, n) z coordinate, any unit.
    intrinsics: (*b, 3, 3).

  Returns:
    (*b, n, 3) in the unit of `depth`.

  Raises:
    ValueError: pixels, depths or intrinsics of another shape, or what are no
      intrinsics.
  """
  keypoints_2d, depth = as_float(keypoints_2d), as_float(depth)
  check_depth(depth, 'depth', keypoints_2d.shape[:-1])
  rays = camera_rays(keypoints_2d, intrinsics)
  return jnp.concatenate([rays, jnp.ones_like(rays[..., :1])], -1) * depth[..., None]


def transform_keypoints(
  keypoints_2d: Float[Array, '*b n 2'], affine: Float[Array, '*b 3 3']
) -> Float[Array, '*b n 2']:
  """Moves pixels by an affine map of the image, (3, 3) with last row (0, 0, 1).

  Raises:
    ValueError: pixels or maps of another shape.
  """
  keypoints_2d, affine = as_float(keypoints_2d), as_float(affine)
  check_points(keypoints_2d, 'keypoints_2d', 2, affine, 'affine')
  rotated = jnp.einsum('...ij,...nj->...ni', affine[..., :2, :2], keypoints_2d)
  return rotated + affine[..., None, :2, 2]


def transform_intrinsics(
  intrinsics: Float[Array, '*b 3 3'], affine: Float[Array, '*b 3 3']
) -> Float[Array, '*b 3 3']:
  """Intrinsics of an image that was cropped, resized or rotated by `affine`.

  `project(J, transform_intrinsics(K, A)) == transform_keypoints(project(J, K), A)`.

  Raises:
    ValueError: an argument of another shape.
  """
  intrinsics, affine = as_float(intrinsics), as_float(affine)
  _check_matrix(intrinsics, 'intrinsics')
  _check_matrix(affine, 'affine')
  return affine @ intrinsics
