"""What an exported file takes and gives, whatever its format."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import skeleton
from bmc_jax.data.procedural.domain import WILD
from bmc_jax.data.procedural.pose import sample_hand
from bmc_jax.data.procedural.render import render_batch
from bmc_jax.training.trained_row import TrainedRow

OUTPUTS = {
  'keypoints_2d': "(b, 21, 2) pixels; the first pixel's centre is (0, 0)",
  'joints_3d': '(b, 21, 3) reference bones; camera axes: x right, y down, z away',
  'root_depth': (
    '(b,) reference bones, of the root joint after refinement; the calculated one '
    'where that would put a joint at or behind the camera'
  ),
  'conditioning': '(b,) how far the calculated root depth can be trusted',
}
"""The outputs in their order, by shape, unit and meaning."""

_IMAGE = '(b, S, S, 3) uint8 RGB: crops of right hands; mirror left ones'
_KEYPOINTS = '(b, 21, 2) float32: pixels of right hands; mirror left ones'
_CAMERA = '(b, 3, 3) float32: intrinsics of the crops'


@dataclasses.dataclass(frozen=True)
class Signature:
  """The inputs of an exported file.

  Attributes:
    names: of the two inputs, in their order.
    shapes: without the batch.
    dtypes: of each.
  """

  names: tuple[str, str]
  shapes: tuple[tuple[int, ...], tuple[int, ...]]
  dtypes: tuple[Any, Any]

  @classmethod
  def of(cls, row: TrainedRow) -> 'Signature':
    """Of a pose network, which sees images, or of a lifter, which sees keypoints."""
    if row.config.model.name == 'keypoint_lifter':
      first, shape, dtype = 'keypoints_2d', (21, 2), np.float32
    else:
      size = row.config.image_size
      first, shape, dtype = 'image', (size, size, 3), np.uint8
    return cls((first, 'intrinsics'), (shape, (3, 3)), (dtype, np.float32))

  def shape_of(self, batch: Any) -> list[tuple[Any, ...]]:
    """The inputs' shapes with a batch in front."""
    return [(batch, *shape) for shape in self.shapes]


def crop_function(
  model: nn.Module, variables: Mapping[str, Any], signature: Signature
) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, ...]]:
  """The function that is exported: two inputs to the values of `OUTPUTS`.

  The variables are constants in it, and images are brought to 0..1.
  """
  variables = jax.device_get(variables)
  name = signature.names[0]

  def predict(first, intrinsics):
    if name == 'image':
      first = first.astype(jnp.float32) / 255
    output = model.apply(variables, {name: first, 'intrinsics': intrinsics})
    return tuple(getattr(output, name) for name in OUTPUTS)

  return predict


def sample_inputs(signature: Signature, count: int) -> tuple[np.ndarray, np.ndarray]:
  """Inputs to compare files on: rendered hands, or their keypoints."""
  keys = jax.random.split(jax.random.key(0), count)
  if signature.names[0] == 'image':
    size = signature.shapes[0][0]
    hands, first = render_batch(keys, WILD, size)
  else:
    hands = jax.jit(jax.vmap(lambda key: sample_hand(key, WILD, 64)))(keys)
    first = hands.keypoints_2d
  cameras = jnp.broadcast_to(hands.intrinsics, (count, 3, 3))
  return np.asarray(first), np.asarray(cameras, np.float32)


def describe(row: TrainedRow, signature: Signature) -> dict[str, Any]:
  """What stands beside an exported file, for those who use it."""
  config = row.config
  first = _IMAGE if signature.names[0] == 'image' else _KEYPOINTS
  return {
    'row': str(row.folder),
    'model': config.model.name,
    'image_size': config.image_size,
    'inputs': dict(zip(signature.names, (first, _CAMERA), strict=True)),
    'outputs': OUTPUTS,
    'joint_order': 'canonical',
    'joint_names': list(skeleton.JOINT_NAMES),
    'root': config.root,
    'reference_bone': list(config.reference),
  }
