"""Limits that are fitted on hands."""

import dataclasses

import jax
import numpy as np
import pytest

from bmc_jax import constraints, limits, skeleton
from tests.fixtures.hands import as_users_call, random_hands

BMC_LOSS = jax.jit(constraints.bmc_loss)


LEAVES = ('bone_lengths', 'curvatures', 'root_angles', 'hulls')


def _loss(joints, hand_limits):
  """Loss and terms of 300 hands, a number that is compiled once."""
  assert len(joints) == 300
  return BMC_LOSS(joints.astype(np.float32), hand_limits)


def test_fitted_limits_admit_their_own_hands_and_no_others(hands, fitted):
  assert fitted.hulls.shape == (5, 3, 12, 2)
  metadata = limits.LimitsMetadata(source='made-up hands', num_poses=300)
  assert dataclasses.asdict(fitted.metadata) == dataclasses.asdict(metadata)
  total, _ = _loss(hands, fitted)
  assert total.max() < 1e-5
  others = random_hands(1, 300, spread=40).joints
  assert _loss(others, fitted)[0].min() > 1e-3


@pytest.mark.parametrize(
  'count, coverage', [(300, 0.9), (300, 0.99), (10, 0.999), (100, 0.95)]
)
def test_each_range_admits_at_least_the_share_asked_for(hands, count, coverage):
  robust = limits.fit_limits(hands[:count], coverage=coverage)
  inside = {
    'lengths': jax.jit(constraints.bone_length_penalty)(hands, robust) < 1e-6,
    'palm': jax.jit(constraints.root_bone_penalty)(hands, robust) < 1e-5,
    'angles': jax.jit(constraints.joint_angle_penalty)(hands, robust) < 1e-6,
  }
  # The palm's penalty adds two ranges: both may leave out hands, not always the same.
  least = {'lengths': coverage, 'palm': 2 * coverage - 1, 'angles': coverage}
  for name, admitted in inside.items():
    share = np.asarray(admitted)[:count].mean(axis=0)
    assert share.min() >= least[name] - 1e-9, name


def test_limits_do_not_depend_on_unit_place_order_or_side(hands, fitted):
  joints = 37.0 * hands + [1.0, 2, 3]
  variants = [limits.fit_limits(joints, coverage=1.0)]
  for order in ('mano', 'rhd'):
    reordered = skeleton.reorder(joints, 'canonical', order)
    variants.append(limits.fit_limits(reordered, coverage=1.0, joint_order=order))
  left = skeleton.mirror(joints)
  variants.append(limits.fit_limits(left, coverage=1.0, is_right=False))
  is_right = np.arange(len(joints)) % 3 > 0
  mixed = np.where(is_right[:, None, None], joints, left)
  variants.append(limits.fit_limits(mixed, coverage=1.0, is_right=is_right))
  for variant in variants:
    for name in LEAVES[:3]:
      np.testing.assert_allclose(
        getattr(variant, name), getattr(fitted, name), rtol=0, atol=1e-4
      )
    # Corners may differ where points nearly tie; what they admit does not.
    assert _loss(hands, variant)[0].max() < 1e-4


def test_another_reference_bone_sets_the_unit(hands):
  other = limits.fit_limits(hands, coverage=1.0, reference=(0, 9))
  np.testing.assert_allclose(other.bone_lengths[:, 2, 0], 1, rtol=1e-5)
  assert other.metadata.reference == (0, 9)


def test_a_single_pose_and_real_poses_can_be_fitted(hands, test_data):
  with pytest.warns(UserWarning, match='limits of 1 hand admit hardly any other one'):
    one = limits.fit_limits(hands[:1])
  assert _loss(np.repeat(hands[:1], 300, axis=0), one)[0].max() < 1e-5
  path = test_data / 'data' / 'poses' / 'stb_train_joints.npy'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  joints = np.load(path)
  fitted = limits.fit_limits(joints, coverage=1.0)
  scale = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)
  normalized = (joints / scale[:, None, None])[::50]
  assert _loss(normalized, fitted)[0].max() < 1e-4


def test_fitting_refuses_bad_poses_in_a_sentence(hands):
  cases = {
    r'shape \(21, 3\), but \(n, 21, 3\)': hands[0],
    r'shape \(2, 20, 3\)': hands[:2, :20],
    'at least one pose': hands[:0],
    'not finite': hands[:2] * np.nan,
    r'2 of 3 poses have a reference bone \(9 -> 10\) of length 0': (
      hands[:3] * np.array([1, 0, 0])[:, None, None]
    ),
  }
  with as_users_call():
    for sentence, joints in cases.items():
      with pytest.raises(ValueError, match=sentence):
        limits.fit_limits(joints)
    with pytest.raises(ValueError, match='Unknown joint order'):
      limits.fit_limits(hands, joint_order='coco')
    with pytest.raises(ValueError, match='coverage is a share'):
      limits.fit_limits(hands, coverage=0.0)
    for num_vertices in (2, 8.0):
      with pytest.raises(ValueError, match='at least 3 vertices'):
        limits.fit_limits(hands, num_vertices=num_vertices)  # pyright: ignore
    for reference in ((9.0, 10.0), (9, 10, 11), 9):
      with pytest.raises(ValueError, match='two different joints of 0 to 20'):
        limits.fit_limits(hands, reference=reference)  # pyright: ignore
    with pytest.raises(ValueError, match='values other than True and False'):
      limits.fit_limits(hands, is_right=2)
    for is_right in (np.ones(3), np.ones((300, 1))):
      with pytest.raises(ValueError, match='one True or False is needed, or one for'):
        limits.fit_limits(hands, is_right=is_right)
