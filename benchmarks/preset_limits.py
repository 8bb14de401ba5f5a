"""Limits that ship: fits them, and measures whom they admit and what they refuse.

    BMC_JAX_TEST_DATA=DIR python benchmarks/preset_limits.py            # the tables
    BMC_JAX_TEST_DATA=DIR python benchmarks/preset_limits.py --write    # and the files

The tables are those of docs/limits.md. The files (bmc_jax/limits/preset) hold ranges
and hulls, no poses; made anew they are the same. The photos of Ge et al. are used to
measure alone.
"""

import argparse
import dataclasses
import json
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
import scipy.io

from bmc_jax import hull, kinematics, limits, skeleton
from bmc_jax.configs import SAMPLES
from bmc_jax.data_prep import pickles
from bmc_jax.limits import evidence, presets
from bmc_jax.plausibility import violations

NUM_VERTICES = 12
PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8))  # of subjects, each left out in turn
LEFT_OUT = PAIRS[-1]
EVERY = 4  # of DexYCB's neighbouring frames, where limits are measured
BACKWARDS = -30.0  # degrees
# A PIP joint of index to little hardly bends backwards, but noise and single people
# stretch its hull there: 20 degrees are for both.
LEAST_PIP = -20.0
_CITATIONS = {
  'DexYCB': 'DexYCB (Chao et al., CVPR 2021)',
  'STB': 'STB (Zhang et al., ICIP 2017), one subject',
  'RHD': 'RHD (Zimmermann and Brox, ICCV 2017), evaluation split',
  'MediaPipe': "MediaPipe's 3D hands on FreiHAND (Zimmermann et al., ICCV 2019)",
}


class Part(NamedTuple):
  """A set that limits are fitted on.

  Attributes:
    name: of the set.
    coverage: share that each limit admits; less where 3D is noisy.
    angles_alone: whether its lengths and palms are left out: other labels than wanted.
  """

  name: str
  coverage: float
  angles_alone: bool = False


class Recipe(NamedTuple):
  """How limits are made: fitted on each part, joined, widened, and cut (degrees)."""

  parts: tuple[Part, ...]
  length: float
  curvature: float
  root_angle: float
  angle: float

  def describe(self) -> str:
    """The widening in words."""
    return (
      f'lengths by {self.length:.0%}, palm curvatures by {self.curvature:g} per '
      f'reference bone, palm angles by {self.root_angle:g} and joint angles by '
      f'{self.angle:g} degrees; PIP joints cut at {LEAST_PIP:g} degrees'
    )


RECIPES = {
  'mano': Recipe((Part('DexYCB', 0.998),), 0.12, 0.2, 4.0, 12.0),
  'surface': Recipe(
    (
      Part('STB', 0.998),
      Part('RHD', 0.99),
      Part('MediaPipe', 0.9),
      Part('DexYCB', 0.995, angles_alone=True),
    ),
    *(0.25, 0.5, 6.0, 12.0),
  ),
}


def read_sets(left_out: Sequence[int] = ()) -> dict[str, np.ndarray]:
  """Right hands (N, 21, 3) of each set to fit on.

  Args:
    left_out: subjects of DexYCB that are not among them.
  """
  joints, subject = read_dexycb()
  found = np.concatenate(
    [read_detections(f'freihand_{part}') for part in ('evaluation', 'training')]
  )
  return {
    'DexYCB': joints[~np.isin(subject, left_out)],
    'STB': np.load(SAMPLES / 'poses' / 'stb_train_joints.npy').astype(np.float64),
    'RHD': np.load(SAMPLES / 'poses' / 'rhd_eval_joints.npy').astype(np.float64),
    # Without those that MediaPipe takes for the other side.
    'MediaPipe': found[evidence.palm_bend(found) > -evidence.MIN_BEND],
  }


def read_dexycb() -> tuple[np.ndarray, np.ndarray]:
  """Right hands (N, 21, 3), and the subject (N,) of each."""
  content = np.load(SAMPLES / 'poses' / 'dexycb_subjects01-08.npz')
  joints = skeleton.reorder(content['joints_ho3d'].astype(np.float64), 'ho3d')
  right = content['side_is_right'][:, None, None]
  return np.where(right, joints, skeleton.mirror(joints)), content['subject']


def read_detections(name: str) -> np.ndarray:
  """MediaPipe's 3D hands, whose sides are named for a mirrored picture."""
  results = json.loads((SAMPLES / 'detections' / f'{name}.json').read_text())
  hands = []
  for result in results.values():
    points = [[point[axis] for axis in 'xyz'] for point in result['worldLandmarks']]
    is_left = result['handedness']['categoryName'] == 'Right'
    hands.append(skeleton.mirror(np.array(points)) if is_left else np.array(points))
  return np.array(hands)


def read_tests() -> dict[str, dict[str, np.ndarray]]:
  """Hands that no limits are fitted on, by the limits that they are to keep."""
  joints, subject = read_dexycb()
  freihand = SAMPLES / 'freihand_layout' / 'training_xyz.json'
  folder = SAMPLES / 'ho3d_layout' / 'train' / 'ABF10' / 'meta'
  metas = [pickles.load(path) for path in sorted(folder.glob('*.pkl'))]
  ho3d = np.array([meta['handJoints3D'] for meta in metas], np.float64)
  (photos,) = SAMPLES.glob('hand_graph_cnn_real/**/pose_gt.mat')
  labels = [v for k, v in scipy.io.loadmat(photos).items() if not k.startswith('_')]
  return {
    'mano': {
      'DexYCB 7-8': joints[np.isin(subject, LEFT_OUT)][::EVERY],
      'FreiHAND': np.array(json.loads(freihand.read_text())),
      'HO-3D': skeleton.reorder(skeleton.change_axes(ho3d, 'opengl'), 'ho3d'),
    },
    'surface': {
      'photos of Ge et al.': skeleton.mirror(labels[0]),
      'MediaPipe on them': read_detections('hand_graph_cnn_real'),
    },
  }


def make(name: str, sets: dict[str, np.ndarray]) -> limits.HandLimits:
  """Limits by the recipe of this name."""
  recipe = RECIPES[name]
  fits = []
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', UserWarning)  # of single odd hands
    for part in recipe.parts:
      hands = sets[part.name]
      fits.append(
        limits.fit_limits(hands, coverage=part.coverage, num_vertices=NUM_VERTICES)
      )
  whole = [
    fit for fit, part in zip(fits, recipe.parts, strict=True) if not part.angles_alone
  ]
  joined = dataclasses.replace(
    fits[0],
    hulls=_around([fit.hulls for fit in fits]),
    **{
      field: _widest([getattr(fit, field) for fit in whole])
      for field in ('bone_lengths', 'curvatures', 'root_angles')
    },
  )
  wide = limits.widen_limits(
    joined,
    length=recipe.length,
    curvature=recipe.curvature,
    root_angle=np.deg2rad(recipe.root_angle),
    angle=np.deg2rad(recipe.angle),
  )
  sources = '; '.join(
    f'{_CITATIONS[part.name]}, {len(sets[part.name])} hands, coverage {part.coverage:g}'
    + ', joint angles alone' * part.angles_alone
    for part in recipe.parts
  )
  return dataclasses.replace(
    wide,
    hulls=_cut(wide.hulls),
    metadata=dataclasses.replace(
      joined.metadata,
      source=f'{sources}; widened: {recipe.describe()}; made by '
      'benchmarks/preset_limits.py',
      coverage=min(part.coverage for part in recipe.parts),
      num_poses=sum(len(sets[part.name]) for part in recipe.parts),
    ),
  )


def _widest(ranges: Sequence[np.ndarray]) -> np.ndarray:
  low, high = np.moveaxis(np.stack(ranges), 1, 0)
  return np.stack([low.min(axis=0), high.max(axis=0)])


def _around(hulls: Sequence[np.ndarray]) -> np.ndarray:
  """The hull (5, 3, v, 2) of several; one alone is left as it is."""
  if len(hulls) == 1:
    return hulls[0]
  corners = np.concatenate(hulls, axis=2)
  return np.array(
    [[hull.fit_hull(corners[f, b], NUM_VERTICES) for b in range(3)] for f in range(5)]
  )


def _cut(hulls: np.ndarray) -> np.ndarray:
  """The hulls, of whose PIP joints what bends too far backwards is cut off."""
  hulls, least = hulls.copy(), np.deg2rad(LEAST_PIP)
  for finger in range(1, 5):
    kept = []
    corners = hulls[finger, 1]
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
      if start[0] >= least:
        kept.append(start)
      if (start[0] < least) != (end[0] < least):
        share = (least - start[0]) / (end[0] - start[0])
        kept.append(start + share * (end - start))
    hulls[finger, 1] = hull.fit_hull(np.array(kept), len(corners))
  return hulls


def admitted(joints: np.ndarray, hand_limits: limits.HandLimits) -> tuple[float, ...]:
  """The shares of bones (20 lengths, 15 joints) and of whole hands within limits."""
  found = violations.measure_violations(joints, hand_limits)
  broken = [found.broken()[name] for name in ('bone_lengths', 'joint_angles')]
  broken = np.concatenate([one.reshape(len(joints), -1) for one in broken], axis=1)
  return 1 - broken.mean(), np.all(list(found.within().values()), axis=0).mean()


def bend_back(
  joints: np.ndarray, finger: int, bones: Sequence[int], degrees: float = BACKWARDS
) -> np.ndarray:
  """Hands of which one finger is bent by these degrees at its MCP, PIP or DIP (0-2)."""
  angles, lengths, roots = _take_apart((joints - joints[:, :1]).astype(np.float32))
  angles = np.array(angles)
  angles[:, finger, list(bones), 0] = np.deg2rad(degrees)
  return np.asarray(_put_together(angles, lengths, roots))


@jax.jit
def _take_apart(joints):
  roots = kinematics.bone_vectors(joints)[..., 0, :]
  lengths = kinematics.bone_lengths(joints)
  return kinematics.joint_angles(joints), lengths, roots / lengths[..., :1]


_put_together = jax.jit(kinematics.forward_kinematics)


def refused(joints: np.ndarray, hand_limits: limits.HandLimits) -> dict[str, list]:
  """Shares of hands that are refused: mirrored in depth, or with a finger bent back.

  Of the latter one share for each finger, thumb to little.
  """
  found = {'mirrored in depth': [1 - admitted(joints * [1, 1, -1], hand_limits)[1]]}
  for name, bones in {'MCP': [0], 'PIP': [1], 'DIP': [2], 'all': [0, 1, 2]}.items():
    found[name] = [
      1 - admitted(bend_back(joints, finger, bones), hand_limits)[1]
      for finger in range(5)
    ]
  return found


def main(argv: Sequence[str] | None = None) -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('--write', action='store_true', help='write the files anew')
  flags = parser.parse_args(argv)
  tests = read_tests()
  made = {name: make(name, read_sets(LEFT_OUT)) for name in RECIPES}
  wide = {'clinical': limits.clinical_limits()}
  print('| hands | limits | bones admitted | whole hands |\n| --- | --- | --- | --- |')
  for name, sets in tests.items():
    for title, hands in sets.items():
      for label, one in {name: made[name], **wide}.items():
        shares = ' | '.join(f'{100 * share:.1f}' for share in admitted(hands, one))
        print(f'| {title} ({len(hands)}) | {label} | {shares} |')
  joints, subject = read_dexycb()
  for pair in PAIRS[:-1]:
    one, hands = make('mano', read_sets(pair)), joints[np.isin(subject, pair)][::EVERY]
    shares = ' | '.join(f'{100 * share:.1f}' for share in admitted(hands, one))
    print(f'| DexYCB {pair[0]}-{pair[1]} ({len(hands)}) | mano | {shares} |')
  print('\n| hands refused | limits | mirrored in depth | MCP | PIP | DIP | all |')
  print('| --- | --- | --- | --- | --- | --- | --- |')
  for name, sets in tests.items():
    for title, hands in sets.items():
      cells = [
        ' '.join(f'{100 * share:.0f}' for share in shares)
        for shares in refused(hands, made[name]).values()
      ]
      print(f'| {title} | {name} | {" | ".join(cells)} |')
  if flags.write:
    for name in RECIPES:
      limits.save_limits(presets.FOLDER / f'{name}.json', make(name, read_sets()))


if __name__ == '__main__':
  main()
