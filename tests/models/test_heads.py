"""The heads: where their keypoints are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.models.heads import HeatmapHead, soft_argmax


def test_soft_argmax_of_a_peak_is_its_pixel():
  cells = np.random.default_rng(0).integers(0, 16, (5, 21, 2))
  logits = np.zeros((5, 16, 16, 21), np.float32)
  for b, k in np.ndindex(5, 21):
    logits[b, cells[b, k, 1], cells[b, k, 0], k] = 1e4
  # A cell of 4 pixels, such as 0 to 3, has its centre at 1.5.
  keypoints_2d, weights = soft_argmax(jnp.asarray(logits), (64, 64))
  np.testing.assert_allclose(keypoints_2d, 4 * cells + 1.5, atol=1e-4)
  np.testing.assert_allclose(weights.sum((1, 2)), 1, atol=1e-6)


def test_heatmap_keypoints_follow_a_shift_of_the_features():
  head = HeatmapHead(channels=8, stride=4)
  rng = np.random.default_rng(0)
  coarse = np.zeros((1, 16, 16, 8), np.float32)
  coarse[0, 4:6, 6:8] = 1e4 * rng.standard_normal((2, 2, 8))
  stages = [np.zeros((1, 32, 32, 4), np.float32), coarse]
  moved = [stages[0], np.roll(coarse, (3, 2), (1, 2))]

  @jax.jit
  def run(stages, moved):
    variables = head.init(jax.random.key(0), stages, (128, 128))
    return [head.apply(variables, each, (128, 128)) for each in (stages, moved)]

  (keypoints_2d, depth), (keypoints_moved, depth_moved) = run(stages, moved)
  # Joints whose map answers to the features with a peak; the others stay flat.
  peaked = np.ptp(keypoints_2d - keypoints_moved, axis=-1)[0] > 1
  assert peaked.sum() > 5
  shift = (keypoints_moved - keypoints_2d)[0, peaked]
  np.testing.assert_allclose(shift, np.tile([16.0, 24.0], (len(shift), 1)), atol=1e-2)
  np.testing.assert_allclose(depth[0, peaked], depth_moved[0, peaked], rtol=1e-4)


@pytest.mark.parametrize('stride', [2, 4, 8, 16])
def test_heatmaps_have_the_asked_stride(stride):
  head = HeatmapHead(channels=8, stride=stride)
  stages = [jnp.ones((1, s, s, 4)) for s in (16, 8, 4, 4)]

  def run(stages):
    variables = head.init(jax.random.key(0), stages, (64, 64))
    return head.apply(variables, stages, (64, 64), capture_intermediates=True)[1]

  state = jax.eval_shape(run, stages)
  maps = state['intermediates']['output']['__call__'][0]
  assert maps.shape == (1, 64 // stride, 64 // stride, 42)
