"""Augmentation on the device: images, keypoints, cameras and joints move together.

An augmentation of an image is an affine map A of its pixels (3 x 3) together with a
rotation R about the optical axis. Then

    keypoints' = A keypoints,   joints' = R joints,   intrinsics' = A K R^T,

so `project(joints', intrinsics') == keypoints'` holds for every A and R. Choosing R
to be the rotation in A keeps the camera upright: its skew stays 0 where fx = fy.

Pixel centres lie at integers: resizing H pixels to S maps u to (u + 1/2) S/H - 1/2.
Joints that leave the crop stay labels, and `visibility` is not touched: it says what is
annotated, and a network can place a joint a little outside of its input.

The functions take host batches as they come (without `sample_id`, which JAX cannot
hold) and are to be jitted by the caller. Every strength is 0 (off) by default.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Num, PRNGKeyArray

from bmc_jax import geometry
from bmc_jax.data import color_jitter

Batch = dict[str, Any]
Array = jax.Array


def augment_batch(
  key: PRNGKeyArray,
  batch: Mapping[str, Any],
  *,
  image_size: int,
  rotation: float = 0.0,
  scale: float = 0.0,
  shift: float = 0.0,
  brightness: float = 0.0,
  contrast: float = 0.0,
  color: float = 0.0,
  noise: float = 0.0,
  blur: float = 0.0,
  erase: float = 0.0,
) -> Batch:
  """Random crops of a batch, each sample by its own random numbers.

  Args:
    key: a PRNG key.
    batch: image (B, H, W, 3) uint8, keypoints_2d (B, 21, 2), joints_3d (B, 21, 3),
      intrinsics (B, 3, 3); other fields pass through.
    image_size: S, the side of the result.
    rotation: greatest in-plane rotation, in degrees.
    scale: s zooms by a factor between 1 / (1 + s) and 1 + s.
    shift: greatest shift along each axis, as a part of S.
    brightness: greatest value added to the image in [0, 1].
    contrast: c scales the contrast by a factor between 1 / (1 + c) and 1 + c.
    color: the same for each colour channel by itself.
    noise: greatest standard deviation of noise per pixel and channel.
    blur: probability of a blur (3 x 3 binomial filter, of random strength).
    erase: probability that a rectangle is painted over in one colour.

  Returns:
    The batch with image (B, S, S, 3) float32 in [0, 1], and keypoints_2d, joints_3d and
    intrinsics to match.
  """
  batch = dict(batch)
  image = jnp.asarray(batch['image'])
  size, height, width, _ = image.shape
  key, noise_key = jax.random.split(key)
  # Each sample takes its noise from a window of one pool: drawing B S S 3 numbers
  # takes longer than all the rest on a CPU.
  noise_pool = jax.random.normal(noise_key, (2 * image_size, 2 * image_size, 3))

  def one(key, image, keypoints_2d, joints_3d, intrinsics):
    place_key, photo_key = jax.random.split(key)
    affine, turn = _random_placement(
      place_key, height, width, image_size, rotation=rotation, scale=scale, shift=shift
    )
    image = warp_affine(image, affine, image_size)
    image = color_jitter.jitter_colors(
      photo_key,
      image,
      noise_pool,
      brightness=brightness,
      contrast=contrast,
      color=color,
      noise=noise,
      blur=blur,
      erase=erase,
    )
    return image, _transform_labels(keypoints_2d, joints_3d, intrinsics, affine, turn)

  image, labels = jax.vmap(one)(
    jax.random.split(key, size),
    image,
    *(jnp.asarray(batch[k]) for k in ('keypoints_2d', 'joints_3d', 'intrinsics')),
  )
  return batch | {'image': image} | labels


def center_crop_batch(batch: Mapping[str, Any], image_size: int) -> Batch:
  """The deterministic crop of evaluation: the whole image, resized.

  Args:
    batch: as for `augment_batch`.
    image_size: S, the side of the result.

  Returns:
    The batch with image (B, S, S, 3) float32 in [0, 1], and keypoints_2d and
    intrinsics to match. joints_3d stay as they are.
  """
  image = jnp.asarray(batch['image'])
  affine = resize_affine(image.shape[1], image.shape[2], image_size)
  affines = jnp.broadcast_to(affine, (image.shape[0], 3, 3))
  return dict(batch) | {
    'image': jax.vmap(lambda x: warp_affine(x, affine, image_size))(image),
    'keypoints_2d': geometry.transform_keypoints(
      jnp.asarray(batch['keypoints_2d']), affines
    ),
    'intrinsics': geometry.transform_intrinsics(
      jnp.asarray(batch['intrinsics']), affines
    ),
  }


def augment_poses(
  key: PRNGKeyArray,
  batch: Mapping[str, Any],
  *,
  rotation: float = 0.0,
  tilt: float = 0.0,
  viewpoint: float = 0.0,
  noise: float = 0.0,
) -> Batch:
  """Moves the camera of each pose at random.

  A camera that turns about its centre moves pixels by K R K^-1, whatever their depth,
  which is exact for 2D labels alone, too. One that travels around the hand needs the
  hand's depth: only poses with 3D labels are seen from other viewpoints.

  Args:
    key: a PRNG key.
    batch: keypoints_2d (B, 21, 2), joints_3d (B, 21, 3), intrinsics (B, 3, 3),
      has_joints_3d (B,), perhaps observed_2d (B, 21, 2), and no image; other fields
      pass through.
    rotation: greatest turn about the optical axis, in degrees.
    tilt: greatest turn about an axis in the image plane, in degrees; it moves the hand
      across the view. Keep the hand in front of the camera: at most about 20.
    viewpoint: greatest turn of the hand about an axis through its centre that is
      parallel to the image plane, in degrees; 180 shows hands from everywhere.
    noise: standard deviation added to observed_2d, or to keypoints_2d where that is
      missing, in pixels, after the turns.

  Returns:
    The batch with keypoints_2d, observed_2d and joints_3d changed, intrinsics as they
    were.
  """
  intrinsics = jnp.asarray(batch['intrinsics'])
  joints = jnp.asarray(batch['joints_3d'])
  names = [name for name in ('keypoints_2d', 'observed_2d') if name in batch]
  points = {name: jnp.asarray(batch[name]) for name in names}
  roll_key, tilt_key, noise_key, view_key = jax.random.split(key, 4)
  count = joints.shape[:1]
  if viewpoint:
    center = joints.mean(axis=1, keepdims=True)
    around = jnp.einsum(
      'bij,bnj->bni', _random_lean(view_key, count, viewpoint), joints - center
    )
    known = jnp.asarray(batch['has_joints_3d'])[:, None, None] > 0
    joints = jnp.where(known, center + around, joints)
    seen = geometry.project(joints, intrinsics)
    move = jnp.where(known, seen - points['keypoints_2d'], 0)
    points = {name: point + move for name, point in points.items()}
  roll = _random_angle(roll_key, count, rotation)
  turn = _about_z(roll) @ _random_lean(tilt_key, count, tilt)
  for name, point in points.items():
    rays = geometry.backproject(point, jnp.ones_like(point[..., 0]), intrinsics)
    points[name] = geometry.project(jnp.einsum('bij,bnj->bni', turn, rays), intrinsics)
  if noise:
    points[names[-1]] += noise * jax.random.normal(noise_key, joints.shape[:2] + (2,))
  joints = jnp.einsum('bij,bnj->bni', turn, joints)
  return {**batch, **points, 'joints_3d': joints}


def resize_affine(height: int, width: int, size: int) -> Float[Array, '3 3']:
  """The map of pixels that resizes (height, width) to (size, size)."""
  sx, sy = size / width, size / height
  return jnp.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])


def warp_affine(
  image: Num[Array, 'h w 3'], affine: Float[Array, '3 3'], size: int
) -> Float[Array, 's s 3']:
  """Moves an image by an affine map of its pixels, with bilinear interpolation.

  Beyond its border the image is continued by its edge pixels. Nothing is averaged, so a
  strong reduction (more than about 2) aliases: resize such images on the host.

  Args:
    image: (H, W, 3) uint8 in [0, 255].
    affine: (3, 3) from pixels of the image to pixels of the result.
    size: S, the side of the result.

  Returns:
    (S, S, 3) float32 in [0, 1].
  """
  height, width, channels = image.shape
  v, u = jnp.meshgrid(jnp.arange(size), jnp.arange(size), indexing='ij')
  inverse = jnp.linalg.inv(affine)
  x, y = (
    inverse[row, 0] * u.ravel() + inverse[row, 1] * v.ravel() + inverse[row, 2]
    for row in (0, 1)
  )
  x, y = jnp.clip(x, 0, width - 1), jnp.clip(y, 0, height - 1)
  x0 = jnp.clip(jnp.floor(x), 0, width - 2)
  y0 = jnp.clip(jnp.floor(y), 0, height - 2)
  fx, fy = (x - x0)[:, None], (y - y0)[:, None]
  pixels = image.reshape(height * width, channels)
  index = (y0 * width + x0).astype(jnp.int32)

  def corner(offset):
    return pixels[index + offset].astype(jnp.float32)

  upper = (1 - fx) * corner(0) + fx * corner(1)
  lower = (1 - fx) * corner(width) + fx * corner(width + 1)
  result = (1 - fy) * upper + fy * lower
  return result.reshape(size, size, channels) / 255


def _transform_labels(keypoints_2d, joints_3d, intrinsics, affine, turn) -> Batch:
  """The labels of one sample under the pixel map `affine` and the rotation `turn`."""
  return {
    'keypoints_2d': geometry.transform_keypoints(keypoints_2d, affine),
    'joints_3d': joints_3d @ turn.T,
    'intrinsics': geometry.transform_intrinsics(intrinsics, affine) @ turn.T,
  }


def _random_placement(key, height, width, size, *, rotation, scale, shift):
  """A random affine map of pixels (3, 3) and its rotation (3, 3)."""
  angle_key, scale_key, shift_key = jax.random.split(key, 3)
  turn = _about_z(_random_angle(angle_key, (), rotation))
  zoom = color_jitter.random_factor(scale_key, (), scale)
  center = jnp.full((2,), (size - 1) / 2)
  offset = size * jax.random.uniform(shift_key, (2,), minval=-shift, maxval=shift)
  linear = zoom * turn[:2, :2]
  about_center = jnp.eye(3).at[:2, :2].set(linear)
  about_center = about_center.at[:2, 2].set(center + offset - linear @ center)
  return about_center @ resize_affine(height, width, size), turn


def _random_angle(key, shape, limit):
  """Radians, even between plus and minus a limit in degrees."""
  limit = jnp.deg2rad(limit)
  return jax.random.uniform(key, shape, minval=-limit, maxval=limit)


def _random_lean(key, shape, limit):
  """Rotations (*shape, 3, 3) by at most `limit` degrees about axes in the image plane.

  About z by `axis`, then about x by the angle, then back.
  """
  lean_key, axis_key = jax.random.split(key)
  axis = _random_angle(axis_key, shape, 180.0)
  lean = _random_angle(lean_key, shape, limit)
  return _about_z(-axis) @ _about_x(lean) @ _about_z(axis)


def _about_z(angle: Float[Array, '*b']) -> Float[Array, '*b 3 3']:
  """Rotation about the optical axis, from x (right) towards y (down)."""
  c, s, zero, one = _circle(angle)
  return _rows([[c, -s, zero], [s, c, zero], [zero, zero, one]])


def _about_x(angle: Float[Array, '*b']) -> Float[Array, '*b 3 3']:
  """Rotation about the image's horizontal axis, from y (down) towards z (away)."""
  c, s, zero, one = _circle(angle)
  return _rows([[one, zero, zero], [zero, c, -s], [zero, s, c]])


def _circle(angle):
  return jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle), jnp.ones_like(angle)


def _rows(rows) -> Array:
  return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
