import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from bmc_jax import pose25d, root_depth
from tests.fixtures.hands import (
  INTRINSICS,
  LENGTHS,
  as_users_call,
  degenerate_hands,
  random_hands,
)

PARENTS = [0 if k % 4 == 1 else k - 1 for k in range(1, 21)]
RANGES = np.array([[0.88], [1.12]])[..., None] * LENGTHS
RANGES[:, 2, 1] = 1


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


@pytest.mark.parametrize('method', root_depth.METHODS)
@pytest.mark.parametrize('bounds', [None, (4.0, 60.0)])
def test_solving_and_lifting_degenerate_hands_is_finite_with_finite_gradients(
  bounds, method
):
  def lifted(keypoints, depth, intrinsics):
    root = pose25d.solve_root_depth(
      keypoints,
      depth,
      intrinsics,
      bounds=bounds,
      method=method,
      bone_lengths=np.float32(RANGES),
    )
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


def _noisy_25d(count=40, pixels=2.0, depth=0.1):
  """2.5D hands with noise, in float64, and their true root depth."""
  joints, intrinsics = _scene(count)
  pose = pose25d.to_pose25d(joints, intrinsics)
  rng = np.random.default_rng(1)
  keypoints = pose.keypoints_2d + pixels * rng.normal(size=(count, 21, 2))
  relative = pose.relative_depth + depth * rng.normal(size=(count, 21))
  return np.asarray(keypoints), np.asarray(relative), intrinsics, pose.root_depth


def _slow_lengths(keypoints, depth, root):
  rays = np.linalg.solve(INTRINSICS, np.c_[keypoints, np.ones(21)].T).T
  joints = rays * (depth + root)[:, None]
  return np.linalg.norm(joints[1:] - joints[PARENTS], axis=-1).reshape(5, 4)


def _slow_excess(lengths, power):
  return np.sum(np.abs(lengths - np.clip(lengths, *RANGES)) ** power)


_solve = jax.jit(pose25d.solve_root_depth, static_argnames=('bounds', 'method'))


def test_all_bones_gives_the_least_squares_depth_that_scipy_finds(x64):
  keypoints, depth, intrinsics, _ = _noisy_25d()
  root = _solve(keypoints, depth, intrinsics, bone_lengths=RANGES)
  excess = [[], []]
  for uv, z, value in zip(keypoints, depth, np.asarray(root.value), strict=True):

    def objective(root, uv=uv, z=z):
      return _slow_excess(_slow_lengths(uv, z, root), 2)

    found = minimize_scalar(objective, bounds=(5, 60), method='bounded')
    excess[0].append(objective(value))
    excess[1].append(found.fun)
  ours, best = np.array(excess)
  assert np.median(best) > 1e-3
  np.testing.assert_allclose(ours, best, rtol=0.02, atol=1e-4)


def test_all_bones_returns_the_true_depth_of_an_exact_hand_of_known_lengths(x64):
  joints, intrinsics = _scene(1)
  pose = pose25d.to_pose25d(joints, intrinsics)
  bones = np.linalg.norm(joints[0, 1:] - joints[0, PARENTS], axis=-1)
  lengths = (bones / pose.scale).reshape(1, 5, 4).repeat(2, axis=0)
  root = _solve(
    pose.keypoints_2d, pose.relative_depth, intrinsics, bone_lengths=lengths
  )
  np.testing.assert_allclose(root.value, pose.root_depth, rtol=1e-9)
  np.testing.assert_allclose(max(np.roots(root.coefficients[0]).real), root.value[0])
  a, b, c = root.coefficients[0]
  np.testing.assert_allclose(b * b - 4 * a * c, root.discriminant[0])


def test_all_bones_survive_noise_that_upsets_the_reference_bone(x64):
  keypoints, depth, intrinsics, truth = _noisy_25d()
  paper = _solve(keypoints, depth, intrinsics).value
  ours = _solve(keypoints, depth, intrinsics, bone_lengths=RANGES).value
  for share in (50, 90):
    error = [np.percentile(np.abs(value - truth), share) for value in (paper, ours)]
    assert error[1] < 0.5 * error[0]


def test_the_likelier_root_is_the_one_whose_bones_fit_better(x64):
  joints, intrinsics = _scene(40)
  # Turned, so that the reference bone points nearly at the camera or away from it.
  rng = np.random.default_rng(2)
  for hand, sign in zip(joints, [-1, 1] * 20, strict=True):
    wanted = sign * hand[9] + rng.normal(0, 0.1 * 0.6, 3)
    turn, _ = Rotation.align_vectors([wanted], [hand[10] - hand[9]])
    hand[:] = turn.apply(hand - hand[9]) + hand[9]
  pose = pose25d.to_pose25d(joints, intrinsics)
  arguments = pose.keypoints_2d, pose.relative_depth, intrinsics
  larger = _solve(*arguments).value
  likelier = _solve(*arguments, method='likelier_root', bone_lengths=RANGES).value
  is_wrong = np.abs(larger - pose.root_depth) > 0.5
  assert 5 <= is_wrong.sum() <= 35
  # Two roots close together may both fit.
  np.testing.assert_allclose(likelier, pose.root_depth, atol=0.1)


def test_bone_lengths_in_mm_give_a_depth_in_mm(x64):
  keypoints, depth, intrinsics, _ = _noisy_25d()
  root = _solve(keypoints, depth, intrinsics, bone_lengths=RANGES)
  in_mm = _solve(keypoints, 35 * depth, intrinsics, bone_lengths=35 * RANGES)
  np.testing.assert_allclose(in_mm.value, 35 * root.value, rtol=1e-6)
  np.testing.assert_allclose(in_mm.conditioning, root.conditioning, rtol=1e-6)


def test_nan_keypoints_or_depths_give_a_nan_depth_with_every_method():
  keypoints, depth = _degenerate_25d()['regular']
  no_keypoints, no_depth = keypoints.copy(), depth.copy()
  no_keypoints[10], no_depth[10] = np.nan, np.nan
  for method in root_depth.METHODS:
    for arguments in ((no_keypoints, depth), (keypoints, no_depth)):
      root = _solve(
        *arguments,
        np.float32(INTRINSICS),
        bounds=(4.0, 60.0),
        method=method,
        bone_lengths=RANGES,
      )
      assert np.isnan(root.value), method


def test_methods_without_what_they_need_are_refused_in_a_sentence():
  keypoints, depth = _degenerate_25d()['regular']
  for sentence, options in {
    'must be one of larger_root, likelier_root, all_bones': {'method': 'smaller'},
    'all_bones needs bone_lengths': {'method': 'all_bones'},
    r'bone_lengths has the shape \(5, 4\)': {'bone_lengths': RANGES[0]},
  }.items():
    with as_users_call(), pytest.raises(ValueError, match=sentence):
      pose25d.solve_root_depth(keypoints, depth, INTRINSICS, **options)


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

  noisy = _noisy_25d(1)
  check_grads(
    lambda *pose: _solve(*pose, INTRINSICS, bone_lengths=RANGES).value,
    (noisy[0][0], noisy[1][0]),
    order=1,
    modes=['rev'],
    rtol=1e-3,
  )


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


def test_joints_in_reference_bones_are_divided_by_the_bones_length():
  joints, _ = _scene(6)
  for batch in ((), (6,), (2, 3)):
    hands = joints[: int(np.prod(batch))].reshape(*batch, 21, 3)
    bone = np.linalg.norm(hands[..., 10, :] - hands[..., 9, :], axis=-1, keepdims=True)
    scaled = pose25d.in_reference_bones(hands)
    np.testing.assert_allclose(scaled, hands / bone[..., None], rtol=1e-5)
  other = pose25d.in_reference_bones(joints, (0, 9))
  np.testing.assert_allclose(
    np.linalg.norm(other[:, 9] - other[:, 0], axis=-1), 1, 1e-5
  )


def test_hands_in_reference_bones_are_finite_and_zero_without_that_bone():
  hands = np.stack(list(degenerate_hands().values()))
  scaled, pull_back = jax.vjp(pose25d.in_reference_bones, hands)
  (gradient,) = pull_back(jnp.ones_like(scaled))
  assert np.isfinite(scaled).all() and np.isfinite(gradient).all()
  without = np.all(hands[:, 9] == hands[:, 10], axis=-1)
  assert without.any() and not scaled[without].any() and not gradient[without].any()


def test_wrong_shapes_are_refused_in_a_sentence():
  with as_users_call():
    with pytest.raises(ValueError, match='keypoints_2d has the shape'):
      pose25d.lift(np.zeros((20, 2)), np.zeros(21), np.zeros(()), INTRINSICS)
    with pytest.raises(ValueError, match='joints_3d has the shape'):
      pose25d.scale_of(np.zeros((21, 2)))
