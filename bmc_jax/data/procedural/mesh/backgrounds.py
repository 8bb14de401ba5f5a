"""Backgrounds: pictures full of leaves, and places cut out of them.

'Dead leaves', shapes of all sizes that cover each other, have the statistics of natural
images: edges at every scale, few large things and many small ones. An atlas of them is
made once; each hand stands before a turned, stretched and recoloured piece of it.
"""

import functools
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from bmc_jax.data import images
from bmc_jax.data.procedural.draws import Draws

ATLAS_SIZE = 192
ATLAS_COUNT = 32
_SUFFIXES = ('.jpg', '.jpeg', '.png')
_NUM_LEAVES = 100


@functools.partial(jax.jit, static_argnames='count')
def make_atlas(key: PRNGKeyArray, count: int) -> UInt8[Array, 'count 192 192 3']:
  """Paints pictures of dead leaves."""
  return jax.lax.map(_picture, jax.random.split(key, count))


def _picture(key):
  keys = jax.random.split(key, 6)
  steps = jnp.linspace(-1.0, 1.0, ATLAS_SIZE)
  x, y = steps[None], steps[:, None]
  palette = jax.random.uniform(keys[0], (6, 4)) ** 1.3
  # Most things that people have around them are rather grey.
  saturation = jax.random.uniform(keys[5]) ** 2
  palette = palette[:, 3:] * (1 + saturation * (2 * palette[:, :3] - 1))
  skin = jnp.array([0.85, 0.65, 0.55]) * jax.random.uniform(keys[1], minval=0.3)
  palette = palette.at[0].set(skin)
  smallest = 10 ** jax.random.uniform(keys[2], minval=-1.6, maxval=-0.4)

  def paint(image, leaf_key):
    shares = jax.random.uniform(leaf_key, (14,))
    # Radii with a density that falls with the cube of the size.
    radius = smallest / jnp.sqrt(1 - shares[0] * (1 - (smallest / 0.9) ** 2))
    aspect = jnp.exp(1.6 * (shares[1] - 0.5))
    angle = 2 * np.pi * shares[2]
    dx, dy = x - 2.2 * (shares[3] - 0.5), y - 2.2 * (shares[4] - 0.5)
    u = (dx * jnp.cos(angle) + dy * jnp.sin(angle)) / (radius * aspect)
    v = (dy * jnp.cos(angle) - dx * jnp.sin(angle)) / (radius / aspect)
    form = jnp.where(shares[5] < 0.5, u * u + v * v, jnp.maximum(u * u, v * v))
    inside = jax.nn.sigmoid((1 - form) * radius * 60)
    colour = palette[(shares[6] * 6).astype(jnp.int32)] + 0.2 * (shares[7:10] - 0.5)
    pattern = jnp.sin(8 * u * (1 + 3 * shares[10]) + 3 * v) * jnp.sin(
      9 * shares[11] * v
    )
    shade = 1 + 0.35 * (shares[12] - 0.5) * u + 0.3 * (shares[13] > 0.6) * pattern
    leaf = colour[None, None] * shade[..., None]
    return image + inside[..., None] * (leaf - image), None

  image = jnp.broadcast_to(palette[1], (ATLAS_SIZE, ATLAS_SIZE, 3))
  image, _ = jax.lax.scan(paint, image, jax.random.split(keys[3], _NUM_LEAVES))
  for cells, grain_key in zip((8, 32, 128), jax.random.split(keys[4], 3), strict=True):
    grain = jax.random.normal(grain_key, (cells, cells, 1))
    shape = (ATLAS_SIZE, ATLAS_SIZE, 1)
    image = image * (1 + 0.09 * jax.image.resize(grain, shape, 'linear'))
  return jnp.round(255 * jnp.clip(image, 0.0, 1.0)).astype(jnp.uint8)


@functools.cache
def load_atlas(folder: str = '') -> UInt8[Array, 'count 192 192 3']:
  """Backgrounds: photos of a folder, or drawn ones where it is empty.

  Raises:
    FileNotFoundError: there is no JPEG or PNG file in the folder.
    ValueError: a file cannot be decoded.
  """
  if folder:
    return jnp.asarray(read_atlas(Path(folder), ATLAS_COUNT))
  return make_atlas(jax.random.key(0), ATLAS_COUNT)


def read_atlas(folder: Path, count: int) -> UInt8[np.ndarray, 'count 192 192 3']:
  """Backgrounds from a folder of photos: the middle of each, in the order of names.

  Args:
    folder: searched with the folders in it.
    count: the most that are read; evenly spread over the folder.

  Raises:
    FileNotFoundError: there is no JPEG or PNG file.
    ValueError: a file cannot be decoded.
  """
  paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() in _SUFFIXES)
  if not paths:
    raise FileNotFoundError(
      f'There are no JPEG or PNG files in {folder}, which is to hold backgrounds.'
    )
  chosen = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
  return np.stack([_middle(paths[i]) for i in chosen])


def _middle(path: Path) -> UInt8[np.ndarray, '192 192 3']:
  image = images.decode(path.read_bytes(), str(path))
  height, width = image.shape[:2]
  side = min(height, width)
  top, left = (height - side) // 2, (width - side) // 2
  square = image[top : top + side, left : left + side]
  return cv2.resize(square, (ATLAS_SIZE, ATLAS_SIZE), interpolation=cv2.INTER_AREA)


NUM_UNIFORM = 16


def cut(
  draws: Draws, atlas: UInt8[Array, 'count n n 3'], size: int, plain: float
) -> Float[Array, '3 m']:
  """A piece of one picture of an atlas, in linear colours, row by row.

  Args:
    draws: of which `NUM_UNIFORM` uniform numbers are enough.
    atlas: pictures in sRGB.
    size: side of the piece in pixels.
    plain: probability of one that is nearly of one colour.
  """
  which = jnp.floor(draws.uniform(0.0, len(atlas))).astype(jnp.int32)
  side = atlas.shape[1]
  angle = draws.uniform(0.0, 2 * np.pi)
  zoom = jnp.exp(draws.uniform(np.log(0.15), np.log(1.2))) * side / size
  stretch = jnp.stack([zoom, zoom * jnp.exp(draws.uniform(-0.4, 0.4))])
  place = draws.uniform(0.0, side, (2,))
  steps = jnp.arange(size, dtype=jnp.float32) - size / 2
  x, y = jnp.tile(steps, size) * stretch[0], jnp.repeat(steps, size) * stretch[1]
  column = jnp.cos(angle) * x + jnp.sin(angle) * y + place[0]
  row = jnp.cos(angle) * y - jnp.sin(angle) * x + place[1]

  def texel(value):  # the picture goes on mirrored beyond its edges
    value = jnp.mod(jnp.round(value).astype(jnp.int32), 2 * side)
    return jnp.minimum(value, 2 * side - 1 - value)

  flat = atlas.reshape(-1, 3)
  piece = flat[(which * side + texel(row)) * side + texel(column)].T / 255
  gains = draws.uniform(0.85, 1.15, (3,)) * draws.uniform(0.35, 1.3)
  colour = draws.uniform(0.0, 1.0, (3,))
  colour = colour.mean() + 0.4 * (colour - colour.mean())
  plainness = jnp.where(draws.chance(plain), draws.uniform(0.7, 1.0), 0.0)
  piece = piece + plainness * (colour[:, None] - piece)
  return jnp.clip(piece * gains[:, None], 0.0, 1.0) ** 2.2
