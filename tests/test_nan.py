"""A prediction that is not a number must never look like a good one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import constraints, geometry, hull, kinematics, limits, metrics, pose25d
from bmc_jax.training.validation import summarize
from tests.fixtures.hands import INTRINSICS, random_hands

JOINT = 10  # middle PIP: of the reference bone, and of three joint angles
LIMITS = limits.clinical_limits()
K = INTRINSICS.astype(np.float32)
HAND = (random_hands(0, 1).joints[0] + [1, -1, 18]).astype(np.float32)
POSE = jax.tree.map(np.asarray, pose25d.to_pose25d(HAND, K))
ANGLES = np.asarray(kinematics.joint_angles(HAND))
VECTOR = np.float32([1, 2, 3])
DOUBTFUL = (np.arange(21) != JOINT).astype(np.float32)


def _solve(keypoints, depth, bounds=None):
  return pose25d.solve_root_depth(keypoints, depth, K, bounds=bounds).value


def _pixels_at_zero_depth(joints):
  return geometry.project(joints.at[:, 2].set(0), K)[JOINT]


COINCIDENT = np.broadcast_to(POSE.keypoints_2d[:1], (21, 2))
# The function, and an argument of which every joint (axis 0) but one stays as it is.
CASES = {
  'safe_sqrt': (geometry.safe_sqrt, ANGLES[:, 0, 0]),
  'safe_norm': (geometry.safe_norm, VECTOR),
  'normalize': (geometry.normalize, VECTOR),
  'safe_divide by it': (lambda y: geometry.safe_divide(jnp.ones_like(y), y), VECTOR),
  'safe_divide by 0': (lambda x: geometry.safe_divide(x, jnp.zeros_like(x)), VECTOR),
  'safe_atan2 y': (lambda y: geometry.safe_atan2(y, jnp.zeros_like(y)), VECTOR),
  'safe_atan2 x': (lambda x: geometry.safe_atan2(jnp.zeros_like(x), x), VECTOR),
  'project': (lambda joints: geometry.project(joints, K)[JOINT], HAND),
  'project at depth 0': (_pixels_at_zero_depth, HAND),
  'epe': (lambda joints: metrics.epe(joints, HAND)[JOINT], HAND),
  'procrustes_align': (lambda joints: metrics.procrustes_align(joints, HAND), HAND),
  'root_bone_angles': (lambda j: kinematics.root_bone_angles(jnp.roll(j, -1, 0)), HAND),
  'joint_angles': (lambda joints: kinematics.joint_angles(joints)[2], HAND),
  'joint_angles by arcs': (
    lambda joints: kinematics.joint_angles(joints, frames='shortest_arc')[2],
    HAND,
  ),
  'in_reference_bones': (
    lambda joints: pose25d.in_reference_bones(joints)[2],
    HAND,
  ),
  'bmc_loss': (lambda joints: constraints.bmc_loss(joints, LIMITS)[0], HAND),
  'bmc_loss with confidence': (
    lambda joints: constraints.bmc_loss(joints, LIMITS, confidence=DOUBTFUL)[0],
    HAND,
  ),
  'hull_distance': (lambda a: hull.hull_distance(a, LIMITS.hulls)[2], ANGLES),
  'hull_distance by chords': (
    lambda a: hull.hull_distance(a, LIMITS.hulls, distance='chordal_l1')[2],
    ANGLES,
  ),
  'root of keypoints': (lambda k: _solve(k, POSE.relative_depth), POSE.keypoints_2d),
  'bounded root': (
    lambda k: _solve(k, POSE.relative_depth, (4.0, 60.0)),
    POSE.keypoints_2d,
  ),
  'root of depths': (lambda z: _solve(POSE.keypoints_2d, z), POSE.relative_depth),
  'root of equal keypoints': (lambda z: _solve(COINCIDENT, z), POSE.relative_depth),
}


@pytest.fixture(scope='module')
def outputs():
  """What the functions make of finite arguments, and of those with one NaN."""
  finite = {name: np.array(argument) for name, (_, argument) in CASES.items()}
  broken = {name: argument.copy() for name, argument in finite.items()}
  for argument in broken.values():
    argument[JOINT if len(argument) == 21 else 2] = np.nan
  # In one program, which compiles faster than many.
  call = jax.jit(lambda x: {name: f(x[name]) for name, (f, _) in CASES.items()})
  return jax.tree.map(np.asarray, (call(finite), call(broken)))


@pytest.mark.parametrize('name', CASES)
def test_nan_in_one_joint_gives_nan(name, outputs):
  finite, broken = outputs
  assert np.isfinite(finite[name]).all() and np.isnan(broken[name]).any()


def test_nan_predictions_get_no_finite_error_and_no_area():
  count = 4
  truth = np.repeat(HAND[None], count, axis=0)
  predictions = {
    'joints_3d': truth - truth[:, :1],
    'joints_3d_true': truth - truth[:, :1],
    'root_3d': truth[:, 0],
    'root_3d_true': truth[:, 0],
    'keypoints_2d': np.repeat(POSE.keypoints_2d[None], count, axis=0),
    'keypoints_2d_true': np.repeat(POSE.keypoints_2d[None], count, axis=0),
    'visibility': np.ones((count, 21), np.float32),
    'has_joints_3d': np.ones(count, np.float32),
  }
  perfect = summarize(predictions, 224)
  assert perfect['epe_mm'] == 0
  for name in ('joints_3d', 'keypoints_2d', 'root_3d'):
    predictions[name] = predictions[name].copy()
    predictions[name][0] = np.nan
  broken = summarize(predictions, 224)
  for name in perfect:
    if name.startswith('auc'):  # one hand in four counts as wrong
      assert broken[name] == pytest.approx(0.75 * perfect[name]), name
    else:
      assert np.isnan(broken[name]), name
