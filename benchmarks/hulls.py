"""How closely polygons of few corners fit the joint angles of real hands.

    BMC_JAX_TEST_DATA=DIR python benchmarks/hulls.py

Over the 15 bones of the DexYCB poses, per number of corners: the area beyond that of
the convex hull, and the share of the poses' angles that are inside for `hull_distance`
in float32. Beside `fit_hull` stands what the paper does: Ramer-Douglas-Peucker on the
convex hull, with the tolerance that leaves the same number of corners.
"""

import os
import pathlib

import jax
import numpy as np
import scipy.spatial

from bmc_jax import hull, kinematics, skeleton

POSES = 'data/poses/dexycb_subjects01-08.npz'
COUNTS = (3, 4, 6, 8, 12, 16, 24, 32, 64)


def load_angles() -> np.ndarray:
  """Joint angles (n, 5, 3, 2) of the poses, flexion within pi of its circular mean."""
  path = pathlib.Path(os.environ.get('BMC_JAX_TEST_DATA', '../shared')) / POSES
  with np.load(path) as file:
    joints = skeleton.reorder(file['joints_ho3d'], 'ho3d')
    is_right = file['side_is_right'].astype(bool)[:, None, None]
  joints = np.where(is_right, joints, skeleton.mirror(joints)).astype(np.float32)
  angles = np.array(jax.jit(kinematics.joint_angles)(joints))
  centre = np.angle(np.exp(1j * angles[..., 0]).mean(axis=0))
  angles[..., 0] -= 2 * np.pi * np.round((angles[..., 0] - centre) / (2 * np.pi))
  return angles


def simplify(corners: np.ndarray, count: int) -> np.ndarray:
  """Ramer-Douglas-Peucker on a closed polygon, down to `count` of its corners.

  Starts from the two corners farthest from each other and adds the corner farthest
  from the polygon so far: the order in which shrinking tolerances keep them.
  """
  distance = scipy.spatial.distance.cdist(corners, corners)
  kept = sorted(int(i) for i in np.unravel_index(distance.argmax(), distance.shape))
  while len(kept) < min(count, len(corners)):
    best = (-1.0, 0)
    for start, end in zip(kept, [*kept[1:], kept[0] + len(corners)], strict=True):
      between = np.arange(start + 1, end) % len(corners)
      if len(between):
        a, b = corners[start], corners[end % len(corners)]
        far = deviation(corners[between], a, b)
        best = max(best, (float(far.max()), int(between[far.argmax()])))
    kept = sorted([*kept, best[1]])
  return corners[kept]


def deviation(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Distance of points to the line through a and b."""
  (ux, uy), (vx, vy) = b - a, (points - a).T
  return np.abs(ux * vy - uy * vx) / np.hypot(ux, uy)


def polygon_area(corners: np.ndarray) -> float:
  x, y = corners.T
  return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def main() -> None:
  angles = load_angles()
  bones = np.float64(angles.reshape(-1, 15, 2))
  exact = []
  for bone in range(15):
    convex = scipy.spatial.ConvexHull(bones[:, bone])
    exact.append(bones[convex.vertices, bone])
  distance = jax.jit(hull.hull_distance)
  print(f'{len(angles)} poses; hulls of {min(map(len, exact))} to', end=' ')
  print(f'{max(map(len, exact))} corners')
  print('| corners | fit_hull: area | inside | RDP: area | inside |')
  print('| --- | --- | --- | --- | --- |')
  for count in COUNTS:
    cells = []
    for polygons in (
      [hull.fit_hull(bones[:, bone], count) for bone in range(15)],
      [simplify(corners, count) for corners in exact],
    ):
      areas = [
        polygon_area(polygon) / polygon_area(corners) - 1
        for polygon, corners in zip(polygons, exact, strict=True)
      ]
      padded = [np.pad(p, ((0, count - len(p)), (0, 0)), mode='edge') for p in polygons]
      hulls = np.reshape(padded, (5, 3, count, 2)).astype(np.float32)
      inside = np.mean(np.asarray(distance(angles, hulls)) == 0)
      cells += [f'{100 * np.mean(areas):+.2f} %', f'{100 * inside:.2f} %']
    print(f'| {count} | {" | ".join(cells)} |')


if __name__ == '__main__':
  main()
