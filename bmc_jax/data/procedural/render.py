"""Renders procedural hands: light and skin on the surface that `tracing` finds.

Colour and normal of a surface point are averages over the parts of the hand, weighted
by nearness. Light is a key light with a soft shadow, ambient light with occlusion, and
a weak highlight; skin is redder at knuckles and fingertips, has creases and nails.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from bmc_jax import geometry, kinematics
from bmc_jax.data.procedural import tracing
from bmc_jax.data.procedural.appearance import Appearance, sample_appearance
from bmc_jax.data.procedural.body import (
  OBJECT,
  SKIN,
  SLEEVE,
  Part,
  build_body,
  hand_scale,
)
from bmc_jax.data.procedural.domain import Domain
from bmc_jax.data.procedural.pose import HandSample, sample_hand

_REFERENCE_SIZE = 80  # pixels: image size that the blur is given for

# Probes of the distance around a surface point: metres along the normal and along the
# light. The first two measure ambient occlusion, the others the shadow.
_PROBES = np.array(
  [
    [0.006, 0],
    [0.016, 0],
    [0.002, 0.006],
    [0.002, 0.014],
    [0.002, 0.028],
    [0.002, 0.05],
  ],
  np.float32,
)
_NUM_OCCLUSION_PROBES = 2

# By colour channel: how much lighter the palm's skin is, what blood under the skin
# does to it, how far light seeps into the shade, the colour of a nail.
_SKIN_OPTICS = np.array(
  [[0.10, 0.13, 0.14], [0.05, -0.22, -0.18], [0.3, 0.12, 0.08], [0.85, 0.66, 0.6]],
  np.float32,
)


class Picture(NamedTuple):
  """A rendered image with what a test or a figure wants to see."""

  image: Float[Array, 'size size 3']  # sRGB in [0, 1]
  mask: Float[Array, 'size size']  # coverage by skin, sleeve or held object


def _visibility(body: Part, point, normal, light):
  """Share of ambient light and of the key light that reaches surface points."""

  def probe(carry, steps):
    place = tracing.step(tracing.step(point, normal, steps[0]), light, steps[1])
    return carry, tracing.distance(body, place)

  _, distances = jax.lax.scan(probe, None, jnp.asarray(_PROBES))
  split = _NUM_OCCLUSION_PROBES
  reach = _PROBES[:split, 0, None]
  ambient = jnp.mean(jnp.clip(distances[:split] / reach, 0.0, 1.0), axis=0)
  openness = distances[split:] / (0.35 * _PROBES[split:, 1, None])
  return 0.25 + 0.75 * ambient, jnp.clip(jnp.min(openness, axis=0), 0.0, 1.0)


def _near(point, centre, radius):
  """Bump of height 1 around a point of space."""
  offset = tuple(point[i] - centre[i] for i in range(3))
  return jnp.exp(-tracing.dot(offset, offset) / (radius * radius))


def _skin_pattern(hand: HandSample, point, surface: tracing.Surface):
  """Where skin is redder, darker (creases) and nail: three arrays over the pixels."""
  scale = hand_scale(hand)
  fingers = hand.joints_3d[1:].reshape(5, 4, 3)
  frames = kinematics.bone_frames(hand.joints_3d)
  back = -tracing.dot(surface.normal, surface.inner)
  red, crease, nail = (jnp.zeros_like(point[0]) for _ in range(3))
  for finger in range(5):
    mcp, pip, dip, tip = fingers[finger]
    red += 0.6 * _near(point, tip, 0.012 * scale)
    red += 0.4 * _near(point, pip, 0.012 * scale)
    red += 0.7 * _near(point, mcp, 0.016 * scale) * jnp.clip(back, 0.0, 1.0)
    for joint, before in ((pip, mcp), (dip, pip)):
      along = geometry.normalize(joint - before)
      local = tuple(point[i] - joint[i] for i in range(3))
      height = tracing.dot(local, along) / (0.0013 * scale)
      ring = jnp.exp(-height * height)
      crease += ring * (tracing.dot(local, local) < (0.016 * scale) ** 2)
    along = geometry.normalize(tip - dip)
    outward = -frames[finger, 2, 0]
    outward = geometry.normalize(outward - tracing.dot(outward, along) * along)
    width = (0.0052 if finger == 0 else 0.0042) * scale
    side = jnp.cross(along, outward)
    local = tuple(point[i] - tip[i] for i in range(3))
    u = (tracing.dot(local, along) + 0.0045 * scale) / (1.25 * width)
    v = tracing.dot(local, side) / width
    plate = jax.nn.sigmoid((1 - u * u * u * u - v * v * v * v) * 5)
    nail = jnp.maximum(nail, plate * (tracing.dot(surface.normal, outward) > 0.25))
  return jnp.clip(red, 0.0, 1.0), jnp.clip(crease, 0.0, 1.0), nail


def _shade(hand: HandSample, body: Part, look: Appearance, point, ray):
  """Linear colours (3, pixels) of surface points."""
  surface = tracing.surface(body, point)
  ambient, shadow = _visibility(body, point, surface.normal, look.light)
  facing = tracing.dot(surface.normal, look.light)
  half = tracing.unit(tuple(look.light[i] - ray[i] for i in range(3)))
  red, crease, nail = _skin_pattern(hand, point, surface)
  palm = jax.nn.sigmoid(4 * tracing.dot(surface.normal, surface.inner)) - 0.3
  skin_share = surface.materials[SKIN]
  nail = nail * skin_share
  gloss = jnp.clip(tracing.dot(surface.normal, half), 0.0, 1.0) ** 24
  gloss = (0.06 + 0.12 * nail) * skin_share * gloss * shadow
  # Ambient light comes from above, mostly.
  ambient = ambient * (0.775 - 0.225 * surface.normal[1])

  def channel(_, values):
    paler, blood, seep, plate, light_colour, ambient_colour, colours = values
    skin = 1 + blood * red + paler * palm - 0.16 * crease
    skin = colours[SKIN] * skin
    skin = skin * (1 - 0.3 * nail) + 0.3 * nail * plate
    albedo = skin * skin_share
    albedo += colours[SLEEVE] * surface.materials[SLEEVE]
    albedo += colours[OBJECT] * surface.materials[OBJECT]
    wrap = seep * skin_share
    direct = jnp.clip((facing + wrap) / (1 + wrap), 0.0, 1.0)
    direct = direct * (shadow + 0.5 * wrap * (1 - shadow))
    light = light_colour * direct + ambient_colour * ambient
    return None, albedo * light + gloss * light_colour

  # A loop: unrolled, XLA would shade every pixel once more for each channel.
  channels = (
    *jnp.asarray(_SKIN_OPTICS),
    look.light_colour,
    look.ambient,
    look.colours.T,
  )
  return jax.lax.scan(channel, None, channels)[1]


def _srgb(linear):
  return jnp.clip(linear, 1e-5, 1.0) ** (1 / 2.2)


def _blur(image, sigma):
  """Gaussian blur with a standard deviation in pixels, which may be traced."""
  place = jnp.arange(image.shape[0])
  offset = (place[:, None] - place[None]) / jnp.maximum(sigma, 0.05)
  kernel = jnp.exp(-0.5 * offset * offset)
  kernel = kernel / kernel.sum(axis=1, keepdims=True)
  return jnp.einsum('ij,jkc,lk->ilc', kernel, image, kernel)


def render(key: PRNGKeyArray, hand: HandSample, look: Appearance) -> Picture:
  """Renders one hand.

  Args:
    key: random key of the sensor noise.
    hand: one posed hand, without batch dimensions.
    look: its appearance; the size of its background is that of the image.
  """
  size = look.background.shape[0]
  grid = jnp.arange(size, dtype=jnp.float32)
  focal, centre = hand.intrinsics[0, 0], hand.intrinsics[:2, 2]
  x = jnp.broadcast_to((grid - centre[0]) / focal, (size, size)).ravel()
  y = jnp.broadcast_to(((grid - centre[1]) / focal)[:, None], (size, size)).ravel()
  ray = tracing.unit((x, y, jnp.ones_like(x)))

  body = build_body(hand, look.arm)
  travelled, coverage = tracing.trace(body, ray, 1 / focal)
  point = tracing.step((0.0, 0.0, 0.0), ray, travelled)
  colours = _shade(hand, body, look, point, ray)
  image = _srgb(colours * look.gain).T.reshape(size, size, 3)

  mask = coverage.reshape(size, size)
  background = jnp.clip(look.background * look.gain, 0.0, 1.0)
  image = image * mask[..., None] + background * (1 - mask[..., None])
  cover, opacity = look.occluder[..., :3], look.occluder[..., 3:]
  image = image * (1 - opacity) + cover * opacity
  image = _blur(image, look.blur * size / _REFERENCE_SIZE)
  image = image + look.noise * jax.random.normal(key, image.shape)
  return Picture(jnp.clip(image, 0.0, 1.0), mask)


@functools.partial(jax.jit, static_argnames=('domain', 'size'))
def render_batch(
  keys: PRNGKeyArray, domain: Domain, size: int
) -> tuple[HandSample, UInt8[Array, 'n size size 3']]:
  """Draws and renders one hand per key.

  Args:
    keys: (n,) random keys; the same key gives the same hand.
    domain: the distribution to draw from.
    size: side of the images in pixels.

  Returns:
    The hands, with a leading axis n, and their images.
  """

  def one(key):
    pose_key, look_key, noise_key = jax.random.split(key, 3)
    hand = sample_hand(pose_key, domain, size)
    look = sample_appearance(look_key, hand.subject, domain, size)
    image = render(noise_key, hand, look).image
    return hand, jnp.round(255 * image).astype(jnp.uint8)

  # One after another, an image stays in a core's cache; accelerators want them all.
  batch_size = None if jax.default_backend() == 'cpu' else len(keys)
  return jax.lax.map(one, keys, batch_size=batch_size)
