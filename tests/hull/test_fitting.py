"""What fitted hulls promise, judged by the library's own distance in float32."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from bmc_jax import hull, kinematics, skeleton

DISTANCE = jax.jit(hull.hull_distance)


def _num_outside(points, corners):
  """How many points (n, 2) are outside one polygon, all in float32."""
  size = -(-len(points) // 15) * 15
  filled = np.resize(points, (size, 2)).reshape(-1, 5, 3, 2).astype(np.float32)
  hulls = np.broadcast_to(corners.astype(np.float32), (5, 3, *corners.shape))
  return int(np.count_nonzero(np.ravel(DISTANCE(filled, hulls))[: len(points)]))


@pytest.fixture(scope='module')
def real_angles(test_data):
  """Joint angles (n, 5, 3, 2) of DexYCB poses, float32."""
  path = test_data / 'data' / 'poses' / 'dexycb_subjects01-08.npz'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  with np.load(path) as file:
    joints = skeleton.reorder(file['joints_ho3d'], 'ho3d')[::10]
    is_right = file['side_is_right'][::10].astype(bool)[:, None, None]
  joints = np.where(is_right, joints, skeleton.mirror(joints)).astype(np.float32)
  return np.asarray(jax.jit(kinematics.joint_angles)(joints))


@pytest.mark.parametrize('first', [4, 19, 34, 49, 50])
def test_hulls_of_real_angles_hold_every_point_for_4_to_64_corners(real_angles, first):
  # One bone for each number of corners, padded to one length.
  hulls = np.zeros((15, 64, 2))
  for num_vertices in range(first, first + 15):
    bone = num_vertices % 15
    points = np.float64(real_angles.reshape(-1, 15, 2)[:, bone])
    corners = hull.fit_hull(points, num_vertices)
    assert corners.shape == (num_vertices, 2)
    hulls[bone] = np.pad(corners, ((0, 64 - num_vertices), (0, 0)), mode='edge')
  hulls = hulls.reshape(5, 3, 64, 2).astype(np.float32)
  assert not np.any(DISTANCE(real_angles, hulls))


@given(
  seed=st.integers(0, 10**6),
  count=st.integers(1, 200),
  num_vertices=st.integers(3, 64),
  centre=st.floats(-3.1, 3.1),
  spread=st.sampled_from([1e-6, 1e-3, 0.05, 0.7]),
  flat=st.sampled_from([0.0, 1e-5, 0.3, 1.0]),
)
@settings(max_examples=60)
def test_hulls_of_random_sets_hold_every_point_in_float32(
  seed, count, num_vertices, centre, spread, flat
):
  rng = np.random.default_rng(seed)
  points = rng.uniform(-1, 1, (count, 2)) * [spread, spread * flat]
  turn = rng.uniform(0, np.pi)
  points = points @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
  points[:, 0] = (points[:, 0] + centre + np.pi) % (2 * np.pi) - np.pi
  corners = hull.fit_hull(points.astype(np.float32).astype(np.float64), num_vertices)
  assert corners.shape == (num_vertices, 2) and np.isfinite(corners).all()
  padded = np.pad(corners, ((0, 64 - num_vertices), (0, 0)), mode='edge')
  assert _num_outside(points, padded) == 0


def test_more_corners_cost_less_area_and_soon_hardly_any(real_angles):
  for finger, bone in np.ndindex(5, 3):
    points = np.float64(real_angles[:, finger, bone])
    turns = np.round((points[:, 0] - np.median(points[:, 0])) / (2 * np.pi))
    points[:, 0] -= 2 * np.pi * turns
    least = ConvexHull(points).volume
    areas = [
      ConvexHull(hull.fit_hull(points, count)).volume for count in (3, 4, 6, 8, 12, 16)
    ]
    assert np.all(np.diff(areas) < 1e-9) and areas[-1] >= least
    assert areas[3] < 1.05 * least and areas[-1] < 1.002 * least


@pytest.mark.parametrize('num_vertices', [129, 400])
def test_more_corners_than_tangents_go_round_the_points_once(num_vertices):
  angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
  points = np.stack([0.9 * np.cos(angle), 0.3 * np.sin(angle)], axis=1)
  corners = hull.fit_hull(points, num_vertices)
  assert corners.shape == (num_vertices, 2)
  x, y = corners.T
  area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
  assert area == pytest.approx(np.pi * 0.27, rel=2e-3)  # twice that, if twice round
  assert _num_outside(points, corners) == 0


OUTLIERS = {
  'together': [2, 1] + 0.02 * np.random.default_rng(3).normal(size=(8, 2)),
  'one place': np.tile([2.0, 1.0], (8, 1)),
  'around': 2 * np.stack([np.cos(np.arange(8)), np.sin(np.arange(8))], axis=1),
  'one': [[3.0, 1.5]],
}


@pytest.mark.parametrize('outliers', OUTLIERS)
def test_outliers_below_the_trimmed_share_do_not_widen_the_hull(outliers):
  inliers = 0.1 * np.random.default_rng(0).normal(size=(10_000, 2))
  clean = ConvexHull(hull.fit_hull(inliers, 12)).volume
  points = np.concatenate([inliers, OUTLIERS[outliers]])
  assert ConvexHull(hull.fit_hull(points, 12)).volume > 2 * clean
  assert ConvexHull(hull.fit_hull(points, 12, coverage=0.999)).volume < clean


@pytest.mark.parametrize('coverage', [0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize('shape', ['cloud', 'line', 'rounded', 'few'])
def test_trimming_keeps_the_share_whatever_the_order_of_the_points(coverage, shape):
  rng = np.random.default_rng(4)
  points = rng.normal(size=(7 if shape == 'few' else 2000, 2)) * [0.5, 0.1]
  if shape == 'line':
    points[:, 1] = 0.3 * points[:, 0]
  if shape == 'rounded':  # hundreds of ties
    points = np.round(points, 1)
  corners = hull.fit_hull(points, 12, coverage=coverage)
  shuffled = hull.fit_hull(rng.permutation(points), 12, coverage=coverage)
  np.testing.assert_array_equal(shuffled, corners)
  inside = len(points) - _num_outside(points, corners)
  assert inside >= coverage * len(points)


def test_points_on_a_line_are_trimmed_at_its_ends():
  along = np.concatenate(
    [np.random.default_rng(5).uniform(-0.5, 0.5, 996), [1, 1, 1, 3]]
  )
  for direction in ([1.0, 0.0], [0.0, 1.0], [0.6, 0.8]):
    points = along[:, None] * direction
    corners = hull.fit_hull(points, 8, coverage=0.996)
    assert np.ptp(corners @ direction) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize('direction', [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
@pytest.mark.parametrize('num_vertices', [3, 4, 5])
@pytest.mark.parametrize('noise', [0.0, 1e-4])
def test_polygons_of_points_on_a_line_are_hardly_longer(direction, num_vertices, noise):
  rng = np.random.default_rng(6)
  points = np.outer(np.linspace(-0.9, 0.9, 400), direction)
  points += rng.uniform(-noise, noise, points.shape)
  corners = hull.fit_hull(points, num_vertices)
  assert corners.shape == (num_vertices, 2) and _num_outside(points, corners) == 0
  along, across = np.ptp(
    corners @ np.transpose([direction, direction[::-1] * np.array([-1, 1])]), axis=0
  )
  assert along < 1.05 * 1.8 and across < 0.05


def test_trimming_comes_near_the_best_of_all_choices():
  ratios = []
  for seed in range(60):
    points = np.random.default_rng(seed).normal(size=(12, 2))
    best = min(
      ConvexHull(np.delete(points, gone, axis=0)).volume
      for gone in itertools.combinations(range(12), 3)
    )
    trimmed = hull.fit_hull(points, 64, coverage=0.75)  # 3 of 12 may go
    ratios.append(ConvexHull(trimmed).volume / best)
  assert min(ratios) > 1 - 1e-9
  assert np.mean(ratios) < 1.05 and max(ratios) < 1.4
