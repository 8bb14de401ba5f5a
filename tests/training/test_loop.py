"""Training: it learns, starts from weights, stops when it diverges, and scales out."""

import csv
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.limits import fit_limits
from bmc_jax.training import loop, preemption, weights
from bmc_jax.training.loop import (
  create_model,
  create_optimizer,
  is_trained,
  model_options,
  open_train_batches,
  source_spec,
  sources,
  train,
  variables_of,
)
from bmc_jax.training.step import create_train_state, make_train_step
from tests.fixtures import tiny_config


@pytest.fixture(scope='module')
def poses(tmp_path_factory):
  return tiny_config.write_poses(tmp_path_factory.mktemp('poses') / 'poses.npy', 8)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
  return tiny_config.write_images(tmp_path_factory.mktemp('images'), train=8)


def _rows(folder):
  with (folder / 'metrics.csv').open(newline='') as file:
    return list(csv.DictReader(file))


def _learns(config, folder, factors, limits=None):
  """Asserts that each term falls by a factor in the course of a run."""
  config.log_every = 10
  config.checkpoint.every = config.num_steps
  config.data.val = type(config.data.val)()
  train(config, folder, limits)
  first, last = _rows(folder)[0], _rows(folder)[-1]
  for term, factor in factors.items():
    assert float(last[f'train/{term}']) < float(first[f'train/{term}']) / factor, term


def _limits(config):
  source = sources.open_source(source_spec(config, 'full'))
  return fit_limits(source.batch(range(8))['joints_3d'])


@pytest.mark.slow
def test_the_lifter_learns_a_handful_of_poses_by_heart(poses, tmp_path):
  config = tiny_config.get_config(poses)
  config.data.use_weak = False
  config.num_steps = 200
  config.augment_poses.rotation = 0.0
  config.model.keypoint_lifter.width = 128
  config.optimizer.learning_rate = 3e-3
  _learns(config, tmp_path, {'loss': 10, 'relative_depth': 10})


@pytest.mark.slow
def test_the_network_learns_a_handful_of_mixed_images_by_heart(images, tmp_path):
  config = tiny_config.get_config(images)
  config.num_steps = 100
  config.optimizer.learning_rate = 5e-3
  config.loss.root_depth = 0.0  # noise, where the reference bone is 2 px long
  _learns(config, tmp_path, {'keypoints_2d': 1.5, 'relative_depth': 3.5})


@pytest.mark.slow
def test_the_constraints_come_to_hold_on_weakly_labelled_poses(poses, tmp_path):
  config = tiny_config.get_config(poses)
  config.num_steps = 200
  config.optimizer.learning_rate = 3e-3
  config.bmc.weights.update(tiny_config.WEIGHTS)
  _learns(
    config, tmp_path, {'bmc_joint_angle': 3, 'bmc_bone_length': 3}, _limits(config)
  )


class _Stepper:
  """Makes single steps from one state, on the first batch of a run; compiled once."""

  def __init__(self, config, limits=None):
    model = create_model(model_options(config))
    optimizer = create_optimizer(config.optimizer, config.num_steps)
    self.state = create_train_state(config, model, optimizer)
    self._step = make_train_step(config, model, optimizer, limits)
    self._batch = dict(next(open_train_batches(config)))
    del self._batch['sample_id']

  def __call__(self, change=None):
    """The parameters after a step on the batch, changed as asked, and the terms."""
    state = jax.tree.map(jnp.copy, self.state)  # the step takes its memory
    changed = change(self._batch) if change else {}
    state, terms = self._step(state, self._batch | changed)
    return jax.device_get(state.params), jax.device_get(terms)


@pytest.mark.slow
def test_a_step_does_not_read_the_3d_labels_of_the_weak_half(poses):
  config = tiny_config.get_config(poses)
  config.data.weak.labels = '3d'  # the labels are there ...
  config.bmc.ramp_end = 0.0
  config.bmc.weights.update(tiny_config.WEIGHTS)
  limits = _limits(config)

  def weak(joints):
    flags = np.repeat(np.float32([1, 0]), 4)  # ... but the batch says they are not

    def change(batch):
      changed = batch['joints_3d'].copy()
      changed[4:] = joints(changed[4:])
      return {'joints_3d': changed, 'has_joints_3d': flags}

    return change

  step = _Stepper(config, limits)
  wanted, terms = step(weak(lambda joints: joints))
  assert terms['bmc_joint_angle'] >= 0
  for other in (lambda joints: joints * 2, lambda joints: joints * np.nan):
    got, _ = step(weak(other))
    jax.tree.map(np.testing.assert_array_equal, wanted, got)
  with pytest.raises(AssertionError):
    full, _ = step(lambda batch: {'joints_3d': batch['joints_3d'] * 2})
    jax.tree.map(np.testing.assert_array_equal, wanted, full)


@pytest.mark.parametrize('data', ['poses', 'images'])
def test_training_starts_from_a_weights_file(request, tmp_path, data):
  config = tiny_config.get_config(request.getfixturevalue(data))
  model = create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, 10)
  config.seed = 5
  state = create_train_state(config, model, optimizer)
  weights.save_weights(tmp_path / 'w.npz', variables_of(state))
  config.seed = 0
  config.init_from = str(tmp_path / 'w.npz')
  started = create_train_state(config, model, optimizer)
  jax.tree.map(
    lambda a, b: np.testing.assert_array_equal(np.asarray(a, np.float16), b),
    variables_of(state),
    variables_of(started),
  )
  assert started.step == 0


@pytest.mark.slow
def test_a_run_that_diverges_stops_and_keeps_its_last_good_checkpoint(poses, tmp_path):
  config = tiny_config.get_config(poses)
  config.data.val = type(config.data.val)()
  config.optimizer.update({'schedule': 'step', 'decay_every': 6, 'decay_factor': 1e38})
  config.checkpoint.every = 3
  with pytest.raises(
    FloatingPointError, match='not finite at step [78] .* of step 6. L'
  ):
    train(config, tmp_path, None)
  kept = {path.name for path in (tmp_path / 'checkpoints').iterdir()}
  assert '6' in kept and '9' not in kept


@pytest.mark.slow
def test_the_last_update_is_checked_before_it_is_saved(poses, tmp_path):
  config = tiny_config.get_config(poses)
  config.num_steps = 1
  config.optimizer.update({'schedule': 'step', 'learning_rate': 1e38})
  with pytest.raises(
    FloatingPointError, match='not finite at step 1 .*no checkpoint was'
  ):
    train(config, tmp_path, None)
  assert not is_trained(config, tmp_path)


@pytest.mark.slow
def test_a_run_that_is_asked_to_end_saves_its_last_step(poses, tmp_path, monkeypatch):
  config = tiny_config.get_config(poses)
  requested = preemption.Watch.requested

  def signalled(watch, step):
    if step == 9:
      signal.raise_signal(signal.SIGINT)
    return requested(watch, step)

  with monkeypatch.context() as patch:
    patch.setattr(preemption.Watch, 'requested', signalled)
    with pytest.raises(KeyboardInterrupt, match='step 9 is saved'):
      train(config, tmp_path, None)
  assert '9' in {path.name for path in (tmp_path / 'checkpoints').iterdir()}
  state = train(config, tmp_path, None)  # from step 10 on
  assert int(state.step) == 20


class _Spoilt:
  """Batches of which one, as it is read, has a keypoint that is not a number."""

  def __init__(self, batches, at: int):
    self._batches, self._at, self._number = batches, at, 0

  def get_state(self):
    return {'batches': self._batches.get_state(), 'number': self._number}

  def set_state(self, state) -> None:
    self._batches.set_state(state['batches'])
    self._number = state['number']

  def __next__(self):
    batch, self._number = next(self._batches), self._number + 1
    if self._number == self._at:
      batch['keypoints_2d'][5, 3] = np.nan
    return batch


@pytest.fixture
def spoilt(poses, monkeypatch):
  """A config of 20 steps whose seventh batch is spoilt."""
  batches = open_train_batches
  monkeypatch.setattr(loop, 'open_train_batches', lambda c: _Spoilt(batches(c), 7))
  config = tiny_config.get_config(poses)
  config.data.val = type(config.data.val)()
  config.data.use_weak = False
  return config


@pytest.mark.slow
def test_the_batch_of_a_step_that_is_not_finite_is_kept(spoilt, tmp_path):
  with pytest.raises(FloatingPointError) as error:
    train(spoilt, tmp_path, None)
  path = tmp_path / 'failed_batch_7.npz'
  assert 'at step 7 (gradient_norm nan' in str(error.value) and f'{path}' in str(
    error.value
  )
  with np.load(path) as batch:
    assert np.isnan(batch['keypoints_2d'][5, 3]).all()
    assert batch['sample_id'][5] in str(error.value)
    assert batch['sample_id'].shape == (8,)
  assert path.with_suffix('.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.slow
def test_steps_that_are_not_finite_are_skipped_and_counted_if_asked(
  spoilt, tmp_path, caplog, monkeypatch
):
  spoilt.nonfinite = 'skip'
  with monkeypatch.context() as patch:
    patch.setattr(preemption.Watch, 'requested', lambda self, step: step == 12)
    with pytest.raises(preemption.Preempted):
      train(spoilt, tmp_path, None)
  state = train(spoilt, tmp_path, None)  # still knows of the skipped one
  assert int(state.step) == 20
  assert '1 steps up to step 8 were not finite' in caplog.text  # seen when it is saved
  assert [row['train/skipped'] for row in _rows(tmp_path)] == ['0', '1', '1', '1']
  losses = [float(row['train/loss']) for row in _rows(tmp_path)]
  assert np.isfinite(losses).all()
  assert not list(tmp_path.glob('failed_batch*'))


@pytest.mark.slow
def test_a_step_that_is_not_finite_changes_nothing(images):
  config = tiny_config.get_config(images)
  step = _Stepper(config)
  after, terms = step(lambda batch: {'intrinsics': batch['intrinsics'] * np.nan})
  assert not terms['finite']
  jax.tree.map(np.testing.assert_array_equal, step.state.params, after)


@pytest.mark.slow
def test_the_gradient_of_a_batch_is_the_mean_of_those_of_its_parts(poses):
  config = tiny_config.get_config(poses)
  config.augment_poses.rotation = 0.0
  config.optimizer.name = 'sgd'
  whole, terms = _Stepper(config)()
  config.accumulate = 2
  parts, terms_of_parts = _Stepper(config)()
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), whole, parts
  )
  assert terms_of_parts['loss'] == pytest.approx(terms['loss'], rel=1e-5)


@pytest.mark.parametrize(
  'key, value, message',
  [
    ('log_every', 0, 'log_every is 0; it must be at least 1.'),
    ('num_steps', 0, 'num_steps is 0; it must be at least 1.'),
    ('eval.batch_size', -3, 'eval.batch_size is -3; it must be at least 1.'),
    ('image_size', -5, 'image_size is -5; it must be at least 1.'),
    ('checkpoint.keep', 0, 'checkpoint.keep is 0; it must be at least 1.'),
    ('optimizer.learning_rate', -1.0, 'learning_rate is -1.0; it must be at least 0.'),
    ('optimizer.warmup_steps', -1, 'warmup_steps is -1; it must be at least 0.'),
    ('optimizer.clip_norm', 0.0, 'optimizer.clip_norm is 0.0; it must be above 0.'),
    ('optimizer.clip_norm', float('nan'), 'optimizer.clip_norm is nan; it must be'),
    ('loss.heatmap', -1.0, 'loss.heatmap is -1.0; it must be at least 0.'),
    ('bmc.weights.root_bone', -1.0, 'bmc.weights.root_bone is -1.0; it must be'),
    ('bmc.mirror', -1.0, 'bmc.mirror is -1.0; it must be at least 0.'),
    ('augment.scale', -3.0, 'augment.scale is -3.0; it must be at least 0.'),
    ('augment.blur', 1.5, 'augment.blur is 1.5; it must be at most 1.'),
    ('augment_poses.noise', -1.0, 'augment_poses.noise is -1.0; it must be at least'),
    ('augment_poses.tilt', 90.0, 'tilt is 90.0; it must be below 90 degrees.'),
    ('augment_poses.viewpoint', 400.0, 'viewpoint is 400.0; it must be at most 180'),
    ('optimizer.momentum', 2.0, 'optimizer.momentum is 2.0; it must be below 1.'),
    ('optimizer.decay_factor', -1.0, 'decay_factor is -1.0; it must be above 0.'),
    ('loss.root_depth', float('inf'), 'root_depth is inf; it must be a finite number.'),
    ('nonfinite', 'ignore', "nonfinite is 'ignore'; choose one of"),
    (
      'accumulate',
      8,
      'with accumulate = 8 it must be a multiple of 16',
    ),
    ('root', 30, 'root is 30; it must be a joint, 0 to 20.'),
    ('depth_bounds', (100.0, 3.0), r'depth_bounds are \(100.0, 3.0\); they must be'),
  ],
)
def test_a_wrong_value_is_told_before_anything_is_made(
  poses, tmp_path, key, value, message
):
  config = tiny_config.get_config(poses)
  config.update_from_flattened_dict({key: value})
  with pytest.raises(ValueError, match=message):
    train(config, tmp_path / 'run', None)
  assert not (tmp_path / 'run').exists()
