"""Real samples of every dataset: 3D lies on 2D when prepared and when augmented."""

import jax
import numpy as np
import pytest

from bmc_jax.data import augment, sources
from data_prep import build as build_lib

LAYOUTS = {
  'rhd': ('rhd_layout', {}),
  'freihand': ('freihand_layout', {'splits': ['train']}),
  'ho3d_v3': ('ho3d_layout', {}),
  'stb': ('stb_layout', {'partial': True}),
  'hand_graph_cnn_real': ('hand_graph_cnn_real/real_world_testset', {}),
}
COUNT = 60  # of the larger sets


@pytest.fixture(params=LAYOUTS)
def layout(request, test_data):
  folder, options = LAYOUTS[request.param]
  path = test_data / 'data' / folder
  if not path.is_dir():
    pytest.skip(f'no {folder} among the samples')
  return request.param, path, options


def _reprojection(batch) -> np.ndarray:
  """Largest distance (B,) in px of labelled keypoints from their joints."""
  joints, intrinsics = (np.float64(batch[k]) for k in ('joints_3d', 'intrinsics'))
  points = np.einsum('bij,bkj->bki', intrinsics, joints)
  distance = np.linalg.norm(
    points[..., :2] / points[..., 2:] - batch['keypoints_2d'], axis=-1
  )
  labelled = np.asarray(batch['visibility']) > 0
  assert np.all(batch['has_joints_3d'] == 1) and labelled.any(axis=-1).all()
  return np.where(labelled, distance, 0).max(axis=-1)


@pytest.mark.parametrize('crop_size', [None, 128])
def test_joints_project_on_keypoints_before_and_after_augmentation(
  layout, crop_size, tmp_path
):
  name, source, options = layout
  path = build_lib.build(name, tmp_path, source=source, crop_size=crop_size, **options)
  data = sources.TfdsSource(str(path), 'all')
  batch = data.batch(range(min(len(data), COUNT)))
  del batch['sample_id']
  assert _reprojection(batch).max() < 0.5
  for seed in range(3):
    augmented = augment.augment_batch(
      jax.random.key(seed), batch, image_size=96, rotation=180, scale=0.5, shift=0.2
    )
    moved = np.abs(augmented['keypoints_2d'] - batch['keypoints_2d']).max(axis=(1, 2))
    assert moved.min() > 1 and _reprojection(augmented).max() < 0.5
