"""Pictures of hands: joints and a camera in, images out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.mesh import backgrounds, scene, sensor, shading
from bmc_jax.data.procedural.mesh import look as look_lib
from bmc_jax.data.procedural.mesh.look import Body, Look

BATCH = 16
"""Pictures that the data pipelines draw at once: one program serves them all."""

_OVERSAMPLING = 1.5  # surfaces are drawn so much finer than the picture


def render_batch(
  keys: PRNGKeyArray,
  joints_3d: Float[Array, 'n 21 3'],
  intrinsics: Float[Array, 'n 3 3'],
  *,
  look: Look = Look(),  # noqa: B008
  bodies: Body | None = None,
  atlas: UInt8[Array, 'count k k 3'] | None = None,
  size: int = 128,
) -> UInt8[Array, 'n size size 3']:
  """Draws a right hand for each key.

  Args:
    keys: (n,) random keys of everything that is not pose and camera.
    joints_3d: metres, OpenCV camera axes.
    intrinsics: of the pictures.
    look: what pictures are drawn from.
    bodies: the persons whose hands they are; somebody's of `look` without it.
    atlas: backgrounds; those of `backgrounds.load_atlas` without it.
    size: side of the pictures in pixels.

  Raises:
    ValueError: a value of `look` has no meaning.
  """
  look_lib.check_look(look)
  if bodies is None:
    bodies = _bodies(keys, look)
  if atlas is None:
    atlas = backgrounds.load_atlas()
  return _render(keys, joints_3d, intrinsics, bodies, look, atlas, size=size)


@jax.jit
def _bodies(keys, look):
  return jax.vmap(lambda key: look_lib.sample_body(jax.random.fold_in(key, 1), look))(
    keys
  )


@functools.partial(jax.jit, static_argnames='size')
def _render(keys, joints_3d, intrinsics, bodies, look, atlas, *, size: int):
  def one(row):
    key, joints, camera, body = row
    image = _picture(key, joints, camera, body, look, atlas, size)
    return jnp.round(255 * image).astype(jnp.uint8)

  # One after another, a picture stays in a core's cache; accelerators want them all.
  batch_size = None if jax.default_backend() == 'cpu' else len(keys)
  rows = (keys, joints_3d, intrinsics, bodies)
  return jax.lax.map(one, rows, batch_size=batch_size)


def _picture(key, joints_3d, intrinsics, body: Body, look: Look, atlas, size: int):
  """One picture (size, size, 3), sRGB in [0, 1]."""
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
  appearance = look_lib.sample_appearance(draws, look, body)
  surface = scene.build(joints_3d, appearance)
  shaded = shading.shade(surface, appearance, joints_3d, finer @ intrinsics, big)
  behind = backgrounds.cut(draws, atlas, big, look.plain)
  light = jnp.where(shaded.found, shaded.colour, behind).reshape(3, big, big)
  return sensor.take_picture(draws, noise_key, light, size, look)
