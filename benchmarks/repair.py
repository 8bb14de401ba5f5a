"""What repair does to the 3D error of noisy hands, and how long it takes.

    python benchmarks/repair.py

Needs real samples (see BMC_JAX_TEST_DATA in configs/__init__.py). DexYCB: limits from
subjects 1 to 6, hands of 7 and 8. STB, whose only subject is tracked with bones of one
length: limits from the first half of the frames, hands from the last quarter. The
options of repair were chosen on other hands: those of subjects 5 and 6 (with limits
from 1 to 4), and of STB's third quarter.
"""

import functools
import time
from typing import NamedTuple

import jax
import numpy as np

from bmc_jax import limits, metrics
from bmc_jax import repair as repair_lib
from bmc_jax.configs import SAMPLES
from bmc_jax.configs.lifter_rhd_to_dexycb import DEXYCB_CAMERA
from bmc_jax.data import pose_files

STB_CAMERA = DEXYCB_CAMERA | {'fx': 607.92, 'fy': 607.88, 'cx': 324.22, 'cy': 236.42}
NUM_HANDS = 1000
MANY_HANDS = 10_000
NOISE_MM = (5, 10, 15, 20)

repair = jax.jit(repair_lib.repair, static_argnames='keep')


class Poses(NamedTuple):
  """Hands in metres, and limits from other hands."""

  joints: np.ndarray
  limits: limits.HandLimits


def load_dexycb() -> Poses:
  path = str(SAMPLES / 'poses' / 'dexycb_subjects01-08.npz')
  load = functools.partial(pose_files.load_poses, path, camera=DEXYCB_CAMERA)
  others = load(subjects=(1, 2, 3, 4, 5, 6), every=5)['joints_3d']
  return Poses(spread(load(subjects=(7, 8))['joints_3d']), limits.fit_limits(others))


def load_stb() -> Poses:
  path = str(SAMPLES / 'poses' / 'stb_train_joints.npy')
  joints = pose_files.load_poses(path, camera=STB_CAMERA)['joints_3d']
  count = len(joints)
  earlier = limits.fit_limits(joints[: count // 2 : 5])
  return Poses(spread(joints[3 * count // 4 :]), earlier)


def spread(hands: np.ndarray) -> np.ndarray:
  return hands[np.linspace(0, len(hands) - 1, NUM_HANDS).astype(int)]


def in_space(joints, mm: float) -> np.ndarray:
  noise = np.random.default_rng(0).normal(0, 1e-3 * mm, joints.shape)
  return np.float32(joints + noise)


def in_depth(joints, mm: float) -> np.ndarray:
  """Moves joints along their viewing rays: the projection stays."""
  noise = np.random.default_rng(0).normal(0, 1e-3 * mm, joints.shape[:-1])
  return np.float32(joints * (1 + noise / joints[..., 2])[..., None])


def in_depth_and_pixels(joints, mm: float, pixels: float) -> np.ndarray:
  noise = np.random.default_rng(1).normal(0, pixels, (*joints.shape[:-1], 2))
  joints = in_depth(joints, mm)
  joints[..., :2] += joints[..., 2:] * noise / DEXYCB_CAMERA['fx']
  return joints


def mirrored(joints) -> np.ndarray:
  """The same projection, but the depth behind the wrist is turned around."""
  depth = 2 * joints[:, :1, 2] - joints[..., 2]
  return joints * (depth / joints[..., 2])[..., None]


def error_mm(joints, truth) -> float:
  return 1e3 * float(metrics.epe(joints, truth).mean())


def print_row(name: str, poses: Poses, noise: str, noisy) -> None:
  before = error_mm(noisy, poses.joints)
  row = [name, noise, f'{before:.1f}']
  for keep in repair_lib.KEEP:
    repaired = repair(noisy, poses.limits, keep=keep)
    after = error_mm(repaired.joints, poses.joints)
    row += [f'{after:.1f} ({after / before - 1:+.0%})']
    row += [f'{np.mean(repaired.penalty_after):.3f}']
  print('|', ' | '.join(row), '|', flush=True)


def print_header(title: str) -> None:
  print(f'\n{title}\n')
  print("| poses | noise | before | keep='nothing' | penalty", end='')
  print(" | keep='projection' | penalty |")
  print('|' + ' --- |' * 7)


def main() -> None:
  sets = {'STB': load_stb(), 'DexYCB': load_dexycb()}
  print_header('Mean 3D error in mm, before and after, and penalty after.')
  for name, poses in sets.items():
    for kind, add_noise in {'3D': in_space, 'depth': in_depth}.items():
      for mm in NOISE_MM:
        print_row(name, poses, f'{kind} {mm} mm', add_noise(poses.joints, mm))

  print_header('Keypoints that are not exact.')
  for name, poses in sets.items():
    for pixels in (1, 2, 4):
      noisy = in_depth_and_pixels(poses.joints, 10, pixels)
      print_row(name, poses, f'depth 10 mm, {pixels} px', noisy)

  print_header('Where it helps less, or not.')
  foreign = {
    'STB, limits of DexYCB': Poses(sets['STB'].joints, sets['DexYCB'].limits),
    'DexYCB, clinical limits': Poses(sets['DexYCB'].joints, limits.clinical_limits()),
  }
  for name, poses in foreign.items():
    print_row(name, poses, 'depth 10 mm', in_depth(poses.joints, 10))
  poses = sets['DexYCB']
  print_row('DexYCB', poses, 'depth 2 mm', in_depth(poses.joints, 2))
  print_row('DexYCB', poses, 'mirrored in depth', mirrored(poses.joints))

  hands = np.resize(in_depth(poses.joints, 10), (MANY_HANDS, 21, 3))
  print(f'\n{jax.devices()[0].device_kind}, jax {jax.__version__}')
  for keep in repair_lib.KEEP:
    jax.block_until_ready(repair(hands, poses.limits, keep=keep))
    start = time.perf_counter(), time.process_time()
    jax.block_until_ready(repair(hands, poses.limits, keep=keep))
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    print(f'keep={keep!r}: {MANY_HANDS:,} hands in {wall:.1f} s, {cpu:.1f} s of CPU')


if __name__ == '__main__':
  main()
