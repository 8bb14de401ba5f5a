"""Limits as a pytree: what JAX may do with them, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import constraints, limits
from tests.fixtures.hands import random_hands


def _changed(wide, **leaves):
  return lambda: dataclasses.replace(wide, **leaves)


def _misshapen(wide):
  """Limits that no one can mean, by the sentence that refuses them."""
  lengths, hulls = wide.bone_lengths, wide.hulls
  dented, nan = hulls.copy(), lengths.copy()
  dented[3, 1, 0] = hulls[3, 1, 1:4].mean(axis=0)
  nan[0, 2, 3] = np.nan
  return {
    r'bone_lengths .*\(2, 4, 5\), but \(2, 5, 4\)': _changed(
      wide, bone_lengths=np.swapaxes(lengths, 1, 2)
    ),
    r'curvatures .*\(2, 1\), but \(2, 4\)': _changed(
      wide, curvatures=wide.curvatures[:, :1]
    ),
    r'root_angles .*\(2,\), but': _changed(wide, root_angles=np.zeros(2)),
    r'hulls .*\(3, 5, 8, 2\), but \(5, 3, v, 2\) with': _changed(
      wide, hulls=hulls.swapaxes(0, 1)
    ),
    r'hulls .*\(5, 3, 2, 2\), but .* at least 3 corners': _changed(
      wide, hulls=hulls[:, :, :2]
    ),
    'different leading axes': _changed(wide, hulls=hulls[None]),
    'bone_lengths of the limits: thumb > root has a least value above': _changed(
      wide, bone_lengths=lengths[::-1]
    ),
    'bone_lengths of the limits: middle > tip has .*no number': _changed(
      wide, bone_lengths=nan
    ),
    'curvatures of the limits: thumb-index has': _changed(
      wide, curvatures=jnp.asarray(wide.curvatures)[::-1]
    ),
    'hulls of the limits: thumb > pip is not convex and counter-cl': _changed(
      wide, hulls=hulls[:, :, ::-1]
    ),
    'hulls of the limits: ring > dip is not convex': _changed(wide, hulls=dented),
  }


def test_limits_are_a_pytree_that_jax_passes_differentiates_and_keeps(hands, fitted):
  doubled = jax.tree.map(lambda x: 2 * x, fitted)
  assert doubled.metadata == fitted.metadata
  joints = 1.5 * hands[:4].astype(np.float32)
  floats = jax.tree.map(np.float32, fitted)
  gradient = jax.jit(jax.grad(lambda x: constraints.bmc_loss(joints, x)[0].sum()))(
    floats
  )
  # Longer bones than allowed: raising the upper bounds lowers the loss.
  assert np.all(gradient.bone_lengths[1] < 0) and not gradient.bone_lengths[0].any()
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
  'change, sentence',
  [
    ({'joint_order': 'mano'}, "joint order 'mano'.*reordered joints"),
    ({'handedness': 'left'}, "for 'left' hands.*mirrored joints"),
  ],
)
def test_limits_for_other_orders_or_left_hands_are_refused(
  hands, fitted, change, sentence
):
  metadata = dataclasses.replace(fitted.metadata, **change)
  other = dataclasses.replace(fitted, metadata=metadata)
  with pytest.raises(ValueError, match=sentence):
    constraints.bmc_loss(hands.astype(np.float32), other)


def test_arrays_that_are_no_limits_are_refused_in_a_sentence():
  for sentence, make in _misshapen(limits.clinical_limits()).items():
    with pytest.raises(ValueError, match=sentence):
      make()


def test_rounded_and_padded_hulls_are_limits():
  wide = limits.clinical_limits()
  fitted = limits.fit_limits(random_hands(0, 50, spread=10).joints, num_vertices=40)
  for own in (wide, fitted):
    for dtype in (np.float32, jnp.bfloat16, np.float16):
      rounded = np.add(own.hulls, [np.pi, 0]).astype(dtype)
      assert dataclasses.replace(own, hulls=rounded).hulls is rounded
    padded = np.repeat(own.hulls, 3, axis=2)
    assert dataclasses.replace(own, hulls=padded).hulls is padded


def test_jax_may_put_anything_into_limits(fitted):
  for leaf in (object(), None, np.zeros(3), jax.ShapeDtypeStruct((2, 2), float)):
    assert jax.tree.map(lambda _, leaf=leaf: leaf, fitted).hulls is leaf
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), fitted, fitted)
  axes = limits.HandLimits(0, None, 0, 0)  # pyright: ignore

  @jax.jit
  def extent(own):
    own = dataclasses.replace(own, curvatures=own.curvatures[::-1])
    return own.hulls.max() - limits.as_boxes(own).bone_lengths.min()

  wanted = fitted.hulls.max() - fitted.bone_lengths.min()
  mixed = dataclasses.replace(stacked, curvatures=stacked.curvatures)
  mixed = jax.tree_util.tree_unflatten(
    jax.tree.structure(mixed),
    [stacked.bone_lengths, fitted.curvatures, stacked.root_angles, stacked.hulls],
  )
  np.testing.assert_allclose(jax.vmap(extent, in_axes=(axes,))(mixed), wanted, 1e-5)
  np.testing.assert_allclose(extent(fitted), wanted, 1e-5)
  assert jax.eval_shape(lambda own: own, fitted).hulls.shape == (5, 3, 12, 2)


def test_limits_of_two_sources_share_a_program_a_stack_and_a_branch(hands):
  two = [
    limits.fit_limits(hands[:n], coverage=c, source=f'{n} hands')
    for n, c in ((100, 1.0), (200, 0.9))
  ]
  traces = []

  @jax.jit
  def highest(own):
    traces.append(own)
    return own.bone_lengths.max()

  found = [highest(own) for own in two]
  np.testing.assert_allclose(found, [own.bone_lengths.max() for own in two], 1e-6)
  assert len(traces) == 1
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *two)
  assert stacked.hulls.shape == (2, 5, 3, 12, 2)
  for first in (True, False):
    chosen = jax.lax.cond(first, lambda: two[0], lambda: two[1])
    np.testing.assert_allclose(chosen.hulls, two[1 - first].hulls, 1e-6)
  # What decides how hands are judged is another program.
  arcs = dataclasses.replace(two[0].metadata, frames='shortest_arc')
  highest(dataclasses.replace(two[0], metadata=arcs))
  assert len(traces) == 2


def test_limits_are_equal_and_hash_alike_if_they_judge_alike(tmp_path):
  one, other = limits.clinical_limits(), limits.clinical_limits()
  other = dataclasses.replace(
    other, metadata=dataclasses.replace(other.metadata, source='by hand')
  )
  assert one == other and hash(one) == hash(other) and len({one, other}) == 1
  longer = dataclasses.replace(one, bone_lengths=1.1 * one.bone_lengths)
  metres = dataclasses.replace(
    one, metadata=dataclasses.replace(one.metadata, unit='m')
  )
  more = dataclasses.replace(one, hulls=np.repeat(one.hulls, 2, axis=2))
  for unlike in (longer, metres, more, None, 3):
    assert one != unlike


def test_numbers_of_numpy_and_jax_become_plain_ones(tmp_path):
  metadata = limits.LimitsMetadata(
    reference=jnp.array([9, 10]),  # pyright: ignore
    coverage=np.float32(0.5),  # pyright: ignore
    num_poses=np.int64(3),  # pyright: ignore
  )
  assert dataclasses.astuple(metadata)[1] == (9, 10)
  own = dataclasses.replace(limits.clinical_limits(), metadata=metadata)
  limits.save_limits(tmp_path / 'limits.json', own)
  loaded = limits.load_limits(tmp_path / 'limits.json').metadata
  assert (loaded.coverage, loaded.num_poses) == (0.5, 3)
