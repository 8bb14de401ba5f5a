"""From light to a picture: exposure, blur, noise, the camera's processing, JPEG."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.mesh.look import Look

NUM_UNIFORM = 20
_REFERENCE_SIZE = 80  # pixels: image size that blur is given for

_LUMA = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
_LUMA_BACK = np.linalg.inv(_LUMA)


def take_picture(
  draws: Draws,
  key: PRNGKeyArray,
  light: Float[Array, '3 big big'],
  size: int,
  look: Look,
) -> Float[Array, 'size size 3']:
  """Takes a picture of light.

  Args:
    draws: of which `NUM_UNIFORM` uniform numbers are enough.
    key: of the sensor's noise.
    light: linear colours, at a higher resolution than that of the picture.
    size: side of the picture.
    look: how cameras differ.

  Returns:
    sRGB in [0, 1].
  """
  gain = jnp.exp(draws.uniform(*map(jnp.log, look.gain)))
  balance = 1 + look.white_balance * draws.uniform(-1.0, 1.0, (3,))
  light = _blurred(draws, light, size, look)
  light = jnp.maximum(light * (gain * balance)[:, None, None], 0.0)
  strength = draws.uniform(*look.noise) * draws.uniform(0.0, 1.0)
  noise = jax.random.normal(key, light.shape)
  light = light + strength * jnp.sqrt(light + 0.02) * noise
  image = jnp.clip(light, 1e-5, 1.0) ** (draws.uniform(*look.contrast) / 2.2)
  grey = jnp.mean(image, axis=0, keepdims=True)
  image = grey + draws.uniform(*look.saturation) * (image - grey)
  quality = jnp.where(draws.chance(look.jpeg), draws.uniform(0.01, 0.05), 1e-3)
  return jnp.clip(_compressed(image, quality), 0.0, 1.0).transpose(1, 2, 0)


def _blurred(draws: Draws, light, size, look: Look):
  """Blurs and shrinks, in the domain of frequencies: out of focus, and moved."""
  big = light.shape[1]
  pixel = big / _REFERENCE_SIZE
  focus = draws.uniform(*look.defocus) * pixel
  length = draws.uniform(0.0, look.motion_length) * pixel
  length = jnp.where(draws.chance(look.motion), length, 0.0)
  angle = draws.uniform(0.0, np.pi)
  fy = np.fft.fftfreq(big)[:, None].astype(np.float32)
  fx = np.fft.rfftfreq(big)[None].astype(np.float32)
  along = fx * jnp.cos(angle) + fy * jnp.sin(angle)
  spread = focus**2 * (fx * fx + fy * fy) + length**2 * along * along
  # The centre of a pixel x lies at (x + 1/2) big / size - 1/2 of the finer image.
  shift = np.exp(1j * np.pi * (big / size - 1) * (fx + fy)).astype(np.complex64)
  spectrum = jnp.fft.rfft2(light) * (shift * jnp.exp(-2 * np.pi**2 * spread))[None]
  # The picture keeps the frequencies that it can hold.
  half = size // 2
  rows = np.r_[0:half, big - (size - half) : big]
  spectrum = spectrum[:, rows, : half + 1] * (size / big) ** 2
  return jnp.fft.irfft2(spectrum, s=(size, size))


def _compressed(image, quality):
  """JPEG's loss: cosine coefficients of blocks of 8 pixels, in steps of `quality`."""
  size = image.shape[1]
  blocks = size // 8
  if size % 8:
    return image
  n = np.arange(8)
  cosine = np.sqrt(2 / 8) * np.cos(np.pi * (2 * n[None] + 1) * n[:, None] / 16)
  cosine[0] /= np.sqrt(2)
  cosine = cosine.astype(np.float32)
  coarse = (1 + 0.6 * (n[:, None] + n[None])).astype(np.float32)
  steps = quality * coarse[None] * np.array([[[1.0]], [[2.0]], [[2.0]]], np.float32)
  planes = jnp.einsum('dc,chw->dhw', _LUMA.astype(np.float32), image)
  planes = planes.reshape(3, blocks, 8, blocks, 8)
  waves = jnp.einsum('ui,cbiej,vj->cbeuv', cosine, planes, cosine)
  steps = steps[:, None, None]
  waves = jnp.round(waves / steps) * steps
  planes = jnp.einsum('ui,cbeuv,vj->cbiej', cosine, waves, cosine)
  planes = planes.reshape(3, size, size)
  return jnp.einsum('dc,chw->dhw', _LUMA_BACK.astype(np.float32), planes)
