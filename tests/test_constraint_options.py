"""Each option of the constraints against a closed form or a slow loop."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

from bmc_jax import constraints, hull, kinematics, limits
from tests.fixtures.hands import as_users_call, random_hands, wild_hands
from tests.fixtures.whole_programs import plain

LIMITS = limits.clinical_limits()
PENALTIES = {
  'bone_length': functools.partial(constraints.bone_length_penalty, limits=LIMITS),
  'root_bone': functools.partial(constraints.root_bone_penalty, limits=LIMITS),
  'joint_angle': functools.partial(constraints.joint_angle_penalty, limits=LIMITS),
}
LOSS = jax.jit(functools.partial(constraints.bmc_loss, limits=LIMITS))


def test_hulls_are_measured_in_the_frames_of_the_limits(x64):
  joints = wild_hands(9, 5)
  arcs = dataclasses.replace(
    LIMITS, metadata=dataclasses.replace(LIMITS.metadata, frames='shortest_arc')
  )
  angles = jax.jit(functools.partial(kinematics.joint_angles, frames='shortest_arc'))
  wanted = jax.jit(hull.hull_distance)(angles(joints), LIMITS.hulls)
  penalty = jax.jit(constraints.joint_angle_penalty)(joints, arcs)
  np.testing.assert_allclose(penalty, wanted, atol=1e-12)
  assert (
    np.abs(penalty - jax.jit(constraints.joint_angle_penalty)(joints, LIMITS)).max()
    > 0.05
  )
  fitted = limits.fit_limits(wild_hands(10, 50), frames='shortest_arc', coverage=1.0)
  assert fitted.metadata.frames == 'shortest_arc'
  inside = constraints.joint_angle_penalty(wild_hands(10, 50), fitted)
  assert np.max(inside) < 1e-4


def test_limits_files_without_frames_have_sequential_ones(tmp_path):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, LIMITS)
  content = json.loads(path.read_text())
  assert content['metadata'].pop('frames') == 'sequential'
  path.write_text(json.dumps(content))
  assert limits.load_limits(path).metadata == LIMITS.metadata


def test_boxes_bound_flexion_and_abduction_independently(x64):
  fitted = limits.fit_limits(random_hands(11, 300, 20).joints)
  # One hull across a flexion of pi, which its box must not open.
  fitted.hulls[1, 2, :, 0] += np.pi
  boxes = limits.as_boxes(fitted)
  assert boxes.hulls.shape == (5, 3, 4, 2) and boxes.metadata == fitted.metadata
  joints = wild_hands(12, 20)
  angles = np.asarray(jax.jit(kinematics.joint_angles)(joints))
  low, high = fitted.hulls.min(axis=2), fitted.hulls.max(axis=2)
  turned = np.stack([angles + [turn * 2 * np.pi, 0] for turn in (-1, 0, 1)])
  beyond = np.maximum(np.maximum(low - turned, turned - high), 0)
  wanted = np.linalg.norm(beyond, axis=-1).min(axis=0)
  penalty = jax.jit(constraints.joint_angle_penalty)
  np.testing.assert_allclose(penalty(joints, boxes), wanted, atol=1e-12)
  assert np.all(penalty(joints, boxes) <= penalty(joints, fitted) + 1e-12)


def test_detached_frames_are_constants_of_the_gradient(x64):
  joints = wild_hands(13, 1)[0]
  frames = np.asarray(kinematics.bone_frames(joints))

  def penalty(moved):  # with the frames of the hand before it moved
    bones = np.asarray(kinematics.bone_vectors(moved))[:, 1:]
    x, y, z = np.moveaxis((frames * bones[..., None, :]).sum(-1), -1, 0)
    angles = np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=-1)
    return float(hull.hull_distance(angles, LIMITS.hulls).sum())

  detached = functools.partial(PENALTIES['joint_angle'], stop_frame_gradient=True)
  value, gradient = jax.jit(jax.value_and_grad(lambda j: detached(j).sum()))(joints)
  np.testing.assert_allclose(value, PENALTIES['joint_angle'](joints).sum())
  for step in np.random.default_rng(0).normal(size=(5, 21, 3)):
    slope = (penalty(joints + 1e-6 * step) - penalty(joints - 1e-6 * step)) / 2e-6
    np.testing.assert_allclose(slope, (gradient * step).sum(), rtol=1e-5)


SHAPES = {'bone_length': (5, 4), 'root_bone': (4,), 'joint_angle': (5, 3)}
MEASURES = {
  'bone_length': kinematics.bone_lengths,
  'root_bone': kinematics.root_bone_curvatures,
  'joint_angle': kinematics.joint_angles,
}


@jax.jit
def _weighted_loss(joints, bone_weights, confidence):
  return constraints.bmc_loss(
    joints, LIMITS, bone_weights=bone_weights, confidence=confidence
  )


def _needed(term):
  """Which joints each quantity changes with, by its derivative: (*shape, 21)."""
  jacobian = jax.jit(jax.jacobian(MEASURES[term]))(wild_hands(14, 1)[0])
  moves = np.abs(jacobian).max(axis=-1) > 1e-9
  return moves.any(axis=-2) if term == 'joint_angle' else moves


@pytest.mark.slow
def test_bones_count_with_their_weight_and_their_least_confident_joint(x64):
  rng = np.random.default_rng(0)
  joints, confidence = wild_hands(15, 3), rng.uniform(0.2, 1, (3, 21))
  weights = {name: rng.uniform(0.5, 2, shape) for name, shape in SHAPES.items()}
  _, terms = _weighted_loss(joints, weights, confidence)
  for name, shape in SHAPES.items():
    penalty, needed = np.asarray(jax.jit(PENALTIES[name])(joints)), _needed(name)
    for hand in range(3):
      weighted, total = 0.0, 0.0
      for bone in np.ndindex(shape):
        weight = weights[name][bone] * confidence[hand][needed[bone]].min()
        weighted += weight * penalty[hand][bone]
        total += weight
      np.testing.assert_allclose(terms[name][hand], weighted / total, rtol=1e-10)


@pytest.mark.slow
def test_equal_weights_change_nothing_and_none_at_all_give_zero():
  joints = wild_hands(16, 4).astype(np.float32)
  ones = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}
  plain = constraints.bmc_loss(joints, LIMITS)
  # Not jitted: compilers may add the same numbers in another order.
  weighted = constraints.bmc_loss(
    joints, LIMITS, bone_weights=ones, confidence=np.ones((4, 21), np.float32)
  )
  jax.tree.map(np.testing.assert_array_equal, weighted, plain)
  half = _weighted_loss(joints, ones, np.full((4, 21), 0.5, np.float32))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), half, plain)
  nothing = np.zeros((4, 21), np.float32)
  total = jax.jit(jax.value_and_grad(lambda j, c: _weighted_loss(j, ones, c)[0].sum()))
  value, gradient = total(joints, nothing)
  assert value == 0 and not gradient.any()


@pytest.mark.slow
def test_a_joint_without_confidence_gets_no_gradient_and_confidence_none():
  joints = wild_hands(17, 2).astype(np.float32)
  confidence = np.ones((2, 21), np.float32)
  confidence[:, 7] = 0  # index DIP
  gradient = jax.jit(
    jax.grad(lambda j, c: _weighted_loss(j, {}, c)[0].sum(), argnums=(0, 1))
  )
  by_joints, by_confidence = gradient(joints, confidence)
  assert not by_joints[:, 7].any() and by_joints[:, 6].any()
  assert not by_confidence.any()


def test_limits_in_another_unit_than_the_joints_are_refused_in_a_sentence():
  hand = wild_hands(20, 1)[0].astype(np.float32)
  metres = dataclasses.replace(LIMITS.metadata, unit='m')
  in_metres = dataclasses.replace(LIMITS, metadata=metres)
  cases = (
    (LIMITS, (0, 9), r'reference bone \(9, 10\), but .* reference bones \(0, 9\)'),
    (LIMITS, None, 'but the joints are not in reference bones'),
    (in_metres, (9, 10), "in the unit 'm' .* but the joints are in reference bones"),
  )
  for bounds, reference, sentence in cases:
    with pytest.raises(ValueError, match=sentence):
      constraints.bmc_loss(hand, bounds, reference=reference)
  total, _ = constraints.bmc_loss(hand, in_metres, reference=None)
  np.testing.assert_allclose(total, LOSS(hand)[0], rtol=1e-5)


def test_wrong_weights_of_bones_are_refused_in_a_sentence():
  hand = wild_hands(8, 1).astype(np.float32)
  cases = {
    "Unknown bone_weights 'palm'; known are": {'bone_weights': {'palm': np.ones(4)}},
    r"of 'root_bone' have the shape \(5,\), but \(4,\)": {
      'bone_weights': {'root_bone': np.ones(5)}
    },
    r'confidence has the shape \(21,\), but .* \(1, 21\)': {'confidence': np.ones(21)},
    "weight of 'root_bone' has the value -2, but 0 or": {'weights': {'root_bone': -2}},
    "bone_weights of 'root_bone' has the value -1, but": {
      'bone_weights': {'root_bone': [1, -1, np.nan, 0]}
    },
    'confidence has the value -0.5, but': {'confidence': np.full((1, 21), -0.5)},
  }
  with plain(), as_users_call():
    for sentence, options in cases.items():
      with pytest.raises(ValueError, match=sentence):
        constraints.bmc_loss(hand, LIMITS, **options)


def test_traced_weights_pass():
  hand = wild_hands(8, 1).astype(np.float32)

  def loss(weight, confidence):
    weights = {'root_bone': weight}
    return constraints.bmc_loss(hand, LIMITS, weights=weights, confidence=confidence)

  with plain(), as_users_call():
    confidence = np.full((1, 21), -1, np.float32)
    total, _ = jax.eval_shape(loss, np.float32(-1), confidence)
  assert total.shape == (1,)
