"""Limits from the literature."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bmc_jax import constraints, hull, limits, skeleton
from bmc_jax.joint_files.reading import read_joints
from bmc_jax.limits import literature
from bmc_jax.plausibility import violations
from tests.fixtures.hands import random_hands

BMC_LOSS = jax.jit(constraints.bmc_loss)


LEAVES = ('bone_lengths', 'curvatures', 'root_angles', 'hulls')


def _loss(joints, hand_limits):
  """Loss and terms of 300 hands, a number that is compiled once."""
  assert len(joints) == 300
  return BMC_LOSS(joints.astype(np.float32), hand_limits)


def _assert_equal(a, b, atol=0.0):
  for name in LEAVES:
    np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=atol)


def test_clinical_limits_are_a_valid_file_that_admits_relaxed_hands(tmp_path):
  clinical = limits.clinical_limits()
  path = tmp_path / 'clinical.json'
  limits.save_limits(path, clinical)
  _assert_equal(limits.load_limits(path), clinical, atol=1e-8)
  relaxed = random_hands(2, 300, spread=2).joints
  assert not _loss(relaxed, clinical)[1]['joint_angle'].any()
  # Fingers bent backwards by a right angle are not.
  assert _loss(skeleton.mirror(relaxed), clinical)[1]['joint_angle'].min() > 0.05
  lowest, highest = clinical.bone_lengths
  assert np.all(lowest <= highest) and lowest[2, 1] == highest[2, 1] == 1


def test_every_figure_of_the_literature_names_a_source_and_every_source_is_used():
  named = {m.low_source for m in literature.MOTIONS}
  named |= {m.high_source for m in literature.MOTIONS}
  # BOA: rotation of the fingers; Buryanov: lengths of the bones.
  assert named | {'BOA', 'Buryanov'} == set(literature.SOURCES)
  assert all(motion.low < motion.high for motion in literature.MOTIONS)
  for source in literature.SOURCES.values():
    assert source.citation and source.checked


def test_clinical_hulls_reach_as_far_as_the_sources_say():
  hulls = np.rad2deg(limits.clinical_limits().hulls)
  for motion in literature.MOTIONS:
    if motion.joint == 'PIP' and motion.movement == 'flexion':
      flexion = hulls[skeleton.FINGERS.index(motion.finger), 1, :, 0]
      assert (flexion.min(), flexion.max()) == pytest.approx((motion.low, motion.high))
  # A closed index is parallel to the middle finger, 15 degrees off its own line.
  assert hulls[1, 0, :, 1].min() == pytest.approx(-30 - 15)
  assert hulls[1, 0, :, 1].max() == pytest.approx(30)


@pytest.mark.parametrize('pronation', [0, 30, 60, 90])
def test_the_thumb_bends_in_any_direction_that_its_pronation_allows(pronation, x64):
  clinical = limits.clinical_limits()
  turn = Rotation.from_euler('z', -pronation, degrees=True)
  for flexion in (-15, 0, 30, 60, 80):
    x, y, z = turn.apply(
      Rotation.from_euler('y', flexion, degrees=True).apply([0, 0, 1])
    )
    point = [np.arctan2(x, z), np.arcsin(y)]
    distance = hull.hull_distance(np.broadcast_to(point, (5, 3, 2)), clinical.hulls)
    assert distance[0, 1] == 0, 'the MCP reaches there'
  # Straight backwards, by more than any source admits.
  back = hull.hull_distance(np.full((5, 3, 2), [-0.6, 0.3]), clinical.hulls)
  assert back[0, 1] > 0.1


def test_clinical_limits_admit_most_real_joints(test_data):
  for name, joint_order, least in (
    ('stb_train_joints.npy', 'canonical', {(0, 0): 0.80}),
    ('dexycb_subjects01-08.npz', 'mano', {}),
  ):
    path = test_data / 'data' / 'poses' / name
    if not path.is_file():
      pytest.skip(f'no real samples: there is no file {path}')
    file = read_joints(path, joint_order)
    joints = file.joints_3d[::20]
    if file.is_right is not None:
      is_right = file.is_right[::20, None, None]
      joints = np.where(is_right, joints, skeleton.mirror(joints))
    found = violations.measure_violations(joints, limits.clinical_limits())
    admitted = 1 - found.broken()['joint_angles'].mean(axis=0)
    for index in np.ndindex(5, 3):
      assert admitted[index] >= least.get(index, 0.95), index
    assert found.within()['curvatures'].all() and found.within()['root_angles'].all()
