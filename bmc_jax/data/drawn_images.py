"""Pictures of hands that are drawn while a network trains.

Example number i of a seed is always the same one, so that a training resumes exactly,
and any number of hosts sees the same batches. Pictures that were drawn once can be kept
in a file, for the next epoch and the next run.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import geometry
from bmc_jax.console import files
from bmc_jax.data import example as example_lib
from bmc_jax.data.drawn import MAX_COUNT, options_of
from bmc_jax.data.procedural import everyday
from bmc_jax.data.procedural.anyone import Anyone
from bmc_jax.data.procedural.everyday import Everyday
from bmc_jax.data.procedural.mesh import backgrounds, render
from bmc_jax.data.procedural.mesh.look import Look

_ATLAS_COUNT = 32
_CHUNK = 16  # pictures that are drawn by one call: one program serves all batches


class ProceduralImagesSource:
  """Pictures of right hands (`data.procedural.everyday`) with 3D labels."""

  def __init__(
    self,
    *,
    image_size: int = 80,
    seed: int = 0,
    count: int = MAX_COUNT,
    anyone: Anyone | Mapping[str, Any] | None = None,
    look: Look | Mapping[str, Any] | None = None,
    backgrounds: str = '',
    cache: str = '',
  ):
    """Draws nothing yet.

    Args:
      image_size: side of the pictures in pixels.
      seed: of all examples.
      count: how many there are.
      anyone: what poses and viewpoints are drawn from, or what differs from the
        domain's.
      look: what pictures look like, likewise.
      backgrounds: a folder of photos to put behind the hands; drawn ones without it.
      cache: a folder to keep pictures in; `count` of them should fit there.

    Raises:
      ValueError: a value has no meaning.
      FileNotFoundError: there are no photos in `backgrounds`.
    """
    for name, value, least, most in (
      ('image_size', image_size, 16, 1024),
      ('seed', seed, 0, 2**31 - 1),
      ('count', count, 1, MAX_COUNT),
    ):
      whole = isinstance(value, int) and not isinstance(value, bool)
      if not whole or not least <= value <= most:
        raise ValueError(
          f'{name} is {value!r}; it must be a whole number from {least} to {most}.'
        )
    self._size, self._seed, self._count = image_size, seed, count
    domain = Everyday()
    self._domain = Everyday(
      anyone=options_of(Anyone, anyone, domain.anyone),
      look=options_of(Look, look, domain.look),
    )
    self._backgrounds = backgrounds
    self._cache = None
    if cache:
      about = {
        'image_size': image_size,
        'seed': seed,
        'domain': repr(self._domain),
        'backgrounds': backgrounds,
      }
      self._cache = _Cache(Path(cache), about, count, image_size)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> example_lib.Example:
    batch = self.batch([index])
    row = {name: value[0] for name, value in batch.items()}
    row |= {name: row[name][None] for name in example_lib.FLAGS}
    return row | {'sample_id': str(row['sample_id'])}

  def batch(self, indices: Sequence[int]) -> example_lib.Batch:
    """Draws the examples of these numbers."""
    numbers = np.asarray(indices, np.int32)
    sample = functools.partial(
      _sample, self._seed, domain=self._domain, size=self._size
    )
    joints, keypoints, intrinsics = _in_chunks(sample, numbers)
    ones = np.ones(len(numbers), np.float32)
    return {
      'image': self._images(numbers, joints, intrinsics),
      'joints_3d': joints,
      'keypoints_2d': keypoints,
      'visibility': np.ones((len(numbers), 21), np.float32),
      'intrinsics': intrinsics,
      'is_right': ones,
      'has_joints_3d': ones,
      'sample_id': np.array([f'everyday/{i}' for i in numbers]),
    }

  def _images(self, numbers, joints, intrinsics) -> np.ndarray:
    if self._cache is None:
      return self._draw(numbers, joints, intrinsics)
    images, known = self._cache.read(numbers)
    if not known.all():
      new = ~known
      images[new] = self._draw(numbers[new], joints[new], intrinsics[new])
      self._cache.write(numbers[new], images[new])
    return images

  def _draw(self, numbers, joints, intrinsics) -> np.ndarray:
    draw = functools.partial(
      _render,
      self._seed,
      atlas_of(self._backgrounds),
      look=self._domain.look,
      size=self._size,
    )
    return _in_chunks(draw, numbers, joints, intrinsics)[0]


def _in_chunks(function, *rows: np.ndarray) -> list[np.ndarray]:
  """Applies a function of some examples to any number of them.

  One compiled program serves all batches, and an example does not depend on those
  beside it, not even by how sums are rounded.
  """
  results = []
  for start in range(0, len(rows[0]), _CHUNK):
    parts = [x[start : start + _CHUNK] for x in rows]
    count = len(parts[0])
    full = [np.resize(x, (_CHUNK, *x.shape[1:])) for x in parts]
    results.append([np.asarray(x)[:count] for x in function(*full)])
  return [np.concatenate(x) for x in zip(*results, strict=True)]


@functools.cache
def atlas_of(folder: str) -> jax.Array:
  """Backgrounds: photos of a folder, or drawn ones where it is empty."""
  if folder:
    return jnp.asarray(backgrounds.read_atlas(Path(folder), _ATLAS_COUNT))
  return backgrounds.make_atlas(jax.random.key(0), _ATLAS_COUNT)


@functools.partial(jax.jit, static_argnames=('domain', 'size'))
def _sample(seed, numbers, *, domain: Everyday, size: int):
  """Joints, keypoints and cameras."""
  keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)
  hands = jax.vmap(lambda key: everyday.sample_hand(key, domain, size))(keys)
  keypoints = geometry.project(hands.joints_3d, hands.intrinsics)
  return hands.joints_3d, keypoints, hands.intrinsics


@functools.partial(jax.jit, static_argnames=('look', 'size'))
def _render(seed, atlas, numbers, joints, intrinsics, *, look: Look, size: int):
  keys = jax.vmap(jax.random.fold_in, (None, 0))(
    jax.random.key(seed ^ 1 << 30), numbers
  )
  return (render.render_batch(keys, joints, intrinsics, atlas, look=look, size=size),)


class _Cache:
  """Pictures in a file of fixed size, and which of them are there."""

  def __init__(self, folder: Path, about: dict, count: int, size: int):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'about.json'
    if not path.exists():
      files.write_json(path, about)
    elif files.read_json(path) != about:
      raise ValueError(
        f'{folder} holds pictures that were drawn with other settings; name another '
        'folder as the cache.'
      )
    self._images = _open(folder / 'images.npy', (count, size, size, 3))
    self._known = _open(folder / 'known.npy', (count,))

  def read(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, and which of them are known."""
    return self._images[numbers], self._known[numbers] == 1

  def write(self, numbers: np.ndarray, images: np.ndarray) -> None:
    self._images[numbers] = images
    self._known[numbers] = 1


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray:
  """A file of bytes of that shape, which is made where it is missing."""
  if not path.exists():
    return np.lib.format.open_memmap(path, 'w+', np.uint8, shape)
  array = np.lib.format.open_memmap(path, 'r+')
  if array.shape != shape:
    raise ValueError(
      f'{path} holds {len(array)} pictures instead of {shape[0]}; name another folder '
      'as the cache.'
    )
  return array
