"""The surfaces of a picture: the dressed hand and its sleeve, things held and before.

Things are superquadrics: balls, boxes, bars and what lies between. A thing that is not
there has no size and costs next to nothing.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bmc_jax import geometry
from bmc_jax.data.procedural.mesh import asset, skinning, texture
from bmc_jax.data.procedural.mesh.look import Appearance

_AROUND, _DOWN = 12, 8  # the grid of a thing
_GROUPS = (0.0065, 0.012, 0.02)  # metres: classes of triangles by their longest edge


class Surface(NamedTuple):
  """A mesh before the camera; all triangles of hand and things."""

  vertices: Float[Array, 'v 3']  # metres, camera axes
  normals: Float[Array, 'v 3']


class Topology(NamedTuple):
  """What does not change from picture to picture."""

  triangles: np.ndarray  # (t, 3)
  groups: tuple[int, ...]  # how many triangles are of like size
  uv: np.ndarray  # (t, 3, 2); of the hand's texture, and 0 for things
  num_hand: int  # triangles of the hand: things come after them
  per_thing: int  # triangles of a thing


@functools.cache
def topology() -> Topology:
  """Triangles of hand and things."""
  mesh = asset.load_mesh()
  corners = mesh.vertices[mesh.triangles]
  longest = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=-1).max(axis=1)
  ends = [0, *np.searchsorted(longest, _GROUPS), len(longest)]
  thing = _grid_triangles()
  size = _AROUND * (_DOWN + 1)
  first = len(mesh.vertices)
  triangles = [mesh.triangles, thing + first, thing + first + size]
  return Topology(
    triangles=np.concatenate(triangles),
    groups=(*np.diff(ends).tolist(), 2 * len(thing)),
    uv=np.concatenate([mesh.uv, np.zeros((2 * len(thing), 3, 2), np.float32)]),
    num_hand=len(mesh.triangles),
    per_thing=len(thing),
  )


def _grid_triangles() -> np.ndarray:
  i, j = np.meshgrid(np.arange(_DOWN), np.arange(_AROUND), indexing='ij')
  after = (j + 1) % _AROUND
  a, b = i * _AROUND + j, i * _AROUND + after
  c, d = a + _AROUND, b + _AROUND
  return np.stack([a, b, c, b, d, c], axis=-1).reshape(-1, 3)


def pose_mesh(
  joints_3d: Float[Array, '*b 21 3'],
  shape: Float[Array, '*b 8'] | None = None,
  *,
  thickness: Float[Array, '*b'] | float = 1.0,
  forearm: Float[Array, '*b 3'] | None = None,
) -> Float[Array, '*b v 3']:
  """Dresses joints with the hand mesh.

  Args:
    joints_3d: (*b, 21, 3) of right hands, canonical order, in any unit.
    shape: (*b, 8) numbers for `asset.SHAPES`; 0, the default, is the mean adult.
    thickness: of the flesh, over the mean adult's at bones of this length.
    forearm: (*b, 3) direction from the elbow to the wrist; see `skinning.skeleton_of`.

  Returns:
    (*b, v, 3) vertices of `asset.load_mesh().triangles`, in the unit of the joints.
  """
  mesh = asset.load_mesh()
  vertices = mesh.vertices
  if shape is not None:
    moves = jnp.einsum('...k,kvi->...vi', shape, mesh.directions)
    vertices = jnp.broadcast_to(vertices, moves.shape) + moves
  return _posed(vertices, joints_3d, thickness, forearm)


def _posed(vertices, joints, thickness, forearm):
  mesh = asset.load_mesh()
  size = asset.size_of(joints) / asset.size_of(mesh.joints)
  posed = skinning.skeleton_of(joints, forearm)
  return skinning.skin(vertices, mesh.weights, mesh.rest, posed, thickness * size)


@functools.cache
def _arm() -> tuple[np.ndarray, np.ndarray]:
  """How far each vertex is down the arm, metres from the wrist, and normals at rest."""
  mesh = asset.load_mesh()
  down = -(mesh.vertices @ mesh.rest.frames[0, 2])
  on_arm = mesh.weights[:, [0, 36]].sum(axis=1)
  with jax.ensure_compile_time_eval():
    normals = texture.vertex_normals(jnp.asarray(mesh.vertices), mesh.triangles)
  return np.where(on_arm > 0.3, down, -1.0).astype(np.float32), np.asarray(normals)


def build(joints: Float[Array, '21 3'], look: Appearance) -> Surface:
  """All surfaces of a picture.

  Args:
    joints: of a right hand before the camera, metres.
    look: how it is dressed and what it holds.
  """
  mesh = asset.load_mesh()
  down, rest_normals = _arm()
  cloth = look.cloth_width * jnp.clip((down - look.cuff) / 0.003, 0.0, 1.0)
  cloth *= 1 + 1.2 * jnp.clip((down - look.cuff) / 0.1, 0.0, 1.0)
  vertices = mesh.vertices + jnp.einsum('k,kvi->vi', look.shape, mesh.directions)
  vertices = vertices + cloth[:, None] * rest_normals
  hand = _posed(vertices, joints, look.thickness, _forearm(joints, look.wrist))
  normals = texture.vertex_normals(hand, mesh.triangles)
  things = [_thing(joints, look, which) for which in range(2)]
  return Surface(
    vertices=jnp.concatenate([hand, *(t.vertices for t in things)]),
    normals=jnp.concatenate([normals, *(t.normals for t in things)]),
  )


def _hand_axes(joints):
  """Unit vectors out of the palm, to the thumb's side and to the fingers."""
  along = geometry.normalize(joints[9] - joints[0])
  side = joints[5] - joints[17]
  side = geometry.normalize(side - jnp.dot(side, along) * along)
  return jnp.cross(side, along), side, along


def _forearm(joints, bend):
  """The direction from the elbow to the wrist."""
  out, side, along = _hand_axes(joints)
  return along + jnp.tan(bend[0]) * out + jnp.tan(bend[1]) * side


def _thing(joints, look: Appearance, which: int) -> Surface:
  """A superquadric in the hand (0) or between camera and hand (1)."""
  numbers = look.things[which]
  out, side, along = _hand_axes(joints)
  scale = asset.size_of(joints) / asset.size_of(asset.load_mesh().joints)
  sizes = scale * (0.024 + 0.016 * numbers[:3])
  sizes = sizes.at[2].multiply(2.2 + 1.7 * numbers[3])
  tilt = 0.5 * numbers[4:6]
  z = geometry.normalize(side + tilt[0] * along + tilt[1] * out)
  if which == 0:
    centre = joints[9] + scale * (0.02 * numbers[6] * along + 0.03 * numbers[7] * side)
    centre += (jnp.maximum(sizes[0], sizes[1]) + 0.010 * scale) * out
  else:
    target = joints[9] + scale * 0.09 * numbers[6:9]
    centre = target * (0.75 + 0.12 * numbers[9])
    z = geometry.normalize(z + 2 * numbers[4:7])
  x = geometry.normalize(jnp.cross(z, jnp.array([0.31, 0.83, 0.47])))
  axes = jnp.stack([x, jnp.cross(z, x), z])
  power = 0.2 + 0.4 * (1 + numbers[10:12])  # 0.2 a box, 1 a ball
  local, normals = _superquadric(power)
  sizes = jnp.where(look.has_things[which], sizes, 0.0)
  normals = geometry.normalize(normals / jnp.maximum(sizes, 1e-4)[None])
  return Surface(centre[None] + (local * sizes[None]) @ axes, normals @ axes)


def _superquadric(power):
  """Points on the unit superquadric, and normals."""
  across = np.linspace(-0.999 * np.pi / 2, 0.999 * np.pi / 2, _DOWN + 1)[:, None]
  around = np.linspace(-np.pi, np.pi, _AROUND, endpoint=False)[None] + 0.13
  cos, sin = (np.asarray(f(across), np.float32) for f in (np.cos, np.sin))
  cosa, sina = (np.asarray(f(around), np.float32) for f in (np.cos, np.sin))

  def raised(x, p):
    return np.sign(x) * jnp.exp(p * np.log(np.maximum(np.abs(x), 1e-4)))

  def spread(p, q):
    flat = raised(cos, p)
    points = [flat * raised(cosa, q), flat * raised(sina, q)]
    points.append(jnp.broadcast_to(raised(sin, p), points[0].shape))
    return jnp.stack(points, axis=-1).reshape(-1, 3)

  return spread(power[0], power[1]), spread(2 - power[0], 2 - power[1])
