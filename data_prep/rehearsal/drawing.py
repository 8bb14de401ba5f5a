"""Draws hands in frames of any size and camera."""

import dataclasses
from collections.abc import Iterator, Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import skeleton
from bmc_jax.data.procedural.domain import Domain
from bmc_jax.data.procedural.mesh import render
from bmc_jax.data.procedural.mesh.backgrounds import load_atlas
from bmc_jax.data.procedural.render import sample_batch

MARGIN = 1.7  # side of what is drawn, in sizes of the box of the joints


@dataclasses.dataclass(frozen=True)
class Hand:
  """One hand of a frame.

  Attributes:
    joints: (21, 3) canonical order, metres, OpenCV axes of the frame's camera.
    is_right: whether it is a right hand.
    number: of the hand in its domain; the same one is the same person's.
  """

  joints: np.ndarray
  is_right: bool
  number: int


@dataclasses.dataclass(frozen=True)
class Camera:
  """Intrinsics (3, 3) and the size of frames in pixels."""

  intrinsics: np.ndarray
  width: int
  height: int

  def project(self, joints: np.ndarray) -> np.ndarray:
    """Pixels (*b, 2) of points (*b, 3)."""
    points = joints @ self.intrinsics.T
    return points[..., :2] / points[..., 2:]

  def mirrored(self) -> 'Camera':
    """The camera of the mirrored frame."""
    intrinsics = self.intrinsics.copy()
    intrinsics[0, 2] = self.width - 1 - intrinsics[0, 2]
    return Camera(intrinsics, self.width, self.height)


def sample_joints(domain: Domain, seed: int, numbers: Sequence[int]) -> np.ndarray:
  """Right hands (n, 21, 3) of these numbers, where the domain puts them."""
  return np.concatenate(
    [_sample(domain, seed, part)[1].joints_3d[: len(part)] for part in _parts(numbers)]
  ).astype(float)


def draw_frames(
  frames: Sequence[Sequence[Hand]],
  cameras: Sequence[Camera],
  domain: Domain,
  seed: int,
  *,
  tile: int,
  look_seed: int = 0,
) -> Iterator[np.ndarray]:
  """Pictures (height, width, 3) of frames, of each the hands from back to front.

  Args:
    frames: the hands of each frame.
    cameras: of each frame.
    domain: what persons and looks are drawn from.
    seed: with which the hands were drawn.
    tile: side in pixels of what is drawn of a hand.
    look_seed: another one gives the same hands another light and background.
  """
  for start in range(0, len(frames), render.BATCH):
    part = list(zip(frames, cameras, strict=True))[start : start + render.BATCH]
    hands = [(hand, camera) for hands, camera in part for hand in hands]
    tiles = iter(_draw(hands, domain, seed, tile, look_seed))
    for index, (frame, camera) in enumerate(part):
      picture = _background(camera, seed + look_seed, start + index)
      for hand in frame:
        _paste(picture, next(tiles), hand, camera)
      yield picture


def _draw(hands, domain: Domain, seed: int, tile: int, look_seed: int):
  """Pictures (tile, tile, 3) of right hands, and of left ones mirrored."""
  for part in _parts(hands):
    full = [part[i % len(part)] for i in range(render.BATCH)]
    numbers = [hand.number for hand, _ in full]
    keys, _, bodies = _sample(domain, seed, numbers)
    keys = jax.vmap(lambda key: jax.random.fold_in(key, look_seed))(keys)
    views = [_as_right(*each) for each in full]
    images = render.render_batch(
      keys,
      jnp.asarray([joints for joints, _ in views], jnp.float32),
      jnp.asarray([_tile_camera(*view, tile) for view in views], jnp.float32),
      look=domain.look,
      bodies=bodies,
      size=tile,
    )
    yield from np.asarray(images)[: len(part)]


def _parts(rows) -> Iterator:
  for start in range(0, len(rows), render.BATCH):
    yield rows[start : start + render.BATCH]


def _sample(domain: Domain, seed: int, numbers: Sequence[int]):
  """Keys, hands and bodies of a full batch of numbers, repeated if need be."""
  full = np.resize(np.asarray(numbers, np.int32), render.BATCH)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), full)
  return sample_batch(keys, domain, 64)


def _as_right(hand: Hand, camera: Camera) -> tuple[np.ndarray, Camera]:
  """A hand and its camera, mirrored if it is a left one."""
  if hand.is_right:
    return hand.joints, camera
  return np.asarray(skeleton.mirror(hand.joints)), camera.mirrored()


def _square(joints: np.ndarray, camera: Camera) -> tuple[np.ndarray, int]:
  """Left top pixel and side of what is drawn around a hand."""
  keypoints = camera.project(joints)
  low, high = keypoints.min(axis=0), keypoints.max(axis=0)
  side = max(int(np.ceil(MARGIN * (high - low).max())), 8)
  return np.rint((low + high - side + 1) / 2).astype(int), side


def _tile_camera(joints: np.ndarray, camera: Camera, tile: int) -> np.ndarray:
  """Intrinsics of the square around a hand, drawn with `tile` px."""
  corner, side = _square(joints, camera)
  ratio = tile / side
  shift = ratio * (0.5 - corner) - 0.5
  return np.array([[ratio, 0, shift[0]], [0, ratio, shift[1]], [0, 0, 1]]) @ (
    camera.intrinsics
  )


def _paste(picture: np.ndarray, drawn: np.ndarray, hand: Hand, camera: Camera) -> None:
  """Lays what is drawn of a hand over its frame."""
  joints, view = _as_right(hand, camera)
  (left, top), side = _square(joints, view)
  drawn = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_CUBIC)
  if not hand.is_right:
    drawn, left = drawn[:, ::-1], camera.width - side - left
  x0, y0 = max(left, 0), max(top, 0)
  x1, y1 = min(left + side, camera.width), min(top + side, camera.height)
  if x1 > x0 and y1 > y0:
    picture[y0:y1, x0:x1] = drawn[y0 - top : y1 - top, x0 - left : x1 - left]


def _background(camera: Camera, seed: int, number: int) -> np.ndarray:
  atlas = load_atlas()
  photo = np.asarray(atlas[np.random.default_rng((seed, number)).integers(len(atlas))])
  return cv2.resize(photo, (camera.width, camera.height))
