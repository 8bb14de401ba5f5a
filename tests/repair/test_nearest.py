import dataclasses
import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from bmc_jax import constraints, geometry, kinematics, limits, pose25d, skeleton
from bmc_jax import repair as repair_lib
from tests.fixtures.hands import (
  INTRINSICS,
  as_users_call,
  degenerate_hands,
  random_hands,
)
from tests.fixtures.whole_programs import plain

COUNT = 40  # of all batches, so that few programs have to be compiled
BONE = 0.035
HANDS = random_hands(0, 400).joints
CAMERAS = np.stack([INTRINSICS] * COUNT).astype(np.float32)

repair = jax.jit(repair_lib.repair, static_argnames=('keep', 'num_steps'))


@pytest.fixture(scope='module')
def hand_limits():
  return limits.fit_limits(HANDS, coverage=1.0)


@pytest.fixture(scope='module')
def hands():
  """Plausible hands in metres before a camera."""
  return (BONE * HANDS[:COUNT] + [0.03, -0.02, 0.6]).astype(np.float32)


def _noisy(joints, sigma=0.008, seed=0):
  noise = np.random.default_rng(seed).normal(0, sigma, joints.shape)
  return (joints + noise).astype(np.float32)


def _noisy_depth(joints, sigma=0.010, seed=0):
  noise = np.random.default_rng(seed).normal(0, sigma, joints.shape[:-1])
  return (joints * (1 + noise / joints[..., 2])[..., None]).astype(np.float32)


def _error(joints, truth):
  return np.linalg.norm(np.asarray(joints) - truth, axis=-1).mean()


@pytest.mark.slow
def test_limits_may_have_another_reference_bone_but_no_other_unit(hands):
  other = limits.fit_limits(HANDS, coverage=1.0, reference=(0, 9))
  repaired = repair(_noisy_depth(hands), other)
  assert repaired.penalty_after.mean() < 0.02 * repaired.penalty_before.mean()
  palms = np.linalg.norm(hands[:, 9] - hands[:, 0], axis=-1)
  assert np.median(np.abs(repaired.scale / palms - 1)) < 0.15
  metres = dataclasses.replace(other.metadata, unit='m')
  with as_users_call(), pytest.raises(ValueError, match="in the unit 'm', but repair"):
    repair(hands, dataclasses.replace(other, metadata=metres))


@pytest.mark.slow
@pytest.mark.parametrize('keep', repair_lib.KEEP)
def test_repaired_hands_are_plausible_and_nearer_to_the_truth(keep, hands, hand_limits):
  noisy = _noisy_depth(hands)
  repaired = repair(noisy, hand_limits, keep=keep)
  assert _error(repaired.joints, hands) < 0.85 * _error(noisy, hands)
  loss, _ = constraints.bmc_loss(
    (repaired.joints - repaired.joints[:, :1]) / repaired.scale[:, None, None],
    hand_limits,
    weights=repair_lib.WEIGHTS,
  )
  np.testing.assert_allclose(repaired.penalty_after, loss, rtol=0.01, atol=1e-4)
  assert np.median(repaired.penalty_before) > 0.1
  assert np.median(loss) < 0.005 and np.mean(loss) < 0.05
  moved = np.linalg.norm(np.asarray(repaired.joints) - noisy, axis=-1)
  np.testing.assert_allclose(repaired.displacement, moved, atol=1e-6)
  np.testing.assert_allclose(repaired.scale, BONE, rtol=0.3)


@pytest.mark.slow
def test_depth_noise_on_later_frames_of_stb_falls_by_a_quarter_and_more(test_data):
  path = test_data / 'data' / 'poses' / 'stb_train_joints.npy'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  frames = np.load(path).astype(np.float32)
  hand_limits = limits.fit_limits(frames[: len(frames) // 2 : 10])
  truth = frames[3 * len(frames) // 4 :][:: len(frames) // (4 * COUNT)][:COUNT]
  noise = np.random.default_rng(0).normal(0, 0.010, truth.shape[:-1])
  along_z = truth + (noise[..., None] * [0.0, 0, 1]).astype(np.float32)
  for noisy in (_noisy_depth(truth), along_z):
    for keep in repair_lib.KEEP:
      repaired = repair(noisy, hand_limits, keep=keep)
      assert _error(repaired.joints, truth) < 0.75 * _error(noisy, truth)


def test_projection_is_kept(hands, hand_limits):
  noisy = _noisy_depth(hands)
  repaired = repair(noisy, hand_limits, keep='projection')
  pixels = [geometry.project(j, CAMERAS) for j in (noisy, repaired.joints)]
  np.testing.assert_allclose(*pixels, atol=0.01)
  assert np.median(repaired.displacement) > 1e-3


def test_root_relative_joints_have_no_projection_to_keep(hands, hand_limits):
  relative = hands - hands[:, :1]
  for wrong in (relative, relative + [0, 0, 0.01], hands * [1, 1, -1]):
    with pytest.raises(ValueError, match=r"^keep='projection' needs .* 40 of 40 hands"):
      repair_lib.repair(wrong, hand_limits, keep='projection')
  with pytest.raises(
    ValueError, match='^to_pose25d needs .* 1 of 1 hands .* z = 0: if'
  ):
    with plain():
      pose25d.to_pose25d(relative[0] * [1, 1, 0], CAMERAS[0])
  # What is traced cannot be seen, and what is NaN is told by its result.
  jax.eval_shape(
    lambda x: repair_lib.repair(x, hand_limits, keep='projection'), relative
  )
  skeleton.check_before_camera(np.full((21, 3), np.nan), 'nothing')


@pytest.mark.parametrize('keep', repair_lib.KEEP)
def test_plausible_hands_come_back_as_they_are(keep, hands, hand_limits):
  repaired = repair(hands, hand_limits, keep=keep)
  assert np.all(np.asarray(repaired.joints) == hands)
  np.testing.assert_allclose(repaired.scale, BONE, rtol=1e-5)


def test_the_unit_of_the_joints_does_not_matter(hands, hand_limits):
  noisy = _noisy(hands)
  repaired = repair(noisy, hand_limits)
  # A power of two changes no rounding.
  larger = repair(1024 * noisy, hand_limits)
  np.testing.assert_array_equal(larger.joints / 1024, repaired.joints)
  np.testing.assert_array_equal(larger.scale / 1024, repaired.scale)


@pytest.mark.parametrize('keep', repair_lib.KEEP)
def test_degenerate_hands_stay_finite_and_nan_spoils_its_own_hand_only(
  keep, hands, hand_limits
):
  degenerate = np.stack(list(degenerate_hands().values()))
  batch = np.concatenate([degenerate, _noisy(hands)])[:COUNT]
  whole = repair(batch, hand_limits, keep=keep)
  for leaf in jax.tree.leaves(whole):
    assert np.isfinite(leaf).all()
  batch[0, 10] = np.nan
  broken = repair(batch, hand_limits, keep=keep)
  assert np.isnan(broken.joints[0, 10]).all() and np.isnan(broken.penalty_after[0])
  for got, wanted in zip(broken, whole, strict=True):
    np.testing.assert_array_equal(got[1:], wanted[1:])


@pytest.mark.slow
def test_hands_can_be_batched_in_any_way(hands, hand_limits):
  noisy = _noisy(hands)
  twice = [repair(noisy, hand_limits).joints for _ in range(2)]
  np.testing.assert_array_equal(*twice)
  turned = repair(noisy[::-1], hand_limits).joints[::-1]
  # Rounding decides on which side of a kink a step lands, so not to the last digit.
  assert np.median(np.abs(turned - twice[0])) < 1e-4
  for shape in ((2, 3), (0,), ()):
    joints = jnp.zeros((*shape, 21, 3))
    result = jax.eval_shape(repair, joints, hand_limits)
    assert result.joints.shape == joints.shape and result.scale.shape == shape
  mapped = jax.vmap(lambda hand: repair_lib.repair(hand, hand_limits))
  assert jax.eval_shape(mapped, noisy).joints.shape == noisy.shape


def _margins(joints, hand_limits):
  """At least 0 where joints, in the limits' unit, are plausible."""
  low_high = [
    (kinematics.bone_lengths(joints), hand_limits.bone_lengths),
    (kinematics.root_bone_curvatures(joints), hand_limits.curvatures),
    (kinematics.root_bone_angles(joints), hand_limits.root_angles),
  ]
  parts = [part for x, (low, high) in low_high for part in (x - low, high - x)]
  start = np.asarray(hand_limits.hulls)
  edge = np.roll(start, -1, axis=-2) - start
  normal = np.stack([-edge[..., 1], edge[..., 0]], axis=-1)
  normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
  offset = kinematics.joint_angles(joints)[..., None, :] - start
  parts.append(jnp.sum(normal * offset, axis=-1))
  return jnp.concatenate([part.ravel() for part in parts])


@pytest.mark.slow
def test_scipy_finds_no_plausible_hand_much_nearer(hands, hand_limits):
  noisy = _noisy(hands) - hands[:, :1]
  confidence = np.random.default_rng(1).uniform(0.5, 1.5, (COUNT, 21))
  repaired = repair(noisy, hand_limits, confidence=confidence, scale=BONE)
  np.testing.assert_allclose(repaired.scale, BONE, rtol=1e-6)
  with jax.enable_x64(True):
    margins = jax.jit(lambda x: _margins(x.reshape(21, 3), hand_limits))
    slopes = jax.jit(jax.jacfwd(margins))
    for k in range(3):
      target = noisy[k].astype(float).ravel() / BONE
      weights = confidence[k].repeat(3)
      ours = np.asarray(repaired.joints[k], float).ravel() / BONE

      def distance(x, target=target, weights=weights):
        return np.sum(weights * (x - target) ** 2)

      found = minimize(
        distance,
        ours,
        jac=lambda x, t=target, w=weights: 2 * w * (x - t),
        constraints={
          'type': 'ineq',
          'fun': lambda x: np.asarray(margins(x)),
          'jac': lambda x: np.asarray(slopes(x)),
        },
        method='SLSQP',
        options={'maxiter': 200},
      )
      assert np.min(margins(found.x)) > -1e-5
      assert distance(ours) < 1.1 * found.fun


@pytest.mark.slow
def test_joints_of_high_confidence_stay(hands, hand_limits):
  noisy = _noisy(hands)
  confidence = np.ones((COUNT, 21), np.float32)
  confidence[:, 8] = 100
  even = repair(noisy, hand_limits, confidence=np.ones_like(confidence), scale=BONE)
  firm = repair(noisy, hand_limits, confidence=confidence, scale=BONE)
  assert firm.displacement[:, 8].mean() < 0.1 * even.displacement[:, 8].mean()


def test_wrong_arguments_are_refused_in_a_sentence(hands, hand_limits):
  hand = hands[0]
  with as_users_call():
    with pytest.raises(ValueError, match="keep is 'depth'; it must be one of nothing"):
      repair_lib.repair(hand, hand_limits, keep='depth')
    with pytest.raises(ValueError, match='joints has the shape'):
      repair_lib.repair(hand[:20], hand_limits)
    with pytest.raises(ValueError, match=r'confidence has the shape \(20,\)'):
      repair_lib.repair(hand, hand_limits, confidence=np.ones(20))
    with pytest.raises(ValueError, match=r'scale has the shape \(3,\), but \(\) is'):
      repair_lib.repair(hand, hand_limits, scale=np.ones(3))
    for options in (
      {'confidence': np.full(21, -1.0)},
      {'scale': -1.0},
      {'scale': np.array(-1)},
      {'weight': -1.0},
    ):
      with (
        plain(),
        pytest.raises(ValueError, match='^[a-z]+ has the value -1, but'),
      ):
        repair_lib.repair(hand, hand_limits, **options)
    with pytest.raises(ValueError, match='num_steps is 0, but at least one'):
      repair_lib.repair(hand, hand_limits, num_steps=0)


def test_a_missing_optax_is_named_together_with_its_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, 'optax', None)
  monkeypatch.delitem(sys.modules, 'bmc_jax.repair')
  monkeypatch.delitem(sys.modules, 'bmc_jax.repair.nearest')
  with pytest.raises(ImportError, match=r'optax.*pip install .*\[repair\]'):
    importlib.import_module('bmc_jax.repair')
