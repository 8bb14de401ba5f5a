"""Real samples, prepared and augmented: 3D joints keep projecting on the 2D labels."""

import jax
import numpy as np
import pytest

from bmc_jax.data import augment, sources
from data_prep import build as build_lib

REAL = {
  'freihand': ('freihand_layout', {}),
  'hand_graph_cnn_real': ('hand_graph_cnn_real', {}),
  'ho3d_v2': ('ho3d_layout', {}),
  'rhd': ('rhd_layout', {}),
  'stb': ('stb_layout', {'partial': True}),
}
TOLERANCE = 0.5  # px


def _error(batch) -> float:
  """The largest distance in px of a labelled keypoint from its projected joint."""
  points = np.einsum(
    'bij,bnj->bni',
    np.asarray(batch['intrinsics'], np.float64),
    np.asarray(batch['joints_3d'], np.float64),
  )
  pixels = points[..., :2] / points[..., 2:]
  distance = np.linalg.norm(pixels - batch['keypoints_2d'], axis=-1)
  return float(np.max(distance[np.asarray(batch['visibility']) > 0]))


@pytest.mark.parametrize('crop_size', [None, 96])
@pytest.mark.parametrize('name', REAL)
def test_joints_project_on_keypoints_through_the_whole_input_path(
  name, crop_size, test_data, tmp_path
):
  folder, options = REAL[name]
  source = test_data / 'data' / folder
  if not source.is_dir():
    pytest.skip(f'no samples of {name}')
  path = build_lib.build(name, tmp_path, source=source, crop_size=crop_size, **options)
  data = sources.TfdsSource(str(path), 'all')
  batch = data.batch(range(len(data)))
  labelled = np.flatnonzero(batch['has_joints_3d'] > 0)
  assert labelled.size
  batch = {k: v[labelled] for k, v in batch.items() if k != 'sample_id'}
  assert _error(batch) < TOLERANCE
  for seed in range(3):
    moved = augment.augment_batch(
      jax.random.key(seed), batch, image_size=48, rotation=180, scale=0.5, shift=0.2
    )
    assert not np.allclose(moved['keypoints_2d'], batch['keypoints_2d'], atol=1)
    assert _error(moved) < TOLERANCE
