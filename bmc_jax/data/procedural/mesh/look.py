"""What pictures of hands are drawn from: skin, things worn and held, light, camera.

`Look` holds the distribution as plain parameters, `Appearance` one draw of it.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from bmc_jax import geometry
from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.mesh import asset
from bmc_jax.data.procedural.parameters import check_values

_PROBABILITIES = (
  'painted',
  'ring',
  'watch',
  'sleeve',
  'held',
  'occluder',
  'motion',
  'jpeg',
  'plain',
)

# Skin from light to dark, linear RGB albedo.
_SKIN_TONES = np.array(
  [
    [0.84, 0.62, 0.52],
    [0.74, 0.48, 0.36],
    [0.60, 0.36, 0.25],
    [0.42, 0.24, 0.16],
    [0.24, 0.135, 0.09],
    [0.13, 0.075, 0.055],
  ],
  np.float32,
)
_PALE = np.array([0.80, 0.55, 0.45], np.float32)  # what palms of dark skin tend to


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Look:
  """Pairs are the ends of uniform distributions, `std` fields belong to normal ones and
  probabilities lie between 0 and 1. A pytree: one program draws all looks.
  """

  skin_tone: tuple[float, float] = (0.0, 1.0)  # 0 light, 1 dark
  skin_std: float = 0.06  # of the colour at one tone
  mottling: tuple[float, float] = (0.0, 0.12)  # how uneven skin is
  gloss: tuple[float, float] = (0.02, 0.25)  # of skin
  hair: tuple[float, float] = (0.0, 0.35)  # share of light that it takes
  shape_std: float = 0.6  # of `asset.SHAPES`
  thickness: tuple[float, float] = (0.85, 1.15)  # of the flesh, over the mean adult's
  wrist_flexion: float = 55.0  # degrees, up or down, up to this
  wrist_deviation: float = 22.0  # degrees, sideways, up to this
  painted: float = 0.15  # probability of painted nails
  ring: float = 0.15
  watch: float = 0.12
  sleeve: float = 0.5
  cuff: tuple[float, float] = (0.0, 0.12)  # metres from the wrist
  held: float = 0.3  # probability of a thing in the hand
  occluder: float = 0.08  # of a thing between the camera and the hand
  plain: float = 0.15  # of a background of nearly one colour
  key: tuple[float, float] = (0.3, 1.3)  # brightness of the light that casts shadows
  fill: tuple[float, float] = (0.0, 0.5)  # of a second one, which does not
  ambient: tuple[float, float] = (0.15, 0.8)
  tint: float = 0.2  # colour casts of each light
  softness: tuple[float, float] = (0.002, 0.02)  # of shadows, metres
  gain: tuple[float, float] = (0.55, 1.5)  # exposure
  white_balance: float = 0.12
  contrast: tuple[float, float] = (0.75, 1.3)  # exponent of brightness
  saturation: tuple[float, float] = (0.6, 1.25)
  defocus: tuple[float, float] = (0.3, 1.1)  # std in pixels of an 80 pixel image
  motion: float = 0.25  # probability of motion blur
  motion_length: float = 2.5  # std in pixels of an 80 pixel image, up to this
  noise: tuple[float, float] = (0.0, 0.04)  # sensor noise, std in [0, 1] intensity
  jpeg: float = 0.15  # probability of a low quality; of sides in multiples of 8 only


def check_look(look: Look) -> None:
  """Raises a ValueError for a value that has no meaning."""
  check_values(look, positive=('gain', 'contrast'), probabilities=_PROBABILITIES)


class Body(NamedTuple):
  """What of an appearance belongs to a person."""

  shape: Float[Array, '8']  # numbers for `asset.SHAPES`
  thickness: Float[Array, '']
  tone: Float[Array, '']  # of the skin: 0 light, 1 dark


class Appearance(NamedTuple):
  """One draw of a `Look`."""

  shape: Float[Array, '8']
  thickness: Float[Array, '']
  wrist: Float[Array, '2']  # bend, radians
  skin: Float[Array, '3']  # linear albedo
  palm: Float[Array, '3']
  mottling: Float[Array, '2']  # coarse and fine
  gloss: Float[Array, '2']  # strength and exponent
  hair: Float[Array, '']
  nail: Float[Array, '4']  # colour and how much of it
  ring: Float[Array, '2']  # place and half width, see `texture.CHANNELS`
  watch: Float[Array, '2']
  metal: Float[Array, '2 3']  # colours of ring and watch
  cuff: Float[Array, '']  # metres from the wrist
  cloth: Float[Array, '2 3']  # its colours
  cloth_width: Float[Array, '']  # metres
  things: Float[Array, '2 12']  # place, turn, size and form of both, see `scene`
  has_things: Bool[Array, '2']
  thing_colours: Float[Array, '2 2 3']
  lights: Float[Array, '2 3']  # unit vectors to key and fill light, camera axes
  light_colours: Float[Array, '2 3']
  up: Float[Array, '3']
  sky: Float[Array, '2 3']  # colours of ambient light from above and below
  softness: Float[Array, '']  # metres


NUM_NORMAL, NUM_UNIFORM = 32, 114


def _colours(draws: Draws, *shape: int):
  """Linear colours, most of them not bright ones."""
  grey = draws.uniform(0.0, 1.0, (*shape, 1))
  tint = draws.uniform(0.0, 1.0, (*shape, 3))
  saturation = draws.uniform(0.0, 1.0, (*shape, 1)) ** 2
  return jnp.clip(grey * (1 + saturation * (2 * tint - 1)), 0.01, 0.95) ** 1.5


def sample_body(key: PRNGKeyArray, look: Look) -> Body:
  """Draws one person's hand."""
  draws = Draws(key, normal=len(asset.SHAPES), uniform=2)
  return Body(
    shape=look.shape_std * jnp.clip(draws.normal(len(asset.SHAPES)), -2, 2),
    thickness=draws.uniform(*look.thickness),
    tone=draws.uniform(*look.skin_tone),
  )


def sample_appearance(draws: Draws, look: Look, body: Body) -> Appearance:
  """Draws one appearance of a person.

  Args:
    draws: of which `NUM_NORMAL` and `NUM_UNIFORM` numbers are enough.
    look: the distribution.
    body: the person.
  """
  place = body.tone * (len(_SKIN_TONES) - 1)
  shares = jnp.maximum(1 - jnp.abs(place - np.arange(len(_SKIN_TONES))), 0.0)
  varied = jnp.exp(look.skin_std * draws.normal(3))
  skin = jnp.clip(shares @ _SKIN_TONES * varied, 0.02, 0.95)
  palm = skin + draws.uniform(0.2, 0.7) * jnp.maximum(_PALE - skin, 0.0)
  ring_finger = jnp.floor(draws.uniform(0.0, 5.0))
  ring = jnp.stack([6.0 + 3 * ring_finger + draws.uniform(0.35, 0.65), 0.06])
  watch = -jnp.stack([draws.uniform(0.015, 0.05), draws.uniform(-0.018, -0.004)])
  metal = jnp.array([0.75, 0.62, 0.4]) * draws.uniform(0.4, 1.1)
  light_colours = jnp.stack([draws.uniform(*look.key), draws.uniform(*look.fill)])
  tints = 1 + look.tint * draws.uniform(-1.0, 1.0, (4, 3))
  ambient = draws.uniform(*look.ambient) * jnp.stack([1.0, draws.uniform(0.15, 1.0)])
  up = geometry.normalize(jnp.array([0.0, -1.0, 0.0]) + 0.7 * draws.normal(3))
  lights = geometry.normalize(
    draws.normal(2, 3) + 0.8 * up[None] + np.array([[0.0, 0.0, -0.9]], np.float32)
  )
  painted = draws.chance(look.painted)
  return Appearance(
    shape=body.shape,
    thickness=body.thickness,
    wrist=jnp.deg2rad(jnp.stack([look.wrist_flexion, look.wrist_deviation]))
    * draws.uniform(-1.0, 1.0, (2,)),
    skin=skin,
    palm=palm,
    mottling=draws.uniform(*look.mottling, (2,)),
    gloss=jnp.stack([draws.uniform(*look.gloss), draws.uniform(8.0, 50.0)]),
    hair=draws.uniform(*look.hair),
    nail=jnp.append(
      jnp.where(painted, _colours(draws), skin * 0.7 + 0.3 * _PALE),
      jnp.where(painted, 1.0, 0.6),
    ),
    ring=jnp.where(draws.chance(look.ring), ring, -9.0),
    watch=jnp.where(draws.chance(look.watch), watch, jnp.array([-9.0, 0.0])),
    metal=jnp.stack([metal, _colours(draws)]),
    cuff=jnp.where(draws.chance(look.sleeve), draws.uniform(*look.cuff), 9.0),
    cloth=_colours(draws, 2),
    cloth_width=draws.uniform(0.002, 0.009),
    things=draws.uniform(-1.0, 1.0, (2, 12)),
    has_things=draws.uniform(0.0, 1.0, (2,)) < jnp.stack([look.held, look.occluder]),
    thing_colours=_colours(draws, 2, 2),
    lights=lights,
    light_colours=light_colours[:, None] * tints[:2],
    up=up,
    sky=ambient[:, None] * tints[2:],
    softness=draws.uniform(*look.softness),
  )
