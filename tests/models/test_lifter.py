"""The lifter network: what it sees of keypoints, and what it must not see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import geometry, models
from bmc_jax.data.drawn import ProceduralPosesSource

OPTIONS = {'name': 'keypoint_lifter', 'width': 16, 'depth': 1, 'correct_2d': True}
FIELDS = ('observed_2d', 'keypoints_2d', 'intrinsics', 'confidence', 'camera_known')


@pytest.fixture(scope='module')
def batch():
  drawn = ProceduralPosesSource(seed=3).batch(range(8))
  return {name: jnp.asarray(drawn[name]) for name in FIELDS}


@pytest.fixture(scope='module')
def lift(batch):
  """A network of random weights in all layers, those that start at zero included."""
  model = models.create_model(OPTIONS)
  params = jax.jit(model.init)(jax.random.key(0), batch)['params']
  leaves, tree = jax.tree.flatten(params)
  keys = jax.random.split(jax.random.key(1), len(leaves))
  leaves = [
    leaf + 0.1 * jax.random.normal(key, leaf.shape)
    for leaf, key in zip(leaves, keys, strict=True)
  ]
  params = jax.tree.unflatten(tree, leaves)
  return jax.jit(lambda batch: model.apply({'params': params}, batch))


def _close(one, other, rtol=2e-3):
  np.testing.assert_allclose(one, other, rtol=rtol, atol=2e-4)


def test_what_is_missing_leaves_no_trace(batch, lift):
  confidence = batch['confidence'].at[:, 5].set(0.0)
  given = batch | {'confidence': confidence}
  absent = (confidence == 0)[..., None]
  other = given | {
    'observed_2d': jnp.where(absent, jnp.nan, given['observed_2d']),
    'keypoints_2d': given['keypoints_2d'] + 7.0,  # not read beside observed ones
  }
  for one, two in zip(
    jax.tree.leaves(lift(given)), jax.tree.leaves(lift(other)), strict=True
  ):
    np.testing.assert_array_equal(one, two)
  moved = lift(given).keypoints_2d
  assert np.isfinite(moved).all() and (jnp.abs(moved[:, 5]) > 1).any()


def test_a_turn_of_the_camera_about_its_axis_turns_the_hand(batch, lift):
  c, s = np.cos(0.7), np.sin(0.7)
  turn = jnp.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], jnp.float32)
  turned = batch | {'intrinsics': batch['intrinsics'] @ turn.T}  # rays: turn @ rays
  one, two = lift(batch), lift(turned)
  _close(two.relative_depth, one.relative_depth)
  _close(two.depth_scale, one.depth_scale)
  _close(two.joints_3d, one.joints_3d @ turn.T)


def test_a_guessed_focal_length_changes_how_far_a_hand_is_and_nothing_of_its_depth(
  batch, lift
):
  known = jnp.zeros(8)
  zoom = jnp.diag(jnp.array([1.7, 1.7, 1.0]))
  one = lift(batch | {'camera_known': known})
  two = lift(batch | {'camera_known': known, 'intrinsics': batch['intrinsics'] @ zoom})
  _close(two.relative_depth, one.relative_depth)
  _close(two.root_depth, 1.7 * one.root_depth)
  known = known + 1
  one = lift(batch | {'camera_known': known})
  two = lift(batch | {'camera_known': known, 'intrinsics': batch['intrinsics'] @ zoom})
  assert np.abs(two.relative_depth - one.relative_depth).max() > 1e-2


def test_joints_project_to_the_keypoints_that_it_gives(batch, lift):
  output = lift(batch)
  projected = geometry.project(output.joints_3d, batch['intrinsics'])
  np.testing.assert_allclose(projected, output.keypoints_2d, atol=0.05)


def test_hands_without_any_keypoint_are_finite(batch, lift):
  output = lift(batch | {'confidence': jnp.zeros((8, 21))})
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(output))
