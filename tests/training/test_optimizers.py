"""Learning-rate schedules and optimizers, against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.training import defaults, optimizers


def _options(**changes):
  return defaults.get_config().optimizer.to_dict() | changes


def _rates(num_steps, **changes):
  schedule = optimizers.create_learning_rate_fn(_options(**changes), num_steps)
  return np.array([schedule(jnp.asarray(step)) for step in range(num_steps)])


@pytest.mark.parametrize('warmup', [0, 3, 10, 14])
def test_step_decay_drops_by_its_factor_every_so_many_steps_of_the_run(warmup):
  rates = _rates(
    35,
    schedule='step',
    learning_rate=0.2,
    decay_every=10,
    decay_factor=0.1,
    warmup_steps=warmup,
  )
  expected = [
    0.2 * step / warmup if step < warmup else 0.2 * 0.1 ** (step // 10)
    for step in range(35)
  ]
  np.testing.assert_allclose(rates, expected, rtol=1e-5)


@pytest.mark.parametrize('warmup', [0, 4])
def test_the_cosine_starts_at_the_end_of_the_warm_up_and_ends_at_zero(warmup):
  rates = _rates(24, schedule='cosine', learning_rate=0.2, warmup_steps=warmup)
  expected = [
    0.2 * step / warmup
    if step < warmup
    else 0.1 * (1 + np.cos(np.pi * (step - warmup) / (24 - warmup)))
    for step in range(24)
  ]
  np.testing.assert_allclose(rates, expected, rtol=1e-4, atol=1e-7)


def _two_updates(**changes):
  """The parameters after two steps with the same gradient, at a constant rate."""
  options = _options(schedule='step', learning_rate=0.1, decay_every=100, **changes)
  optimizer = optimizers.create_optimizer(options, 100)
  params = {'layer': {'kernel': jnp.full((1, 2), 2.0), 'bias': jnp.full((2,), 3.0)}}
  params['head'] = {'log_sharpness': jnp.full((1, 1, 1, 2), 4.0)}
  gradient = {
    'layer': {'kernel': jnp.full((1, 2), 0.5), 'bias': jnp.full((2,), 0.25)},
    'head': {'log_sharpness': jnp.zeros((1, 1, 1, 2))},
  }
  state = optimizer.init(params)
  for _ in range(2):
    updates, state = optimizer.update(gradient, state, params)
    params = {a: {b: params[a][b] + updates[a][b] for b in params[a]} for a in params}
  return {name: float(params['layer'][name].ravel()[0]) for name in params['layer']} | {
    'log_sharpness': float(params['head']['log_sharpness'].ravel()[0])
  }


def test_sgd_is_heavy_ball_momentum_with_decay_on_kernels_alone():
  got = _two_updates(name='sgd', momentum=0.9, weight_decay=0.01, clip_norm=100.0)
  first = 0.5 + 0.01 * 2.0
  kernel = 2.0 - 0.1 * first
  kernel -= 0.1 * (0.9 * first + 0.5 + 0.01 * kernel)
  bias = 3.0 - 0.1 * 0.25 - 0.1 * (0.9 * 0.25 + 0.25)
  assert got['kernel'] == pytest.approx(kernel, rel=1e-6)
  assert got['bias'] == pytest.approx(bias, rel=1e-6)
  assert got['log_sharpness'] == 4.0


def test_adamw_steps_by_the_rate_and_decays_kernels_alone():
  # Of a constant gradient Adam makes steps of one learning rate each.
  got = _two_updates(name='adamw', weight_decay=0.01, clip_norm=100.0)
  kernel = 2.0
  for _ in range(2):
    kernel -= 0.1 * (1 + 0.01 * kernel)
  assert got['kernel'] == pytest.approx(kernel, rel=1e-5)
  assert got['bias'] == pytest.approx(3.0 - 2 * 0.1, rel=1e-5)
  assert got['log_sharpness'] == 4.0


def test_a_long_gradient_is_cut_to_the_norm():
  got = _two_updates(name='sgd', momentum=0.0, weight_decay=0.0, clip_norm=0.1)
  norm = np.sqrt(2 * 0.5**2 + 2 * 0.25**2)
  assert got['kernel'] == pytest.approx(2.0 - 2 * 0.1 * 0.5 * 0.1 / norm, rel=1e-5)


@pytest.mark.parametrize(
  'changes, message',
  [
    ({'name': 'adam'}, "optimizer.name is 'adam'; it must be 'adamw' or 'sgd'."),
    ({'schedule': 'flat'}, "optimizer.schedule is 'flat'; it must be"),
    ({'schedule': 'step', 'decay_every': 0}, 'optimizer.decay_every is 0'),
  ],
)
def test_a_wrong_optimizer_is_told_in_a_sentence(changes, message):
  with pytest.raises(ValueError, match=message):
    optimizers.create_optimizer(_options(**changes), 10)
