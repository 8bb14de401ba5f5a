"""The rehearsal's datasets, written as those who published the real ones wrote them."""

import dataclasses
import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from bmc_jax import pose25d, skeleton
from bmc_jax.data.procedural.domain import STUDIO, WILD, Domain

from .. import dexter_object
from .drawing import Camera, Hand, draw_frames, sample_joints

BACKGROUNDS = 4  # of each pose of FreiHAND


def _persons(number: int, **look) -> Domain:
  """The domain `wild` with other persons."""
  return dataclasses.replace(
    WILD,
    num_subjects=16,
    subject_seed=100 + number,
    look=dataclasses.replace(WILD.look, **look),
  )


FREIHAND, HO3D, DEXTER = _persons(0), _persons(1, held=1.0), _persons(2, held=0.7)


def write_rhd(folder: Path, counts: dict[str, int], tile: int) -> None:
  """RHD_published_v2: persons with one or both hands, off the optical axis."""
  camera = Camera(np.array([[280.0, 0, 160], [0, 280, 160], [0, 0, 1]]), 320, 320)
  for seed, (part, count) in enumerate(counts.items()):
    rng = np.random.default_rng((1, seed))
    numbers = np.arange(2 * count)
    joints = sample_joints(STUDIO, seed, numbers).reshape(count, 2, 21, 3)
    frames = [_person(pair, 2 * i, rng) for i, pair in enumerate(joints)]
    entries = {i: _rhd_entry(frame, camera) for i, frame in enumerate(frames)}
    for name in ('color', 'mask'):
      (folder / part / name).mkdir(parents=True)
    pictures = draw_frames(frames, [camera] * count, STUDIO, seed, tile=tile)
    for i, picture in enumerate(_bar(pictures, count, f'RHD {part}')):
      _write(folder / part / 'color' / f'{i:05d}.png', picture)
      mask = _mask(frames[i], camera)
      cv2.imwrite(str(folder / part / 'mask' / f'{i:05d}.png'), mask)
    path = folder / part / f'anno_{part}.pickle'
    path.write_bytes(pickle.dumps(entries, protocol=2))


def _person(pair: np.ndarray, number: int, rng) -> list[Hand]:
  """The hands of a frame: of two right ones the first one becomes a left one."""
  left = np.asarray(skeleton.mirror(pair[0]))
  hands = []
  for joints, is_right, index in ((left, False, number), (pair[1], True, number + 1)):
    sideways = 0.22 * joints[:, 2].mean() * (1 if is_right else -1)
    hands.append(Hand(joints + [sideways, 0, 0], is_right, index))
  shown = rng.choice(3, p=[0.2, 0.2, 0.6])  # the left one, the right one, both
  return hands if shown == 2 else [hands[shown]]


def _rhd_entry(frame: Sequence[Hand], camera: Camera) -> dict[str, np.ndarray]:
  xyz, uv_vis = np.zeros((42, 3), np.float32), np.zeros((42, 3), np.float32)
  for hand in frame:
    rows = slice(21, 42) if hand.is_right else slice(0, 21)
    joints = skeleton.reorder(hand.joints, 'canonical', 'rhd')
    keypoints = camera.project(joints)
    inside = np.all((keypoints > 0) & (keypoints < camera.width - 1), axis=-1)
    xyz[rows] = joints
    uv_vis[rows] = np.concatenate([keypoints, inside[:, None]], axis=1)
  return {'K': camera.intrinsics.astype(np.float32), 'xyz': xyz, 'uv_vis': uv_vis}


def _mask(frame: Sequence[Hand], camera: Camera) -> np.ndarray:
  """Body parts: 2 for the left hand, 18 for the right one, within their outlines."""
  mask = np.ones((camera.height, camera.width), np.uint8)
  for hand in frame:
    outline = cv2.convexHull(camera.project(hand.joints).astype(np.int32))
    cv2.fillConvexPoly(mask, outline, 18 if hand.is_right else 2)
  return mask


def write_freihand(folder: Path, counts: dict[str, int], tile: int) -> None:
  """FreiHAND_pub_v2: one right hand in the middle, training poses four times."""
  for seed, (part, count) in enumerate(counts.items(), 10):
    joints = sample_joints(FREIHAND, seed, np.arange(count))
    cameras = [_around(hand, 224, 0.6) for hand in joints]
    frames = [[Hand(hand, True, i)] for i, hand in enumerate(joints)]
    (folder / part / 'rgb').mkdir(parents=True)
    for copy in range(BACKGROUNDS if part == 'training' else 1):
      pictures = draw_frames(frames, cameras, FREIHAND, seed, tile=tile, look_seed=copy)
      for i, picture in enumerate(_bar(pictures, count, f'FreiHAND {part} {copy}')):
        _write(folder / part / 'rgb' / f'{copy * count + i:08d}.jpg', picture)
    labels = {
      'K': [camera.intrinsics for camera in cameras],
      'xyz': joints,
      'scale': np.asarray(pose25d.scale_of(joints)),
    }
    for name, values in labels.items():
      path = folder / f'{part}_{name}.json'
      path.write_text(json.dumps(np.asarray(values, float).tolist()))


def _around(joints: np.ndarray, size: int, fill: float) -> Camera:
  """A square camera that a hand fills so far, in the middle."""
  rays = joints[:, :2] / joints[:, 2:]
  low, high = rays.min(axis=0), rays.max(axis=0)
  focal = fill * size / (high - low).max()
  u, v = (size - 1) / 2 - focal * (low + high) / 2
  return Camera(np.array([[focal, 0, u], [0, focal, v], [0, 0, 1]]), size, size)


def write_ho3d(folder: Path, counts: dict[str, int], tile: int) -> None:
  """HO3D_v3: right hands with things in hand, OpenGL's axes."""
  camera = Camera(np.array([[615.0, 0, 320], [0, 615, 240], [0, 0, 1]]), 640, 480)
  for seed, (part, count) in enumerate(counts.items(), 20):
    joints = sample_joints(HO3D, seed, np.arange(count))
    frames = [[Hand(hand, True, i)] for i, hand in enumerate(joints)]
    sequence = folder / part / f'REH{seed}'
    for name in ('rgb', 'meta'):
      (sequence / name).mkdir(parents=True)
    pictures = draw_frames(frames, [camera] * count, HO3D, seed, tile=tile)
    for i, picture in enumerate(_bar(pictures, count, f'HO-3D {part}')):
      _write(sequence / 'rgb' / f'{i:04d}.jpg', picture)
      meta = _ho3d_meta(joints[i], camera, only_wrist=part == 'evaluation')
      path = sequence / 'meta' / f'{i:04d}.pkl'
      path.write_bytes(pickle.dumps(meta, protocol=2))
    names = [f'{sequence.name}/{i:04d}\n' for i in range(count)]
    (folder / f'{part}.txt').write_text(''.join(names))


def _ho3d_meta(joints: np.ndarray, camera: Camera, *, only_wrist: bool) -> dict:
  found = skeleton.reorder(joints, 'canonical', 'ho3d') * np.array([1, -1, -1])
  meta = {'camMat': camera.intrinsics, 'handJoints3D': found}
  if only_wrist:
    keypoints = camera.project(joints)
    box = np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)])
    meta |= {'handJoints3D': found[0], 'handBoundingBox': box}
  return meta


def write_dexter(folder: Path, counts: dict[str, int], tile: int) -> None:
  """dexter+object: left hands, their fingertips in the depth camera's frame."""
  width, height = dexter_object.IMAGE_SIZE.tolist()
  camera = Camera(dexter_object.INTRINSICS, width, height)
  for seed, (name, count) in enumerate(counts.items(), 30):
    joints = sample_joints(DEXTER, seed, np.arange(count))
    joints = np.asarray(skeleton.mirror(joints))
    frames = [[Hand(hand, False, i)] for i, hand in enumerate(joints)]
    for part in ('color', 'annotations'):
      (folder / 'data' / name / part).mkdir(parents=True)
    pictures = draw_frames(frames, [camera] * count, DEXTER, seed, tile=tile)
    for i, picture in enumerate(_bar(pictures, count, f'Dexter+Object {name}')):
      _write(folder / 'data' / name / 'color' / f'image_{i}_color.png', picture)
    tips = dexter_object.from_color_camera(1000 * joints[:, dexter_object.TIPS])
    lines = [''.join(f'{x:.4f},{y:.4f},{z:.4f};' for x, y, z in row) for row in tips]
    path = folder / 'data' / name / 'annotations' / f'{name}3D.txt'
    path.write_text('\n'.join(lines) + '\n')


def _bar(pictures: Iterator[np.ndarray], count: int, name: str):
  return tqdm(pictures, name, count, unit=' images', mininterval=0.5)


def _write(path: Path, picture: np.ndarray) -> None:
  cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
