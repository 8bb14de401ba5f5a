"""Error of the root depth by method, on real poses with noise in 2D and in depth.

    python benchmarks/root_depth.py

Needs real samples (see BMC_JAX_TEST_DATA in configs/__init__.py). Limits are fitted on
other subjects (DexYCB), on earlier frames of the only subject (STB) or are the golden
values' own, which are wide. The last rows show ranges that do not belong to the hands.
"""

import dataclasses
import functools

import jax
import numpy as np

from bmc_jax import limits, pose25d, root_depth
from bmc_jax.configs import SAMPLES
from bmc_jax.configs.lifter_rhd_to_dexycb import DEXYCB_CAMERA
from bmc_jax.data import pose_files

STB_CAMERA = DEXYCB_CAMERA | {'fx': 607.92, 'fy': 607.88, 'cx': 324.22, 'cy': 236.42}
BOUNDS = (3.0, 100.0)
NOISE = ((0, 0), (1, 0), (2, 0), (4, 0), (0, 0.1), (1, 0.1), (2, 0.1), (4, 0.1))


@dataclasses.dataclass
class Poses:
  """Hands in metres, what sees them, and the ranges of their bones."""

  joints_3d: np.ndarray
  intrinsics: np.ndarray
  bone_lengths: np.ndarray


def load_dexycb() -> Poses:
  path = str(SAMPLES / 'poses' / 'dexycb_subjects01-08.npz')
  load = functools.partial(pose_files.load_poses, path, camera=DEXYCB_CAMERA, every=5)
  others = load(subjects=(1, 2, 3, 4, 5, 6))['joints_3d']
  test = load(subjects=(7, 8))
  ranges = limits.fit_limits(others).bone_lengths
  return Poses(test['joints_3d'], test['intrinsics'], ranges)


def load_stb() -> Poses:
  path = str(SAMPLES / 'poses' / 'stb_train_joints.npy')
  poses = pose_files.load_poses(path, camera=STB_CAMERA)
  count = len(poses['joints_3d'])
  ranges = limits.fit_limits(poses['joints_3d'][: count // 2 : 5]).bone_lengths
  test = slice(3 * count // 4, None, 2)
  return Poses(poses['joints_3d'][test], poses['intrinsics'][test], ranges)


def load_foreign() -> Poses:
  return dataclasses.replace(load_stb(), bone_lengths=load_dexycb().bone_lengths)


def load_golden() -> Poses:
  path = SAMPLES.parent / 'golden' / 'constraints_golden.npz'
  with np.load(path) as golden:
    names = 'joints_3d_m', 'intrinsics', 'limit_bone_lengths'
    return Poses(*(golden[name].astype(np.float32) for name in names))


@functools.partial(jax.jit, static_argnames='method')
def solve(pose, intrinsics, bone_lengths, method):
  return pose25d.solve_root_depth(
    pose.keypoints_2d,
    pose.relative_depth,
    intrinsics,
    bounds=BOUNDS,
    method=method,
    bone_lengths=bone_lengths,
  ).value


def add_noise(pose, pixels: float, depth: float) -> pose25d.Pose25D:
  rng = np.random.default_rng(0)
  keypoints = pose.keypoints_2d + pixels * rng.normal(size=pose.keypoints_2d.shape)
  noisy = pose.relative_depth + depth * rng.normal(size=pose.relative_depth.shape)
  # Relative to the root joint, whose own depth is not predicted but 0.
  noisy = np.asarray(noisy).copy()
  noisy[..., 0] = 0
  return pose._replace(
    keypoints_2d=np.float32(keypoints), relative_depth=np.float32(noisy)
  )


def summary(error: np.ndarray, digits: int) -> str:
  return ' / '.join(f'{q:.{digits}f}' for q in np.percentile(error, [50, 95]))


def main() -> None:
  methods = root_depth.METHODS
  print('Error of the root depth, median / 95th percentile, in mm and reference bones.')
  print('| poses | px | depth |', *(f'{m}, mm | bones |' for m in methods))
  print('| --- | --- | --- |' + ' --- | --- |' * len(methods))
  for name, load in (
    ('golden', load_golden),
    ('DexYCB', load_dexycb),
    ('STB', load_stb),
    ('STB, ranges of DexYCB', load_foreign),
  ):
    poses = load()
    pose = pose25d.to_pose25d(poses.joints_3d, poses.intrinsics)
    for pixels, depth in NOISE:
      noisy = add_noise(pose, pixels, depth)
      row = [f'{name} ({len(poses.joints_3d)})', f'{pixels}', f'{depth}']
      for method in methods:
        value = solve(noisy, poses.intrinsics, poses.bone_lengths, method)
        error = np.abs(np.asarray(value) - pose.root_depth)
        row += [summary(1e3 * error * pose.scale, 0), summary(error, 2)]
      print('|', ' | '.join(row), '|')


if __name__ == '__main__':
  main()
