"""Checkpoints and the log that goes with them."""

import csv

import grain
import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import checkpointing, logs


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
  state, log = checkpoints.restore(_state(0), data)
  checkpoints.close()
  np.testing.assert_array_equal(state['a'], np.full((3, 2), 30, np.float32))
  assert state['step'].dtype == jnp.int32
  assert log == {'count': 30, 'sums': {'loss': 0.1}}
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
  state, _ = checkpoints.restore({'a': jnp.zeros((256, 1024))}, _data())
  checkpoints.close()
  assert np.unique(state['a']).tolist() == [10.0]


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
  rng = np.random.default_rng(0)
  values = [{'loss': jnp.float32(v)} for v in rng.normal(size=20)]
  straight, stopped = logs.RunningMean(), logs.RunningMean()
  for number, value in enumerate(values):
    straight.add(value)
    if number == 7:
      stopped = logs.RunningMean(**stopped.state())
    stopped.add(value)
  assert straight.state() == stopped.state()
  mean = np.mean([v['loss'] for v in values], dtype=float)
  np.testing.assert_allclose(straight.take()['loss'], mean, rtol=1e-5)
  assert straight.state() == {'count': 0, 'sums': {}}


def test_running_means_see_a_value_that_is_not_finite():
  mean = logs.RunningMean()
  mean.add({'loss': jnp.float32(1), 'other': jnp.float32(2)})
  assert mean.is_finite
  mean.add({'loss': jnp.float32(1), 'other': jnp.float32(np.nan)})
  assert not mean.is_finite
