"""Random photometric changes of images on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

Array = jax.Array


def jitter_colors(
  key: PRNGKeyArray,
  image: Float[Array, 's s 3'],
  noise_pool: Float[Array, 'p p 3'],
  *,
  brightness: float,
  contrast: float,
  color: float,
  noise: float,
  blur: float,
  erase: float,
) -> Float[Array, 's s 3']:
  """Changes the colours of one image at random.

  Args:
    key: a PRNG key.
    image: (S, S, 3) in [0, 1].
    noise_pool: (P, P, 3) of unit variance, P >= S, from which the noise is cut.
    brightness, contrast, color, noise, blur, erase: strengths, 0 for off; see
      `bmc_jax.data.augment.augment_batch`.

  Returns:
    (S, S, 3) in [0, 1].
  """
  keys = jax.random.split(key, 6)
  if blur:
    image = _random_blur(keys[0], image, blur)
  if contrast:
    mean = jnp.mean(image)
    image = mean + random_factor(keys[1], (), contrast) * (image - mean)
  if color:
    image = image * random_factor(keys[2], (1, 1, 3), color)
  if brightness:
    image = image + jax.random.uniform(
      keys[3], (), minval=-brightness, maxval=brightness
    )
  if noise:
    image = image + _random_noise(keys[4], noise_pool, image.shape[0], noise)
  if erase:
    image = _random_erase(keys[5], image, erase)
  return jnp.clip(image, 0, 1)


def random_factor(key, shape, strength) -> Array:
  """Factors between 1 / (1 + strength) and 1 + strength, even in their logarithm."""
  limit = jnp.log1p(strength)
  return jnp.exp(jax.random.uniform(key, shape, minval=-limit, maxval=limit))


def _random_noise(key, pool, size, greatest) -> Array:
  """A random window (S, S, 3) of the noise pool, of a random standard deviation."""
  amount_key, place_key = jax.random.split(key)
  row, column = jax.random.randint(place_key, (2,), 0, pool.shape[0] - size + 1)
  window = jax.lax.dynamic_slice(pool, (row, column, 0), (size, size, 3))
  return jax.random.uniform(amount_key, (), maxval=greatest) * window


def _random_blur(key, image, probability) -> Array:
  """Mixes in, with some probability, the image after a 3 x 3 binomial filter."""
  chance_key, amount_key = jax.random.split(key)
  chosen = jax.random.bernoulli(chance_key, probability)
  amount = jnp.where(chosen, jax.random.uniform(amount_key), 0)
  padded = jnp.pad(image, ((1, 1), (1, 1), (0, 0)), mode='edge')
  rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
  blurred = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
  return image + amount * (blurred - image)


def _random_erase(key, image, probability) -> Array:
  """Paints over, with some probability, a rectangle of 10 to 40 % of each side."""
  chance_key, center_key, extent_key, color_key = jax.random.split(key, 4)
  side = image.shape[0]
  center = jax.random.uniform(center_key, (2,), maxval=side)
  half = side * jax.random.uniform(extent_key, (2,), minval=0.05, maxval=0.2)
  steps = jnp.arange(side)
  inside_y = jnp.abs(steps - center[0]) < half[0]
  inside_x = jnp.abs(steps - center[1]) < half[1]
  chosen = jax.random.bernoulli(chance_key, probability)
  inside = chosen & inside_y[:, None] & inside_x[None, :]
  paint = jax.random.uniform(color_key, (1, 1, 3))
  return jnp.where(inside[:, :, None], paint, image)
