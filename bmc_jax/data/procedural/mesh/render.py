"""Pictures of hands: joints and a camera in, images out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.mesh import backgrounds, scene, sensor, shading
from bmc_jax.data.procedural.mesh import look as look_lib
from bmc_jax.data.procedural.mesh.look import Look, sample_appearance

_OVERSAMPLING = 1.5  # surfaces are drawn so much finer than the picture


def render(
  key: PRNGKeyArray,
  joints_3d: Float[Array, '21 3'],
  intrinsics: Float[Array, '3 3'],
  atlas: UInt8[Array, 'count n n 3'],
  *,
  look: Look,
  size: int,
) -> Float[Array, 'size size 3']:
  """Draws one right hand.

  Args:
    key: of everything that is not pose and camera.
    joints_3d: metres, OpenCV camera axes.
    intrinsics: of the picture.
    atlas: backgrounds, see `backgrounds.make_atlas`.
    look: what pictures are drawn from.
    size: side of the picture in pixels.

  Returns:
    sRGB in [0, 1].
  """
  draw_key, noise_key = jax.random.split(key)
  draws = Draws(
    draw_key,
    normal=look_lib.NUM_NORMAL,
    uniform=look_lib.NUM_UNIFORM + backgrounds.NUM_UNIFORM + sensor.NUM_UNIFORM,
  )
  big = 2 * round(_OVERSAMPLING * size / 2)
  # Centres of pixels: (x + 0.5) / size is the same place at any size.
  shrink = big / size
  finer = np.array(
    [[shrink, 0, 0.5 * shrink - 0.5], [0, shrink, 0.5 * shrink - 0.5], [0, 0, 1]],
    np.float32,
  )
  appearance = sample_appearance(draws, look)
  surface = scene.build(joints_3d, appearance)
  shaded = shading.shade(surface, appearance, joints_3d, finer @ intrinsics, big)
  behind = backgrounds.cut(draws, atlas, big)
  light = jnp.where(shaded.found, shaded.colour, behind).reshape(3, big, big)
  return sensor.take_picture(draws, noise_key, light, size, look)


@functools.partial(jax.jit, static_argnames=('look', 'size'))
def render_batch(
  keys: PRNGKeyArray,
  joints_3d: Float[Array, 'n 21 3'],
  intrinsics: Float[Array, 'n 3 3'],
  atlas: UInt8[Array, 'count k k 3'],
  *,
  look: Look = Look(),  # noqa: B008
  size: int = 128,
) -> UInt8[Array, 'n size size 3']:
  """Draws one picture for each key; see `render`."""

  def one(row):
    image = render(row[0], row[1], row[2], atlas, look=look, size=size)
    return jnp.round(255 * image).astype(jnp.uint8)

  # One after another, a picture stays in a core's cache; accelerators want them all.
  batch_size = None if jax.default_backend() == 'cpu' else len(keys)
  return jax.lax.map(one, (keys, joints_3d, intrinsics), batch_size=batch_size)
