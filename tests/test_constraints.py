import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bmc_jax import constraints, hull, kinematics, limits, skeleton
from tests.fixtures import whole_programs
from tests.fixtures.hands import (
  as_users_call,
  degenerate_hands,
  random_hands,
  wild_hands,
)

LIMITS = limits.clinical_limits()
PENALTIES = {
  'bone_length': functools.partial(constraints.bone_length_penalty, limits=LIMITS),
  'root_bone': functools.partial(constraints.root_bone_penalty, limits=LIMITS),
  'joint_angle': functools.partial(constraints.joint_angle_penalty, limits=LIMITS),
  'joint_angle_squared': functools.partial(
    constraints.joint_angle_penalty, limits=LIMITS, hull_power=2
  ),
}
JITTED = {name: jax.jit(penalty) for name, penalty in PENALTIES.items()}


def _loss(joints):
  return constraints.bmc_loss(joints, LIMITS)


def _loss_and_gradient(joints):

  def total(joints):
    value = _loss(joints)
    return value[0].sum(), value

  gradient, value = jax.grad(total, has_aux=True)(joints)
  return value, gradient


JITTED_LOSS = jax.jit(_loss)
LOSS_AND_GRADIENT = jax.jit(_loss_and_gradient)


def test_interval_penalty_is_the_distance_to_the_interval():
  x = np.linspace(-2, 3, 51).astype(np.float32)
  for low, high in ((-1.0, 1.0), (0.5, 0.5)):
    slow = [low - v if v < low else v - high if v > high else 0 for v in x]
    penalty = constraints.interval_penalty(x, low, high)
    np.testing.assert_allclose(penalty, slow, atol=1e-6)


def test_interval_bounds_go_with_the_last_axes():
  x = np.float32([[0, 0], [3, 3], [9, 9]])
  penalty = constraints.interval_penalty(x, np.array([1, 2]), np.array([4.0, 5]))
  np.testing.assert_array_equal(penalty, [[1, 2], [0, 0], [5, 4]])


def test_penalties_match_a_slow_loop(x64):
  joints = wild_hands(0, 5)
  lengths, roots = JITTED['bone_length'](joints), JITTED['root_bone'](joints)
  measured = {
    'lengths': jax.jit(kinematics.bone_lengths)(joints),
    'curvatures': jax.jit(kinematics.root_bone_curvatures)(joints),
    'root_angles': jax.jit(kinematics.root_bone_angles)(joints),
  }

  def interval(x, bounds):
    return max(bounds[0] - x, 0) + max(x - bounds[1], 0)

  for h, f, b in np.ndindex(5, 5, 4):
    wanted = interval(measured['lengths'][h, f, b], LIMITS.bone_lengths[:, f, b])
    np.testing.assert_allclose(lengths[h, f, b], wanted, atol=1e-12)
  for h, i in np.ndindex(5, 4):
    wanted = interval(measured['curvatures'][h, i], LIMITS.curvatures[:, i])
    wanted += interval(measured['root_angles'][h, i], LIMITS.root_angles[:, i])
    np.testing.assert_allclose(roots[h, i], wanted, atol=1e-12)


def test_joint_angle_penalty_is_the_hull_distance_or_its_square(x64):
  joints = wild_hands(1, 5)
  angles = jax.jit(kinematics.joint_angles)(joints)
  distance = jax.jit(hull.hull_distance)(angles, LIMITS.hulls)
  np.testing.assert_allclose(JITTED['joint_angle'](joints), distance)
  np.testing.assert_allclose(JITTED['joint_angle_squared'](joints), distance**2)
  # The clinical hulls of the four fingers are boxes: a distance in closed form.
  low, high = LIMITS.hulls.min(axis=2), LIMITS.hulls.max(axis=2)
  turns = np.stack([np.asarray(angles) + [t * 2 * np.pi, 0] for t in (-1, 0, 1)])
  beyond = np.maximum(np.maximum(low - turns, turns - high), 0)
  box = np.linalg.norm(beyond, axis=-1).min(axis=0)
  np.testing.assert_allclose(distance[:, 1:], box[:, 1:], atol=1e-12)


def test_terms_are_means_over_bones_and_the_loss_their_weighted_sum():
  joints = wild_hands(2, 4).astype(np.float32)
  total, terms = JITTED_LOSS(joints)
  for name, term in terms.items():
    mean = np.asarray(JITTED[name](joints)).reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(term, mean, rtol=1e-5)
  assert dict(constraints.WEIGHTS) == {
    'bone_length': 3.0,
    'root_bone': 10.0,
    'joint_angle': 4.0,
  }
  wanted = 3 * terms['bone_length'] + 10 * terms['root_bone']
  np.testing.assert_allclose(total, wanted + 4 * terms['joint_angle'], rtol=1e-6)
  only = jax.jit(lambda x: constraints.bmc_loss(x, LIMITS, weights={'root_bone': 3.0}))
  np.testing.assert_allclose(only(joints)[0], 3 * terms['root_bone'], rtol=1e-6)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50)
def test_the_loss_ignores_rotation_translation_and_side(seed):
  rng = np.random.default_rng(seed)
  with jax.enable_x64(True):
    joints = wild_hands(seed, 1)[0]
    moved = joints @ Rotation.random(rng=rng).as_matrix() + rng.normal(size=3)
    left = moved * [-1, 1, 1]
    value = JITTED_LOSS(joints)
    for other in (moved, np.asarray(skeleton.mirror(left))):
      for got, wanted in zip(
        *map(jax.tree.leaves, (JITTED_LOSS(other), value)), strict=True
      ):
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-8)


def test_gradients_match_finite_differences(x64):
  rng = np.random.default_rng(0)
  for joints in wild_hands(3, 5):
    _, gradient = LOSS_AND_GRADIENT(joints)
    step = rng.normal(size=joints.shape)
    ahead, behind = (JITTED_LOSS(joints + e * step)[0] for e in (1e-6, -1e-6))
    slope = (gradient * step).sum()
    np.testing.assert_allclose((ahead - behind) / 2e-6, slope, rtol=1e-5, atol=1e-7)


FINITE = {
  name: jax.jit(lambda x, f=f: (f(x), jax.grad(lambda y: f(y).sum())(x)))
  for name, f in PENALTIES.items()
  if name != 'joint_angle_squared'
} | {'bmc_loss': LOSS_AND_GRADIENT}


@pytest.mark.parametrize('name', FINITE)
def test_values_and_gradients_are_finite_for_degenerate_hands(name):
  for case, joints in degenerate_hands().items():
    for leaf in jax.tree.leaves(FINITE[name](joints)):
      assert np.isfinite(leaf).all(), case


@given(
  seed=st.integers(0, 10**6),
  equal=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6),
  exponents=st.lists(st.integers(-40, 15), min_size=21, max_size=21),
  digits=st.sampled_from([0, 1, 6]),
)
def test_no_finite_hand_has_an_infinite_gradient(seed, equal, exponents, digits):
  joints = np.random.default_rng(seed).normal(size=(21, 3)).round(digits)
  joints = (joints * 10.0 ** np.array(exponents)[:, None]).astype(np.float32)
  for one, other in equal:
    joints[one] = joints[other]
  for leaf in jax.tree.leaves(LOSS_AND_GRADIENT(joints)):
    assert np.isfinite(leaf).all()


def test_relaxed_fingers_have_no_penalty_and_no_gradient():
  for joints in random_hands(4, 3, 2).joints.astype(np.float32):
    penalty, gradient = FINITE['joint_angle'](joints)
    assert not penalty.any() and not gradient.any()


def _assert_batch_is(batch, singles, shape):
  for index, single in zip(np.ndindex(*shape), singles, strict=True):
    for part, wanted in zip(*map(jax.tree.leaves, (batch, single)), strict=True):
      assert part.shape == (*shape, *wanted.shape)
      np.testing.assert_allclose(part[index], wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('shape', [(), (3,), (2, 3), (1,), (0,)])
def test_losses_of_batches_are_those_of_single_hands(shape):
  joints = wild_hands(5, int(np.prod(shape))).astype(np.float32)
  total, terms = JITTED_LOSS(joints.reshape(*shape, 21, 3))
  assert total.shape == shape and all(term.shape == shape for term in terms.values())
  _assert_batch_is((total, terms), [JITTED_LOSS(hand) for hand in joints], shape)


@pytest.mark.slow
def test_gradients_of_batches_and_under_vmap_are_those_of_single_hands():
  joints = wild_hands(5, 6).astype(np.float32)
  singles = [LOSS_AND_GRADIENT(hand) for hand in joints]
  mapped = jax.jit(jax.vmap(jax.vmap(_loss_and_gradient)))
  for f in (LOSS_AND_GRADIENT, mapped):
    _assert_batch_is(f(joints.reshape(2, 3, 21, 3)), singles, (2, 3))
  for few in (0, 1):
    _assert_batch_is(LOSS_AND_GRADIENT(joints[:few]), singles[:few], (few,))


@pytest.mark.slow
def test_plain_and_jitted_calls_agree():
  joints = wild_hands(6, 6).astype(np.float32).reshape(2, 3, 21, 3)
  with whole_programs.plain():
    plain = jax.tree.leaves(_loss(joints))
  for got, wanted in zip(plain, jax.tree.leaves(JITTED_LOSS(joints)), strict=True):
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


def test_descending_the_loss_makes_hands_plausible():
  for joints in random_hands(7, 3, 30).joints.astype(np.float32):
    before = JITTED_LOSS(joints)[0]
    for size in np.geomspace(0.1, 0.001, 300).astype(np.float32):
      joints = joints - size * LOSS_AND_GRADIENT(joints)[1]
    assert JITTED_LOSS(joints)[0] < 0.25 * before


@pytest.mark.slow
def test_limits_may_be_mapped_and_forward_mode_agrees_with_backward(x64):
  joints = wild_hands(18, 2)
  wide = jax.tree.map(lambda x: 1.1 * x, LIMITS)
  both = jax.tree.map(lambda a, b: np.stack([a, b]), LIMITS, wide)

  def loss(joints, bounds):
    return constraints.bmc_loss(joints, bounds)[0]

  mapped = jax.jit(jax.vmap(loss))(joints, both)
  wanted = [JITTED_LOSS(joints[0])[0], jax.jit(loss)(joints[1], wide)]
  np.testing.assert_allclose(mapped, wanted, rtol=1e-10)
  forward = jax.jit(jax.jacfwd(loss))(joints[0], LIMITS)
  backward = jax.jit(jax.grad(jax.checkpoint(loss)))(joints[0], LIMITS)
  np.testing.assert_allclose(forward, backward, atol=1e-10)


@pytest.mark.slow
def test_the_loss_runs_inside_shard_map():
  joints = wild_hands(21, 4).astype(np.float32)
  mesh = jax.sharding.Mesh(jax.devices()[:1], ('batch',))
  batch = jax.sharding.PartitionSpec('batch')
  sharded = jax.shard_map(
    _loss_and_gradient, mesh=mesh, in_specs=batch, out_specs=batch
  )
  for got, wanted in zip(
    *map(jax.tree.leaves, (jax.jit(sharded)(joints), LOSS_AND_GRADIENT(joints))),
    strict=True,
  ):
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('dtype', [jnp.float16, jnp.bfloat16])
def test_16_bit_joints_are_judged_in_float32(dtype):
  joints = jnp.asarray(wild_hands(19, 2), dtype)
  total, _ = JITTED_LOSS(joints)
  assert total.dtype == jnp.float32
  np.testing.assert_allclose(total, JITTED_LOSS(joints.astype(jnp.float32))[0])


def test_wrong_arguments_are_refused_in_a_sentence():
  hand = wild_hands(8, 1).astype(np.float32)
  with as_users_call():
    with pytest.raises(ValueError, match=r"Unknown weights \['angle'\]; known are"):
      constraints.bmc_loss(hand, LIMITS, weights={'angle': 1.0})
    with pytest.raises(ValueError, match='hull_power is 1 or 2, not 3'):
      constraints.bmc_loss(hand, LIMITS, hull_power=3)
    for joints in (hand[:, :20], hand[..., :2]):
      with pytest.raises(ValueError, match='joints has the shape'):
        constraints.bmc_loss(joints, LIMITS)
