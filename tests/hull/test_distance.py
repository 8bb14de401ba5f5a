import functools
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from scipy.optimize import nnls
from scipy.spatial import ConvexHull

from bmc_jax import hull
from tests.fixtures.hands import as_users_call

DISTANCE = jax.jit(hull.hull_distance)
CHORDAL = jax.jit(functools.partial(hull.hull_distance, distance='chordal_l1'))
GRADIENT = jax.jit(jax.grad(lambda p, hulls: hull.hull_distance(p, hulls).sum()))


def _random_hulls(seed, num_vertices=8):
  rng = np.random.default_rng(seed)
  centres = rng.uniform(-2, 2, (15, 1, 2)) * [1, 0.3]
  clouds = centres + rng.normal(0, 0.4, (15, 60, 2)) * [1, 0.4]
  hulls = [hull.fit_hull(cloud, num_vertices) for cloud in clouds]
  return np.reshape(hulls, (5, 3, num_vertices, 2))


def _slow_distance(point, corners):
  """Least distance over turns to a convex combination of corners, by SciPy's NNLS."""
  heavy = 1e5  # weight of the row that makes the combination sum to 1
  distances = []
  for turn in (-2, -1, 0, 1, 2):
    target = point + [turn * 2 * np.pi, 0]
    rows = np.concatenate([corners.T, heavy * np.ones((1, len(corners)))])
    weights, _ = nnls(rows, np.append(target, heavy))
    distances.append(np.linalg.norm(corners.T @ (weights / weights.sum()) - target))
  return min(distances)


def _left_of_all_edges(points, corners):
  """How far inside the polygon each point lies; negative outside."""
  start, edge = corners, np.roll(corners, -1, axis=0) - corners
  length = np.linalg.norm(edge, axis=-1)
  start, edge, length = start[length > 0], edge[length > 0], length[length > 0]
  offset = points[:, None] - start
  side = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]
  return (side / length).min(axis=1)


def _area(corners):
  x, y = corners.T
  return (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2


def test_distance_matches_a_quadratic_programme(x64):
  hulls = _random_hulls(0)
  points = np.random.default_rng(1).uniform(-1, 1, (4, 5, 3, 2)) * [np.pi, np.pi / 2]
  points[:2] = hulls.mean(axis=2) + 0.4 * points[:2]  # some of these are inside
  distance = np.asarray(DISTANCE(points, hulls))
  for index in np.ndindex(4, 5, 3):
    wanted = _slow_distance(points[index], hulls[index[1:]])
    np.testing.assert_allclose(distance[index], wanted, atol=1e-6)
  assert 0.05 < (distance == 0).mean() < 0.95, 'both sides are tested'


def test_chordal_distance_is_that_to_the_nearest_point_of_a_box(x64):
  low = np.random.default_rng(0).uniform(-1, 0.2, (5, 3, 2))
  size = np.random.default_rng(1).uniform(0.1, 1, (5, 3, 2))
  corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
  boxes = low[:, :, None] + corners * size[:, :, None]
  points = np.random.default_rng(2).uniform(-1, 1, (40, 5, 3, 2)) * [np.pi, 1.5]
  # The nearest point of a box, over turns, is a clipped one.
  turned = np.stack([points + [t * 2 * np.pi, 0] for t in (-1, 0, 1)])
  nearest = np.clip(turned, low, low + size)
  best = np.linalg.norm(turned - nearest, axis=-1).argmin(axis=0)
  q = np.take_along_axis(nearest, best[None, ..., None], axis=0)[0]
  chord = np.abs(np.cos(points) - np.cos(q)) + np.abs(np.sin(points) - np.sin(q))
  np.testing.assert_allclose(CHORDAL(points, boxes), chord.sum(-1), atol=1e-12)


def test_chordal_gradients_match_finite_differences(x64):
  points = np.random.default_rng(4).uniform(-2, 2, (5, 3, 2))
  check_grads(CHORDAL, (points, _random_hulls(4)), order=1, modes=['fwd', 'rev'])


def test_unknown_distances_are_refused_in_a_sentence():
  with pytest.raises(ValueError, match="distance to a hull is 'l2'; choose one of"):
    hull.hull_distance(np.zeros((5, 3, 2)), _random_hulls(0), distance='l2')


def test_distance_is_zero_on_corners_edges_and_inside(x64):
  hulls = _random_hulls(2)
  corners = np.moveaxis(hulls, 2, 0)
  following = np.roll(corners, -1, axis=0)
  for share in (0, 0.3, 0.5):
    points = (1 - share) * corners + share * following
    np.testing.assert_allclose(DISTANCE(points, hulls), 0, atol=1e-12)
  centre = corners.mean(axis=0)
  assert not np.any(DISTANCE(centre, hulls)) and not np.any(GRADIENT(centre, hulls))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_distance_is_periodic_in_flexion_and_its_gradient_a_unit_vector(seed):
  rng = np.random.default_rng(seed)
  hulls = _random_hulls(3).astype(np.float32)
  points = (rng.uniform(-1, 1, (5, 3, 2)) * [np.pi, np.pi / 2]).astype(np.float32)
  distance = DISTANCE(points, hulls)
  turns = rng.integers(-3, 4, (5, 3, 1)) * [2 * np.pi, 0]
  turned = (points + turns).astype(np.float32)
  np.testing.assert_allclose(DISTANCE(turned, hulls), distance, atol=1e-5)
  norm = np.linalg.norm(GRADIENT(points, hulls), axis=-1)
  outside = np.asarray(distance) > 1e-4
  np.testing.assert_allclose(norm[outside], 1, atol=1e-3)
  assert not norm[np.asarray(distance) == 0].any()


def test_a_hull_across_pi_admits_both_signs_of_flexion(x64):
  flexion = np.deg2rad([170, 175, 180, -175, -170, 178])
  points = np.stack([flexion, [0, 0.1, -0.1, 0, 0.1, 0.05]], axis=-1)
  polygon = np.broadcast_to(hull.fit_hull(points, 6), (5, 3, 6, 2))
  samples = np.broadcast_to(points[:, None, None], (6, 5, 3, 2))
  np.testing.assert_allclose(DISTANCE(samples, polygon), 0, atol=1e-12)
  away = np.broadcast_to(np.deg2rad([150.0, 0]), (5, 3, 2))
  assert np.all(DISTANCE(away, polygon) > np.deg2rad(15))
  assert np.all(DISTANCE(-away, polygon) > np.deg2rad(15))


DEGENERATE_HULLS = {
  'point': np.zeros((4, 2)),
  'segment': np.array([[0.0, 0], [1, 0], [1, 0], [1, 0]]),
  'padded triangle': np.array([[0.0, 0], [1, 0], [0, 1], [0, 1]]),
}


@pytest.mark.parametrize('name', DEGENERATE_HULLS)
def test_distances_to_degenerate_polygons_are_right_and_finite(name):
  corners = DEGENERATE_HULLS[name].astype(np.float32)
  hulls = np.broadcast_to(corners, (5, 3, 4, 2))
  grid = np.array(
    list(itertools.product([-np.pi, -1, 0, 0.5, 1, np.pi], [-1, 0, 0.5, 1]))
  )
  for point in grid.astype(np.float32):
    points = np.broadcast_to(point, (5, 3, 2))
    wanted = _slow_distance(np.float64(point), np.float64(corners))
    np.testing.assert_allclose(DISTANCE(points, hulls), wanted, atol=1e-5)
    for gradient in jax.tree.leaves(GRADIENT(points, hulls)):
      assert np.isfinite(gradient).all()


@pytest.mark.parametrize('gap', [1e-9, 1e-8, 1e-7, 3e-7, 1e-6])
def test_nearly_equal_corners_leave_the_inside_inside_in_float32(gap):
  rng = np.random.default_rng(6)
  turns = np.sort(rng.uniform(0, 2 * np.pi, (15, 5)), axis=1) + 0.01
  turns = np.stack([turns, turns + gap], axis=-1).reshape(5, 3, 10)
  hulls = np.stack([np.cos(turns), np.sin(turns)], axis=-1) + [1.3, 0.2]
  centre = hulls.mean(axis=2)
  inside = centre + 0.9 * (np.moveaxis(hulls, 2, 0) - centre)
  assert not np.any(DISTANCE(inside.astype(np.float32), hulls.astype(np.float32)))


def test_gradients_match_finite_differences(x64):
  points = np.random.default_rng(4).uniform(-2, 2, (5, 3, 2))
  check_grads(DISTANCE, (points, _random_hulls(4)), order=2, modes=['fwd', 'rev'])


@pytest.mark.parametrize('shape', [(), (3,), (2, 3), (0,)])
def test_batches_give_what_single_hands_give(shape):
  hulls = _random_hulls(5).astype(np.float32)
  n = int(np.prod(shape))
  points = np.random.default_rng(5).uniform(-3, 3, (n, 5, 3, 2)).astype(np.float32)
  batched = DISTANCE(points.reshape(*shape, 5, 3, 2), hulls)
  assert batched.shape == (*shape, 5, 3)
  for point, distance in zip(points, batched.reshape(n, 5, 3), strict=True):
    np.testing.assert_allclose(distance, DISTANCE(point, hulls), atol=1e-6)


def _cloud(kind, rng, n=400):
  normal = rng.normal(0, 1, (n, 2))
  if kind == 'gauss':
    return normal * [0.4, 0.1]
  if kind == 'uniform':
    return rng.uniform(-1, 1, (n, 2)) * [1.2, 0.3]
  if kind == 'ring':
    return 0.7 * normal / np.linalg.norm(normal, axis=1, keepdims=True)
  if kind == 'heavy':
    return np.clip(rng.standard_cauchy((n, 2)) * 0.02, -1.4, 1.4)
  return np.round(normal, 1) * [0.3, 0.1]


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['gauss', 'uniform', 'ring', 'heavy', 'grid'])
def test_fitted_hulls_hold_all_points_in_few_convex_corners(kind):
  for seed, num_vertices in itertools.product(range(5), [3, 4, 5, 6, 8, 12, 20, 64]):
    points = _cloud(kind, np.random.default_rng(seed))
    corners = hull.fit_hull(points, num_vertices)
    assert corners.shape == (num_vertices, 2)
    # Flexion may come back a turn further, so compare modulo a turn.
    centre = corners[:, 0].mean()
    turns = np.round((centre - points[:, 0]) / (2 * np.pi))
    points = points + np.stack([2 * np.pi * turns, 0 * turns], axis=1)
    assert _left_of_all_edges(points, corners).min() >= -1e-9, 'a point is outside'
    assert _left_of_all_edges(corners, corners).min() >= -1e-9, 'not convex'
    excess = _area(corners) / ConvexHull(points).volume - 1
    print(f'{kind}, {num_vertices} corners: area + {excess:.1%}')
    most = {3: 1.0, 4: 0.5, 5: 0.3, 6: 0.2, 8: 0.1}.get(num_vertices, 0.08)
    assert -1e-9 <= excess < most


@pytest.mark.parametrize('num_vertices', [3, 4, 6, 8, 16])
def test_a_circle_gets_the_regular_polygon_around_it(num_vertices):
  angle = np.linspace(0, 2 * np.pi, 4000)
  corners = hull.fit_hull(np.stack([np.cos(angle), np.sin(angle)], 1), num_vertices)
  regular = num_vertices * np.tan(np.pi / num_vertices)
  assert regular * (1 - 1e-5) < _area(corners) < 1.01 * regular


def test_the_least_triangle_around_a_parallelogram_has_twice_its_area():
  corners = hull.fit_hull(np.array([[0, 0], [1, 0], [1.5, 0.5], [0.5, 0.5]]), 3)
  np.testing.assert_allclose(_area(corners), 2 * 0.5, rtol=1e-4)


def test_a_hull_of_few_points_is_their_convex_hull_padded_with_its_last_corner():
  square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
  corners = hull.fit_hull(square, 7)
  start = int(np.argmin(corners[:4].sum(axis=1)))
  np.testing.assert_allclose(
    np.roll(corners[:4], -start, axis=0), square[:4], atol=2 * hull.ROUNDING
  )
  np.testing.assert_array_equal(corners[4:], np.repeat(corners[3:4], 3, axis=0))


DEGENERATE_SETS = {
  'one point': [[0.3, 0.2]],
  'equal points': [[0.3, 0.2]] * 10,
  'two points': [[0.0, 0.0], [0.5, 0.1]],
  'a line': np.linspace(0, 1, 9)[:, None] * [0.6, 0.2],
  'flexion only': np.linspace(0, 1, 9)[:, None] * [1.0, 0],
  'abduction only': np.linspace(0, 1, 9)[:, None] * [0, 1.0],
  'nearly a line': np.stack([np.linspace(0, 1, 9), 1e-9 * np.arange(9) ** 2], axis=1),
  'a parallelogram': [[0.0, 0], [1, 0], [1.2, 1], [0.2, 1]],
  'a turn': [[-np.pi, 0.0], [np.pi, 0.1], [np.pi, -0.1]],
}


@pytest.mark.parametrize('name', DEGENERATE_SETS)
@pytest.mark.parametrize('num_vertices', [3, 4, 12])
def test_sets_without_area_get_a_thin_polygon_around_them(name, num_vertices, x64):
  points = np.array(DEGENERATE_SETS[name], np.float64)
  corners = hull.fit_hull(points, num_vertices)
  assert corners.shape == (num_vertices, 2) and np.isfinite(corners).all()
  assert _area(corners) >= 0.9 * hull.MIN_WIDTH**2
  assert _left_of_all_edges(corners, corners).min() >= -1e-12
  hulls = np.broadcast_to(corners, (5, 3, num_vertices, 2))
  samples = np.broadcast_to(points[:, None, None], (len(points), 5, 3, 2))
  np.testing.assert_allclose(DISTANCE(samples, hulls), 0, atol=1e-9)


@pytest.mark.parametrize('coverage', [0.5, 0.9, 0.99, 0.999])
def test_coverage_keeps_its_share_and_drops_outliers(coverage):
  rng = np.random.default_rng(0)
  inliers = rng.normal(0, 0.1, (2000, 2))
  outliers = rng.uniform(1, 1.4, (2000 - round(2000 * coverage)) // 2)
  angle = rng.uniform(0, 2 * np.pi, len(outliers))
  points = inliers.copy()
  points[: len(outliers), 0] = outliers * np.cos(angle)
  points[: len(outliers), 1] = outliers * np.sin(angle)
  corners = hull.fit_hull(points, 12, coverage=coverage)
  inside = _left_of_all_edges(points, corners) >= -1e-9
  assert inside.mean() >= coverage
  if coverage >= 0.9:
    assert not inside[: len(outliers)].any(), 'outliers go first'


def test_wrong_arguments_are_refused_in_a_sentence():
  points = np.zeros((5, 2))
  with as_users_call():
    with pytest.raises(ValueError, match='at least 3 vertices, not 2'):
      hull.fit_hull(points, 2)
    for coverage in (0.0, 1.1, float('nan')):
      with pytest.raises(ValueError, match=r'coverage is a share in \(0, 1\]'):
        hull.fit_hull(points, 8, coverage=coverage)
    for shape in ((5, 3), (0, 2), (2,)):
      with pytest.raises(ValueError, match=r'but \(n, 2\) is needed'):
        hull.fit_hull(np.zeros(shape), 8)
    with pytest.raises(ValueError, match='not finite'):
      hull.fit_hull(points * np.nan, 8)
