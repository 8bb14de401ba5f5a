import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from bmc_jax import metrics
from tests.fixtures_hands import as_users_call, random_hands

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
