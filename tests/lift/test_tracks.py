"""Hands over time: who they are, gaps, smoothing, trembling."""

import numpy as np
import pytest

from bmc_jax.lift import tracks
from bmc_jax.predict.smoothing import OneEuroFilter
from tests.fixtures.hands import random_hands

HAND = 0.03 * random_hands(2, 1).joints[0] + [0, 0, 0.5]


def _moving(seconds, speed=(0.3, -0.1, 0.05)):
  """A hand that moves on a straight line, (T, 21, 3) metres."""
  return HAND + np.asarray(seconds)[:, None, None] * np.array(speed)


@pytest.mark.parametrize(
  ('frames', 'numbers'),
  [
    ((3, 1, 2), (3, 1, 2)),
    ((-2, 0), (-2, 0)),
    ((10**18 + 1, 10**18), (10**18 + 1, 10**18)),
    ((10**20, 1), None),
    (('wave.mp4#9', 'wave.mp4#10'), (9, 10)),
    (('img_0007.jpg', 'img_0110.jpg'), (7, 110)),
    (('2024-05-01_3.png', '2024-05-01_4.png'), (3, 4)),
    (('a.jpg', 'b.jpg'), None),
    (('a1.jpg', 'b1.jpg'), None),
    (('a1.jpg', 'a1.png'), None),
    (('1', 'x'), None),
    (('one.mp4#1', 'other.mp4#1'), None),
  ],
)
def test_pictures_are_numbered_where_names_differ_in_one_number_only(frames, numbers):
  found = tracks.frame_numbers(frames)
  assert (found if found is None else tuple(found.tolist())) == numbers


def _split(numbers, is_right, person, places):
  found = tracks.split_tracks(
    np.array(numbers), np.array(is_right), person, np.array(places, float)
  )
  return sorted(track.tolist() for track in found)


def test_persons_and_sides_are_tracks_in_the_order_of_time():
  found = _split(
    [2, 0, 1, 0, 1, 0],
    [1, 1, 1, 0, 1, 1],
    ['a', 'a', 'a', 'a', 'b', 'b'],
    [[0] * 3] * 6,
  )
  assert found == [[1, 2, 0], [3], [5, 4]]
  assert _split([1, 0], [1, 1], [None, 7], [[0] * 3] * 2) == [[0], [1]]


def test_several_hands_of_one_side_go_on_from_the_nearest():
  # Two hands that move to the right, in either order; the first is gone for a while.
  numbers = [0, 0, 1, 1, 2, 3, 3]
  x = [0.0, 0.5, 0.51, 0.02, 0.53, 0.55, 0.1]
  found = _split(numbers, [1] * 7, [None] * 7, [[v, 0, 0.5] for v in x])
  assert found == [[0, 3, 6], [1, 2, 4, 5]]
  # A third one begins a track of its own.
  found = _split(
    [0, 0, 1, 1, 1], [1] * 5, [None] * 5, [[v, 0, 0] for v in (0, 1, 2, 1, 0)]
  )
  assert found == [[0, 4], [1, 3], [2]]


def test_a_gap_in_a_straight_line_is_bridged_exactly():
  numbers = np.array([0, 1, 5, 6, 8])
  times, between = tracks.bridge(_moving(numbers / 30), numbers / 30, 1 / 30)
  np.testing.assert_allclose(times * 30, [2, 3, 4, 7])
  np.testing.assert_allclose(between, _moving(times), atol=1e-12)


@pytest.mark.parametrize(('missing', 'bridged'), [(14, 14), (15, 0), (300, 0)])
def test_nothing_is_invented_in_a_long_gap(missing, bridged):
  # At 30 pictures a second 15 steps last 0.5 s.
  numbers = np.array([0, missing + 1])
  times, between = tracks.bridge(_moving(numbers / 30), numbers / 30, 1 / 30)
  assert len(times) == bridged and between.shape == (bridged, 21, 3)


def test_a_single_hand_has_no_gap_and_is_not_smoothed():
  times, between = tracks.bridge(HAND[None], np.zeros(1), 1 / 30)
  assert not len(times) and between.shape == (0, 21, 3)
  np.testing.assert_array_equal(tracks.smooth(HAND[None], np.zeros(1)), HAND[None])


def test_smoothing_does_not_lag_behind_a_steady_motion():
  seconds = np.arange(60) / 30
  joints = _moving(seconds)
  found = tracks.smooth(joints, seconds)
  np.testing.assert_allclose(found[20:-20], joints[20:-20], atol=1e-4)
  one_way = OneEuroFilter()
  behind = np.array([one_way(j, s) for j, s in zip(joints, seconds, strict=True)])
  assert np.abs(behind - joints)[20:].max() > 0.005
  # Turned round in time it is the same.
  back = tracks.smooth(joints[::-1], -seconds[::-1])[::-1]
  np.testing.assert_allclose(back, found, atol=1e-12)


def test_smoothing_takes_noise_away():
  seconds = np.arange(200) / 30
  joints = np.broadcast_to(HAND, (200, 21, 3))
  noisy = joints + np.random.default_rng(0).normal(0, 0.005, joints.shape)
  found = tracks.smooth(noisy, seconds)
  off = [np.sqrt(np.mean((one - joints) ** 2)) for one in (noisy, found)]
  assert off[1] < 0.6 * off[0]
  trembling = [tracks.jitter(one, seconds) for one in (noisy, found)]
  assert trembling[1] < 0.4 * trembling[0]


def test_trembling_is_the_third_difference_and_motion_is_none():
  seconds = np.arange(40) / 30
  assert tracks.jitter(_moving(seconds), seconds) < 1e-12
  parabola = HAND + (seconds**2)[:, None, None] * np.array([1.0, 0, 0])
  assert tracks.jitter(parabola, seconds) < 1e-12
  # Up and down by a: the third differences are 8 a.
  zigzag = HAND + 0.001 * (-1.0) ** np.arange(40)[:, None, None] * np.array([0, 1.0, 0])
  assert tracks.jitter(zigzag, seconds) == pytest.approx(0.008)
  # Where pictures are missing, the jump counts for nothing.
  there = np.r_[0:15, 25:40]
  jumping = zigzag + np.where(np.arange(40) < 20, 0.0, 3.0)[:, None, None]
  assert tracks.jitter(jumping[there], seconds[there]) == pytest.approx(0.008)
  assert np.isnan(tracks.jitter(zigzag[:3], seconds[:3]))
  assert np.isnan(tracks.jitter(zigzag[:1], seconds[:1]))
