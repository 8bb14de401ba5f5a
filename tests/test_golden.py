"""Agreement with values of an independent NumPy implementation, where they are."""

import jax
import numpy as np
import pytest

from bmc_jax import constraints, hull, kinematics, limits, pose25d

pytestmark = pytest.mark.usefixtures('full_compilation')

KINEMATICS = {
  'bone_lengths': kinematics.bone_lengths,
  'palm_normals': kinematics.palm_normals,
  'edge_normals': kinematics.edge_normals,
  'root_bone_curvatures': kinematics.root_bone_curvatures,
  'root_bone_angles': kinematics.root_bone_angles,
  'frames': kinematics.bone_frames,
  'joint_angles': kinematics.joint_angles,
}
# Precision: (type, how many of the 240 poses, tolerance relative to 1 + |value|). The
# last 48 are random points, which float32 cannot measure to this tolerance.
PRECISIONS = {'float64': (np.float64, 240, 1e-9), 'float32': (np.float32, 192, 2e-4)}


@pytest.fixture(scope='module')
def values(test_data):
  path = test_data / 'golden' / 'constraints_golden.npz'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  with np.load(path) as archive:
    return dict(archive)


@pytest.fixture(params=PRECISIONS)
def golden(request, values):
  """Looks a golden array up, and checks a result against one."""
  dtype, count, tolerance = PRECISIONS[request.param]

  class Golden:
    def __getitem__(self, name):
      is_limit = name == 'hulls' or name.startswith('limit_')
      return (
        values[name].astype(dtype) if is_limit else values[name][:count].astype(dtype)
      )

    def check(self, value, name, divisor=1.0):
      wanted = values[name][:count] / divisor
      assert value.dtype == dtype
      error = np.abs(np.asarray(value, np.float64) - wanted) / (1 + np.abs(wanted))
      assert value.shape == wanted.shape and error.max() <= tolerance, name

    def limits(self):
      names = ('limit_bone_lengths', 'limit_curvatures', 'limit_root_angles', 'hulls')
      return limits.HandLimits(*(self[name] for name in names))

  with jax.enable_x64(dtype == np.float64):
    yield Golden()


@pytest.mark.parametrize('name', KINEMATICS)
def test_kinematics_match_golden_values(golden, name):
  golden.check(jax.jit(KINEMATICS[name])(golden['joints']), name)


def test_hull_distances_match_golden_values(golden):
  distance = jax.jit(hull.hull_distance)(golden['joint_angles'], golden['hulls'])
  golden.check(distance, 'hull_distances')


def test_loss_terms_match_golden_values(golden):
  total, terms = jax.jit(constraints.bmc_loss)(golden['joints'], golden.limits())
  for name, term in terms.items():
    golden.check(term, f'loss_{name}')
  weighted = sum(constraints.WEIGHTS[name] * terms[name] for name in terms)
  np.testing.assert_allclose(total, weighted, rtol=1e-5)


def test_pose25d_matches_golden_values(golden):
  pose = jax.jit(pose25d.to_pose25d)(golden['joints_3d_m'], golden['intrinsics'])
  golden.check(pose.keypoints_2d, 'keypoints_2d')
  golden.check(pose.relative_depth, 'relative_depth')
  golden.check(pose.root_depth, 'true_root_depth')
  golden.check(pose.scale, 'scale_m')


@pytest.mark.parametrize('prefix', ['', 'noisy_'])
def test_root_depth_matches_golden_values(golden, prefix):
  root = jax.jit(pose25d.solve_root_depth)(
    golden[f'{prefix}keypoints_2d'],
    golden[f'{prefix}relative_depth'],
    golden['intrinsics'],
  )
  golden.check(root.value, f'{prefix}root_depth')
  golden.check(root.coefficients, f'{prefix}quadratic_abc')
  a, b, c = np.moveaxis(golden[f'{prefix}quadratic_abc'].astype(np.float64), -1, 0)
  assert np.all((root.discriminant < 0) == (b * b - 4 * a * c < 0))


def test_lifting_matches_golden_values(golden, values):
  joints = jax.jit(pose25d.lift)(
    golden['keypoints_2d'],
    golden['relative_depth'],
    golden['true_root_depth'],
    golden['intrinsics'],
  )
  golden.check(joints, 'joints_3d_m', divisor=values['scale_m'][:, None, None])
