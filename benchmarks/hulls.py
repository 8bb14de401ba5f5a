"""How closely polygons of few corners fit the joint angles of real hands.

    BMC_JAX_TEST_DATA=DIR python benchmarks/hulls.py

Over the 15 bones of the DexYCB poses, per number of corners: the area beyond that of
the convex hull, and the share of the poses' angles that are inside for `hull_distance`
in float32. Beside `fit_hull` stands what the paper does: Ramer-Douglas-Peucker on the
convex hull, with the tolerance that leaves the same number of corners.

Then, per coverage, the area of 12-corner hulls against that at coverage 1, of the poses
as they are and after outliers took the place of half of the share that may go: once
spread out, once all together. Beside `fit_hull` stands trimming by depth: those go that
are the most extreme in some direction.
"""

import jax
import numpy as np
import scipy.spatial

from bmc_jax import hull, kinematics, skeleton
from bmc_jax.configs import SAMPLES

POSES = 'poses/dexycb_subjects01-08.npz'
COUNTS = (3, 4, 6, 8, 12, 16, 24, 32, 64)
COVERAGES = (0.999, 0.99, 0.95)
NUM_VERTICES = 12
DISTANCE = jax.jit(hull.hull_distance)


def load_angles() -> np.ndarray:
  """Joint angles (n, 5, 3, 2) of the poses, flexion within pi of its circular mean."""
  with np.load(SAMPLES / POSES) as file:
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


def share_inside(points: np.ndarray, polygon: np.ndarray) -> float:
  points = points[: len(points) // 15 * 15].reshape(-1, 5, 3, 2).astype(np.float32)
  hulls = np.broadcast_to(polygon.astype(np.float32), (5, 3, *polygon.shape))
  return float(np.mean(np.asarray(DISTANCE(points, hulls)) == 0))


def trim_by_depth(points: np.ndarray, coverage: float) -> np.ndarray:
  """Leaves out those that fewest others exceed, in their most extreme direction."""
  angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
  reach = points / points.std(axis=0) @ [np.cos(angle), np.sin(angle)]
  depth = np.argsort(np.argsort(-reach, axis=0), axis=0).min(axis=1)
  return points[
    np.argsort(-depth, kind='stable')[: int(np.ceil(coverage * len(points)))]
  ]


def with_outliers(points: np.ndarray, share: float, place: str) -> np.ndarray:
  """Puts outliers in the place of a share of the points."""
  rng = np.random.default_rng(0)
  points = points.copy()
  gone = rng.choice(len(points), int(share * len(points)), replace=False)
  turn = rng.uniform(0, 2 * np.pi, len(gone) if place == 'spread' else 1)
  offset = np.stack([2.5 * np.cos(turn), 1.2 * np.sin(turn)], axis=1)
  outliers = points.mean(axis=0) + np.broadcast_to(offset, (len(gone), 2))
  points[gone] = outliers + 0.02 * rng.normal(size=outliers.shape)
  return points


def print_corners(angles: np.ndarray) -> None:
  bones = np.float64(angles.reshape(-1, 15, 2))
  exact = []
  for bone in range(15):
    convex = scipy.spatial.ConvexHull(bones[:, bone])
    exact.append(bones[convex.vertices, bone])
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
        hull.polygon_area(polygon) / hull.polygon_area(corners) - 1
        for polygon, corners in zip(polygons, exact, strict=True)
      ]
      padded = [np.pad(p, ((0, count - len(p)), (0, 0)), mode='edge') for p in polygons]
      hulls = np.reshape(padded, (5, 3, count, 2)).astype(np.float32)
      inside = np.mean(np.asarray(DISTANCE(angles, hulls)) == 0)
      cells += [f'{100 * np.mean(areas):+.2f} %', f'{100 * inside:.2f} %']
    print(f'| {count} | {" | ".join(cells)} |')


def print_trimming(angles: np.ndarray) -> None:
  bones = np.float64(angles.reshape(-1, 15, 2))
  whole = [
    hull.polygon_area(hull.fit_hull(bones[:, b], NUM_VERTICES)) for b in range(15)
  ]
  print('\n| coverage | outliers | fit_hull: area | inside | by depth: area |')
  print('| --- | --- | --- | --- | --- |')
  for coverage in COVERAGES:
    for place in ('none', 'spread', 'together'):
      share = 0 if place == 'none' else (1 - coverage) / 2
      areas, by_depth, inside = [], [], []
      for bone in range(15):
        points = with_outliers(bones[:, bone], share, place)
        polygon = hull.fit_hull(points, NUM_VERTICES, coverage=coverage)
        areas.append(hull.polygon_area(polygon) / whole[bone])
        inside.append(share_inside(points, polygon))
        polygon = hull.fit_hull(trim_by_depth(points, coverage), NUM_VERTICES)
        by_depth.append(hull.polygon_area(polygon) / whole[bone])
      cells = (f'{100 * np.mean(row):.1f} %' for row in (areas, inside, by_depth))
      print(f'| {coverage} | {place} |', ' | '.join(cells), '|', flush=True)


def main() -> None:
  angles = load_angles()
  print_corners(angles)
  print_trimming(angles)


if __name__ == '__main__':
  main()
