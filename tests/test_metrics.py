import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from bmc_jax import metrics
from tests.fixtures.hands import as_users_call, random_hands

ALIGN = jax.jit(metrics.procrustes_align)


def _pairs(seed, count, noise=0.3):
  rng = np.random.default_rng(seed)
  true = random_hands(seed, count).joints
  return true + rng.normal(0, noise, true.shape), true


@pytest.mark.parametrize('shape', [(), (3,), (2, 3)])
def test_errors_are_distances_by_joint(shape):
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(2, *shape, 21, 3)).astype(np.float32)
  errors = np.asarray(metrics.epe(a, b)).reshape(-1, 21)
  errors_2d = np.asarray(metrics.keypoint_error_2d(a[..., :2], b[..., :2]))
  depth = np.asarray(metrics.depth_error(a[..., 2], b[..., 2])).reshape(-1, 21)
  for hand, joint in np.ndindex(*errors.shape):
    d = (a - b).reshape(-1, 21, 3)[hand, joint]
    np.testing.assert_allclose(errors[hand, joint], np.sqrt((d**2).sum()), rtol=1e-5)
    planar = errors_2d.reshape(-1, 21)[hand, joint]
    np.testing.assert_allclose(planar, np.hypot(d[0], d[1]), rtol=1e-5)
    np.testing.assert_allclose(depth[hand, joint], abs(d[2]), rtol=1e-5)
  np.testing.assert_array_equal(metrics.root_relative(a, 9)[..., 9, :], 0)
  np.testing.assert_allclose(
    metrics.root_relative(a)[..., 3, :], a[..., 3, :] - a[..., 0, :]
  )


def test_alignment_matches_scipys_procrustes(x64):
  joints, true = _pairs(1, 20)
  aligned = np.asarray(ALIGN(joints, true))
  for one, other, got in zip(joints, true, aligned, strict=True):
    # SciPy standardises both sets and returns the squared distance.
    _, _, disparity = procrustes(other, one)
    size = ((other - other.mean(axis=0)) ** 2).sum()
    np.testing.assert_allclose(((got - other) ** 2).sum() / size, disparity)
    x, y = one - one.mean(axis=0), other - other.mean(axis=0)
    rotation, scale = orthogonal_procrustes(x, y)
    assert np.linalg.det(rotation) > 0
    wanted = x @ rotation * scale / (x * x).sum() + other.mean(axis=0)
    np.testing.assert_allclose(got, wanted, atol=1e-10)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50)
def test_alignment_undoes_any_similarity(seed):
  rng = np.random.default_rng(seed)
  with jax.enable_x64(True):
    true = random_hands(seed, 1).joints[0]
    moved = rng.uniform(0.1, 10) * true @ Rotation.random(rng=rng).as_matrix()
    np.testing.assert_allclose(
      ALIGN(moved + rng.normal(size=3), true), true, atol=1e-10
    )


def test_alignment_never_returns_a_reflection(x64):
  _, true = _pairs(2, 20)
  mirrored = true * [-1, 1, 1]
  aligned = np.asarray(ALIGN(mirrored, true))
  for one, got, other in zip(mirrored, aligned, true, strict=True):
    x, y = one - one.mean(axis=0), got - got.mean(axis=0)
    transform = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.linalg.det(transform) > 0
    assert np.abs(got - other).max() > 0.1
    # Best among proper rotations: SciPy's alignment of vectors finds the same one.
    best, _ = Rotation.align_vectors(other - other.mean(axis=0), x)
    scale = np.trace((other - other.mean(axis=0)).T @ best.apply(x)) / (x * x).sum()
    np.testing.assert_allclose(y, scale * best.apply(x), atol=1e-6)


def test_invisible_joints_do_not_count_but_are_moved():
  joints, true = (a.astype(np.float32) for a in _pairs(3, 2, noise=0))
  visibility = np.ones((2, 21), np.float32)
  visibility[:, 18:] = 0
  broken = joints.copy()
  broken[:, 18:] += 5
  aligned = np.asarray(ALIGN(2 * broken, true, visibility=visibility))
  np.testing.assert_allclose(aligned[:, :18], true[:, :18], atol=1e-4)
  np.testing.assert_allclose(aligned[:, 18:], true[:, 18:] + 5, atol=1e-4)


def test_alignment_of_points_and_flat_hands_is_finite():
  true = random_hands(4, 1).joints[0].astype(np.float32)
  point = np.ones((21, 3), np.float32)
  centre = np.broadcast_to(true.mean(axis=0), (21, 3))
  np.testing.assert_allclose(ALIGN(point, true), centre, atol=1e-5)
  np.testing.assert_allclose(ALIGN(true, point), point, atol=1e-5)
  flat = true * np.float32([1, 1, 0])
  np.testing.assert_allclose(ALIGN(2 * flat, flat), flat, atol=1e-4)
  assert np.isfinite(ALIGN(true, true, visibility=np.zeros(21, np.float32))).all()


@pytest.mark.parametrize('shape', [(), (3,), (2, 3)])
def test_rescaling_gives_a_bone_its_length_and_moves_nothing_in_the_image(shape):
  rng = np.random.default_rng(8)
  joints = rng.normal(0, 1, (*shape, 21, 3)).astype(np.float32) + np.float32([0, 0, 9])
  length = rng.uniform(20, 40, shape).astype(np.float32)
  for reference in ((9, 10), (0, 9)):
    got = np.asarray(metrics.rescale(joints, length, reference=reference))
    bones = got[..., reference[1], :] - got[..., reference[0], :]
    np.testing.assert_allclose(np.linalg.norm(bones, axis=-1), length, rtol=1e-5)
    np.testing.assert_allclose(
      got[..., :2] / got[..., 2:], joints[..., :2] / joints[..., 2:], rtol=1e-4
    )
  true = rng.normal(0, 1, joints.shape).astype(np.float32)
  moved = np.asarray(metrics.root_align(joints, true, 4))
  np.testing.assert_allclose(moved[..., 4, :], true[..., 4, :], atol=1e-5)
  np.testing.assert_allclose(
    np.diff(moved, axis=-2), np.diff(joints, axis=-2), atol=1e-5
  )


def test_no_other_shift_or_factor_brings_visible_joints_closer(x64):
  joints, true = _pairs(9, 6)
  visibility = np.ones((6, 21))
  visibility[:, ::4] = 0

  def distance(moved):
    return (np.sum((moved - true) ** 2, axis=-1) * visibility).sum(axis=-1)

  for with_scale in (False, True):
    found = metrics.centroid_align(
      joints, true, visibility=visibility, with_scale=with_scale
    )
    found = np.asarray(found)
    best = distance(found)
    for axis in range(3):
      assert (distance(found + 1e-3 * np.eye(3)[axis]) > best).all()
      assert (distance(found - 1e-3 * np.eye(3)[axis]) > best).all()
    if with_scale:
      # About the centre of the visible joints, which is in its place.
      weight = visibility[..., None] / visibility.sum(axis=-1)[:, None, None]
      centre = (found * weight).sum(axis=1, keepdims=True)
      for factor in (0.999, 1.001):
        assert (distance(centre + factor * (found - centre)) > best).all()


def test_alignments_of_degenerate_hands_are_finite_with_their_gradients():
  true = random_hands(10, 1).joints[0].astype(np.float32)
  alignments = {
    'root': metrics.root_align,
    'size': lambda x, y: metrics.rescale(x, np.asarray(3, np.float32)),
    'centroid': metrics.centroid_align,
    'scale': lambda x, y: metrics.centroid_align(x, y, with_scale=True),
    'procrustes': metrics.procrustes_align,
  }
  for hand in (np.zeros((21, 3)), np.ones((21, 3)), true * [1, 0, 0], true):
    hand = hand.astype(np.float32)
    for name, align in alignments.items():
      aligned, pull = jax.vjp(lambda x, align=align: align(x, true), hand)
      assert np.isfinite(aligned).all(), name
      assert np.isfinite(pull(np.ones_like(aligned))[0]).all(), name
  broken = true.copy()
  broken[3] = np.nan
  for align in alignments.values():
    assert np.isnan(align(broken, true)[3]).all()


def test_the_gradient_of_the_alignment_matches_central_differences(x64):
  noisy, true = _pairs(11, 2)
  noisy[1] *= [-1, 1, 1]  # a left hand, which is not mirrored

  @jax.jit
  def error(x):
    return (metrics.epe(metrics.procrustes_align(x, true), true) ** 3).sum()

  direction, step = np.random.default_rng(12).normal(size=noisy.shape), 1e-5
  slope = (error(noisy + step * direction) - error(noisy - step * direction)) / step
  gradient = jax.grad(error)(noisy)
  np.testing.assert_allclose((gradient * direction).sum(), slope / 2, rtol=1e-6)


def test_means_over_joints_weigh_joints_alike_and_leave_unlabelled_ones_out():
  errors = np.float32([[1, 10, np.nan], [3, 10, np.nan], [5, 99, np.nan]])
  mask = np.float32([[1, 1, 0], [1, 0, 0], [1, 0, 0]])
  assert metrics.joint_mean(errors, mask) == (3 + 10) / 2
  curve = metrics.joint_mean_pck(errors, np.float32([0, 2, 4, 10]), mask)
  np.testing.assert_allclose(curve, [0, 1 / 6, 1 / 3, 1], rtol=1e-6)
  assert np.isnan(metrics.joint_mean(errors, 0 * mask))
  seen_and_broken = np.float32([[1, 1, 1], [1, 0, 0], [1, 0, 0]])
  assert np.isnan(metrics.joint_mean(errors, seen_and_broken))
  assert metrics.joint_mean_pck(errors, np.float32([1e9]), seen_and_broken) < 1


def test_pck_and_auc_match_slow_loops():
  rng = np.random.default_rng(5)
  errors = rng.gamma(2, 15, (40, 21)).astype(np.float32)
  mask = (rng.random((40, 21)) < 0.7).astype(np.float32)
  curve = np.asarray(metrics.pck(errors, mask=mask))
  kept = [e for e, m in zip(errors.ravel(), mask.ravel(), strict=True) if m]
  slow = [sum(e <= t for e in kept) / len(kept) for t in np.linspace(0, 50, 100)]
  np.testing.assert_allclose(curve, slow, atol=1e-5)
  area = sum((a + b) / 2 / 99 for a, b in zip(slow[:-1], slow[1:], strict=True))
  np.testing.assert_allclose(metrics.auc(curve), area, rtol=1e-5)
  thresholds = np.array([20.0, 30, 50])
  wide = metrics.pck(errors, thresholds)
  np.testing.assert_allclose(
    wide, [(errors <= t).mean() for t in thresholds], atol=1e-5
  )
  area = (10 * (wide[0] + wide[1]) / 2 + 20 * (wide[1] + wide[2]) / 2) / 30
  np.testing.assert_allclose(metrics.auc(wide, thresholds), area, rtol=1e-5)


def test_perfect_predictions_have_an_auc_of_one_and_hopeless_ones_of_zero():
  assert metrics.auc(metrics.pck(np.zeros(10, np.float32))) == pytest.approx(1)
  assert metrics.auc(metrics.pck(np.full(10, 51, np.float32))) == 0
  # A constant error is admitted from its own size on.
  area = metrics.auc(metrics.pck(np.full(10, 20, np.float32)))
  assert area == pytest.approx(0.6, abs=0.01)


def test_errors_that_do_not_count_may_be_nan():
  errors = np.float32([1, np.nan, 100])
  curve = metrics.pck(errors, mask=np.float32([1, 0, 1]))
  assert curve[-1] == 0.5
  assert np.isnan(metrics.pck(errors, mask=np.zeros(3, np.float32))).all()


def test_different_shapes_are_refused_in_a_sentence():
  a, b = np.zeros((2, 21, 3), np.float32), np.zeros((21, 3), np.float32)
  with as_users_call():
    for f in (metrics.epe, metrics.procrustes_align, metrics.keypoint_error_2d):
      with pytest.raises(
        ValueError, match=r'differ in shape: \(2, 21, 3\) and \(21, 3\)'
      ):
        f(a, b)
    with pytest.raises(ValueError, match='differ in shape'):
      metrics.depth_error(a[..., 0], b[..., 0])
