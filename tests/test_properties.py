"""What must hold for all hands and limits, over very many of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bmc_jax import constraints, geometry, kinematics, limits, skeleton
from tests.fixtures.hands import random_hands
from tests.fixtures.many_hands import KINDS, hands_of_all_kinds, procedural_hands

CLINICAL = limits.clinical_limits()


@jax.jit
def _loss_and_gradient(joints, hand_limits):
  """Loss (*b,), its three terms, and its gradient by the joints.

  All terms count in the loss, so that one that is not finite shows in it, and one
  whose gradient is not in its gradient.
  """

  def total(joints):
    loss, terms = constraints.bmc_loss(joints, hand_limits)
    return loss.sum(), (loss, terms)

  gradient, (loss, terms) = jax.grad(total, has_aux=True)(joints)
  return loss, terms, gradient


def _degenerate_limits():
  """Limits whose hulls repeat corners: padded, across pi, and mere points."""
  corners = jnp.asarray(CLINICAL.hulls)
  centre = jnp.broadcast_to(corners.mean(axis=2, keepdims=True), corners.shape)
  padded = jnp.concatenate(
    [corners, corners[:, :, -1:].repeat(len(corners[0, 0]), 2)], 2
  )
  nearly = jnp.repeat(corners, 2, axis=2).at[:, :, ::2, 0].add(1e-7)
  point = jnp.concatenate([centre, centre], axis=2)
  exact = CLINICAL.bone_lengths.mean(axis=0, keepdims=True).repeat(2, axis=0)
  return [
    dataclasses.replace(CLINICAL, hulls=padded),
    dataclasses.replace(
      CLINICAL, hulls=nearly + np.broadcast_to([np.pi, 0], padded.shape)
    ),
    dataclasses.replace(CLINICAL, hulls=point, bone_lengths=exact),
  ]


def _ordinary_hands(seed):
  """512 hands of which none is degenerate: posed ones, and Gaussian points."""
  rng = np.random.default_rng(seed)
  posed = random_hands(seed, 256, 40).joints * rng.uniform(0.5, 2, (256, 1, 1))
  return np.concatenate([posed, rng.normal(size=(256, 21, 3))])


@pytest.mark.slow
def test_gradients_match_central_differences_away_from_kinks(x64):
  hands, step = _ordinary_hands(0), 1e-7
  loss, _, gradient = _loss_and_gradient(hands, CLINICAL)
  for direction in np.random.default_rng(1).normal(size=(8, *hands.shape)):
    ahead, _, _ = _loss_and_gradient(hands + step * direction, CLINICAL)
    behind, _, _ = _loss_and_gradient(hands - step * direction, CLINICAL)
    right, left = (ahead - loss) / step, (loss - behind) / step
    slope = np.sum(gradient * direction, axis=(-1, -2))
    # At a kink, as between two edges of a hull, the one-sided slopes differ.
    smooth = np.abs(right - left) <= 1e-3 * (1 + np.abs(slope))
    assert smooth.mean() > 0.95
    np.testing.assert_allclose(
      slope[smooth], (right + left)[smooth] / 2, rtol=1e-6, atol=1e-6
    )


def test_losses_ignore_a_hands_place_and_gradients_turn_with_it(x64):
  hands, rng = _ordinary_hands(2), np.random.default_rng(3)
  loss, terms, gradient = _loss_and_gradient(hands, CLINICAL)
  turn = Rotation.random(len(hands), rng=rng).as_matrix()
  moved = hands @ turn + rng.normal(size=(len(hands), 1, 3))
  # A left hand is a mirror image: about any plane, not just x = 0.
  normal = rng.normal(size=(len(hands), 3, 1))
  normal /= np.linalg.norm(normal, axis=1, keepdims=True)
  reflection = np.eye(3)[None] - 2 * normal * normal.swapaxes(1, 2)
  left = moved @ reflection
  to_right = np.diag([-1.0, 1, 1])[None]
  for other, matrix in (
    (moved, turn),
    (skeleton.mirror(left), turn @ reflection @ to_right),
  ):
    other_loss, other_terms, other_gradient = _loss_and_gradient(other, CLINICAL)
    np.testing.assert_allclose(other_loss, loss, rtol=1e-9, atol=1e-9)
    for name, term in terms.items():
      np.testing.assert_allclose(other_terms[name], term, rtol=1e-9, atol=1e-9)
    size = np.linalg.norm(gradient, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(
      other_gradient / size, gradient @ matrix / size, rtol=0, atol=1e-7
    )
    # Moving all joints together changes nothing.
    np.testing.assert_allclose((other_gradient / size).sum(axis=1), 0, atol=1e-7)


def test_powers_of_two_of_a_hand_have_exactly_its_angles():
  hands = _ordinary_hands(4).astype(np.float32)
  angles = jax.jit(kinematics.joint_angles)
  wanted = angles(hands)
  for exponent in (-20, -7, -1, 1, 7, 20):
    np.testing.assert_array_equal(angles(hands * np.float32(2.0**exponent)), wanted)


ORDER = st.sampled_from(sorted(skeleton.JOINT_ORDERS))


@given(first=ORDER, second=ORDER, third=ORDER)
def test_reordering_is_a_group_that_mirroring_commutes_with(first, second, third):
  joints = np.random.default_rng(0).normal(size=(2, 21, 3))
  there = skeleton.reorder(joints, first, second)
  np.testing.assert_array_equal(skeleton.reorder(there, second, first), joints)
  np.testing.assert_array_equal(
    skeleton.reorder(there, second, third), skeleton.reorder(joints, first, third)
  )
  np.testing.assert_array_equal(
    skeleton.mirror(there), skeleton.reorder(skeleton.mirror(joints), first, second)
  )


@jax.jit
def _rebuild(joints):
  bones = kinematics.bone_vectors(joints)
  return kinematics.forward_kinematics(
    kinematics.joint_angles(joints),
    kinematics.bone_lengths(joints),
    geometry.normalize(bones[..., 0, :]),
  )


def _assert_rebuilt(joints):
  with jax.enable_x64(True):
    joints = np.asarray(joints, np.float64)
    wanted = joints - joints[:, :1]
    np.testing.assert_allclose(_rebuild(joints), wanted, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_forward_kinematics_of_the_angles_returns_procedural_hands():
  _assert_rebuilt(procedural_hands(jax.random.split(jax.random.key(0), 4096)))


def test_forward_kinematics_of_the_angles_returns_hands_of_eight_subjects(test_data):
  path = test_data / 'data' / 'poses' / 'dexycb_subjects01-08.npz'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  with np.load(path) as archive:
    subjects = archive['subject']
    thinned = np.linspace(0, len(subjects) - 1, 4096).astype(int)
    assert set(subjects[thinned]) == set(range(1, 9))
    joints = skeleton.reorder(archive['joints_ho3d'][thinned], 'ho3d')
    right = archive['side_is_right'][thinned]
  _assert_rebuilt(np.where(right[:, None, None], joints, skeleton.mirror(joints)))


@jax.jit
def _loss_and_gradients(joints, hand_limits):
  return jax.value_and_grad(
    lambda *arguments: constraints.bmc_loss(*arguments)[0], argnums=(0, 1)
  )(joints, hand_limits)


RANGE = st.sampled_from(
  [(-np.inf, np.inf), (-np.inf, 1), (0, np.inf), (0, 1), (0.5, 3), (1, 1), (-1, -1)]
)
TURN = st.integers(-4, 4).map(lambda eighths: np.pi / 4 * eighths)


@pytest.mark.slow
@given(
  seed=st.integers(0, 10**6),
  digits=st.sampled_from([0, 1, 6]),
  ranges=st.tuples(RANGE, RANGE, RANGE),
  corners=st.lists(TURN, min_size=6, max_size=6),
  radius=st.sampled_from([0.0, 1e-7, 0.3, 2.0]),
  centre=st.tuples(TURN, TURN),
)
def test_any_limits_have_finite_gradients_and_wider_ones_no_larger_loss(
  seed, digits, ranges, corners, radius, centre
):
  joints = np.random.default_rng(seed).normal(size=(21, 3)).round(digits)

  def polygon(turns, radius):
    return centre + radius * np.stack([np.cos(turns), np.sin(turns)], axis=-1)

  # Sorted corners on a circle are convex; equal ones are one corner, repeated.
  narrow = _uniform_limits(ranges, polygon(np.sort(corners), radius))
  # A hexagon of twice the radius holds the circle.
  hexagon = polygon(np.pi / 3 * np.arange(6), 2 * radius + 0.1)
  wide = _uniform_limits(np.add(ranges, [[-0.2, 0.2]]), hexagon)
  results = [
    _loss_and_gradients(*jax.tree.map(np.float32, (joints, hand_limits)))
    for hand_limits in (narrow, wide)
  ]
  for leaf in jax.tree.leaves(results):
    assert np.isfinite(leaf).all()
  loss, wide_loss = results[0][0], results[1][0]
  assert 0 <= wide_loss <= loss * (1 + 1e-5) + 1e-5


def _uniform_limits(ranges, hull):
  """The same limits for all bones."""
  lengths, curvatures, angles = np.asarray(ranges)
  return limits.HandLimits(
    bone_lengths=np.broadcast_to(lengths[:, None, None], (2, 5, 4)),
    curvatures=np.broadcast_to(curvatures[:, None], (2, 4)),
    root_angles=np.broadcast_to(angles[:, None], (2, 4)),
    hulls=np.broadcast_to(hull, (5, 3, 6, 2)),
  )


@pytest.mark.slow
@pytest.mark.usefixtures('full_compilation')  # it runs longer than it compiles
def test_a_million_hands_have_finite_losses_and_gradients():
  count, batches, several = 4096, 16, _degenerate_limits()
  assert len(KINDS) * count * batches >= 1_000_000
  for batch in range(batches):
    hands = hands_of_all_kinds(jax.random.key(batch), count)
    hand_limits = several[batch % len(several)]
    loss, _, gradient = _loss_and_gradient(hands, hand_limits)
    finite = np.isfinite(gradient).all((-1, -2)) & np.isfinite(loss)
    for kind, name in enumerate(KINDS):
      assert finite[kind].all(), (name, hands[kind, np.argmin(finite[kind])])
