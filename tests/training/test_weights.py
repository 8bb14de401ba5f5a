"""Weights files: half precision, no pickle, and a sentence for what does not fit."""

import flax.traverse_util
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import models
from bmc_jax.configs.tables import procedural
from bmc_jax.experiments import row_configs
from bmc_jax.training import initial_values, loop, weights


def _variables():
  rng = np.random.default_rng(0)
  return {
    'params': {'a': {'kernel': jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)}},
    'batch_stats': {'bn': {'var': jnp.asarray(rng.uniform(1, 9, 4), jnp.float32)}},
  }


def test_weights_come_back_to_half_precision_in_the_models_types(tmp_path):
  variables = _variables()
  weights.save_weights(tmp_path / 'sub' / 'w.npz', variables)
  loaded = weights.load_weights(str(tmp_path / 'sub' / 'w.npz'), variables)
  for got, wanted in (
    (loaded['params']['a']['kernel'], variables['params']['a']['kernel']),
    (loaded['batch_stats']['bn']['var'], variables['batch_stats']['bn']['var']),
  ):
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.asarray(wanted, np.float16))
  assert [path.name for path in (tmp_path / 'sub').iterdir()] == ['w.npz']


def test_weights_take_the_place_of_weights_alone(tmp_path):
  np.savez(tmp_path / 'hands.npz', joints_canonical=np.zeros((2, 21, 3)))
  before = (tmp_path / 'hands.npz').read_bytes()
  for name, message in (
    ('w', 'weights are written as .npz; name such a file'),
    ('hands.npz', 'holds something else than weights'),
  ):
    with pytest.raises(ValueError, match=message):
      weights.save_weights(tmp_path / name, _variables())
  assert [path.name for path in tmp_path.iterdir()] == ['hands.npz']
  assert (tmp_path / 'hands.npz').read_bytes() == before


def test_values_beyond_half_precision_are_refused_and_the_old_file_stays(tmp_path):
  path = tmp_path / 'w.npz'
  weights.save_weights(path, _variables())
  before = path.read_bytes()
  with pytest.raises(ValueError, match='params/a/kernel holds values that half'):
    weights.save_weights(path, {'params': {'a': {'kernel': jnp.array([1e6])}}})
  assert path.read_bytes() == before


@pytest.mark.parametrize(
  'change, message',
  [
    ({'params': {'a': {'kernel': jnp.zeros((4, 4))}}}, r'\(4, 4\) in the model'),
    ({'params': {'b': {'kernel': jnp.zeros((3, 4))}}}, r'None in the model \(None:'),
    ({'extra': jnp.zeros(1)}, 'extra has the shape None in the file'),
  ],
)
def test_weights_of_another_model_are_refused_in_a_sentence(tmp_path, change, message):
  path = str(tmp_path / 'w.npz')
  weights.save_weights(path, _variables())
  with pytest.raises(ValueError, match=message) as error:
    weights.load_weights(path, _variables() | change)
  assert '\n' not in str(error.value)


@pytest.mark.slow
def test_a_row_without_refiner_starts_from_packaged_weights_that_have_one(capsys):
  config = row_configs.row_config(procedural.get_config(), 'full 3D, no refiner')
  model = models.create_model(loop.model_options(config))
  started = initial_values.init_variables(
    model, config.image_size, init_from=config.init_from
  )
  assert 'starts the model without its refiner' in capsys.readouterr().out
  with np.load(weights.PACKAGED / 'everyday_64.npz') as saved:
    names = {name for name in saved.files if 'refiner' not in name}
    assert names < set(saved.files)
    flat = flax.traverse_util.flatten_dict(started, sep='/')
    assert set(flat) == names
    for name in names:
      np.testing.assert_array_equal(flat[name], saved[name])


def test_a_missing_file_is_told_in_a_sentence(tmp_path):
  with pytest.raises(FileNotFoundError, match='There are no weights .*nope.npz;'):
    weights.load_weights(str(tmp_path / 'nope.npz'), _variables())
  with pytest.raises(FileNotFoundError, match='pretrained/nope.npz'):
    weights.load_weights('package:nope', _variables())


def test_pickles_and_other_files_are_refused(tmp_path):
  files = {
    'objects.npz': lambda f: np.savez(f, params=np.array([{'a': 1}], object)),
    'array.npz': lambda f: np.save(f, np.zeros(3)),
    'text.npz': lambda f: f.write(b'hello'),
    'empty.npz': lambda f: None,
  }
  for name, write in files.items():
    with (tmp_path / name).open('wb') as file:
      write(file)
    with pytest.raises(ValueError, match=f'{name} is no weights file') as error:
      weights.load_weights(str(tmp_path / name), _variables())
    assert '\n' not in str(error.value)


def test_a_cut_off_file_is_refused(tmp_path):
  path = tmp_path / 'w.npz'
  weights.save_weights(path, _variables())
  path.write_bytes(path.read_bytes()[:-40])
  with pytest.raises(ValueError, match='w.npz is no weights file'):
    weights.load_weights(str(path), _variables())
