"""Gradients of the terms of the loss, one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.experiments.row_configs import row_config
from bmc_jax.limits import clinical_limits
from bmc_jax.models import create_model
from bmc_jax.training import optimizers
from bmc_jax.training.loop import model_options, open_train_batches
from bmc_jax.training.step import create_train_state, make_train_step
from bmc_jax.training.term_gradients import gradient_by_term
from tests.fixtures import tiny_config

PARAMS = {'a': jnp.array([1.0, 2.0]), 'b': jnp.array(3.0)}


def _terms(params):
  """Terms whose gradients are (2, 4, 0), (0, 0, 5) and 0."""
  squares = jnp.sum(params['a'] ** 2)
  return {'s': squares, 'b': 5 * params['b'], 'nothing': jnp.zeros(())}, squares


def test_norms_are_those_of_each_term_and_the_sum_is_clipped_term_by_term():
  gradient, norms, found = gradient_by_term(_terms, PARAMS, 1.0)
  assert found == 5.0
  expected = {'s': np.sqrt(20), 'b': 5.0, 'nothing': 0.0}
  assert norms.keys() == {f'gradient_norm_{name}' for name in expected}
  for name, norm in expected.items():
    assert norms[f'gradient_norm_{name}'] == pytest.approx(norm)
  np.testing.assert_allclose(gradient['a'], np.array([2, 4]) / np.sqrt(20), rtol=1e-6)
  np.testing.assert_allclose(gradient['b'], 1.0, rtol=1e-6)


def test_without_a_bound_it_is_the_gradient_of_the_sum():
  gradient, _, _ = gradient_by_term(_terms, PARAMS, np.inf)
  expected = jax.grad(lambda p: sum(_terms(p)[0].values()))(PARAMS)
  jax.tree.map(np.testing.assert_allclose, gradient, expected)


def _step(poses, **optimizer):
  """One step of a lifter with constraints: the parameters' changes and the terms."""
  config = row_config(tiny_config.get_config(poses), '+ BMC')
  config.unlock()
  config.bmc.ramp_end = 0.0
  config.log_gradients = optimizer.pop('log_gradients', True)
  # A gradient step of length 1, so that the change is the clipped gradient.
  config.optimizer.update(
    {'name': 'sgd', 'learning_rate': 1.0, 'schedule': 'step', 'momentum': 0.0}
    | {'weight_decay': 0.0}
    | optimizer
  )
  model = create_model(model_options(config))
  update = optimizers.create_optimizer(config.optimizer, config.num_steps)
  state = create_train_state(config, model, update)
  before = jax.device_get(state.params)
  batch = next(open_train_batches(config, num_threads=0))
  batch = {k: v for k, v in batch.items() if v.dtype.kind not in 'OSU'}
  new, terms = make_train_step(config, model, update, clinical_limits())(state, batch)
  change = jax.tree.map(lambda a, b: np.asarray(a) - b, new.params, before)
  return change, {k: float(v) for k, v in terms.items()}


def _norm(tree) -> float:
  return float(np.sqrt(sum(np.sum(leaf**2.0) for leaf in jax.tree.leaves(tree))))


@pytest.fixture(scope='module')
def poses(tmp_path_factory):
  return tiny_config.write_poses(tmp_path_factory.mktemp('poses') / 'poses.npy')


@pytest.mark.slow
def test_a_term_of_little_gradient_is_heard_beside_one_that_is_clipped(poses):
  plain, terms = _step(poses, clip_norm=float('inf'))
  norms = {k: v for k, v in terms.items() if k.startswith('gradient_norm_')}
  assert {'gradient_norm_relative_depth', 'gradient_norm_bmc_joint_angle'} <= set(norms)
  assert _norm(plain) == pytest.approx(terms['gradient_norm'], rel=1e-4)
  bound = sorted(norms.values())[-1] / 100
  apart, _ = _step(poses, clip_norm=bound, clip_by='term')
  together, _ = _step(poses, clip_norm=bound)
  heard = sum(norm > bound / 2 for norm in norms.values())
  assert heard > 1  # more than one term comes near the bound
  assert _norm(together) == pytest.approx(bound, rel=1e-3)
  assert _norm(apart) <= bound * len(norms) and _norm(apart) > 1.1 * bound


def test_logging_norms_changes_no_step(poses):
  logged, terms = _step(poses, clip_norm=1.0)
  silent, fewer = _step(poses, clip_norm=1.0, log_gradients=False)
  for a, b in zip(*map(jax.tree.leaves, (logged, silent)), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6)
  assert {k for k in terms if k not in fewer} == {
    k for k in terms if k.startswith('gradient_norm_')
  }
  assert fewer['gradient_norm'] == pytest.approx(terms['gradient_norm'], rel=1e-4)


def test_another_way_to_clip_is_refused():
  options = tiny_config.get_config('a.npy').optimizer.to_dict() | {'clip_by': 'layer'}
  with pytest.raises(ValueError, match="optimizer.clip_by is 'layer'; choose one of"):
    optimizers.create_optimizer(options, 10)
