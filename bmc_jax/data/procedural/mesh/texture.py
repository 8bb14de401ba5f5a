"""The skin's map: what is where on the hand, made from the mesh at rest.

Each texel has a place on the mesh, by drawing the mesh into its own texture. From that
follow the bone it belongs to, creases, reddish skin, nails, hair and mottling. Nothing
is painted by hand and nothing is stored.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import ndimage

from bmc_jax.data.procedural.mesh import asset, raster, skinning

SIZE = 384  # texels
CHANNELS = ('along', 'red', 'crease', 'nail', 'palm', 'hair', 'coarse', 'fine')
"""along: the bone by its number in `skinning` and the share of the way along it, and
for the forearm minus the metres from the wrist; all others 0 to 1, coarse and fine -1
to 1."""

# How strong a crease is at MCP, PIP and DIP of a finger, on the palm's side and behind.
_CREASES = np.array([[0.5, 0.9, 0.8], [0.15, 0.7, 0.5]])
_KNUCKLE_RED = np.array([0.6, 0.6, 0.35])


class _Texels(NamedTuple):
  """Where texels are on the mesh at rest."""

  place: Float[np.ndarray, 'n 3']  # metres
  normal: Float[np.ndarray, 'n 3']
  weights: Float[np.ndarray, 'n 37']
  nails: Float[np.ndarray, '*n']


@functools.cache
def skin_map() -> Float[np.ndarray, 'size size channels']:
  """Makes the map, once."""
  mesh = asset.load_mesh()
  with jax.ensure_compile_time_eval():  # also where a caller is being traced
    triangle = _draw(mesh)
    texels = _texels(mesh, triangle)
  inside = triangle >= 0
  values = np.zeros((*triangle.shape, len(CHANNELS)), np.float32)
  values[inside] = _channels(texels, mesh)
  # Texels beyond the edge take the nearest value.
  nearest = ndimage.distance_transform_edt(
    ~inside, return_distances=False, return_indices=True
  )
  values = values[tuple(nearest)]
  generator = np.random.default_rng(0)
  values[..., 6] = _noise(generator, (9.0, 4.0))
  values[..., 7] = _noise(generator, (1.2, 0.6))
  return values


def _draw(mesh: asset.HandMesh) -> np.ndarray:
  """The triangle of each texel, -1 where there is none."""
  flat = np.concatenate([mesh.uv * (SIZE - 1), np.ones((*mesh.uv.shape[:2], 1))], -1)
  drawn = raster.rasterize(
    jnp.asarray(flat.transpose(1, 0, 2), jnp.float32),
    SIZE,
    groups=(len(flat),),
    depths=(0.5, 2.0),
    perspective=False,
  )
  return np.asarray(drawn.triangle).reshape(SIZE, SIZE)


def _texels(mesh: asset.HandMesh, triangle: np.ndarray) -> _Texels:
  rows, columns = np.nonzero(triangle >= 0)
  number = triangle[rows, columns]
  corners = mesh.uv[number] * (SIZE - 1)  # (n, 3, 2)
  point = np.stack([columns, rows], axis=-1)[:, None]
  edges = corners - point
  one, other = edges[:, [1, 2, 0]], edges[:, [2, 0, 1]]
  areas = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
  shares = np.clip(areas / areas.sum(axis=1, keepdims=True), 0, 1)
  vertices = mesh.triangles[number]

  def at(values):
    return np.einsum('nk,nk...->n...', shares, values[vertices])

  normals = np.asarray(vertex_normals(mesh.vertices, mesh.triangles))
  return _Texels(at(mesh.vertices), at(normals), at(mesh.weights), at(mesh.nails))


def vertex_normals(vertices, triangles):
  """Smooth normals (v, 3) of a mesh (v, 3), (t, 3): the mean over its triangles."""
  a, b, c = (vertices[triangles[:, i]] for i in range(3))
  normals = jnp.cross(b - a, c - a)  # as long as twice the triangle is large
  total = (
    jnp.zeros_like(vertices)
    .at[triangles.T]
    .add(jnp.broadcast_to(normals, (3, *normals.shape)))
  )
  return total / jnp.maximum(jnp.linalg.norm(total, axis=-1, keepdims=True), 1e-20)


def _channels(texels: _Texels, mesh: asset.HandMesh) -> np.ndarray:
  """(n, channels) but for the noise."""
  rest = mesh.rest
  bone = texels.weights[:, : skinning.NUM_BONES].argmax(axis=1)
  offset = texels.place - rest.heads[bone]
  height = np.einsum('ni,ni->n', offset, rest.frames[bone, 2])
  share = np.clip(height / rest.lengths[bone], 0, 0.99)
  on_arm = bone == 0
  along = np.where(on_arm, np.minimum(height, -1e-3), bone + share)

  inward = np.einsum('ni,ni->n', texels.normal, rest.frames[bone, 0])
  palm = 1 / (1 + np.exp(-5 * inward))
  red, crease = np.zeros((2, len(bone)))
  fingers = mesh.joints[1:].reshape(5, 4, 3)
  for finger in range(5):
    for joint in range(3):
      part = 6 + 3 * finger + joint
      # The joint itself: a plane across the half-way frame.
      axis, centre = rest.frames[part + 15, 2], fingers[finger, joint]
      local = texels.place - centre
      near = np.exp(-((np.linalg.norm(local, axis=1) / 0.011) ** 4))
      front = _CREASES[0, joint] * np.exp(-(((local @ axis) / 0.0009) ** 2))
      steps = np.cos((local @ axis) / 0.0011 * np.pi) ** 2
      back = _CREASES[1, joint] * np.exp(-(((local @ axis) / 0.004) ** 2)) * steps
      crease = np.maximum(crease, near * (palm * front + (1 - palm) * back))
      red += _KNUCKLE_RED[joint] * np.exp(
        -((np.linalg.norm(local, axis=1) / 0.009) ** 2)
      )
    tip = fingers[finger, 3]
    red += 0.8 * np.exp(-((np.linalg.norm(texels.place - tip, axis=1) / 0.011) ** 2))
  crease = np.maximum(crease, 0.8 * palm * _palm_lines(texels.place, mesh))
  hair = np.where(on_arm, 1.0, np.where(bone < 6, 0.5, 0.25)) * (1 - palm)
  nail = np.clip(2.5 * texels.nails - 0.6, 0, 1)
  channels = [along, np.clip(red, 0, 1), crease, nail, palm, hair, 0 * red, 0 * red]
  return np.stack(channels, axis=-1)


def _palm_lines(place: np.ndarray, mesh: asset.HandMesh) -> np.ndarray:
  """The three great creases of a palm: two across it and one around the thumb."""
  joints = mesh.joints
  line = np.zeros(len(place))
  ends = {
    (5, 17, 0.80, 0.78, 0.004),  # under the fingers
    (5, 17, 0.72, 0.55, -0.004),
  }
  for one, other, start, end, bend in ends:
    a = start * joints[one] + (1 - start) * joints[0]
    b = end * joints[other] + (1 - end) * joints[0]
    along = (b - a) / np.linalg.norm(b - a)
    local = place - a
    share = np.clip(local @ along / np.linalg.norm(b - a), 0, 1)
    up = mesh.rest.frames[3, 2]
    height = (local - np.outer(share * np.linalg.norm(b - a), along)) @ up
    height -= 4 * bend * share * (1 - share)
    line = np.maximum(
      line, np.exp(-((height / 0.0009) ** 2)) * (share > 0) * (share < 1)
    )
  thumb = joints[1] + 0.45 * (joints[2] - joints[1])
  radius = np.linalg.norm(
    (place - thumb)
    - np.outer((place - thumb) @ mesh.rest.frames[3, 0], mesh.rest.frames[3, 0]),
    axis=1,
  )
  inside = ((place - thumb) @ mesh.rest.frames[3, 1] > -0.03) & (
    np.abs((place - joints[0]) @ mesh.rest.frames[3, 2]) < 0.9 * mesh.rest.lengths[3]
  )
  return np.maximum(line, np.exp(-(((radius - 0.033) / 0.0009) ** 2)) * inside)


def _noise(generator: np.random.Generator, scales) -> np.ndarray:
  """Noise of several scales in texels, clipped to -1 to 1."""
  total = np.zeros((SIZE, SIZE))
  for scale in scales:
    layer = ndimage.gaussian_filter(generator.standard_normal((SIZE, SIZE)), scale)
    total += layer / layer.std()
  return np.clip(total / total.std() / 2.5, -1, 1)


@functools.cache
def device_map() -> jax.Array:
  """The map on the device, rows of all texels: (size * size, channels)."""
  with jax.ensure_compile_time_eval():
    return jnp.asarray(skin_map().reshape(SIZE * SIZE, len(CHANNELS)))
