"""From light to a picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.mesh import sensor
from bmc_jax.data.procedural.mesh.look import Look

BIG, SIZE = 48, 32
PLAIN = {
  'gain': (1.0, 1.0),
  'white_balance': 0.0,
  'contrast': (1.0, 1.0),
  'saturation': (1.0, 1.0),
  'defocus': (1.0, 1.0),
  'motion': 0.0,
  'noise': (0.0, 0.0),
  'jpeg': 0.0,
}


def take(light, seed=0, **changes):
  key = jax.random.key(seed)
  draws = Draws(key, normal=0, uniform=sensor.NUM_UNIFORM)
  look = Look(**(PLAIN | changes))
  return np.asarray(sensor.take_picture(draws, key, jnp.float32(light), SIZE, look))


def spot(x, y):
  """A soft light at a place of the finer image."""
  columns, rows = np.arange(BIG)[None], np.arange(BIG)[:, None]
  light = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8.0)
  return np.repeat(0.5 * light[None], 3, axis=0)


@pytest.mark.parametrize(('x', 'y'), [(24.0, 21.0), (13.5, 30.25)])
def test_light_is_seen_where_its_pixel_is(x, y):
  linear = take(spot(x, y)) ** 2.2
  weights = linear[..., 0] / linear[..., 0].sum()
  columns, rows = np.arange(SIZE)[None], np.arange(SIZE)[:, None]
  found = np.array([(weights * columns).sum(), (weights * rows).sum()])
  np.testing.assert_allclose(
    (found + 0.5) / SIZE, (np.array([x, y]) + 0.5) / BIG, atol=2e-3
  )


def test_blur_keeps_the_light_and_moves_along_one_line():
  light = 0.1 + spot(24, 24)
  sharp, wide = (take(light, defocus=(d, d)) ** 2.2 for d in (0.5, 4.0))
  assert sharp.max() > 1.5 * wide.max()
  np.testing.assert_allclose(wide.mean(), sharp.mean(), rtol=0.01)
  still = _spreads(take(spot(24, 24)))
  moved = [
    _spreads(take(spot(24, 24), seed=seed, motion=1.0, motion_length=8.0))
    for seed in range(4)
  ]
  assert max(spread[1] for spread in moved) > 2 * still[1]
  assert all(spread[0] < 1.2 * still[0] for spread in moved)


def _spreads(image):
  """Variances of where light is, in the narrowest and in the widest direction."""
  places = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1)
  weights = image[..., 0].ravel() ** 2.2
  weights = np.where(weights > 1e-3, weights, 0)
  return np.linalg.eigvalsh(np.cov(places.reshape(-1, 2).T, aweights=weights))


def test_exposure_noise_and_compression_do_what_they_are_called():
  light = np.full((3, BIG, BIG), 0.2)
  plain = take(light)
  np.testing.assert_allclose(plain, 0.2 ** (1 / 2.2), atol=2e-3)
  np.testing.assert_allclose(take(light, gain=(2, 2)), 0.4 ** (1 / 2.2), atol=2e-3)
  noisy = [take(light, seed=seed, noise=(0.2, 0.2)) for seed in range(4)]
  assert all(abs(image.mean() - plain.mean()) < 0.03 for image in noisy)
  assert max(image.std() for image in noisy) > 0.02
  rough = np.random.default_rng(0).uniform(0, 1, (3, BIG, BIG))
  whole, lossy = (take(rough, jpeg=share, defocus=(0.1, 0.1)) for share in (0.0, 1.0))
  difference = np.abs(whole - lossy).mean()
  assert 0.002 < difference < 0.1
