"""The scale of a hand by all of its bones."""

import dataclasses
import functools

import jax
import numpy as np

from bmc_jax import limits
from bmc_jax.limits.scale_fit import fit_scale
from tests.fixtures.hands import degenerate_hands, random_hands

FITTED = random_hands(4, 400, spread=10).joints


@functools.cache
def _limits():
  return limits.fit_limits(FITTED, coverage=1.0)


NOISY = random_hands(1, 40, spread=10).joints
NOISY = NOISY + np.random.default_rng(0).normal(0, 0.1, NOISY.shape)

fit = jax.jit(fit_scale)


def _log_violation(hand, scales):
  """The sum that the scale minimises, at each of many scales."""
  chains = [np.concatenate([hand[:1], finger]) for finger in hand[1:].reshape(5, 4, 3)]
  lengths = np.linalg.norm(np.diff(chains, axis=1), axis=-1)
  total = np.zeros_like(scales)
  for length, low, high in zip(
    lengths.ravel(), *_limits().bone_lengths.reshape(2, 20), strict=True
  ):
    too_short, too_long = np.log(scales * low / length), np.log(length / scales / high)
    total += np.maximum(np.maximum(too_short, too_long), 0)
  return total


def test_the_scale_minimises_the_violations_of_all_bones():
  scales = np.geomspace(0.3, 3, 5000)
  for hand, scale in zip(NOISY, np.asarray(fit(NOISY, _limits())), strict=True):
    found = _log_violation(hand, np.array([scale], float))[0]
    assert 0 < found < _log_violation(hand, scales).min() + 1e-5


def test_hands_within_their_limits_keep_the_length_of_the_reference_bone():
  scale = np.asarray(fit(40 * FITTED, _limits()))
  reference = 40 * np.linalg.norm(FITTED[:, 10] - FITTED[:, 9], axis=-1)
  np.testing.assert_allclose(scale, reference, rtol=1e-6)


def test_the_scale_has_the_unit_of_the_joints_and_is_finite_on_degenerate_hands():
  scale = fit(NOISY, _limits())
  np.testing.assert_array_equal(fit(1024 * NOISY, _limits()), 1024 * scale)
  hands = np.stack(list(degenerate_hands().values()))
  no_least = dataclasses.replace(
    _limits(), bone_lengths=_limits().bone_lengths * np.array([0, 1.0])[:, None, None]
  )
  for each in (_limits(), no_least):
    assert np.isfinite(fit(hands, each)).all()
  hands[0, 20] = np.nan
  assert np.isnan(fit(hands, _limits())).tolist() == [True] + [False] * (len(hands) - 1)
