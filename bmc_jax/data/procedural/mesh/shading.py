"""Light on the surfaces of a picture: skin, nails, cloth, metal and things.

A key light with a soft shadow, a fill light, ambient light from above and below with
occlusion, light that seeps into the shade through skin, and a highlight.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from bmc_jax import geometry
from bmc_jax.data.procedural.mesh import raster, scene, shadows, texture
from bmc_jax.data.procedural.mesh.look import Appearance

_BLOCK = 1024  # pixels that are shaded at once: they stay in a core's cache
_BLOOD = np.array(
  [0.06, -0.24, -0.20], np.float32
)  # what blood does to skin, by channel
_SEEP = np.array([0.38, 0.16, 0.10], np.float32)  # how far light seeps into the shade


class Shaded(NamedTuple):
  """What the hand and things of a picture look like, row by row."""

  colour: Float[Array, '3 n']  # linear
  found: Bool[Array, '*n']  # whether there is a surface


class _Points(NamedTuple):
  """Where pixels look; vectors are (3, n)."""

  place: Float[Array, '3 n']
  normal: Float[Array, '3 n']
  view: Float[Array, '3 n']  # unit vectors to the camera
  skin: dict[str, Array]  # channels of the texture
  thing: Array  # 0 hand, 1 and 2 things


def _unit(vectors):
  return (
    vectors * jax.lax.rsqrt(jnp.maximum(shadows.dot(vectors, vectors), 1e-12))[None]
  )


def shade(
  surface: scene.Surface,
  look: Appearance,
  joints: Float[Array, '21 3'],
  intrinsics: Float[Array, '3 3'],
  size: int,
) -> Shaded:
  """Draws and lights all surfaces.

  Args:
    surface: from `scene.build`.
    look: colours and lights.
    joints: of the hand, metres, camera axes.
    intrinsics: of the image.
    size: its side in pixels.
  """
  shape = scene.topology()
  pixels = geometry.project(surface.vertices, intrinsics)
  flat = jnp.concatenate([pixels, surface.vertices[:, 2:]], axis=1)
  corners = flat[shape.triangles]  # (t, 3, 3)
  middle = joints[9, 2]
  drawn = raster.rasterize(
    corners.transpose(1, 0, 2),
    size,
    groups=shape.groups,
    depths=(jnp.maximum(0.3 * middle, 0.02), middle + 0.35),
  )
  found = drawn.triangle >= 0
  surroundings = shadows.surroundings(
    drawn.depth, found, intrinsics[0, 0] / middle, size
  )
  light_map = shadows.cast(surface, joints, look.lights[0])
  packed = jnp.concatenate(
    [
      corners.reshape(-1, 9),
      surface.normals[shape.triangles].reshape(-1, 9),
      shape.uv.reshape(-1, 6),
    ],
    axis=1,
  )

  def shade_pixels(number):
    triangle = drawn.triangle[number]
    points = _points(packed[triangle], triangle, number, intrinsics, size)
    shadow = shadows.lit(light_map, points.place, points.normal, look.softness)
    openness = shadows.openness(surroundings, points.place[2], number, size)
    return _light(points, look, openness, shadow)

  return Shaded(_map_found(shade_pixels, found), found)


def _map_found(shade_pixels, found: Bool[Array, '*n']) -> Float[Array, '3 n']:
  """Colours of the pixels that show something, block after block; 0 elsewhere."""
  count = found.size
  most = -(-count // _BLOCK) * _BLOCK
  (numbers,) = jnp.nonzero(found, size=most, fill_value=count)

  def shade_block(block, colours):
    part = jax.lax.dynamic_slice(numbers, (block * _BLOCK,), (_BLOCK,))
    shaded = shade_pixels(jnp.minimum(part, count - 1))
    return colours.at[:, part].set(shaded, mode='drop')

  blocks = (found.sum() + _BLOCK - 1) // _BLOCK
  return jax.lax.fori_loop(0, blocks, shade_block, jnp.zeros((3, count)))


def _points(rows, triangle, number, intrinsics, size) -> _Points:
  pixels = jnp.stack([number % size, number // size]).astype(jnp.float32)
  shares, depth = raster.hits(rows[:, :9].reshape(-1, 3, 3), pixels)
  x = (pixels[0] - intrinsics[0, 2]) / intrinsics[0, 0]
  y = (pixels[1] - intrinsics[1, 2]) / intrinsics[1, 1]
  place = jnp.stack([x * depth, y * depth, depth])
  attributes = rows[:, 9:].T
  normal = sum(shares[k, None] * attributes[3 * k : 3 * k + 3] for k in range(3))
  uv = sum(shares[k, None] * attributes[9 + 2 * k : 11 + 2 * k] for k in range(3))
  texel = jnp.round(uv * (texture.SIZE - 1)).astype(jnp.int32)
  texels = texture.device_map()[texel[1] * texture.SIZE + texel[0]].T
  shape = scene.topology()
  thing = (triangle - shape.num_hand) // shape.per_thing + 1
  points = _Points(
    place=place,
    normal=_unit(normal),
    view=_unit(-place),
    skin=dict(zip(texture.CHANNELS, texels, strict=True)),
    thing=jnp.maximum(thing, 0),
  )
  return jax.lax.optimization_barrier(points)


class _Skin(NamedTuple):
  """What a pixel is made of: shares 0 to 1 and factors, (n,) each."""

  palm: Array
  red: Array
  dull: Array  # factor of what darkens skin
  nail: Array
  sleeve: Array
  stripe: Array  # of cloth: which of its two colours
  weave: Array  # factor
  ring: Array
  watch: Array
  thing: Array  # 0 hand, 1 and 2 things
  pattern: Array  # which of its two colours
  gloss: Array
  seeping: Array  # whether light seeps through


def _skin(points: _Points, look: Appearance) -> _Skin:
  skin, along = points.skin, points.skin['along']
  dull = 1 + look.mottling[0] * skin['coarse'] + look.mottling[1] * skin['fine']
  dull *= 1 - look.hair * skin['hair'] * jnp.clip(1.5 * skin['fine'] + 0.3, 0.0, 1.0)
  dull *= 1 - 0.35 * skin['crease']
  sleeve = along < -look.cuff
  ring = jnp.abs(along - look.ring[0]) < look.ring[1]
  watch = (along < look.watch[0]) & (along > look.watch[0] + look.watch[1]) & ~sleeve
  nail = skin['nail'] * look.nail[3]
  gloss = look.gloss[0] * jnp.where(sleeve, 0.2, 1.0) * (1 + 1.5 * nail)
  return _Skin(
    palm=skin['palm'],
    red=skin['red'],
    dull=dull,
    nail=nail,
    sleeve=sleeve,
    stripe=0.5 + 0.5 * jnp.sign(jnp.sin(along * 900)),
    weave=1 + 0.15 * skin['fine'] + 0.15 * skin['coarse'],
    ring=ring,
    watch=watch,
    thing=points.thing,
    pattern=jnp.sin(points.place[0] * 260 + points.place[1] * 110) > 0.8,
    gloss=jnp.where(ring | watch, 0.7, gloss),
    seeping=((points.thing == 0) & ~sleeve & ~ring & ~watch).astype(jnp.float32),
  )


class _Colours(NamedTuple):
  """One channel of the colours of an appearance."""

  blood: Array
  seep: Array
  skin: Array
  palm: Array
  nail: Array
  metal: Array
  cloth: Array
  things: Array
  lights: Array
  sky: Array


def _albedo(skin: _Skin, colours: _Colours):
  """One channel of what surfaces reflect."""
  base = colours.skin + (colours.palm - colours.skin) * skin.palm
  base = base * (1 + colours.blood * skin.red) * skin.dull
  base = base + skin.nail * (colours.nail - base)
  one, other = colours.cloth
  base = jnp.where(skin.sleeve, (one + skin.stripe * (other - one)) * skin.weave, base)
  base = jnp.where(skin.ring, colours.metal[0], base)
  base = jnp.where(skin.watch, colours.metal[1], base)
  for number, (one, other) in enumerate(colours.things, start=1):
    thing = one + (other - one) * skin.pattern
    base = jnp.where(skin.thing == number, thing, base)
  return base


def _light(points: _Points, look: Appearance, openness, shadow):
  """Linear colours (3, n)."""
  normal = points.normal
  # A surface that is seen faces the camera, whatever interpolation says.
  normal = jnp.where((shadows.dot(normal, points.view) < -0.2)[None], -normal, normal)
  half = _unit(points.view + look.lights[0][:, None])
  highlight = jnp.maximum(shadows.dot(normal, half), 1e-4)
  highlight = jnp.exp(look.gloss[1] * jnp.log(highlight)) * shadow
  grazing = (1 - jnp.clip(shadows.dot(normal, points.view), 0.0, 1.0)) ** 4
  shared = (
    _skin(points, look),
    shadows.dot(normal, look.lights[0]),
    shadows.dot(normal, look.lights[1]),
    0.5 + 0.5 * shadows.dot(normal, look.up),
    highlight,
    0.6 * grazing,
  )
  skin, key, fill, up, highlight, grazing = jax.lax.optimization_barrier(shared)

  def channel(_, colours: _Colours):
    seep = colours.seep * skin.seeping
    direct = jnp.clip((key + seep) / (1 + seep), 0.0, 1.0)
    direct = direct * (shadow + 0.4 * seep * (1 - shadow))
    second = jnp.clip((fill + seep) / (1 + seep), 0.0, 1.0)
    sky = colours.sky[1] + (colours.sky[0] - colours.sky[1]) * up
    light = colours.lights[0] * direct + colours.lights[1] * second + sky * openness
    shine = skin.gloss * (highlight * colours.lights[0] + grazing * sky)
    return None, _albedo(skin, colours) * light + shine

  # A loop: unrolled, XLA would shade every pixel once more for each channel.
  colours = _Colours(
    blood=jnp.asarray(_BLOOD),
    seep=jnp.asarray(_SEEP),
    skin=look.skin,
    palm=look.palm,
    nail=look.nail[:3],
    metal=look.metal.T,
    cloth=look.cloth.T,
    things=jnp.moveaxis(look.thing_colours, 2, 0),
    lights=look.light_colours.T,
    sky=look.sky.T,
  )
  return jax.lax.scan(channel, None, colours)[1]
