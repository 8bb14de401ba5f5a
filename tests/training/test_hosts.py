"""Several processes train as one does."""

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from bmc_jax.training import hosts
from tests.fixtures import hosts as runs
from tests.fixtures import permuted_hosts, tiny_config


def _statistics(workdir):
  """BatchNorm's running statistics after the last step."""
  folder = workdir / 'rows' / 'source_only' / 'checkpoints' / str(runs.STEPS) / 'state'
  checkpointer = ocp.StandardCheckpointer()
  saved = checkpointer.metadata(folder).item_metadata.tree  # of other devices than here
  like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), saved)
  return jax.tree.leaves(checkpointer.restore(folder, like)['batch_stats'])


def _assert_same(workdir, wanted, statistics):
  """Asserts that a run has logged these terms and ended with these statistics."""
  terms = runs.terms(workdir)
  assert terms.keys() == wanted.keys()
  for key, values in wanted.items():
    # The gradient has kinks, and the root depth, which is not trained here, poles.
    loose = key in ('train/gradient_norm', 'train/root_depth')
    np.testing.assert_allclose(
      terms[key], values, rtol=2e-2 if loose else 1e-4, err_msg=key
    )
  for found, expected in zip(_statistics(workdir), statistics, strict=True):
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_two_processes_of_two_devices_train_as_one_device_does_and_it_goes_on(
  tmp_path,
):
  images = tiny_config.write_images(tmp_path / 'images', train=16)
  port = runs.free_port()
  others = [
    runs.start(
      images, tmp_path / 'four', devices=2, process=(n, port), shard_optimizer=True
    )
    for n in range(2)
  ]
  runs.run_here(images, tmp_path / 'one')
  printed = runs.finish(*others)
  assert ['| source only ' in output for output in printed] == [True, False]
  wanted, statistics = runs.terms(tmp_path / 'one'), _statistics(tmp_path / 'one')
  assert len(wanted['train/loss']) == runs.STEPS and len(statistics) > 20
  _assert_same(tmp_path / 'four', wanted, statistics)
  # Stopped half way, it goes on here: on one device, which has all of its state.
  row = tmp_path / 'four' / 'rows' / 'source_only'
  for path in (row / 'checkpoints' / str(runs.STEPS), row / 'metrics.json'):
    path.rename(tmp_path / path.name)
  runs.run_here(images, tmp_path / 'four', shard_optimizer=True)
  _assert_same(tmp_path / 'four', wanted, statistics)


@pytest.mark.parametrize(
  ('variables', 'message'),
  [
    ({}, "JAX_NUM_PROCESSES is ''"),
    ({'JAX_NUM_PROCESSES': '2'}, "JAX_PROCESS_ID is ''"),
    ({'JAX_NUM_PROCESSES': '0', 'JAX_PROCESS_ID': '0'}, 'must be at least 1'),
    (
      {name: '1' for name in ('JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')}
      | {'JAX_COORDINATOR_ADDRESS': 'localhost'},
      'must be HOST:PORT',
    ),
    ({'JAX_NUM_PROCESSES': '2', 'JAX_PROCESS_ID': '2'}, 'must be from 0 to 1'),
  ],
)
def test_half_an_address_is_told(monkeypatch, variables, message):
  monkeypatch.setenv('JAX_COORDINATOR_ADDRESS', 'localhost:1')
  for name, value in variables.items():
    monkeypatch.setenv(name, value)
  with pytest.raises(ValueError, match=message):
    hosts.connect()


def test_one_process_gathers_and_decides_for_itself():
  assert hosts.is_first()
  assert hosts.from_first({'a': True, 'b': False}) == {'a': True, 'b': False}
  names = np.array(['x', 'Grüße', 'y'])
  values = {'value': jax.numpy.arange(3), 'row': jax.numpy.array([2, 0, 1])}
  found = hosts.gather(values, {'id': names, 'row': np.array([1, 0, 2])})
  assert {name: rows.tolist() for name, rows in found.items()} == {
    'id': ['Grüße', 'x', 'y'],
    'value': [1, 2, 0],
  }


@pytest.mark.slow
def test_every_id_has_its_own_prediction_whatever_the_order_of_devices(tmp_path):
  poses = tiny_config.write_poses(tmp_path / 'poses.npy', count=13)
  port = runs.free_port()
  processes = [runs.start_prediction(poses, tmp_path, n, port) for n in range(2)]
  runs.finish(*processes)
  expected = permuted_hosts.predict_all(poses)
  assert len(expected['sample_id']) == 13
  for number in range(2):
    with np.load(tmp_path / f'{number}.npz') as found:
      assert found['sample_id'].tolist() == expected['sample_id'].tolist()
      for name in ('keypoints_2d_true', 'joints_3d_normalized'):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-3)
