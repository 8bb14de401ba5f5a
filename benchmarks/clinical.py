"""How many real bones, palms and joints the limits from the literature admit.

    BMC_JAX_TEST_DATA=DIR python benchmarks/clinical.py

Prints the tables of docs/limits.md: bones and palm, then joints, each over all poses of
STB and of DexYCB (left hands mirrored), and the shares of hands that keep all limits.
"""

import numpy as np

from bmc_jax import limits, skeleton
from bmc_jax.configs import SAMPLES
from bmc_jax.joint_files.reading import read_joints
from bmc_jax.plausibility import violations

POSES = {'STB': 'stb_train_joints.npy', 'DexYCB': 'dexycb_subjects01-08.npz'}


def measure(name: str) -> violations.Violations:
  file = read_joints(SAMPLES / 'poses' / POSES[name])
  joints = file.joints_3d
  if file.is_right is not None:
    right = file.is_right[:, None, None]
    joints = np.where(right, joints, skeleton.mirror(joints))
  # As the loss does, in reference bones.
  scale = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)
  return violations.measure_violations(joints, limits.clinical_limits(), scale)


def main() -> None:
  found = {name: measure(name) for name in POSES}
  print('| limit | ' + ' | '.join(POSES) + ' |\n| --- | --- | --- |')
  for group, names in violations.NAMES.items():
    shares = [100 * (1 - f.broken()[group].mean(axis=0)) for f in found.values()]
    for index in np.ndindex(names.shape):
      cells = ' | '.join(f'{share[index]:.1f}' for share in shares)
      print(f'| {names[index]} | {cells} |')
  for group in violations.NAMES:
    cells = ' | '.join(f'{100 * f.within()[group].mean():.1f}' for f in found.values())
    print(f'| all {group.replace("_", " ")} of a hand | {cells} |')


if __name__ == '__main__':
  main()
