import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import laplace

from bmc_jax import limits, pose25d
from bmc_jax.training import losses
from tests.fixtures.hands import INTRINSICS, random_hands


def _random(seed, *shapes):
  rng = np.random.default_rng(seed)
  return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def test_losses_match_slow_loops():
  keypoints, target = _random(0, (4, 21, 2), (4, 21, 2))
  depth, depth_target = _random(1, (4, 21), (4, 21))
  visibility = (np.random.default_rng(2).random((4, 21)) < 0.6).astype(np.float32)
  in_2d = losses.keypoints_2d_loss(keypoints, target, visibility, 128)
  in_depth = losses.relative_depth_loss(depth, depth_target, visibility)
  for hand in range(4):
    seen = np.flatnonzero(visibility[hand])
    pixels = [abs(keypoints[hand, j] - target[hand, j]).mean() for j in seen]
    np.testing.assert_allclose(in_2d[hand], np.mean(pixels) / 64, rtol=1e-5)
    depths = [abs(depth[hand, j] - depth_target[hand, j]) for j in seen]
    np.testing.assert_allclose(in_depth[hand], np.mean(depths), rtol=1e-5)
  root, root_target = depth[:, 0], depth_target[:, 0]
  np.testing.assert_allclose(
    losses.root_depth_loss(root, root_target), np.abs(root - root_target)
  )


def test_labels_of_invisible_joints_may_be_nan():
  keypoints, target, depth, depth_target = _random(
    3, (2, 21, 2), (2, 21, 2), (2, 21), (2, 21)
  )
  visibility = np.ones((2, 21), np.float32)
  visibility[0, 5], visibility[1] = 0, 0
  for fill in (np.nan, 1e30):
    target[visibility == 0], depth_target[visibility == 0] = fill, fill

    def total(keypoints, depth):
      in_2d = losses.keypoints_2d_loss(keypoints, target, visibility, 64)
      in_depth = losses.relative_depth_loss(depth, depth_target, visibility)
      return (in_2d + in_depth).sum()

    value, gradients = jax.jit(jax.value_and_grad(total, (0, 1)))(keypoints, depth)
    assert np.isfinite(value)
    for gradient in gradients:
      assert np.isfinite(gradient).all() and not gradient[visibility == 0].any()
      assert gradient[visibility == 1].all()


def test_masked_mean_averages_over_the_mask_and_ignores_nan_outside_it():
  values = jnp.float32([1, np.nan, 3, np.inf])
  mask = jnp.float32([1, 0, 1, 0])
  value, gradient = jax.value_and_grad(losses.masked_mean)(values, mask)
  assert value == 2
  np.testing.assert_array_equal(gradient, [0.5, 0, 0.5, 0])
  assert losses.masked_mean(values, 0 * mask) == 0


def _scenes(seed, count):
  """Hands before a camera: keypoints, relative depths, intrinsics, scaled joints."""
  joints = random_hands(seed, count, spread=5).joints + [1.0, -1, 18]
  intrinsics = np.broadcast_to(INTRINSICS, (count, 3, 3))
  arguments = joints.astype(np.float32), intrinsics.astype(np.float32)
  return *pose25d.to_pose25d(*arguments)[:2], arguments[1], joints


def test_lifting_a_predicted_hand_returns_it_in_reference_bones():
  keypoints, depth, intrinsics, joints = _scenes(0, 20)
  lifted = np.asarray(losses.lift_normalized(keypoints, depth, intrinsics))
  well_posed = np.asarray(
    pose25d.solve_root_depth(keypoints, depth, intrinsics).conditioning
  )
  kept = well_posed > 0.2
  assert kept.sum() > 8
  np.testing.assert_allclose(lifted[kept], joints[kept], rtol=5e-3, atol=5e-3)


@pytest.mark.slow
def test_the_mirrored_hand_is_found_on_mirrored_hands_and_only_there():
  keypoints, depth, intrinsics, joints = _scenes(1, 100)
  fitted = limits.fit_limits(joints, coverage=1.0)
  decide = jax.jit(losses.mirrored_is_more_plausible)
  right, wrong = (decide(keypoints, d, intrinsics, fitted) for d in (depth, -depth))
  assert right.mean() < 0.05 and wrong.mean() > 0.95
  gradient = jax.grad(lambda d: decide(keypoints, d, intrinsics, fitted).sum())(depth)
  assert not gradient.any()


def test_the_mirror_term_pulls_mirrored_hands_only_to_their_negative():
  (depth,) = _random(4, (3, 21))
  mirrored = jnp.float32([1, 0, 1])
  value = losses.mirror_loss(depth, mirrored)
  wanted = 2 * np.abs(depth).mean(axis=1) * [1, 0, 1]
  np.testing.assert_allclose(value, wanted, rtol=1e-5)
  gradient = jax.grad(lambda d: losses.mirror_loss(d, mirrored).sum())(depth)
  # The target has no gradient: the slope is that of |z - target|, towards -z.
  np.testing.assert_allclose(
    gradient, np.sign(depth) * mirrored[:, None] / 21, rtol=1e-6
  )


@pytest.mark.parametrize('batch', [(), (3,), (2, 3)])
def test_the_likelihood_of_depths_is_that_of_laplace_distributions(batch):
  depth, target, scale = _random(5, *3 * [(*batch, 21)])
  scale = np.abs(scale) + 0.1
  visibility = (np.arange(21) % 4 > 0) * np.ones((*batch, 21))
  found = losses.depth_likelihood_loss(
    depth, scale, np.where(visibility > 0, target, np.nan), visibility, root=5
  )
  counted = (visibility > 0) & (np.arange(21) != 5)
  cost = -laplace.logpdf(target, loc=depth, scale=scale)
  expected = np.where(counted, cost, 0).sum(-1) / counted.sum(-1)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  nothing = losses.depth_likelihood_loss(depth, scale, target, 0 * visibility, root=5)
  np.testing.assert_array_equal(nothing, np.zeros(batch))


def test_moved_keypoints_count_in_sizes_of_the_hand():
  moved, target = 50 * np.stack(_random(6, *2 * [(4, 21, 2)]))
  visibility = np.ones((4, 21))
  visibility[0, 3:9] = 0
  visibility[3] = 0
  expected = []
  for one, other, seen in zip(moved, target, visibility > 0, strict=True):
    size = other[seen].std(axis=0) if seen.any() else np.ones(2)
    size = np.sqrt(np.mean(size**2))
    expected.append(np.abs(one - other)[seen].mean() / size if seen.any() else 0)
  hidden = np.where(visibility[..., None] > 0, target, np.nan)
  found = losses.moved_keypoints_loss(moved, hidden, visibility)
  np.testing.assert_allclose(found, expected, rtol=1e-4)
  double = losses.moved_keypoints_loss(2 * moved, 2 * hidden, visibility)
  np.testing.assert_allclose(double, found, rtol=1e-4)
