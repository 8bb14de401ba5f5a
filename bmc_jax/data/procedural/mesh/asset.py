"""The mesh of a right hand and forearm that ships, after MakeHuman (CC0)."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from bmc_jax import kinematics
from bmc_jax.data.procedural.mesh import skinning

PATH = Path(__file__).parent / 'hand_mesh.npz'

SHAPES = (
  'fingers_thick', 'wrist_thick', 'female', 'child', 'old', 'heavy', 'thin', 'muscular',
)  # fmt: skip
"""What a shape's numbers stand for: 1 is MakeHuman's extreme, 0 the mean adult."""


class HandMesh(NamedTuple):
  """The mesh at rest."""

  vertices: Float[np.ndarray, 'v 3']  # metres, the wrist at the origin
  triangles: Int[np.ndarray, 't 3']  # counter-clockwise from outside, small ones first
  uv: Float[np.ndarray, 't 3 2']  # places of their corners in the texture, 0 to 1
  joints: Float[np.ndarray, '21 3']  # metres, canonical order
  forearm: Float[np.ndarray, '3']  # from the elbow to the wrist, metres
  weights: Float[np.ndarray, 'v 37']  # of the parts, see `skinning`
  directions: Float[np.ndarray, 'k v 3']  # of `SHAPES`, metres
  nails: Float[np.ndarray, '*v']  # 1 on a nail
  rest: skinning.Skeleton


@functools.cache
def load_mesh() -> HandMesh:
  """Reads the mesh."""
  with np.load(PATH) as file:
    arrays = dict(file)
  weights = arrays['weights'].astype(np.float32)
  weights /= weights.sum(axis=1, keepdims=True)
  with jax.ensure_compile_time_eval():  # also where a caller is being traced
    rest = skinning.skeleton_of(arrays['joints'], arrays['forearm'])
  return HandMesh(
    vertices=arrays['vertices'],
    triangles=arrays['triangles'].astype(np.int32),
    uv=arrays['uv'].astype(np.float32) / 65535,
    joints=arrays['joints'],
    forearm=arrays['forearm'],
    weights=skinning.part_weights(weights),
    directions=arrays['directions'].astype(np.float32),
    nails=arrays['nails'].astype(np.float32) / 255,
    rest=skinning.Skeleton(*(np.asarray(x) for x in rest)),
  )


def size_of(joints: Float[ArrayLike, '*b 21 3']) -> Float[jax.Array, '*b']:
  """How large a hand is: the sum of the bones of its four fingers."""
  lengths = kinematics.bone_lengths(jnp.asarray(joints))
  return jnp.asarray(lengths)[..., 1:, :].sum((-1, -2))
