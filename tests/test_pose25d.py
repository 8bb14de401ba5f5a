import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from bmc_jax import pose25d
from tests.fixtures_hands import (
  INTRINSICS,
  as_users_call,
  degenerate_hands,
  random_hands,
)


def _scene(count, seed=0):
  """Hands in metres before a camera: joints, intrinsics."""
  scale = np.random.default_rng(seed).uniform(0.03, 0.05, (count, 1, 1))
  joints = scale * random_hands(seed, count).joints + [0.05, -0.03, 0.6]
  return joints, np.stack([INTRINSICS] * count)


@jax.jit
def _round_trip(joints, intrinsics):
  pose = pose25d.to_pose25d(joints, intrinsics)
  root = pose25d.solve_root_depth(pose.keypoints_2d, pose.relative_depth, intrinsics)
  lifted = pose25d.lift(pose.keypoints_2d, pose.relative_depth, root.value, intrinsics)
  return pose, root, lifted * pose.scale[..., None, None]


def test_lifting_with_the_solved_depth_returns_the_hand(x64):
  joints, intrinsics = _scene(100)
  pose, root, lifted = _round_trip(joints, intrinsics)
  scale = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)
  np.testing.assert_allclose(pose.scale, scale, rtol=1e-12)
  np.testing.assert_allclose(pose.relative_depth[:, 0], 0)
  # The smaller root is the hand where the bone points at the camera, and only there.
  larger = np.abs(root.value - pose.root_depth) < 1e-6
  assert larger.mean() > 0.95 and np.all(np.asarray(root.conditioning)[~larger] < 0.2)
  np.testing.assert_allclose(np.asarray(lifted)[larger], joints[larger], atol=1e-8)


def test_the_solution_is_the_larger_root_of_the_quadratic(x64):
  joints, intrinsics = _scene(30)
  pose, root, _ = _round_trip(joints, intrinsics)
  for abc, value, discriminant in zip(
    *map(np.asarray, root[1::-1] + root[2:3]), strict=True
  ):
    np.testing.assert_allclose(max(np.roots(abc).real), value, rtol=1e-6)
    a, b, c = abc
    np.testing.assert_allclose(b * b - 4 * a * c, discriminant, rtol=1e-6, atol=1e-9)


def test_conditioning_is_the_inverse_sensitivity_to_the_bones_length(x64):
  joints, intrinsics = _scene(30)
  pose, root, _ = _round_trip(joints, intrinsics)
  # A bone longer by e, at the same rays, is a bone of length 1 at depths over 1 + e.
  e = 1e-6
  moved = pose25d.solve_root_depth(
    pose.keypoints_2d, pose.relative_depth / (1 + e), intrinsics
  )
  change = (moved.value * (1 + e) - root.value) / root.value / e
  np.testing.assert_allclose(1 / change, root.conditioning, rtol=1e-3)


def test_float32_solves_as_well_as_float64():
  joints, intrinsics = _scene(200)
  with jax.enable_x64(True):
    _, exact, _ = jax.tree.map(np.asarray, _round_trip(joints, intrinsics))
  inputs = joints.astype(np.float32), intrinsics.astype(np.float32)
  _, root, _ = _round_trip(*inputs)
  trusted = exact.conditioning > 0.1
  error = np.abs(root.value - exact.value) / exact.value
  assert trusted.mean() > 0.8 and error[trusted].max() < 1e-4


@pytest.mark.parametrize('reference', [(9, 10), (0, 9)])
@pytest.mark.parametrize('root', [0, 9])
def test_other_roots_and_reference_bones_give_the_same_hand(root, reference, x64):
  joints, intrinsics = _scene(20)
  pose = pose25d.to_pose25d(joints, intrinsics, root=root, reference=reference)
  start, end = reference
  length = np.linalg.norm(joints[:, end] - joints[:, start], axis=-1)
  np.testing.assert_allclose(pose.scale, length)
  np.testing.assert_allclose(pose.root_depth * length, joints[:, root, 2])
  solved = pose25d.solve_root_depth(
    pose.keypoints_2d, pose.relative_depth, intrinsics, reference=reference
  )
  lifted = pose25d.lift(
    pose.keypoints_2d, pose.relative_depth, solved.value, intrinsics
  )
  good = np.asarray(solved.conditioning) > 0.2
  error = np.abs(np.asarray(lifted) * length[:, None, None] - joints).max((1, 2))
  assert good.sum() > 10 and error[good].max() < 1e-8


def _degenerate_25d():
  """2.5D hands at which the textbook formula fails, by name."""
  joints, intrinsics = _scene(1)
  pose = pose25d.to_pose25d(joints[0].astype(np.float32), np.float32(INTRINSICS))
  keypoints, depth = np.array(pose.keypoints_2d), np.array(pose.relative_depth)
  coincident = keypoints.copy()
  coincident[10] = coincident[9]
  far = depth.copy()
  far[10] = far[9] + 3
  cases = {
    'regular': (keypoints, depth),
    'coincident keypoints': (coincident, depth),
    'coincident keypoints at unit depth': (coincident, np.arange(21) - 9),
    'negative discriminant': (keypoints, far),
    'discriminant of zero': (
      keypoints,
      np.where(np.arange(21) == 10, depth[9] + 1, depth),
    ),
    'all zero': (0 * keypoints, 0 * depth),
    'all keypoints equal': (np.ones((21, 2)), depth),
    'huge': (1e6 * keypoints, 1e6 * depth),
    'tiny': (1e-6 * keypoints, 1e-6 * depth),
  }
  for exponent in range(-8, 0):
    near = coincident.copy()
    near[10, 0] += 10.0**exponent * INTRINSICS[0, 0]
    cases[f'ray distance 1e{exponent}'] = (near, depth)
  return {k: (np.float32(a), np.float32(b)) for k, (a, b) in cases.items()}


@pytest.mark.parametrize('bounds', [None, (4.0, 60.0)])
def test_solving_and_lifting_degenerate_hands_is_finite_with_finite_gradients(bounds):
  def lifted(keypoints, depth, intrinsics):
    root = pose25d.solve_root_depth(keypoints, depth, intrinsics, bounds=bounds)
    joints = pose25d.lift(keypoints, depth, root.value, intrinsics)
    return joints.sum() + root.conditioning + root.discriminant, (joints, root)

  gradient = jax.jit(jax.value_and_grad(lifted, (0, 1, 2), has_aux=True))
  for name, (keypoints, depth) in _degenerate_25d().items():
    for leaf in jax.tree.leaves(gradient(keypoints, depth, np.float32(INTRINSICS))):
      assert np.isfinite(leaf).all(), name


def test_coincident_keypoints_put_the_root_at_zero_or_the_nearest_bound():
  keypoints, depth = _degenerate_25d()['coincident keypoints']
  for bounds, wanted in ((None, 0), ((4.0, 60.0), 4)):
    root = pose25d.solve_root_depth(
      keypoints, depth, np.float32(INTRINSICS), bounds=bounds
    )
    assert root.value == wanted and root.conditioning == 0


def test_bounds_clip_the_depth_and_leave_depths_inside_as_they_are():
  joints, intrinsics = (a.astype(np.float32) for a in _scene(20))
  pose, root, _ = _round_trip(joints, intrinsics)
  bounded = pose25d.solve_root_depth(
    pose.keypoints_2d, pose.relative_depth, intrinsics, bounds=(14.0, 16.0)
  )
  np.testing.assert_allclose(bounded.value, np.clip(root.value, 14, 16), rtol=1e-5)


@pytest.mark.parametrize('name', list(degenerate_hands()))
def test_degenerate_hands_have_a_finite_25d_form(name):
  joints = degenerate_hands()[name]

  def total(joints):
    pose = pose25d.to_pose25d(joints, np.float32(INTRINSICS))
    return sum(jnp.sum(part) for part in pose), pose

  for leaf in jax.tree.leaves(_total_gradient(total)(joints)):
    assert np.isfinite(leaf).all()


def _total_gradient(total, cache={}):  # noqa: B006 (compiles once for all hands)
  return cache.setdefault('f', jax.jit(jax.value_and_grad(total, has_aux=True)))


def test_gradients_of_solving_and_lifting_match_finite_differences(x64):
  joints, intrinsics = _scene(8)
  pose = pose25d.to_pose25d(joints, intrinsics)

  @jax.jit
  def lifted(keypoints, depth):
    root = pose25d.solve_root_depth(keypoints, depth, intrinsics[0])
    return pose25d.lift(keypoints, depth, root.value, intrinsics[0])

  best = int(np.argmax(_round_trip(joints, intrinsics)[1].conditioning))
  arguments = pose.keypoints_2d[best], pose.relative_depth[best]
  check_grads(lifted, arguments, order=1, modes=['rev'])


@pytest.mark.parametrize('shape', [(), (3,), (2, 3), (0,), (1,)])
def test_batches_give_what_single_hands_give(shape):
  n = int(np.prod(shape))
  joints, intrinsics = (a.astype(np.float32) for a in _scene(max(n, 1)))
  single = [_round_trip(j, k) for j, k in zip(joints[:n], intrinsics, strict=False)]
  batched = _round_trip(
    joints[:n].reshape(*shape, 21, 3), intrinsics[:n].reshape(*shape, 3, 3)
  )
  assert batched[2].shape == (*shape, 21, 3)
  if n:
    stacked = jax.tree.map(lambda *x: np.stack(x), *single)
    for got, wanted in zip(*map(jax.tree.leaves, (batched, stacked)), strict=True):
      np.testing.assert_allclose(
        got.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-4
      )


def test_wrong_shapes_are_refused_in_a_sentence():
  with as_users_call():
    with pytest.raises(ValueError, match='keypoints_2d has the shape'):
      pose25d.lift(np.zeros((20, 2)), np.zeros(21), np.zeros(()), INTRINSICS)
    with pytest.raises(ValueError, match='joints_3d has the shape'):
      pose25d.scale_of(np.zeros((21, 2)))
