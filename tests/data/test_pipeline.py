"""The pipeline: what a batch is made of, and that its order can be repeated."""

import json

import grain
import numpy as np
import pytest

from bmc_jax.data import example as example_lib
from bmc_jax.data import pipeline, sources
from tests.fixtures.examples import encode_png, make_example, prepare


def _source(name: str, count: int, *, labelled: bool = True) -> sources.ArraySource:
  """Numbered examples whose first joint holds the number."""
  numbers = np.arange(count, dtype=np.float32)
  shapes = {k: v for k, v in example_lib.LABEL_SHAPES.items() if k not in ('is_right',)}
  arrays = {k: np.ones((count, *shape), np.float32) for k, shape in shapes.items()}
  arrays['joints_3d'] *= numbers[:, None, None]
  arrays['has_joints_3d'] = np.ones(count, np.float32)
  arrays['is_right'] = np.ones(count, np.float32)
  arrays['sample_id'] = np.array([f'{name}{i}' for i in range(count)])
  return sources.ArraySource(arrays if labelled else example_lib.drop_joints_3d(arrays))


def _ids(iterator, batches: int) -> list[str]:
  return [i for _ in range(batches) for i in next(iterator)['sample_id'].tolist()]


def test_the_first_half_is_full_and_the_second_half_weak():
  batches = pipeline.train_batches(
    _source('full', 10), _source('weak', 7, labelled=False), batch_size=6, seed=0
  )
  for _ in range(20):
    batch = next(batches)
    assert [i[:4] for i in batch['sample_id']] == ['full'] * 3 + ['weak'] * 3
    assert batch['has_joints_3d'].tolist() == [1, 1, 1, 0, 0, 0]
    assert not batch['joints_3d'][3:].any()
    assert batch['mask'].tolist() == [1] * 6


def test_without_a_weak_source_every_example_is_full():
  batch = next(pipeline.train_batches(_source('full', 4), None, batch_size=3, seed=0))
  assert all(i.startswith('full') for i in batch['sample_id'])


@pytest.mark.parametrize('num_threads', [0, 3])
def test_every_epoch_holds_every_example_in_a_new_order(num_threads):
  batches = pipeline.train_batches(
    _source('', 12), None, batch_size=4, seed=1, num_threads=num_threads
  )
  epochs = [_ids(batches, 3) for _ in range(5)]
  assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
  assert all(len(set(epoch)) == 12 for epoch in epochs)
  assert len({tuple(epoch) for epoch in epochs}) == 5


def test_a_source_smaller_than_its_half_of_the_batch_is_repeated():
  batches = pipeline.train_batches(
    _source('full', 100), _source('weak', 3), batch_size=16, seed=0
  )
  ids = next(batches)['sample_id'][8:].tolist()
  assert {ids.count(f'weak{i}') for i in range(3)} <= {2, 3}


def test_the_seed_decides_the_order_whatever_the_number_of_threads():
  def order(seed, num_threads):
    batches = pipeline.train_batches(
      _source('a', 50),
      _source('b', 50),
      batch_size=8,
      seed=seed,
      num_threads=num_threads,
    )
    return _ids(batches, 20)

  assert order(3, 0) == order(3, 4)
  assert order(3, 1) != order(4, 1)


def test_the_two_sources_are_shuffled_independently():
  batches = pipeline.train_batches(
    _source('', 50), _source('', 50), batch_size=100, seed=0
  )
  ids = next(batches)['sample_id']
  assert np.mean(ids[:50] == ids[50:]) < 0.2


def test_restored_state_continues_with_the_very_next_batch():
  def make():
    return pipeline.train_batches(
      _source('a', 11), _source('b', 5), batch_size=4, seed=2, num_threads=3
    )

  batches = make()
  _ids(batches, 7)
  state = json.dumps(batches.get_state())  # as grain.checkpoint writes it
  expected = _ids(batches, 15)
  resumed = make()
  resumed.set_state(json.loads(state))
  assert _ids(resumed, 15) == expected
  assert isinstance(resumed, grain.DatasetIterator)


@pytest.mark.parametrize('process_count', [2, 3, 6])
def test_hosts_read_slices_of_the_batches_that_one_host_reads(process_count):
  def make(index, count):
    return pipeline.train_batches(
      _source('a', 11),
      _source('b', 7, labelled=False),
      batch_size=12,
      seed=5,
      process_index=index,
      process_count=count,
    )

  whole = make(0, 1)
  hosts = [make(index, process_count) for index in range(process_count)]
  for _ in range(4):
    expected, parts = next(whole), [next(host) for host in hosts]
    for name, values in expected.items():
      joined = np.concatenate([part[name] for part in parts])
      np.testing.assert_array_equal(joined, values)
  hosts[-1].set_state(whole.get_state())  # goes on on another number of hosts
  start = 12 - 12 // process_count
  assert _ids(hosts[-1], 1) == _ids(whole, 1)[start:]


def test_evaluation_reads_every_example_once_and_masks_the_padding():
  batches = list(pipeline.eval_batches(_source('', 10), 4))
  assert [b['mask'].tolist() for b in batches] == [[1] * 4, [1] * 4, [1, 1, 0, 0]]
  ids = np.concatenate([b['sample_id'][b['mask'] > 0] for b in batches])
  assert ids.tolist() == [str(i) for i in range(10)]
  assert all(b['joints_3d'].shape == (4, 21, 3) for b in batches)


def test_hosts_evaluate_slices_of_the_same_batches():
  hosts = [
    list(pipeline.eval_batches(_source('', 10), 6, process_index=p, process_count=3))
    for p in range(3)
  ]
  ids = [i for parts in zip(*hosts, strict=True) for b in parts for i in b['sample_id']]
  mask = [m for parts in zip(*hosts, strict=True) for b in parts for m in b['mask']]
  assert ids == [*map(str, range(10)), '9', '9'] and mask == [1] * 10 + [0] * 2


def test_an_odd_batch_cannot_be_halved():
  with pytest.raises(ValueError, match='batch_size is 5; it must be even'):
    pipeline.train_batches(_source('a', 9), _source('b', 9), batch_size=5, seed=0)


def test_a_batch_that_does_not_divide_among_hosts_is_refused():
  with pytest.raises(ValueError, match='8, which does not divide among 3 hosts'):
    pipeline.train_batches(_source('a', 9), None, batch_size=8, seed=0, process_count=3)


def test_images_of_two_prepared_datasets_share_a_batch_once_resized(tmp_path):
  small = prepare(tmp_path / 'small', {'train': [make_example(i) for i in range(3)]})
  large = prepare(
    tmp_path / 'large', {'train': [make_example(i, size=128) for i in range(3)]}
  )
  full = sources.TfdsSource(small, 'train')
  with pytest.raises(ValueError, match='different sizes .* set image_size'):
    weak = sources.TfdsSource(large, 'train', labels='2d')
    pipeline.train_batches(full, weak, batch_size=4, seed=0)
  weak = sources.TfdsSource(large, 'train', labels='2d', image_size=80)
  batch = next(pipeline.train_batches(full, weak, batch_size=4, seed=0))
  assert batch['image'].shape == (4, 80, 80, 3) and batch['image'].dtype == np.uint8
  assert batch['has_joints_3d'].tolist() == [1, 1, 0, 0]


def test_an_undecodable_image_stops_the_reader_with_its_name(tmp_path):
  examples = [make_example(0), make_example(1)]
  examples[1]['image'] = encode_png(examples[1]['image'])[:40]
  source = sources.TfdsSource(prepare(tmp_path, {'train': examples}), 'train')
  with pytest.raises(ValueError, match="'hand_0001' .* cannot be decoded"):
    for _ in range(3):
      next(pipeline.train_batches(source, None, batch_size=2, seed=0))


@pytest.mark.parametrize('weak', [None, _source('weak', 3)])
def test_a_source_may_give_one_example_to_each_batch(weak):
  size = 1 if weak is None else 2
  batches = pipeline.train_batches(_source('full', 4), weak, batch_size=size, seed=0)
  ids = _ids(batches, 12)
  assert sorted(ids[::size]) == sorted([f'full{i}' for i in range(4)] * 3)
