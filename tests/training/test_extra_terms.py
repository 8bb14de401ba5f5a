"""Terms of the loss that a config names: masks, weights, mistakes, a whole run."""

import json
import re
import sys
import types

import jax
import jax.numpy as jnp
import pytest

from bmc_jax.experiments.rows import run_experiment
from bmc_jax.training import defaults, extra_terms
from tests.fixtures import tiny_config
from tests.fixtures.session import ROOT

NAME = 'terms_of_the_tests'


@pytest.fixture
def terms(monkeypatch):
  """The module that configs name; tests put functions into it."""
  module = types.ModuleType(NAME)
  monkeypatch.setitem(sys.modules, NAME, module)
  return module


def _batch():
  has_joints_3d = jnp.array([1.0, 0.0, 1.0, 0.0])
  return {'mask': jnp.array([1.0, 1.0, 1.0, 0.0]), 'has_joints_3d': has_joints_3d}


def _config(examples='all', weight=2.0):
  c = defaults.get_config()
  defaults.add_term(c, 'mine', f'{NAME}:mine', weight=weight, examples=examples)
  return c


@pytest.mark.parametrize(
  ('examples', 'wanted'), [('all', 7 / 3), ('3d', 5 / 2), ('2d', 2.0)]
)
def test_a_term_is_the_mean_over_its_examples(terms, examples, wanted):
  terms.mine = lambda output, batch: output * jnp.array([1.0, 2.0, 4.0, jnp.nan])
  config = _config(examples)

  def loss(scale):
    (value,) = extra_terms.compute_extra(scale, _batch(), config).values()
    return value

  value, gradient = jax.value_and_grad(loss)(jnp.array([1.0, 1.0, 1.0, 1.0]))
  assert value == pytest.approx(wanted)
  assert jnp.isfinite(gradient[:3]).all()
  assert extra_terms.extra_weights(config) == {'extra_mine': 2.0}


def test_a_term_of_weight_0_is_not_computed(terms):
  terms.mine = lambda output, batch: pytest.fail('computed')
  assert extra_terms.compute_extra(None, _batch(), _config(weight=0)) == {}


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'function': 'nowhere:mine'}, 'There is no module nowhere'),
    ({'function': f'{NAME}:other'}, 'has no other'),
    ({'function': 'mine'}, "'mine' is not MODULE:NAME"),
    ({'function': f'{NAME}:number'}, 'is no function'),
    ({'examples': 'weak'}, "examples is 'weak'; choose one of"),
    ({'weight': -1.0}, 'weight is -1.0; it must be at least 0'),
    ({'weihgt': 1.0}, 'must have examples, function, weight and nothing else'),
  ],
)
def test_a_wrong_term_is_told_before_anything_is_trained(terms, change, message):
  terms.mine, terms.number = (lambda output, batch: output), 3
  config = _config()
  extra_terms.check_extra_terms(config)
  config.extra_terms.mine.update(change)
  with pytest.raises(ValueError, match=message):
    extra_terms.check_extra_terms(config)


def test_one_number_for_each_example_is_needed(terms):
  terms.mine = lambda output, batch: batch['mask'].mean()
  with pytest.raises(ValueError, match=r'shape \(\), but one for each example, \(4,\)'):
    extra_terms.compute_extra(None, _batch(), _config())
  with pytest.raises(ValueError, match='it must be a word'):
    defaults.add_term(_config(), 'a.b', 'm:f')


@pytest.fixture
def my_terms(tmp_path, monkeypatch):
  """A newcomer's folder with the module of docs/training.md."""
  page = (ROOT / 'docs' / 'training.md').read_text()
  section = page.split('## A term of your own in the loss')[1]
  code = re.findall(r'^```python\n(.*?)^```$', section, re.MULTILINE | re.DOTALL)[0]
  assert '(0.3 - gaps' in code
  code = code.replace('(0.3 - gaps', '(3.0 - gaps')  # tips are nearer than that
  (tmp_path / 'my_terms.py').write_text(code)
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'path', list(sys.path))
  yield
  sys.modules.pop('my_terms', None)


@pytest.mark.slow
def test_the_term_of_the_docs_is_trained_logged_and_part_of_the_run(my_terms, tmp_path):
  config = tiny_config.get_config(tiny_config.write_poses(tmp_path / 'poses.npy', 16))
  config.num_steps = config.log_every = 2
  config.run_rows = ('source only',)
  config.data.val = {}
  defaults.add_term(config, 'apart', 'my_terms:tips_apart', weight=3.0)
  run_experiment(config, tmp_path / 'run', write_page=False)
  log = (tmp_path / 'run/rows/source_only/metrics.csv').read_text().splitlines()
  row = dict(zip(log[0].split(','), map(float, log[1].split(',')), strict=True))
  weights = {**config.loss.to_dict(), 'extra_apart': 3.0}
  terms = {k: row[f'train/{k}'] for k in weights if f'train/{k}' in row}
  assert terms['extra_apart'] > 0
  total = sum(weights[name] * value for name, value in terms.items())
  assert row['train/loss'] == pytest.approx(total, rel=1e-4)
  recorded = json.loads((tmp_path / 'run' / 'config.json').read_text())['extra_terms']
  assert recorded['apart']['function'] == 'my_terms:tips_apart'
  config.extra_terms.apart.weight = 1.0
  with pytest.raises(ValueError, match=r'different: extra_terms.apart.weight\)'):
    run_experiment(config, tmp_path / 'run', write_page=False)
