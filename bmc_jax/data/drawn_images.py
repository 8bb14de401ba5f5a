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
from bmc_jax.data import example as example_lib
from bmc_jax.data import pose_files
from bmc_jax.data.drawn import MAX_COUNT, options_of
from bmc_jax.data.labels import labelled_in_3d
from bmc_jax.data.picture_cache import PictureCache
from bmc_jax.data.procedural import everyday
from bmc_jax.data.procedural.anyone import Anyone
from bmc_jax.data.procedural.everyday import Everyday
from bmc_jax.data.procedural.mesh import render
from bmc_jax.data.procedural.mesh.backgrounds import load_atlas
from bmc_jax.data.procedural.mesh.look import Look, check_look

_VERSION = 4  # another one, whenever the same example becomes another picture


class ProceduralImagesSource:
  """Pictures of right hands with 3D labels: `data.procedural.everyday`, or the poses of
  a file that wear the mesh.
  """

  def __init__(
    self,
    *,
    image_size: int = 80,
    with_image: bool = True,
    seed: int = 0,
    count: int | None = None,
    poses: Mapping[str, Any] | None = None,
    extend_wrist: float = 0.0,
    labels: str = '3d',
    share_3d: float = 1.0,
    anyone: Anyone | Mapping[str, Any] | None = None,
    look: Look | Mapping[str, Any] | None = None,
    backgrounds: str = '',
    cache: str = '',
  ):
    """Draws nothing yet.

    Args:
      image_size: side of the pictures in pixels.
      with_image: False draws no pictures.
      seed: of all examples.
      count: how many there are: without it 2**30, or as many as there are poses.
      poses: the arguments of `pose_files.load_poses`: real hands to draw, once each.
      extend_wrist: how far the flesh's wrist is moved away from the fingers, in
        reference bones: 0.5 for poses that have theirs in the palm (STB). The labels
        stay.
      labels: '3d', or '2d' to drop the 3D labels.
      share_3d: share of the examples that keep their 3D labels, see
        `labels.labelled_in_3d`.
      anyone: what poses and viewpoints are drawn from, or what differs from the
        domain's.
      look: what pictures look like, likewise.
      backgrounds: a folder of photos to put behind the hands; drawn ones without it.
      cache: a folder to keep pictures in; `count` of them should fit there.

    Raises:
      ValueError: a value has no meaning, or poses cannot be used.
      FileNotFoundError: there are no poses, or no photos in `backgrounds`.
    """
    self._poses = None if poses is None else pose_files.load_poses(**poses)
    most = MAX_COUNT if self._poses is None else len(self._poses['joints_3d'])
    count = most if count is None else count
    _check('image_size', image_size, 16, 1024)
    _check('seed', seed, 0, 2**31 - 1)
    _check('count', count, 1, most)
    if not isinstance(extend_wrist, int | float) or not 0 <= extend_wrist <= 2:
      raise ValueError(
        f'extend_wrist is {extend_wrist!r}; it must be a number of reference bones '
        'from 0 to 2.'
      )
    self._extend = float(extend_wrist)
    self._keep_3d = labelled_in_3d(count, labels, share_3d)
    self._size, self._seed, self._count = image_size, seed, count
    self._with_image = with_image
    domain = Everyday()
    self._domain = Everyday(
      anyone=options_of(Anyone, anyone, domain.anyone),
      look=options_of(Look, look, domain.look),
    )
    check_look(self._domain.look)
    self._backgrounds = backgrounds
    self._cache = None
    if cache:
      about = {
        'drawn_by': _VERSION,
        'image_size': image_size,
        'seed': seed,
        'domain': repr(self._domain),
        'backgrounds': backgrounds,
        'poses': repr(poses),
        'extend_wrist': extend_wrist,
      }
      self._cache = PictureCache(Path(cache), about, count, image_size)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> example_lib.Example:
    return example_lib.row_of(self.batch([index]), 0)

  def batch(self, indices: Sequence[int]) -> example_lib.Batch:
    """Draws the examples of these numbers."""
    numbers = np.asarray(indices, np.int32)
    joints, keypoints, intrinsics = self._hands(numbers)
    ones = np.ones(len(numbers), np.float32)
    batch = {
      'joints_3d': joints,
      'keypoints_2d': keypoints,
      'visibility': np.ones((len(numbers), 21), np.float32),
      'intrinsics': intrinsics,
      'is_right': ones,
      'has_joints_3d': ones,
      'sample_id': self._names(numbers),
    }
    if self._with_image:
      batch['image'] = self._images(numbers, joints, intrinsics)
    return example_lib.drop_joints_3d(batch, self._keep_3d[numbers])

  def _hands(self, numbers):
    """Joints, keypoints and cameras of the crops."""
    function = functools.partial(
      _sample if self._poses is None else _crop,
      self._seed,
      domain=self._domain,
      size=self._size,
    )
    if self._poses is None:
      return _in_chunks(function, numbers)
    return _in_chunks(function, numbers, self._poses['joints_3d'][numbers])

  def _names(self, numbers) -> np.ndarray:
    if self._poses is None:
      return np.array([f'everyday/{i}' for i in numbers])
    return np.array([f'{name}/dressed' for name in self._poses['sample_id'][numbers]])

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
    def draw(numbers, joints, intrinsics):
      keys, dressed = _dress(self._seed, numbers, joints, self._extend)
      images = render.render_batch(
        keys,
        dressed,
        intrinsics,
        look=self._domain.look,
        atlas=load_atlas(self._backgrounds),
        size=self._size,
      )
      return (images,)

    return _in_chunks(draw, numbers, joints, intrinsics)[0]


def _check(name: str, value: Any, least: int, most: int) -> None:
  whole = isinstance(value, int) and not isinstance(value, bool)
  if not whole or not least <= value <= most:
    raise ValueError(
      f'{name} is {value!r}; it must be a whole number from {least} to {most}.'
    )


def _in_chunks(function, *rows: np.ndarray) -> list[np.ndarray]:
  """Applies a function of some examples to any number of them.

  One compiled program serves all batches, and an example does not depend on those
  beside it, not even by how sums are rounded.
  """
  results = []
  for start in range(0, len(rows[0]), render.BATCH):
    parts = [x[start : start + render.BATCH] for x in rows]
    count = len(parts[0])
    full = [np.resize(x, (render.BATCH, *x.shape[1:])) for x in parts]
    results.append([np.asarray(x)[:count] for x in function(*full)])
  return [np.concatenate(x) for x in zip(*results, strict=True)]


def _keys(seed, numbers):
  return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)


@functools.partial(jax.jit, static_argnames=('domain', 'size'))
def _sample(seed, numbers, *, domain: Everyday, size: int):
  """Joints, keypoints and cameras of drawn hands."""
  hands = jax.vmap(lambda key: everyday.sample_hand(key, domain, size))(
    _keys(seed, numbers)
  )
  return _seen(hands)


@functools.partial(jax.jit, static_argnames=('domain', 'size'))
def _crop(seed, numbers, joints, *, domain: Everyday, size: int):
  """The same of given joints."""
  crop = functools.partial(everyday.sample_crop, domain=domain, size=size)
  return _seen(jax.vmap(crop)(_keys(seed, numbers), joints))


def _seen(hands: everyday.PosedHand):
  keypoints = geometry.project(hands.joints_3d, hands.intrinsics)
  return hands.joints_3d, keypoints, hands.intrinsics


@jax.jit
def _dress(seed, numbers, joints, extend_wrist):
  """Keys of pictures, and joints whose wrist lies farther from the fingers."""
  wrist, middle, pip = joints[:, 0], joints[:, 9], joints[:, 10]
  along = geometry.normalize(wrist - middle)
  reference = jnp.linalg.norm(pip - middle, axis=-1, keepdims=True)
  dressed = joints.at[:, 0].add(extend_wrist * reference * along)
  return _keys(seed ^ 1 << 30, numbers), dressed
