"""Checkpoints and the log that goes with them."""

import csv
import shutil

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.training import checkpointing, logs


def _state(value: float):
  return {'a': jnp.full((3, 2), value), 'step': jnp.asarray(int(value), jnp.int32)}


def _data():
  return iter(grain.MapDataset.range(1000).shuffle(3).to_iter_dataset())


def test_state_data_and_log_come_back_as_they_were_at_the_newest_checkpoint(tmp_path):
  data = _data()
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=2)
  assert checkpoints.latest_step is None
  for step in range(1, 31):
    next(data)
    if step % 10 == 0:
      log = {'count': step, 'sums': {'loss': 0.1}}
      checkpoints.save(step, _state(step), data, log)
  following = [int(next(data)) for _ in range(5)]
  checkpoints.close()
  assert sorted(p.name for p in tmp_path.iterdir() if p.name.isdigit()) == ['20', '30']

  data = _data()
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=2)
  assert checkpoints.latest_step == 30
  saved = checkpoints.restore(_state(0))
  checkpoints.close()
  assert saved.step == 30
  np.testing.assert_array_equal(saved.state['a'], np.full((3, 2), 30, np.float32))
  assert saved.state['step'].dtype == jnp.int32
  assert saved.log == {'count': 30, 'sums': {'loss': 0.1}}
  data.set_state(saved.data)
  assert [int(next(data)) for _ in range(5)] == following


def test_a_checkpoint_holds_the_state_of_its_step_though_buffers_are_donated(tmp_path):
  step = jax.jit(lambda state: {'a': state['a'] + 1.0}, donate_argnums=0)
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=1)
  state = {'a': jnp.zeros((256, 1024))}
  for number in range(1, 21):
    state = step(state)
    if number == 10:
      checkpoints.save(number, state, _data(), {})
  checkpoints.close()
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=1)
  saved = checkpoints.restore({'a': jnp.zeros((256, 1024))})
  checkpoints.close()
  assert np.unique(saved.state['a']).tolist() == [10.0]


def _save(folder, *steps):
  checkpoints = checkpointing.Checkpointer(folder, keep=9)
  for step in steps:
    checkpoints.save(step, _state(step), _data(), {})
  checkpoints.close()


def _cut_off(folder):
  """Truncates every file of arrays in a checkpoint."""
  for path in (folder / 'state').rglob('*'):
    if path.is_file() and path.parent.name == 'd':
      path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
  'damage', [_cut_off, lambda folder: shutil.rmtree(folder / 'state')]
)
def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(tmp_path, caplog, damage):
  _save(tmp_path, 10, 20, 30)
  damage(tmp_path / '30')
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=9)
  saved = checkpoints.restore(_state(0))
  assert saved.step == 20 and saved.state['a'][0, 0] == 20
  assert (
    'checkpoints' not in caplog.text and '30 is damaged and is skipped' in caplog.text
  )
  checkpoints.save(30, _state(31), _data(), {})  # its number is free again
  checkpoints.close()
  again = checkpointing.Checkpointer(tmp_path, keep=9).restore(_state(0))
  assert again.step == 30 and again.state['a'][0, 0] == 31
  assert (tmp_path / 'damaged_30').is_dir()


def test_training_does_not_begin_anew_where_all_checkpoints_are_damaged(tmp_path):
  _save(tmp_path, 10, 20)
  for step in (10, 20):
    _cut_off(tmp_path / str(step))
  for _ in range(2):  # nor when the same command is run again
    checkpoints = checkpointing.Checkpointer(tmp_path, keep=9)
    with pytest.raises(ValueError, match='are damaged .*: delete this folder'):
      checkpoints.restore(_state(0))
  _save(tmp_path, 20)
  _cut_off(tmp_path / '20')
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=9)
  with pytest.raises(ValueError, match='are damaged'):
    checkpoints.restore(_state(0))
  found = sorted(path.name for path in tmp_path.iterdir())
  assert found == ['damaged_10', 'damaged_20', 'damaged_20_2']


def _rows(path):
  with (path / 'metrics.csv').open(newline='') as file:
    return list(csv.DictReader(file))


def test_a_resumed_log_drops_the_rows_after_its_checkpoint(tmp_path):
  log = logs.MetricLog(tmp_path)
  for step in (5, 10, 15):
    log.write(step, {'train/loss': 1 / step} | ({'eval/x': step} if step > 5 else {}))
  whole = (tmp_path / 'metrics.csv').read_text()
  del log  # as if killed

  log = logs.MetricLog(tmp_path, resume_at=12)
  log.write(15, {'train/loss': 1 / 15, 'eval/x': 15})
  log.close()
  assert (tmp_path / 'metrics.csv').read_text() == whole
  assert [row['eval/x'] for row in _rows(tmp_path)] == ['', '10', '15']


def test_a_run_that_starts_anew_starts_its_log_anew(tmp_path):
  log = logs.MetricLog(tmp_path)
  log.write(5, {'train/loss': 1.0})
  log.close()
  log = logs.MetricLog(tmp_path, resume_at=0)
  log.write(3, {'train/loss': 2.0})
  log.close()
  assert _rows(tmp_path) == [{'step': '3', 'train/loss': '2'}]


def test_running_means_go_on_from_their_saved_state_bit_by_bit():
  rng, finite = np.random.default_rng(0), jnp.array(True)
  values = [{'loss': jnp.float32(v)} for v in rng.normal(size=20)]
  straight, stopped = logs.RunningMean(), logs.RunningMean()
  for number, value in enumerate(values):
    straight.add(value, finite)
    if number == 7:
      stopped = logs.RunningMean(stopped.state())
    stopped.add(value, finite)
  assert straight.state() == stopped.state()
  mean = np.mean([v['loss'] for v in values], dtype=float)
  np.testing.assert_allclose(straight.take()['loss'], mean, rtol=1e-5)
  assert straight.state() == {}


def test_steps_that_are_not_finite_do_not_count_in_the_mean():
  mean = logs.RunningMean()
  assert mean.take() == {}
  for loss in (1.0, np.nan, 2.0):
    mean.add({'loss': jnp.float32(loss)}, jnp.isfinite(loss))
  assert mean.take() == {'loss': 1.5}
  mean.add({'loss': jnp.float32(np.inf)}, jnp.array(False))
  assert mean.take() == {}


def test_rates_are_those_of_the_steps_since_they_were_last_taken():
  timer = logs.Timer()
  timer.add(9.0, 10.0)
  timer.restart()
  assert timer.take(8) == {}
  for _ in range(4):
    timer.add(0.1, 0.5)
  rates = timer.take(8)
  assert rates == pytest.approx({'examples_per_second': 16, 'data_wait_percent': 20})
  assert timer.take(8) == {}
