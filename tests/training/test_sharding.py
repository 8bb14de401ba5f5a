"""A run goes on on another number of devices."""

import jax
import numpy as np
import pytest

from bmc_jax.training.loop import check_config
from tests.fixtures import hosts as runs
from tests.fixtures import tiny_config


@pytest.mark.slow
def test_a_run_on_four_devices_goes_on_on_two_that_share_its_optimizer(tmp_path):
  poses = tiny_config.write_poses(tmp_path / 'poses.npy', 16)
  straight = runs.start(poses, tmp_path / 'straight', devices=4)
  runs.finish(straight)
  folder = tmp_path / 'straight' / 'rows' / 'source_only'
  for path in (folder / 'checkpoints' / str(runs.STEPS), folder / 'metrics.json'):
    assert path.exists()
    path.rename(tmp_path / path.name)  # as if it had been stopped after step 10
  wanted = runs.terms(tmp_path / 'straight')
  runs.finish(runs.start(poses, tmp_path / 'straight', devices=2, shard_optimizer=True))
  found = runs.terms(tmp_path / 'straight')
  for key, values in wanted.items():
    np.testing.assert_allclose(found[key], values, rtol=1e-4, err_msg=key)


def test_a_batch_that_does_not_split_over_the_devices_is_told(monkeypatch):
  config = tiny_config.get_config('poses.npy')
  config.batch_size = 10
  monkeypatch.setattr(jax, 'device_count', lambda: 4)
  with pytest.raises(
    ValueError, match='batch_size is 10, which does not split over 4 devices'
  ):
    check_config(config)
