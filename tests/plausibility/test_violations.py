"""Broken limits, counted by the library and by slow loops."""

import functools

import numpy as np
import pytest

from bmc_jax import limits, skeleton
from bmc_jax.plausibility import violations
from tests.fixtures.hands import random_hands, slow_root_frames, unit

HANDS = random_hands(3, 120, spread=12).joints


@functools.cache
def _limits():
  return limits.fit_limits(random_hands(4, 400, spread=10).joints, coverage=0.98)


def _slow_lengths(joints):
  fingers = joints[1:].reshape(5, 4, 3)
  chains = [np.concatenate([joints[:1], finger]) for finger in fingers]
  return np.array([np.linalg.norm(np.diff(chain, axis=0), axis=1) for chain in chains])


def _slow_within(joints):
  """Whether one hand keeps the limits of its bones, palm angles and MCP joints."""
  joints = joints / np.linalg.norm(joints[10] - joints[9])
  lengths = _slow_lengths(joints)
  low, high = _limits().bone_lengths
  roots = [unit(joints[1 + 4 * f] - joints[0]) for f in range(5)]
  angles = [np.arccos(roots[i] @ roots[i + 1]) for i in range(4)]
  least, most = _limits().root_angles
  mcp = True
  for finger, axes in enumerate(slow_root_frames(np.array(roots))):
    bone = axes @ unit(joints[2 + 4 * finger] - joints[1 + 4 * finger])
    point = np.array([np.arctan2(bone[0], bone[2]), np.arcsin(bone[1])])
    corners = _limits().hulls[finger, 0]
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
      (ex, ey), (dx, dy) = b - a, point - a
      mcp &= ex * dy - ey * dx >= -1e-6
  return {
    'bone_lengths': np.all((lengths >= low - 1e-4) & (lengths <= high + 1e-4)),
    'root_angles': np.all((angles >= least - 1e-4) & (angles <= most + 1e-4)),
    'mcp': mcp,
  }


def test_counts_agree_with_a_slow_loop():
  found = violations.measure_violations(HANDS, _limits())
  within, broken = found.within(), found.broken()
  slow = [_slow_within(hand) for hand in HANDS]
  for name in ('bone_lengths', 'root_angles'):
    assert within[name].tolist() == [hand[name] for hand in slow]
    assert 0 < within[name].sum() < 120, 'both sides are tested'
  mcp = ~broken['joint_angles'][..., 0].any(axis=-1)
  assert mcp.tolist() == [hand['mcp'] for hand in slow] and 0 < mcp.sum() < 120


def test_excess_is_signed_and_in_reference_bones():
  hand = random_hands(5, 1, spread=1).joints[0]
  exact = limits.fit_limits(hand[None], coverage=1.0)
  longer = hand.copy()
  longer[8] += 0.2 * (hand[8] - hand[7]) / np.linalg.norm(hand[8] - hand[7])
  shorter = hand.copy()
  shorter[8] -= 0.2 * (hand[8] - hand[7]) / np.linalg.norm(hand[8] - hand[7])
  for joints, wanted in ((longer, 0.2), (shorter, -0.2)):
    excess = violations.measure_violations(30 * joints, exact).bone_lengths
    assert excess[1, 3] == pytest.approx(wanted, abs=1e-5)
    excess[1, 3] = 0
    np.testing.assert_allclose(excess, 0, atol=1e-5)


def test_the_bone_that_is_wrong_is_blamed_even_if_it_is_the_reference_bone():
  hands = random_hands(4, 400, spread=10).joints
  exact = limits.fit_limits(hands, coverage=1.0)
  hands = hands[:30].copy()
  bones = hands[:, 10] - hands[:, 9]
  hands[:, 10] -= 0.3 * bones
  found = violations.measure_violations(hands, exact)
  excess = np.asarray(found.bone_lengths)
  assert np.all(excess[:, 2, 1] < -0.2), 'the middle MCP-PIP bone is too short'
  broken = found.broken()['bone_lengths']
  touching = np.zeros((5, 4), bool)
  touching[2, 1:3] = True
  assert not broken[:, ~touching].any()
  np.testing.assert_allclose(found.scale, np.linalg.norm(bones, axis=-1), rtol=0.1)


def test_a_given_scale_is_the_ruler():
  found = violations.measure_violations(HANDS, _limits(), np.full(len(HANDS), 1.1))
  lengths = np.stack([_slow_lengths(hand) for hand in HANDS]) / 1.1
  low, high = _limits().bone_lengths
  wanted = np.maximum(lengths - high, 0) - np.maximum(low - lengths, 0)
  np.testing.assert_allclose(found.bone_lengths, wanted, atol=1e-5)


def test_hands_with_nan_or_no_size_keep_no_limits_and_break_none():
  hands = HANDS[:3].copy()
  hands[0, 20, 1] = np.nan
  hands[1] = hands[1, 9]
  found = violations.measure_violations(hands, _limits())
  assert (
    np.isnan(found.bone_lengths[:2]).all() and np.isfinite(found.curvatures[2]).all()
  )
  for within in found.within().values():
    assert not within[:2].any()
  for broken in found.broken().values():
    assert not broken[:2].any()


@pytest.mark.parametrize('coverage', [0.9, 1.0])
def test_fitted_limits_admit_the_share_they_promise_in_every_constraint(coverage):
  hands = random_hands(6, 500, spread=15).joints
  fitted = limits.fit_limits(hands, coverage=coverage)
  scale = np.linalg.norm(hands[:, 10] - hands[:, 9], axis=-1)
  found = violations.measure_violations(hands, fitted, scale)
  for name, broken in found.broken().items():
    admitted = 1 - broken.mean(axis=0)
    assert admitted.min() >= coverage - 1e-9, name
    if coverage < 1:
      free = np.ones(admitted.shape, bool)
      if name == 'bone_lengths':
        free[2, 1] = False  # the reference bone has one length
      assert admitted[free].max() < coverage + 0.02, name


def test_names_stand_for_the_limits_that_they_name():
  shapes = {name: names.shape for name, names in violations.NAMES.items()}
  found = violations.measure_violations(HANDS[0], _limits())
  assert shapes == {name: getattr(found, name).shape for name in shapes}
  assert violations.NAMES['joint_angles'][1, 1] == 'index PIP joint'
  assert violations.NAMES['bone_lengths'][0, 1] == 'thumb CMC-MCP length'
  assert all(
    violations.NAMES['joint_angles'][f, 0].startswith(finger)
    for f, finger in enumerate(skeleton.FINGERS)
  )
