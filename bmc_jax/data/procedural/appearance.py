"""Sampling of what a hand and its surroundings look like: skin, light, background."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from bmc_jax.data.procedural.body import Arm
from bmc_jax.data.procedural.domain import Domain
from bmc_jax.data.procedural.pose import subject_key

# Skin from light to dark, linear RGB albedo.
_SKIN_TONES = (
  (0.82, 0.58, 0.47),
  (0.74, 0.48, 0.36),
  (0.60, 0.36, 0.25),
  (0.42, 0.24, 0.16),
  (0.24, 0.135, 0.09),
)

# Shapes of a textured background.
_BLOBS, _BANDS = 5, 2


class Appearance(NamedTuple):
  """Everything the renderer needs besides joints and camera."""

  arm: Arm
  colours: Float[Array, '3 3']  # linear albedo of skin, sleeve and object
  light: Float[Array, '3']  # unit vector to the light, camera axes
  light_colour: Float[Array, '3']
  ambient: Float[Array, '3']
  background: Float[Array, 'size size 3']  # sRGB in [0, 1]
  occluder: Float[Array, 'size size 4']  # sRGB and opacity
  noise: Float[Array, '']
  blur: Float[Array, '']  # std in pixels of an 80 pixel image
  gain: Float[Array, '']


def _uniform(key, ends, shape=()):
  return jax.random.uniform(key, shape, minval=ends[0], maxval=ends[1])


def _between(ends, share):
  return ends[0] + (ends[1] - ends[0]) * share


def _colours(key, count, level, saturation):
  """Random colours (count, 3): a grey with a tint."""
  shares = jax.random.uniform(key, (count, 4))
  tint = saturation * (shares[:, 1:] - 0.5)
  return jnp.clip(_between(level, shares[:, :1]) + tint, 0.02, 0.98)


def _skin(key, subject, domain: Domain):
  normal = domain.skin_std * jax.random.normal(key, (4,))
  tone = _uniform(jax.random.fold_in(subject_key(subject, domain), 9), domain.skin_tone)
  table = np.array(_SKIN_TONES, np.float32)
  place = jnp.clip(tone + normal[0], 0.0, 1.0) * (len(table) - 1)
  # Linear interpolation in the table.
  weights = jnp.maximum(1 - jnp.abs(place - np.arange(len(table))), 0.0)
  return weights @ table * jnp.exp(normal[1:])


def _arm(key, domain: Domain) -> Arm:
  shares = jax.random.uniform(key, (9,))
  has_sleeve = shares[0] < domain.sleeve_probability
  has_object = shares[1] < domain.object_probability
  signed = 2 * shares[4:] - 1
  return Arm(
    bend=np.deg2rad([40.0, 15.0]).astype(np.float32) * signed[:2],
    sleeve=jnp.where(has_sleeve, _between((0.01, 0.07), shares[2]), 1.0),
    sleeve_width=jnp.where(has_sleeve, 0.005, 0.0),
    object_radius=jnp.where(has_object, _between((0.008, 0.02), shares[3]), -1.0),
    object_pose=jnp.array([0.5, 0.02, 0.025]) * signed[2:] - jnp.array([0, 0, 0.01]),
  )


def _light(key, domain: Domain):
  """Direction, mostly from above the camera, colour and ambient light."""
  shares = jax.random.uniform(key, (7,))
  angle = jnp.deg2rad(domain.light_angle) * _between((0.3, 1.0), shares[0])
  heading = jnp.deg2rad(110.0) * (2 * shares[1] - 1)
  light = jnp.stack(
    [
      jnp.sin(angle) * jnp.sin(heading),
      -jnp.sin(angle) * jnp.cos(heading),
      -jnp.cos(angle),
    ]
  )
  tint = 1 + domain.light_tint * (2 * shares[4:] - 1)
  colour = _between(domain.light_strength, shares[2]) * tint
  return light, colour, _between(domain.ambient, shares[3]) * (2 - tint)


def _band(shares, xy, width):
  """Soft-edged stripe across the image: opacity (size, size)."""
  angle = jnp.pi * shares[0]
  across = xy[0] * jnp.cos(angle) + xy[1] * jnp.sin(angle)
  offset = jnp.abs(across - (2 * shares[1] - 1))
  return jax.nn.sigmoid((_between(width, shares[2]) - offset) * 40)


def _blob(shares, xy):
  """Soft-edged ellipse or rounded box: opacity (size, size)."""
  centre = 2.2 * shares[:2] - 1.1
  radius = _between((0.12, 0.6), shares[2:4])
  angle = jnp.pi * shares[4]
  x, y = xy[0] - centre[0], xy[1] - centre[1]
  u = (x * jnp.cos(angle) + y * jnp.sin(angle)) / radius[0]
  v = (y * jnp.cos(angle) - x * jnp.sin(angle)) / radius[1]
  u, v = u * u, v * v
  ellipse, box = u + v, u * u * u + v * v * v
  return jax.nn.sigmoid((1 - jnp.where(shares[5] < 0.5, ellipse, box)) * 8)


def _background(key, xy, domain: Domain):
  """Plain with a gradient, or shapes, edges and noise of several scales on it."""
  size = xy[0].shape[0]
  keys = jax.random.split(key, 8)
  level, saturation = domain.background_level, domain.background_colour
  colours = _colours(keys[0], _BLOBS + _BANDS + 1, level, saturation)
  slope = 0.08 * jax.random.normal(keys[1], (2,))
  image = colours[:1, None] + (slope[0] * xy[0] + slope[1] * xy[1])[..., None]
  if domain.background_texture[1] > 0:
    texture_key, strength_key = jax.random.split(keys[4])
    texture = _uniform(texture_key, domain.background_texture)
    blobs = jax.random.uniform(keys[2], (_BLOBS, 6))
    bands = jax.random.uniform(keys[3], (_BANDS, 3))
    shapes = jnp.concatenate(
      [
        jax.vmap(lambda shares: _blob(shares, xy))(blobs),
        jax.vmap(lambda shares: _band(shares, xy, (0.03, 0.5)))(bands),
      ]
    )

    def paint(image, shape_and_colour):
      shape, colour = shape_and_colour
      return image + (texture * shape)[..., None] * (colour[None, None] - image), None

    image, _ = jax.lax.scan(paint, image, (shapes, colours[1:]))
    strength = 0.07 * texture * jax.random.uniform(strength_key) ** 2
    for cells, noise_key in zip((5, 12, 32), keys[5:], strict=True):
      # One channel of brightness, three of colour.
      grain = jax.random.normal(noise_key, (cells, cells, 4))
      grain = grain[..., :1] + 0.3 * grain[..., 1:]
      image = image + strength * jax.image.resize(grain, (size, size, 3), 'cubic')
  return jnp.clip(image, 0.0, 1.0)


def _occluder(key, xy, domain: Domain):
  """A stripe before the hand; opacity 0 where the image has none."""
  keys = jax.random.split(key)
  shares = jax.random.uniform(keys[0], (4,))
  opacity = _band(shares[:3], xy, (0.04, 0.1))
  opacity = opacity * (shares[3] < domain.occluder_probability)
  colour = _colours(keys[1], 1, domain.background_level, domain.background_colour)[0]
  colour = jnp.broadcast_to(colour, (*opacity.shape, 3))
  return jnp.concatenate([colour, opacity[..., None]], axis=-1)


def sample_appearance(
  key: PRNGKeyArray, subject: Int[Array, ''], domain: Domain, size: int
) -> Appearance:
  """Draws the look of one image.

  Args:
    key: random key.
    subject: the hand's subject, who keeps his skin tone.
    domain: the distribution to draw from.
    size: side of the image in pixels.
  """
  keys = jax.random.split(key, 7)
  steps = jnp.linspace(-1.0, 1.0, size)
  xy = tuple(jnp.meshgrid(steps, steps))
  light, light_colour, ambient = _light(keys[0], domain)
  materials = _colours(keys[2], 2, (0.1, 0.8), 0.6) ** 1.5
  shares = jax.random.uniform(keys[6], (3,))
  return Appearance(
    arm=_arm(keys[3], domain),
    colours=jnp.concatenate([_skin(keys[1], subject, domain)[None], materials]),
    light=light,
    light_colour=light_colour,
    ambient=ambient,
    background=_background(keys[4], xy, domain),
    occluder=_occluder(keys[5], xy, domain),
    noise=_between(domain.noise, shares[0]),
    blur=_between(domain.blur, shares[1]),
    gain=_between(domain.gain, shares[2]),
  )
