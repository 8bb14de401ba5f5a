"""Batches and states over the devices."""

import jax
import pytest

from bmc_jax.training.loop import check_config
from tests.fixtures import tiny_config


def test_a_batch_that_does_not_split_over_the_devices_is_told(monkeypatch):
  config = tiny_config.get_config('poses.npy')
  config.batch_size = 10
  monkeypatch.setattr(jax, 'device_count', lambda: 4)
  with pytest.raises(
    ValueError, match='batch_size is 10, which does not split over 4 devices'
  ):
    check_config(config)
