"""The keypoint lifter: 2D keypoints and a camera to a 2.5D and a 3D hand.

It has the pose network's output, so the same losses and constraints train it, and shows
in a minute on a CPU what they do to depth when the 2D joints are known.
"""

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bmc_jax import geometry
from bmc_jax.models.output import (
  ROOT_DEPTH_BOUNDS,
  PoseOutput,
  assemble,
  check_geometry,
  check_size,
)
from bmc_jax.pose25d import REFERENCE
from bmc_jax.skeleton import NUM_JOINTS

# Keeps the size of a hand whose keypoints coincide away from zero.
_LEAST_SIZE = 1e-4
# What rays are compared with, so that inputs are of order one.
_USUAL_SIZE, _USUAL_CENTRE = 0.07, 0.5
# Of log scales: a depth is known to 1 % of a reference bone, or not at all.
_LOG_SCALES = (-4.5, 2.5)
# Of the root depth times the rays' RMS size: half a hand.
_USUAL_EXTENT = 1.8
# Where joints stand in a hand that points up: from the wrist, -2, to the tips.
_ALONG = np.array([0, *5 * [1, 2, 3, 4]], np.float32) - 2


class LifterNetwork(nn.Module):
  """A residual MLP from viewing rays to relative depths.

  It sees rays only, so resizing, cropping or shifting the image (keypoints and
  intrinsics together) changes nothing. The rays are centred, divided by their RMS size
  and turned about the optical axis until the fingers lie above the wrist; size and
  centre, turned alike, are inputs of their own. A turn of the camera about its axis
  thus leaves the relative depth as it is. Keypoints that are missing leave no trace.

  Attributes:
    width: of the layers.
    depth: number of residual blocks, of two layers each.
    refine: let the network give the root depth, which it reads off the size of the
      rays; False takes the calculated one.
    correct_2d: let it move the keypoints, and place those that are missing.
    root: index of the root joint.
    reference: joints between which the distance is 1.
    root_depth_bounds: least and largest calculated root depth, reference bones.
    stop_root_gradient: let no gradient flow through the calculated root depth.
  """

  width: int = 512
  depth: int = 2
  refine: bool = True
  correct_2d: bool = False
  root: int = 0
  reference: tuple[int, int] = REFERENCE
  root_depth_bounds: tuple[float, float] = ROOT_DEPTH_BOUNDS
  stop_root_gradient: bool = True

  def __post_init__(self):
    check_size('width', self.width)
    check_size('depth', self.depth, least=0)
    check_geometry(self.root, self.reference, self.root_depth_bounds)
    super().__post_init__()

  @nn.compact
  def __call__(self, batch: Mapping[str, jax.Array], train: bool = False) -> PoseOutput:
    """Predicts depths for given keypoints.

    Args:
      batch: `observed_2d` (b, 21, 2) px, or `keypoints_2d` where that is missing, and
        `intrinsics` (b, 3, 3). It may have `confidence` (b, 21) in [0, 1], 0 where a
        keypoint is missing and may be anything, and `camera_known` (b,): 0 where the
        focal length of the intrinsics is a guess. Other entries are not read.
      train: True leaves the root depth as it is; False keeps hands in front of the
        camera (`models.output.assemble`). The lifter has no batch statistics.

    Returns:
      The prediction, with `depth_scale`.

    Raises:
      ValueError: the keypoints are not (b, 21, 2) or the intrinsics not (b, 3, 3).
    """
    keypoints_2d = batch.get('observed_2d', batch['keypoints_2d'])
    intrinsics = batch['intrinsics']
    if keypoints_2d.ndim != 3 or keypoints_2d.shape[1:] != (NUM_JOINTS, 2):
      raise ValueError(
        f'keypoints_2d has shape {keypoints_2d.shape}; expected (batch, 21, 2).'
      )
    confidence = batch.get('confidence', jnp.ones(keypoints_2d.shape[:2]))
    known = batch.get('camera_known', jnp.ones(keypoints_2d.shape[:1]))
    present = confidence[..., None] > 0
    keypoints_2d = jnp.where(present, keypoints_2d, 0)
    rays = geometry.camera_rays(keypoints_2d, intrinsics)
    view = _canonical_view(rays, present)
    x = nn.Dense(self.width, name='input')(_features(view, confidence, known))
    for i in range(self.depth):
      y = nn.Dense(self.width, name=f'block{i}_dense0')(
        nn.relu(nn.LayerNorm(name=f'block{i}_norm0')(x))
      )
      x = x + nn.Dense(self.width, name=f'block{i}_dense1')(
        nn.relu(nn.LayerNorm(name=f'block{i}_norm1')(y))
      )
    x = nn.relu(nn.LayerNorm(name='norm')(x))
    log_scale = _zero_dense(NUM_JOINTS, 'log_scale')(x)
    if self.correct_2d:
      move = _zero_dense(2 * NUM_JOINTS, 'move')(x).reshape(-1, NUM_JOINTS, 2)
      moved = _from_canonical(view.rays + move, view)
      points = jnp.concatenate([moved, jnp.ones_like(moved[..., :1])], axis=-1)
      keypoints_2d = geometry.project(points, intrinsics)

    def root_depth(*_):
      log_extent = _zero_dense(1, 'root')(x)[:, 0]
      return _USUAL_EXTENT * jnp.exp(log_extent) / view.size

    output = assemble(
      keypoints_2d,
      nn.Dense(NUM_JOINTS, name='depth')(x),
      intrinsics,
      refiner=root_depth if self.refine else None,
      root=self.root,
      reference=self.reference,
      bounds=self.root_depth_bounds,
      stop_root_gradient=self.stop_root_gradient,
      keep_in_front=not train,
    )
    return output.replace(depth_scale=jnp.exp(jnp.clip(log_scale, *_LOG_SCALES)))


class _View(NamedTuple):
  """Rays centred, of RMS size 1 and upright, and what brings them there."""

  rays: Float[Array, 'b 21 2']  # 0 where a keypoint is missing
  centre: Float[Array, 'b 2']
  size: Float[Array, ' b']
  upright: Float[Array, 'b 2 2']


def _canonical_view(rays: Float[Array, 'b 21 2'], present) -> _View:
  count = jnp.maximum(present.sum(axis=1), 1)
  centre = jnp.where(present, rays, 0).sum(axis=1) / count
  rays = jnp.where(present, rays - centre[:, None], 0)
  # Inside the square root, so that the gradient at coinciding keypoints is finite.
  mean = (rays**2).sum(axis=(1, 2)) / (2 * count[:, 0])
  size = jnp.sqrt(mean + _LEAST_SIZE**2)
  upright = _upright_rotation(jnp.einsum('bni,n->bi', rays, _ALONG))
  rays = jnp.einsum('bij,bnj->bni', upright, rays) / size[:, None, None]
  return _View(rays, centre, size, upright)


def _from_canonical(rays: Float[Array, 'b 21 2'], view: _View):
  """Rays of the camera from those of a canonical view."""
  turned = jnp.einsum('bji,bnj->bni', view.upright, rays)
  return turned * view.size[:, None, None] + view.centre[:, None]


def _features(view: _View, confidence, known) -> Float[Array, 'b 67']:
  """What the first layer sees. Size and centre tell nothing without a camera."""
  known = known[:, None]
  centre = jnp.einsum('bij,bj->bi', view.upright, view.centre) / _USUAL_CENTRE
  size = jnp.log(view.size / _USUAL_SIZE)[:, None]
  shape = view.rays.reshape(-1, 2 * NUM_JOINTS)
  return jnp.concatenate(
    [shape, confidence, known, known * centre, known * size], axis=-1
  )


def _zero_dense(features: int, name: str) -> nn.Dense:
  """A last layer that starts at zero."""
  return nn.Dense(features, kernel_init=nn.initializers.zeros, name=name)


def _upright_rotation(direction: Float[Array, 'b 2']) -> Float[Array, 'b 2 2']:
  """Rotations that turn a direction to (0, -1), up; any one for no direction."""
  x, y = jnp.moveaxis(direction, -1, 0)
  turn = -jnp.pi / 2 - geometry.safe_atan2(y, x)
  c, s = jnp.cos(turn), jnp.sin(turn)
  return jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)
