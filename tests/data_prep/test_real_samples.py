"""Real samples, prepared and augmented: 3D joints keep projecting on the 2D labels."""

import functools

import jax
import numpy as np
import pytest

from bmc_jax.data import augment, sources
from bmc_jax.data_prep import build as build_lib

REAL = {
  'freihand': ('freihand_layout', {'splits': ['train']}),
  'hand_graph_cnn_real': ('hand_graph_cnn_real', {}),
  'ho3d_v3': ('ho3d_layout', {}),
  'rhd': ('rhd_layout', {}),
  'stb': ('stb_layout', {'partial': True}),
}
TOLERANCE = 0.5  # px
BATCH = 16


def _check(batch) -> None:
  """The projected joints must lie on the keypoints."""
  joints, intrinsics = (
    np.asarray(batch[name], np.float64) for name in ('joints_3d', 'intrinsics')
  )
  points = np.einsum('bij,bnj->bni', intrinsics, joints)
  distance = np.linalg.norm(
    points[..., :2] / points[..., 2:] - batch['keypoints_2d'], axis=-1
  )
  assert np.max(distance[batch['visibility'] > 0]) < TOLERANCE


@pytest.fixture(scope='module')
def augment_batch():
  return jax.jit(
    functools.partial(
      augment.augment_batch, image_size=48, rotation=180, scale=0.5, shift=0.2
    )
  )


def _build(name, test_data, out, **options):
  folder, own = REAL[name]
  if not (test_data / 'data' / folder).is_dir():
    pytest.skip(f'no real samples of {name}')
  path = build_lib.build(
    name, out, source=test_data / 'data' / folder, **own, **options
  )
  return sources.TfdsSource(str(path), 'all')


@pytest.mark.parametrize('name', REAL)
def test_joints_project_on_keypoints_after_preparation(name, test_data, tmp_path):
  data = _build(name, test_data, tmp_path)
  _check(data.batch(range(len(data))))


@pytest.mark.parametrize('name', REAL)
def test_joints_project_on_keypoints_after_crops_and_augmentation(
  name, test_data, tmp_path, augment_batch
):
  data = _build(name, test_data, tmp_path, crop_size=64)
  for start in range(0, len(data), BATCH):
    batch = data.batch(np.arange(start, start + BATCH) % len(data))
    assert batch.pop('has_joints_3d').all() and batch.pop('sample_id').size == BATCH
    _check(batch)
    moved = augment_batch(jax.random.key(start), batch)
    assert not np.allclose(moved['keypoints_2d'], batch['keypoints_2d'], atol=5)
    _check(moved)
