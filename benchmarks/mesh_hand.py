"""How deep the fingers of the mesh hand sink into each other.

    BMC_JAX_TEST_DATA=DIR python benchmarks/mesh_hand.py

Drawn hands of the domain `everyday`, with 1 to 8 candidate poses for each, beside real
poses of DexYCB that wear the mesh. A finger's middle and last bone are closed to a
solid; the depth of a vertex of another finger in it is its distance to the nearest
vertex of that solid. All hands are brought to an adult's size.
"""

import dataclasses

import jax
import numpy as np

from bmc_jax import skeleton
from bmc_jax.configs import SAMPLES
from bmc_jax.data.procedural import everyday
from bmc_jax.data.procedural.mesh import asset, load_mesh, pose_mesh
from bmc_jax.data.procedural.mesh.make_asset import cap

COUNT = 400
CANDIDATES = (1, 2, 4, 8)
MESH = load_mesh()


def fingers_of_vertices() -> np.ndarray:
  """(v,): the finger whose middle or last bone a vertex belongs to; -1 for others."""
  part = MESH.weights.argmax(axis=1)
  part = np.where(part >= 36, 0, np.where(part >= 21, part - 15, part))
  bone = part - 6
  return np.where((part >= 6) & (bone % 3 > 0), bone // 3, -1)


def solid(finger: int) -> np.ndarray:
  """Triangles of a finger's end, closed by a fan where it was cut."""
  own = (fingers_of_vertices() == finger)[MESH.triangles].all(axis=1)
  triangles = MESH.triangles[own]
  return np.concatenate([triangles, cap(triangles)])


def is_inside(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray):
  """(p,) whether points are in a closed mesh, by its winding numbers."""
  a, b, c = (vertices[corner][None] - points[:, None] for corner in triangles.T)
  na, nb, nc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
  ab, bc, ca = (np.sum(x * y, axis=-1) for x, y in ((a, b), (b, c), (c, a)))
  solid_angle = np.arctan2(
    np.sum(a * np.cross(b, c), axis=-1), na * nb * nc + ab * nc + bc * na + ca * nb
  )
  return solid_angle.sum(axis=1) / (2 * np.pi) > 0.5


def depth(vertices: np.ndarray) -> float:
  """Greatest depth of one finger in another, in the unit of the vertices."""
  deepest, fingers = 0.0, fingers_of_vertices()
  for finger in range(5):
    triangles = solid(finger)
    surface = vertices[np.unique(triangles)]
    low, high = surface.min(axis=0), surface.max(axis=0)
    others = vertices[(fingers >= 0) & (fingers != finger)]
    near = others[((others > low) & (others < high)).all(axis=1)]
    sunk = near[is_inside(vertices, triangles, near)] if len(near) else near
    if len(sunk):
      apart = np.linalg.norm(sunk[:, None] - surface[None], axis=-1)
      deepest = max(deepest, apart.min(axis=1).max())
  return deepest


def drawn(candidates: int) -> np.ndarray:
  domain = dataclasses.replace(everyday.Everyday(), candidates=candidates)
  sample = jax.jit(jax.vmap(lambda key: everyday.sample_hand(key, domain, 64)))
  return np.asarray(sample(jax.random.split(jax.random.key(0), COUNT)).joints_3d)


def real() -> np.ndarray:
  with np.load(SAMPLES / 'poses' / 'dexycb_subjects01-08.npz') as poses:
    joints = poses['joints_ho3d'][poses['side_is_right']]
  chosen = np.linspace(0, len(joints) - 1, COUNT).astype(int)
  return np.asarray(skeleton.reorder(joints[chosen], 'ho3d', 'canonical'))


def main() -> None:
  pose = jax.jit(pose_mesh)
  adult = np.asarray(asset.size_of(MESH.joints))
  print('| hands | sink in at all | 90 % | 95 % | 99 % | most |')
  print('| --- | --- | --- | --- | --- | --- |')
  hands = {f'everyday, best of {count}': drawn(count) for count in CANDIDATES}
  for name, joints in (hands | {'DexYCB': real()}).items():
    scale = adult / np.asarray(asset.size_of(joints))
    vertices = np.asarray(pose(joints * scale[:, None, None]), np.float64)
    depths = 1000 * np.array([depth(v) for v in vertices])
    cells = [f'{d:.1f} mm' for d in np.percentile(depths, [90, 95, 99, 100])]
    print(f'| {name} | {100 * (depths > 0).mean():.0f} % | {" | ".join(cells)} |')


if __name__ == '__main__':
  main()
