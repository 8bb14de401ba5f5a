"""The host's input pipeline: from random access sources to batches of numpy arrays.

Indices are shuffled and batched first, for all hosts together; then a thread of each
host reads (and decodes) that host's slice of one whole batch. That keeps the cost per
example low where nothing has to be decoded, makes resuming exact, since the iterator's
state is a single number, and leaves the order the same for any number of hosts.
"""

from collections.abc import Iterator, Sequence

import grain
import numpy as np

from bmc_jax.data import example as example_lib
from bmc_jax.data import sources


def train_batches(
  full: sources.Source,
  weak: sources.Source | None,
  *,
  batch_size: int,
  seed: int,
  num_threads: int = 4,
  process_index: int = 0,
  process_count: int = 1,
) -> grain.DatasetIterator:
  """Infinite batches of one host, each source shuffled anew every epoch.

  The iterator's state (`get_state`, `set_state`, `grain.checkpoint`) restores the exact
  sequence of batches, also on another number of hosts.

  Args:
    full: the fully labelled source.
    weak: the weakly labelled source, opened with labels='2d'; or None.
    batch_size: examples in a batch of all hosts together. With a weak source it is
      even: the first half comes from `full`, the second half from `weak`.
    seed: of the order.
    num_threads: that read batches ahead; 0 reads in the caller's thread.
    process_index: the number of this host, which gets that slice of each batch.
    process_count: the number of hosts.

  Returns:
    An iterator of batches: the fields of `stack_examples` and `mask` (B,), all ones.

  Raises:
    ValueError: the batch does not divide, or the two sources do not fit together.
  """
  pieces = [source for source in (full, weak) if source is not None]
  if batch_size % len(pieces):
    raise ValueError(
      f'batch_size is {batch_size}; it must be even to mix two sources half and half.'
    )
  if batch_size % process_count:
    raise ValueError(
      f'batch_size is {batch_size}, which does not divide among {process_count} hosts.'
    )
  if weak is not None:
    _join([source.batch([0]) for source in pieces])  # do they fit together?
  datasets = [
    grain.MapDataset.range(len(source))
    .shuffle(seed + 7919 * number)
    .repeat()
    # Endless: there is no remainder, but without this grain can not count so far.
    .batch(batch_size // len(pieces), drop_remainder=True)
    for number, source in enumerate(pieces)
  ]
  mixed = grain.MapDataset.mix(datasets) if weak is not None else datasets[0]
  size = batch_size // process_count
  start = process_index * size

  def read(indices: Sequence[np.ndarray]) -> example_lib.Batch:
    return _read_slice(pieces, indices, start, start + size)

  mixed = mixed.batch(len(pieces), batch_fn=tuple, drop_remainder=True).map(read)
  options = grain.ReadOptions(
    num_threads=num_threads, prefetch_buffer_size=2 * num_threads
  )
  return iter(mixed.to_iter_dataset(options))


def _read_slice(pieces, indices, start: int, stop: int) -> example_lib.Batch:
  """Reads the examples [start, stop) of a batch, of which each source has a part."""
  parts = []
  for source, part in zip(pieces, indices, strict=True):
    if len(own := part[max(start, 0) : max(stop, 0)]):
      parts.append(source.batch(own))
    start, stop = start - len(part), stop - len(part)
  return _join(parts)


def eval_batches(
  source: sources.Source,
  batch_size: int,
  *,
  num_threads: int = 4,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[example_lib.Batch]:
  """Every example once, in order; the last batch is padded and masked.

  Args:
    source: what to read.
    batch_size: examples in a batch of all hosts together; each host reads its slice.
    num_threads: that read batches ahead; 0 reads in the caller's thread.
    process_index: the number of this host.
    process_count: the number of hosts.

  Returns:
    A finite iterator of batches: the fields of `stack_examples` and `mask` (B,), 1 for
    real examples and 0 for padding (a repeated example).
  """
  num_batches = -(-len(source) // batch_size)
  size = batch_size // process_count

  def read(number: int) -> example_lib.Batch:
    index = number * batch_size + process_index * size + np.arange(size)
    batch = source.batch(np.minimum(index, len(source) - 1))
    return batch | {'mask': (index < len(source)).astype(np.float32)}

  options = grain.ReadOptions(
    num_threads=num_threads, prefetch_buffer_size=2 * num_threads
  )
  dataset = grain.MapDataset.range(num_batches).map(read)
  return iter(dataset.to_iter_dataset(options))


def _join(parts) -> example_lib.Batch:
  """Concatenates the parts of a batch, in their order, and adds a mask of ones."""
  if len({frozenset(part) for part in parts}) > 1:
    raise ValueError('One source of a batch has images and the other has none.')
  sizes = sorted({part['image'].shape[1:] for part in parts if 'image' in part})
  if len(sizes) > 1:
    raise ValueError(
      f'The two sources have images of different sizes ({sizes}); set image_size in '
      'the specification of each source.'
    )
  if len(parts) == 1:  # copying images takes a while
    batch = parts[0]
  else:
    batch = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
  return batch | {'mask': np.ones(len(batch['sample_id']), np.float32)}
