"""The keypoint lifter: 2D keypoints and a camera to a 2.5D and a 3D hand.

It has the pose network's output, so the same losses and constraints train it, and shows
in a minute on a CPU what they do to depth when the 2D joints are known.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bmc_jax import geometry
from bmc_jax.models.output import (
  ROOT_DEPTH_BOUNDS,
  PoseOutput,
  assemble,
  check_geometry,
  check_size,
)
from bmc_jax.models.refiner import RootRefiner
from bmc_jax.pose25d import REFERENCE
from bmc_jax.skeleton import NUM_JOINTS, WRIST

# Keeps the size of a hand whose keypoints coincide away from zero.
_LEAST_SIZE = 1e-4
_MIDDLE_MCP = 9


class KeypointLifter(nn.Module):
  """A residual MLP from viewing rays to relative depths.

  It sees rays only, so resizing, cropping or shifting the image (keypoints and
  intrinsics together) changes nothing. The rays are centred on the root's, divided by
  their RMS size and turned about the optical axis until the middle MCP lies above the
  wrist; the size and the root's direction, turned alike, are inputs of their own. A
  turn of the camera about its axis thus leaves the relative depth as it is.

  Attributes:
    width: of the layers.
    depth: number of residual blocks, of two layers each.
    refine: correct the calculated root depth with the refiner.
    root: index of the root joint.
    reference: joints between which the distance is 1.
    root_depth_bounds: least and largest calculated root depth, reference bones.
    stop_root_gradient: let no gradient flow through the calculated root depth.
    stop_refiner_gradient: let no gradient flow through the refiner to what it sees.
  """

  width: int = 512
  depth: int = 2
  refine: bool = True
  root: int = 0
  reference: tuple[int, int] = REFERENCE
  root_depth_bounds: tuple[float, float] = ROOT_DEPTH_BOUNDS
  stop_root_gradient: bool = True
  stop_refiner_gradient: bool = False

  def __post_init__(self):
    check_size('width', self.width)
    check_size('depth', self.depth, least=0)
    check_geometry(self.root, self.reference, self.root_depth_bounds)
    super().__post_init__()

  @nn.compact
  def __call__(self, batch: Mapping[str, jax.Array], train: bool = False) -> PoseOutput:
    """Predicts depths for given keypoints.

    Args:
      batch: 'keypoints_2d' (b, 21, 2), px, and 'intrinsics' (b, 3, 3). Other entries
        are not read.
      train: True leaves the refined root depth as it is; False keeps hands in front of
        the camera (`models.output.assemble`). The lifter has no batch statistics.

    Returns:
      The prediction, with the keypoints passed through.

    Raises:
      ValueError: the keypoints are not (b, 21, 2) or the intrinsics not (b, 3, 3).
    """
    keypoints_2d, intrinsics = batch['keypoints_2d'], batch['intrinsics']
    if keypoints_2d.ndim != 3 or keypoints_2d.shape[1:] != (NUM_JOINTS, 2):
      raise ValueError(
        f'keypoints_2d has shape {keypoints_2d.shape}; expected (batch, 21, 2).'
      )
    x = nn.Dense(self.width, name='input')(
      _features(geometry.camera_rays(keypoints_2d, intrinsics), self.root)
    )
    for i in range(self.depth):
      y = nn.Dense(self.width, name=f'block{i}_dense0')(
        nn.relu(nn.LayerNorm(name=f'block{i}_norm0')(x))
      )
      x = x + nn.Dense(self.width, name=f'block{i}_dense1')(
        nn.relu(nn.LayerNorm(name=f'block{i}_norm1')(y))
      )
    x = nn.relu(nn.LayerNorm(name='norm')(x))
    return assemble(
      keypoints_2d,
      nn.Dense(NUM_JOINTS, name='depth')(x),
      intrinsics,
      refiner=RootRefiner(name='refiner') if self.refine else None,
      root=self.root,
      reference=self.reference,
      bounds=self.root_depth_bounds,
      stop_root_gradient=self.stop_root_gradient,
      stop_refiner_gradient=self.stop_refiner_gradient,
      keep_in_front=not train,
    )


def _features(rays: Float[Array, 'b 21 2'], root: int) -> Float[Array, 'b 44']:
  upright = _upright_rotation(rays[:, _MIDDLE_MCP] - rays[:, WRIST])
  rays = jnp.einsum('bij,bnj->bni', upright, rays)
  root_ray = rays[:, root]
  rays = rays - root_ray[:, None]
  # Inside the square root, so that the gradient at coinciding keypoints is finite.
  size = jnp.sqrt(jnp.mean(rays**2, axis=(1, 2)) + _LEAST_SIZE**2)[:, None]
  shape = (rays / size[..., None]).reshape(rays.shape[0], 2 * NUM_JOINTS)
  return jnp.concatenate([shape, 4 * root_ray], axis=-1)


def _upright_rotation(direction: Float[Array, 'b 2']) -> Float[Array, 'b 2 2']:
  """Rotations that turn a direction to (0, -1), up; any one for no direction."""
  x, y = jnp.moveaxis(direction, -1, 0)
  turn = -jnp.pi / 2 - geometry.safe_atan2(y, x)
  c, s = jnp.cos(turn), jnp.sin(turn)
  return jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)
