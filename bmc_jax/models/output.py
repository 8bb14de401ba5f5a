"""What both models put out, and how 2.5D predictions become a 3D hand."""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bmc_jax import geometry, pose25d
from bmc_jax.skeleton import NUM_JOINTS

# Root depths of the library's data, in reference bones (about 3.5 cm): 0.1 m to 3.5 m.
ROOT_DEPTH_BOUNDS = (3.0, 100.0)


class PoseOutput(flax.struct.PyTreeNode):
  """A batch of predicted hands; lengths in reference bones.

  Attributes:
    keypoints_2d: joints in pixels of the input image.
    relative_depth: depths relative to the root joint, whose own is exactly 0.
    root_depth_calculated: root depth that gives the reference bone unit length.
    root_depth: the same after refinement.
    root_depth_replaced: where `root_depth` is the calculated one, since the refined one
      puts a joint at or behind the camera (see `assemble`).
    joints_3d: joints in the camera's frame, lifted with `root_depth`.
    conditioning: how far the calculated root depth can be trusted
      (see `pose25d.solve_root_depth`).
    depth_scale: of a lifter, how uncertain each relative depth is: the scale b of a
      Laplace distribution, of which 90 % lie within 2.3 b. None for other models.
  """

  keypoints_2d: Float[Array, '*b 21 2']
  relative_depth: Float[Array, '*b 21']
  root_depth_calculated: Float[Array, '*b']
  root_depth: Float[Array, '*b']
  root_depth_replaced: Bool[Array, '*b']
  joints_3d: Float[Array, '*b 21 3']
  conditioning: Float[Array, '*b']
  depth_scale: Float[Array, '*b 21'] | None = None


def check_geometry(
  root: int, reference: tuple[int, ...], bounds: tuple[float, ...]
) -> None:
  """Raises ValueError if 2.5D hands can not be defined so.

  Args:
    root: index of the root joint.
    reference: the two joints of the reference bone.
    bounds: least and largest root depth, reference bones.
  """
  if root not in range(NUM_JOINTS):
    raise ValueError(f'root is {root}; it must be a joint, 0 to {NUM_JOINTS - 1}.')
  pose25d.check_reference(reference)
  if len(bounds) != 2 or not 0 < bounds[0] < bounds[1]:
    raise ValueError(
      f'depth_bounds are {bounds}; they must be two depths, 0 < least < largest.'
    )


def check_size(name: str, value: int, least: int = 1) -> None:
  """Raises ValueError if a layer's size or a number of layers is too small."""
  if value < least:
    raise ValueError(f'{name} is {value}; it must be at least {least}.')


def assemble(
  keypoints_2d: Float[Array, '*b 21 2'],
  depth: Float[Array, '*b 21'],
  intrinsics: Float[Array, '*b 3 3'],
  *,
  refiner: Callable[..., jax.Array] | None = None,
  root: int = 0,
  reference: tuple[int, int] = pose25d.REFERENCE,
  bounds: tuple[float, float] = ROOT_DEPTH_BOUNDS,
  stop_root_gradient: bool = True,
  stop_refiner_gradient: bool = True,
  keep_in_front: bool = False,
) -> PoseOutput:
  """Recovers the root depth of a 2.5D prediction, refines it and lifts the hand.

  All of it is computed in float32, whatever type the network uses.

  Args:
    keypoints_2d: predicted joints, px.
    depth: predicted depths in reference bones, up to a constant: the root's is
      subtracted.
    intrinsics: camera matrix of the image the keypoints are in.
    refiner: maps (relative depth, rays, calculated root depth) to the root depth;
      None takes the calculated one.
    root: index of the root joint.
    reference: joints between which the distance is 1.
    bounds: least and largest calculated root depth, reference bones.
    stop_root_gradient: let no gradient flow through the calculated root depth, which
      is ill-conditioned where the reference bone points at the camera.
    stop_refiner_gradient: let no gradient flow through the refiner to keypoints and
      relative depth, so that the loss on the root depth trains the refiner only.
    keep_in_front: take the calculated root depth where the refined one puts a joint at
      or behind the camera: for predictions, whose camera sees all of the hand. In
      training the loss has to see what the refiner does.

  Returns:
    The prediction with its 3D joints.

  Raises:
    ValueError: an input does not have the shape given above.
  """
  _check_shapes(keypoints_2d, depth, intrinsics)
  keypoints_2d = jnp.asarray(keypoints_2d, jnp.float32)
  intrinsics = jnp.asarray(intrinsics, jnp.float32)
  depth = jnp.asarray(depth, jnp.float32)
  # The root's own is 0, not just depth - depth: compiled, the gradient of an absolute
  # value there may come out as 1 in one place and as 0 in another.
  is_root = jnp.arange(NUM_JOINTS) == root
  relative_depth = jnp.where(is_root, 0, depth - depth[..., root : root + 1])
  solution = pose25d.solve_root_depth(
    keypoints_2d, relative_depth, intrinsics, reference=reference, bounds=bounds
  )
  calculated = solution.value
  if stop_root_gradient:
    calculated = jax.lax.stop_gradient(calculated)
  root_depth = calculated
  if refiner is not None:
    shape = relative_depth, geometry.camera_rays(keypoints_2d, intrinsics)
    if stop_refiner_gradient:
      shape = jax.lax.stop_gradient(shape)
    root_depth = refiner(*shape, calculated)
  replaced = jnp.zeros(root_depth.shape, bool)
  if refiner is not None and keep_in_front:
    replaced = root_depth + jnp.min(relative_depth, axis=-1) <= 0
    root_depth = jnp.where(replaced, calculated, root_depth)
  return PoseOutput(
    keypoints_2d=keypoints_2d,
    relative_depth=relative_depth,
    root_depth_calculated=calculated,
    root_depth=root_depth,
    root_depth_replaced=replaced,
    joints_3d=pose25d.lift(keypoints_2d, relative_depth, root_depth, intrinsics),
    conditioning=solution.conditioning,
  )


def _check_shapes(keypoints_2d, depth, intrinsics):
  batch = depth.shape[:-1]
  wanted = {
    'keypoints_2d': (keypoints_2d, (*batch, 21, 2)),
    'depth': (depth, (*batch, 21)),
    'intrinsics': (intrinsics, (*batch, 3, 3)),
  }
  for name, (array, shape) in wanted.items():
    if array.shape != shape:
      raise ValueError(f'{name} has shape {array.shape}; expected {shape}.')
