"""Lifted hands over time: smoothed, gaps filled, names and order kept."""

import numpy as np
import pytest

from bmc_jax.lift.smoothed import smooth_hands
from tests.fixtures.hands import INTRINSICS
from tests.fixtures.lifters import lifted_hands, make_results, project

STEP = np.array([0.002, -0.001, 0.0005])  # metres a picture


def _moving(numbers, sides=None, noise=0.0, **changes):
  """One hand that moves on a straight line, in the pictures of these numbers."""
  numbers = np.asarray(numbers)
  sides = np.ones(len(numbers), bool) if sides is None else sides
  one = lifted_hands(4, np.ones(1, bool))
  joints = one.joints_3d + numbers[:, None, None] * STEP
  joints = np.where(sides[:, None, None], joints, joints * [-1, 1, 1])
  joints = joints + np.random.default_rng(0).normal(0, noise, joints.shape)
  hands = lifted_hands(4, sides)._replace(
    joints_3d=joints,
    keypoints_2d=project(joints, INTRINSICS),
    depth_error=np.full((len(numbers), 21), 0.02),
  )
  values = {'hands': hands, 'frames': numbers.tolist(), **changes}
  return make_results(4, sides, **values)


def test_short_gaps_are_filled_and_marked():
  numbers = np.r_[0:20, 23:40, 80:90]
  found, _ = smooth_hands(_moving(numbers), 30.0)
  assert found.frames == [*range(40), *range(80, 90)]
  np.testing.assert_array_equal(np.flatnonzero(found.bridged), [20, 21, 22])
  error = found.hands.depth_error[:, 0]
  np.testing.assert_allclose(error, np.where(found.bridged, 0.04, 0.02))
  start = lifted_hands(4, np.ones(1, bool)).joints_3d
  expected = start + np.array(found.frames)[:, None, None] * STEP
  middle = np.r_[15:28]
  np.testing.assert_allclose(found.hands.joints_3d[middle], expected[middle], atol=5e-4)
  np.testing.assert_allclose(
    project(found.hands.joints_3d, INTRINSICS), found.hands.keypoints_2d, atol=1e-6
  )
  assert found.is_right.all() and len(found.person) == 50


def test_the_rate_of_pictures_decides_what_a_short_gap_is():
  numbers = np.r_[0:5, 15:20]
  assert smooth_hands(_moving(numbers), 30.0)[0].bridged.sum() == 10
  assert smooth_hands(_moving(numbers), 10.0)[0].bridged.sum() == 0


def test_times_as_numbers_and_every_fifth_picture_make_no_gaps():
  there = np.r_[0:10, 13:20]
  plain, _ = smooth_hands(_moving(there), 30.0)
  start, step = 1_700_000_000_000_000_000, 33_333_333  # nanoseconds
  times = start + step * there
  found, _ = smooth_hands(_moving(there, frames=times.tolist()), 1e9)
  assert found.frames == (start + step * np.arange(20)).tolist()
  np.testing.assert_array_equal(found.bridged, plain.bridged)
  np.testing.assert_allclose(found.hands.joints_3d, plain.hands.joints_3d, atol=1e-6)
  fifth = np.array([0, 5, 10, 20, 25])
  found, _ = smooth_hands(_moving(fifth), 30.0)
  assert found.frames == [0, 5, 10, 15, 20, 25]
  with pytest.raises(ValueError, match='takes 1e-09 s, as of no video: say with --fps'):
    smooth_hands(_moving(there), 1e9)
  with pytest.raises(
    ValueError, match='grow by 33333333, which takes .* say with --fps'
  ):
    smooth_hands(_moving(there, frames=times.tolist()), 30.0)


def test_trembling_becomes_less_and_is_told():
  noisy = _moving(range(60), noise=0.003)
  before = noisy.hands.joints_3d.copy()
  found, told = smooth_hands(noisy, 30.0)
  expected = _moving(range(60)).hands.joints_3d
  off = [
    np.abs(one - expected)[15:-15].mean() for one in (before, found.hands.joints_3d)
  ]
  assert off[1] < 0.7 * off[0]
  third = np.linalg.norm(np.diff(before, n=3, axis=0), axis=-1)
  assert f'in place of {1e3 * np.median(third):.2f} mm' in told
  np.testing.assert_array_equal(noisy.hands.joints_3d, before)  # is as it was
  assert smooth_hands(_moving([0, 1, 2]), 30.0)[1].startswith('Too few pictures follow')


def test_hands_of_two_sides_and_persons_do_not_mix():
  sides = np.tile([True, False, True], 20)
  numbers = np.repeat(np.arange(20), 3)
  person = np.tile([1, 1, 2], 20)
  joints = _moving(numbers, sides).hands.joints_3d
  joints[2::3] += [0.3, 0, 0]  # the other person's
  hands = _moving(numbers, sides).hands._replace(joints_3d=joints)
  shuffled = np.random.default_rng(0).permutation(60)
  found, _ = smooth_hands(
    make_results(
      4,
      sides[shuffled],
      hands=type(hands)(*(field[shuffled] for field in hands)),
      frames=numbers[shuffled].tolist(),
      person=person[shuffled].tolist(),
    ),
    30.0,
  )
  assert found.frames == numbers.tolist() and not found.bridged.any()
  for row, (who, right) in enumerate(zip(found.person, found.is_right, strict=True)):
    column = [(1, True), (1, False), (2, True)].index((who, bool(right)))
    expected = joints[3 * found.frames[row] + column]
    np.testing.assert_allclose(found.hands.joints_3d[row], expected, atol=0.01)


def test_a_hand_that_was_not_lifted_gives_way_to_one_that_fills_its_place():
  found = _moving(range(10))
  joints = found.hands.joints_3d.copy()
  joints[[4, 9]] = np.nan
  smoothed, _ = smooth_hands(
    _moving(range(10), hands=found.hands._replace(joints_3d=joints)), 30.0
  )
  assert smoothed.frames == list(range(10))
  np.testing.assert_array_equal(smoothed.bridged, np.arange(10) == 4)
  lost = np.isnan(smoothed.hands.joints_3d).all(axis=(1, 2))
  np.testing.assert_array_equal(lost, np.arange(10) == 9)  # nothing comes after it


@pytest.mark.parametrize(
  ('frames', 'between'),
  [
    (['wave.mp4#8', 'wave.mp4#9', 'wave.mp4#11'], 'wave.mp4#10'),
    (['img_0098.jpg', 'img_0099.jpg', 'img_0101.jpg'], 'img_0100.jpg'),
    (['6.png', '7.png', '9.png'], '8.png'),
    ([2, 3, 5], 4),
  ],
)
def test_filled_gaps_are_named_like_their_neighbours(frames, between):
  found, _ = smooth_hands(_moving([0, 1, 3], frames=frames), 30.0)
  assert found.frames == [*frames[:2], between, frames[2]]
  assert type(found.frames[2]) is type(between)


def test_pictures_without_an_order_of_time_are_refused():
  with pytest.raises(
    ValueError, match="names differ in a number only: here are 'a.jpg'"
  ):
    smooth_hands(_moving([0, 1], frames=['a.jpg', 'b.jpg']), 30.0)
