"""The layout of the photos of Ge et al., whole, spoilt and built."""

import pytest

from bmc_jax.data_prep import build as build_lib
from tests.fixtures.layouts import write_photos


@pytest.fixture(scope='module')
def layout(tmp_path_factory):
  path = tmp_path_factory.mktemp('layout') / 'real_world_testset'
  return path, write_photos(path, 85)


@pytest.fixture
def damaged(tmp_path):
  """A small layout that a test may spoil."""
  path = tmp_path / 'source'
  write_photos(path, 4)
  return path


@pytest.fixture(scope='module')
def built(layout, tmp_path_factory):
  return build_lib.build(
    'hand_graph_cnn_real', tmp_path_factory.mktemp('out'), source=layout[0]
  )
