"""Procedural hands in two domains: no download, no licence of others.

Right hands posed by forward kinematics, dressed with a mesh and rendered in JAX; see
`bmc_jax.data.procedural`. The domain `studio` is meant as the source with 3D labels,
`wild` (other hand proportions; more varied skin, light and backgrounds, occluders) as
the target with 2D labels; its 3D labels are stored, too.

Build it (about a minute on two cores, 40 MB):

    bmc-jax build procedural_hands --out ~/data

Splits: studio_train, studio_test, wild_train, wild_test. The same seed gives the same
examples on the same kind of device; a longer split begins with those of a shorter one.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import os
import zlib
from collections.abc import Iterator, Mapping

import jax
import numpy as np
import tensorflow_datasets as tfds
from tqdm import auto as tqdm

from bmc_jax.data import example as example_lib
from bmc_jax.data import images as image_lib
from bmc_jax.data.procedural.domain import DOMAINS
from bmc_jax.data.procedural.mesh.backgrounds import load_atlas
from bmc_jax.data.procedural.mesh.render import BATCH
from bmc_jax.data.procedural.render import render_batch

from . import base

EXAMPLES = {
  'studio_train': 4000,
  'studio_test': 500,
  'wild_train': 4000,
  'wild_test': 500,
}
_MIN_SHARDS = 4
_EXAMPLES_PER_SHARD = 20_000


class ProceduralHands(tfds.core.GeneratorBasedBuilder):
  """Builder of the procedural hands.

  Args:
    image_size: side of the square images in pixels.
    examples: number of examples by split; a split that is not named is not built.
    seed: of all random numbers.
    backgrounds: a folder of photos to put behind the hands; drawn ones without it.
    **kwargs: of `tfds.core.GeneratorBasedBuilder`: data_dir, file_format...

  Raises:
    ValueError: a split or a number is wrong, or `data_dir` holds hands that were made
      with other settings.
    FileNotFoundError: there are no photos in `backgrounds`.
  """

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}

  def __init__(
    self,
    *,
    image_size: int = 80,
    examples: Mapping[str, int] | None = None,
    seed: int = 0,
    backgrounds: str = '',
    **kwargs,
  ):
    examples = dict(EXAMPLES if examples is None else examples)
    _check(image_size, examples, seed)
    domains = {split.split('_')[0] for split in examples}
    settings = {
      'image_size': image_size,
      'examples': examples,
      'seed': seed,
      'domains': {name: dataclasses.asdict(DOMAINS[name]) for name in sorted(domains)},
    }
    if backgrounds:
      load_atlas(backgrounds)  # says at once what is wrong with it
      settings['backgrounds'] = backgrounds
    self._settings = json.loads(json.dumps(settings))  # tuples become lists
    super().__init__(**kwargs)
    base.check_settings(self, self._settings)

  def _info(self) -> tfds.core.DatasetInfo:
    size = self._settings['image_size']
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=example_lib.features((size, size, 3), 'jpeg'),
      license='The images are made by this program; no rights of others.',
      metadata=tfds.core.MetadataDict(self._settings),
      disable_shuffling=True,  # the examples are independent of each other
    )

  def download_and_prepare(self, *, download_config=None, **kwargs) -> None:
    """Builds all splits, in several shards, with a progress bar for each split."""
    config = download_config or tfds.download.DownloadConfig()
    counts = self._settings['examples'].values()
    usual = max(_MIN_SHARDS, max(counts) // _EXAMPLES_PER_SHARD)
    shards = config.num_shards or min(usual, *counts)
    if shards > min(counts):
      raise ValueError(
        f'There are to be {shards} files per split, but the smallest split has only '
        f'{min(counts)} examples; ask for fewer files.'
      )
    tfds.disable_progress_bar()  # it does not know how many examples there will be
    try:
      super().download_and_prepare(
        download_config=dataclasses.replace(config, num_shards=shards), **kwargs
      )
    finally:
      tfds.enable_progress_bar()

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    return {
      split: self._generate_examples(split, count)
      for split, count in self._settings['examples'].items()
    }

  def _generate_examples(self, split: str, count: int):
    size, seed = self._settings['image_size'], self._settings['seed']
    backgrounds = self._settings.get('backgrounds', '')
    examples = generate_examples(split, count, size, seed, backgrounds)
    progress = tqdm.tqdm(examples, split, count, unit=' images', mininterval=0.5)
    yield from enumerate(progress)


def _check(image_size: int, examples: Mapping[str, int], seed: int) -> None:
  if image_size < 16:
    raise ValueError(f'image_size is {image_size}; it must be at least 16 pixels.')
  if not examples:
    raise ValueError(f'No split to build; name one or more of {sorted(EXAMPLES)}.')
  for split, count in examples.items():
    if split not in EXAMPLES:
      raise ValueError(f'There is no split {split!r}; choose from {sorted(EXAMPLES)}.')
    if count < 1:
      raise ValueError(f'{split} is to have {count} examples; it needs at least one.')
  if not 0 <= seed < 2**32:
    raise ValueError(f'The seed is {seed}; it must be from 0 to {2**32 - 1}.')


def generate_examples(
  split: str, count: int, image_size: int, seed: int, backgrounds: str = ''
) -> Iterator[example_lib.Example]:
  """Makes the examples of a split, in order.

  Rendering runs in as many threads as there are cores, a few batches ahead.

  Args:
    split: 'studio_train', 'wild_test'...
    count: number of examples.
    image_size: side of the images in pixels.
    seed: of the random numbers.
    backgrounds: a folder of photos; drawn ones without it.

  Yields:
    Examples of the format of `bmc_jax.data.example`, the image as JPEG bytes.
  """
  domain = DOMAINS[split.split('_')[0]]
  atlas = load_atlas(backgrounds)
  key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(split.encode()))
  keys = jax.vmap(lambda index: jax.random.fold_in(key, index))

  def make(start: int) -> list[example_lib.Example]:
    # Full batches only, the last one included: one compilation.
    hands, images = render_batch(
      keys(np.arange(start, start + BATCH)), domain, image_size, atlas
    )
    hands, images = jax.tree.map(np.asarray, (hands, images))
    return [
      _example(hands, images, i, f'{split}/{start + i:06d}')
      for i in range(min(BATCH, count - start))
    ]

  yield from make(0)  # compiles, which several threads at once would all do
  threads = os.cpu_count() or 1
  starts = iter(range(BATCH, count, BATCH))
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    waiting = [pool.submit(make, s) for s in itertools.islice(starts, 2 * threads)]
    while waiting:
      yield from waiting.pop(0).result()
      waiting += [pool.submit(make, s) for s in itertools.islice(starts, 1)]


def _example(hands, images, index: int, sample_id: str) -> example_lib.Example:
  one = np.ones(1, np.float32)
  return {
    'image': image_lib.encode(images[index], 'jpeg'),
    'joints_3d': hands.joints_3d[index],
    'keypoints_2d': hands.keypoints_2d[index],
    'visibility': np.ones(21, np.float32),
    'intrinsics': hands.intrinsics[index],
    'is_right': one,
    'has_joints_3d': one,
    'sample_id': sample_id,
  }
