"""Training losses of the 2.5D network (paper section 3.3), masked by label kind.

    L = w_2D |J2D|_1 + w_z |z|_1 + w_root |Z_root|_1 + L_BMC

Each loss is per example, (*b,); `masked_mean` averages over those that carry the label.
Labels of joints that are not visible may be anything, NaN included.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bmc_jax import constraints, pose25d
from bmc_jax.limits import HandLimits
from bmc_jax.skeleton import Array, as_float


def keypoints_2d_loss(
  keypoints_2d: Float[Array, '*b 21 2'],
  target: Float[Array, '*b 21 2'],
  visibility: Float[Array, '*b 21'],
  image_size: int,
) -> Float[Array, '*b']:
  """L1 error of the visible keypoints, in units of half the image side (so that it
  does not depend on the resolution), mean over joints and both coordinates.

  Args:
    keypoints_2d, target: (*b, 21, 2) pixels.
    visibility: (*b, 21), 1 or 0.
    image_size: side of the (square) image, px.

  Returns:
    (*b,), 0 where no keypoint is visible.
  """
  keypoints_2d, target, visibility = map(as_float, (keypoints_2d, target, visibility))
  target = jnp.where(visibility[..., None] > 0, target, keypoints_2d)
  error = jnp.abs(keypoints_2d - target).mean(-1) * (2 / image_size)
  return _mean_of_visible(error, visibility)


def heatmap_loss(
  logits: Float[Array, 'b h w 21'],
  target: Float[Array, 'b 21 2'],
  visibility: Float[Array, 'b 21'],
  image_size: int,
) -> Float[Array, ' b']:
  """Kullback-Leibler divergence of the heatmaps from Gaussians around the keypoints.

  Not from the paper. Through a soft-argmax alone, flat heatmaps get next to no
  gradient: with this term a network from scratch learns several times faster.

  Args:
    logits: (b, h, w, 21) of the heatmaps; their cells divide the image evenly.
    target: (b, 21, 2) keypoints, px. Those outside the image do not count.
    visibility: (b, 21) of the keypoints, 1 or 0.
    image_size: side of the (square) image, px.

  Returns:
    (b,) nats, mean over the keypoints that count.
  """
  logits, target, visibility = map(as_float, (logits, target, visibility))
  cells = logits.shape[1]
  place = (target + 0.5) * (cells / image_size) - 0.5  # in cells
  grid = jnp.arange(cells, dtype=logits.dtype)[None, :, None]
  # The Gaussian (of one cell's width) is separable: so is its log-partition.
  log_u = jax.nn.log_softmax(-0.5 * (grid - place[:, None, :, 0]) ** 2, axis=1)
  log_v = jax.nn.log_softmax(-0.5 * (grid - place[:, None, :, 1]) ** 2, axis=1)
  log_target = log_v[:, :, None] + log_u[:, None]
  log_map = jax.nn.log_softmax(logits, axis=(1, 2))
  divergence = (jnp.exp(log_target) * (log_target - log_map)).sum((1, 2))
  inside = ((place > -0.5) & (place < cells - 0.5)).all(-1)
  return _mean_of_visible(divergence, visibility * inside)


def relative_depth_loss(
  relative_depth: Float[Array, '*b 21'],
  target: Float[Array, '*b 21'],
  visibility: Float[Array, '*b 21'],
) -> Float[Array, '*b']:
  """L1 error of the relative depth, mean over the visible joints.

  Args:
    relative_depth, target: (*b, 21) reference bones.
    visibility: (*b, 21), 1 or 0.

  Returns:
    (*b,) reference bones, 0 where no joint is visible.
  """
  relative_depth, target, visibility = map(
    as_float, (relative_depth, target, visibility)
  )
  target = jnp.where(visibility > 0, target, relative_depth)
  return _mean_of_visible(jnp.abs(relative_depth - target), visibility)


def depth_likelihood_loss(
  relative_depth: Float[Array, '*b 21'],
  scale: Float[Array, '*b 21'],
  target: Float[Array, '*b 21'],
  visibility: Float[Array, '*b 21'],
  *,
  root: int = 0,
) -> Float[Array, '*b']:
  """Negative log-likelihood of the relative depth under Laplace distributions.

      |z - z_true| / b + log 2b

  Not from the paper. Its least value is where b is the expected error.

  Args:
    relative_depth, target: (*b, 21) reference bones.
    scale: (*b, 21) b, reference bones.
    visibility: (*b, 21), 1 or 0.
    root: the joint whose relative depth is 0, and certain.

  Returns:
    (*b,) nats, mean over the visible joints but the root, 0 where there is none.
  """
  relative_depth, scale, target, visibility = map(
    as_float, (relative_depth, scale, target, visibility)
  )
  visibility = visibility.at[..., root].set(0)
  error = jnp.where(visibility > 0, jnp.abs(relative_depth - target), 0)
  return _mean_of_visible(error / scale + jnp.log(2 * scale), visibility)


def moved_keypoints_loss(
  keypoints_2d: Float[Array, '*b 21 2'],
  target: Float[Array, '*b 21 2'],
  visibility: Float[Array, '*b 21'],
) -> Float[Array, '*b']:
  """L1 error of the keypoints that a lifter has moved, in RMS sizes of the hand.

  Args:
    keypoints_2d, target: (*b, 21, 2) pixels.
    visibility: (*b, 21), 1 or 0.

  Returns:
    (*b,), mean over visible keypoints and both coordinates, 0 where none is visible.
  """
  keypoints_2d, target, visibility = map(as_float, (keypoints_2d, target, visibility))
  visible = visibility[..., None]
  count = jnp.maximum(visible.sum(-2, keepdims=True), 1)
  target = jnp.where(visible > 0, target, 0)
  centre = target.sum(-2, keepdims=True) / count
  spread = jnp.where(visible > 0, (target - centre) ** 2, 0)
  size = jnp.sqrt(spread.sum((-2, -1)) / (2 * count[..., 0, 0]) + 1e-6)
  error = jnp.abs(keypoints_2d - jnp.where(visible > 0, target, keypoints_2d)).mean(-1)
  return _mean_of_visible(error / size[..., None], visibility)


def root_depth_loss(
  root_depth: Float[Array, '*b'], target: Float[Array, '*b']
) -> Float[Array, '*b']:
  """L1 error of the refined root depth: (*b,) and (*b,), both in reference bones."""
  return jnp.abs(as_float(root_depth) - as_float(target))


def root_depth_of_bones(
  keypoints_2d: Float[Array, '*b 21 2'],
  relative_depth: Float[Array, '*b 21'],
  intrinsics: Float[Array, '*b 3 3'],
  limits: HandLimits,
  *,
  bounds: tuple[float, float] | None = None,
) -> Float[Array, '*b']:
  """The root depth at which a 2.5D hand keeps the limits of its bones' lengths best.

  It stands in for the label of hands without one: what the constraint on bone lengths
  would bring the refined root depth to (paper section 3.1), in front of the camera. The
  constraint's own gradient would end as well in the hand's mirror image behind it. No
  gradient flows through it.

  Args:
    keypoints_2d: (*b, 21, 2) pixels.
    relative_depth: (*b, 21) reference bones.
    intrinsics: (*b, 3, 3).
    limits: whose `bone_lengths` are used.
    bounds: see `pose25d.solve_root_depth`.

  Returns:
    (*b,) reference bones.
  """
  # Before and not after it: what has no gradient is compiled in half the time.
  pose = jax.lax.stop_gradient((keypoints_2d, relative_depth, intrinsics))
  return pose25d.solve_root_depth(
    *pose, bounds=bounds, bone_lengths=limits.bone_lengths
  ).value


def mirrored_is_more_plausible(
  keypoints_2d: Float[Array, '*b 21 2'],
  relative_depth: Float[Array, '*b 21'],
  intrinsics: Float[Array, '*b 3 3'],
  limits: HandLimits,
  *,
  weights=constraints.WEIGHTS,
  reference: tuple[int, int] = pose25d.REFERENCE,
  bounds: tuple[float, float] | None = None,
) -> Float[Array, '*b']:
  """1 where the hand with the opposite relative depth breaks the constraints less.

  A hand with z -> -z projects to nearly the same image and keeps every bone length:
  the constraints' second basin. No gradient flows through the comparison.

  Args:
    keypoints_2d: (*b, 21, 2) pixels.
    relative_depth: (*b, 21) reference bones.
    intrinsics: (*b, 3, 3).
    limits: of the constraints.
    weights: see `constraints.bmc_loss`.
    reference, bounds: see `pose25d.solve_root_depth`.

  Returns:
    (*b,), 1 or 0.
  """
  relative_depth = as_float(relative_depth)

  def loss(relative_depth):
    joints = lift_normalized(
      keypoints_2d, relative_depth, intrinsics, reference=reference, bounds=bounds
    )
    return constraints.bmc_loss(joints, limits, weights=weights, reference=reference)[0]

  better = loss(-relative_depth) < loss(relative_depth)
  return jax.lax.stop_gradient(better.astype(relative_depth.dtype))


def mirror_loss(
  relative_depth: Float[Array, '*b 21'], mirrored: Float[Array, '*b']
) -> Float[Array, '*b']:
  """L1 pull of the relative depth to its own negative, for examples in `mirrored`.

  Not from the paper: it leads hands that settled in the mirrored basin out of it.

  Args:
    relative_depth: (*b, 21) reference bones.
    mirrored: (*b,), 1 or 0, of `mirrored_is_more_plausible`.

  Returns:
    (*b,) reference bones.
  """
  relative_depth, mirrored = as_float(relative_depth), as_float(mirrored)
  target = jax.lax.stop_gradient(-relative_depth)
  return mirrored * jnp.abs(relative_depth - target).mean(-1)


def lift_normalized(
  keypoints_2d: Float[Array, '*b 21 2'],
  relative_depth: Float[Array, '*b 21'],
  intrinsics: Float[Array, '*b 3 3'],
  *,
  reference: tuple[int, int] = pose25d.REFERENCE,
  bounds: tuple[float, float] | None = None,
) -> Float[Array, '*b 21 3']:
  """3D joints in reference bones, the root depth being solved from the 2.5D hand.

  Args:
    keypoints_2d: (*b, 21, 2) pixels.
    relative_depth: (*b, 21) reference bones.
    intrinsics: (*b, 3, 3).
    reference, bounds: see `pose25d.solve_root_depth`.
  """
  # Once: gradients in 16 bits are not to be added.
  keypoints_2d, relative_depth = as_float(keypoints_2d), as_float(relative_depth)
  root_depth = pose25d.solve_root_depth(
    keypoints_2d, relative_depth, intrinsics, reference=reference, bounds=bounds
  ).value
  return pose25d.lift(keypoints_2d, relative_depth, root_depth, intrinsics)


def masked_mean(values: Float[Array, '*b'], mask: Float[Array, '*b']) -> Array:
  """Mean over the examples in the mask; 0 if there is none. Values outside the mask
  may be anything, NaN included.
  """
  values, mask = as_float(values), as_float(mask)
  values = jnp.where(mask > 0, values, 0)
  return (values * mask).sum() / jnp.maximum(mask.sum(), 1)


def _mean_of_visible(error, visibility):
  return (error * visibility).sum(-1) / jnp.maximum(visibility.sum(-1), 1)
