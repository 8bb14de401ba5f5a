"""What fitted hulls promise, judged by the library's own distance in float32."""

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
  return int(np.count_nonzero(DISTANCE(filled, hulls)))


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
