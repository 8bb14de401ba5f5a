"""Sources: what is read from prepared directories, and how they fail."""

import itertools
import pathlib
import shutil

import numpy as np
import pytest

from bmc_jax.data import example as example_lib
from bmc_jax.data import labels, sources
from tests.fixtures.examples import encode_png, make_example, prepare


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """A dataset of 5 hands, the last two of them left ones."""
  examples = [make_example(i, is_right=i < 3) for i in range(5)]
  path = prepare(
    tmp_path_factory.mktemp('data'), {'train': examples, 'test': examples[:2]}
  )
  return path, examples


def _one_sentence(error) -> str:
  text = str(error.value)
  assert '\n' not in text and text.rstrip().endswith('.')
  return text


def test_prepared_examples_come_back_as_they_were_written(prepared):
  path, examples = prepared
  source = sources.TfdsSource(path, 'train')
  assert len(source) == 5
  for written, read in zip(examples[:3], (source[i] for i in range(3)), strict=True):
    assert read['sample_id'] == written['sample_id']
    for name in ('image', *example_lib.LABEL_SHAPES):
      np.testing.assert_array_equal(read[name], written[name])
      assert read[name].dtype == written[name].dtype


def test_left_hands_are_mirrored_on_reading(prepared):
  path, examples = prepared
  read = sources.TfdsSource(path, 'train')[4]
  np.testing.assert_array_equal(read['image'], examples[4]['image'][:, ::-1])
  np.testing.assert_array_equal(
    read['joints_3d'][:, 0], -examples[4]['joints_3d'][:, 0]
  )
  assert read['is_right'] == 0


def test_a_batch_is_its_examples_stacked(prepared):
  source = sources.TfdsSource(prepared[0], 'train')
  batch = source.batch([4, 0])
  assert batch['is_right'].tolist() == [0, 1]
  assert batch['sample_id'].tolist() == ['hand_0004', 'hand_0000']
  for row, index in enumerate((4, 0)):
    for name in ('image', *example_lib.LABEL_SHAPES):
      expected = np.reshape(source[index][name], batch[name][row].shape)
      np.testing.assert_array_equal(batch[name][row], expected)


def test_labels_alone_are_the_same_as_with_images(prepared):
  spec = {'kind': 'tfds', 'path': prepared[0], 'split': 'train'}
  whole = sources.open_source(spec | {'image_size': 40}).batch(range(5))
  labels = sources.open_source(spec | {'image_size': 40, 'with_image': False})
  assert 'image' not in labels[0]
  for name, value in labels.batch(range(5)).items():
    np.testing.assert_array_equal(value, whole[name])


def test_resizing_on_the_host_keeps_the_projection(prepared):
  source = sources.TfdsSource(prepared[0], 'train', image_size=48)
  for index in range(5):
    example = source[index]
    assert example['image'].shape == (48, 48, 3)
    homogeneous = example['joints_3d'] @ example['intrinsics'].T
    np.testing.assert_allclose(
      homogeneous[:, :2] / homogeneous[:, 2:], example['keypoints_2d'], atol=1e-3
    )


@pytest.mark.parametrize('with_image', [True, False])
def test_weak_labels_cannot_leak(prepared, with_image):
  weak = sources.open_source(
    {
      'kind': 'tfds',
      'path': prepared[0],
      'split': 'train',
      'labels': '2d',
      'with_image': with_image,
    }
  )
  batch = weak.batch(range(5))
  assert not batch['joints_3d'].any() and not batch['has_joints_3d'].any()
  assert not weak[0]['joints_3d'].any() and not weak[0]['has_joints_3d'].any()
  assert batch['keypoints_2d'].any()


@pytest.mark.parametrize('with_image', [True, False])
def test_some_examples_keep_their_3d_labels(prepared, with_image):
  spec = {'kind': 'tfds', 'path': prepared[0], 'split': 'train'}
  some = sources.open_source(spec | {'with_image': with_image, 'share_3d': 0.4})
  whole, batch = sources.open_source(spec).batch(range(5)), some.batch(range(5))
  kept = batch['has_joints_3d'] > 0
  assert kept.sum() == 2
  np.testing.assert_array_equal(batch['joints_3d'][kept], whole['joints_3d'][kept])
  assert not batch['joints_3d'][~kept].any()
  order = [3, 0, 4]
  np.testing.assert_array_equal(some.batch(order)['has_joints_3d'] > 0, kept[order])
  for index in range(5):
    assert some[index]['has_joints_3d'].tolist() == [kept[index]]
    assert some[index]['joints_3d'].any() == kept[index]


def test_a_larger_share_holds_the_smaller_ones():
  shares = (0.0, 0.01, 0.1, 0.5, 1.0)
  kept = [labels.labelled_in_3d(1000, '3d', share) for share in shares]
  assert [k.sum() for k in kept] == [0, 10, 100, 500, 1000]
  for smaller, larger in itertools.pairwise(kept):
    assert not (smaller & ~larger).any()
  assert not labels.labelled_in_3d(1000, '2d', 1.0).any()
  assert labels.labelled_in_3d(50, '3d', 0.005).sum() == 1
  with pytest.raises(ValueError, match="labels is '4d'; it must be '3d' or '2d'"):
    labels.labelled_in_3d(50, '4d', 1.0)


def test_the_parent_folder_and_sliced_and_summed_splits_work(prepared):
  parent = prepared[0].removesuffix('/tiny_hands/1.0.0')
  lengths = {
    split: len(sources.TfdsSource(parent, split))
    for split in ('train[:3]', 'train+test', 'all')
  }
  assert lengths == {'train[:3]': 3, 'train+test': 7, 'all': 7}


def test_a_missing_directory_is_one_sentence(tmp_path):
  with pytest.raises(FileNotFoundError, match='does not exist; prepare it') as error:
    sources.TfdsSource(str(tmp_path / 'nowhere'), 'train')
  _one_sentence(error)


def test_a_folder_without_a_dataset_is_one_sentence(tmp_path):
  (tmp_path / 'incomplete.ABC_1.0.0').mkdir()
  (tmp_path / 'incomplete.ABC_1.0.0' / 'dataset_info.json').write_text('{}')
  with pytest.raises(FileNotFoundError, match='holds no prepared dataset') as error:
    sources.TfdsSource(str(tmp_path), 'train')
  _one_sentence(error)


def test_a_missing_split_is_one_sentence(prepared):
  with pytest.raises(ValueError, match="no split 'valid'; it has test, train") as error:
    sources.TfdsSource(prepared[0], 'valid')
  _one_sentence(error)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'split': None}, 'split of .* is None; it must be a text'),
    ({'split': 'train[:0]'}, r"The split 'train\[:0\]' of .* is empty"),
    ({'split': 'train[99:]'}, r"The split 'train\[99:\]' of .* cannot be read"),
    ({'split': 'train[a]'}, r"The split 'train\[a\]' of .* cannot be read"),
    ({'image_size': 0}, 'image_size is 0; it must be a whole number'),
    ({'image_size': 2.5}, 'image_size is 2.5; it must be'),
    ({'image_size': 'a', 'with_image': False}, "image_size is 'a'; it must be"),
    ({'path': __file__}, 'is a file; a folder is needed'),
  ],
)
def test_a_wrong_tfds_specification_is_one_sentence(prepared, options, message):
  spec = {'kind': 'tfds', 'path': prepared[0], 'split': 'train'}
  with pytest.raises(ValueError, match=message) as error:
    sources.open_source(spec | options)
  _one_sentence(error)


@pytest.mark.parametrize('share', [-0.1, 1.1, np.nan, 'half', None, True])
def test_a_wrong_share_is_one_sentence(prepared, share):
  with pytest.raises(ValueError, match='share_3d is .*; it must be a share') as error:
    sources.TfdsSource(prepared[0], 'train', share_3d=share)
  _one_sentence(error)


def test_an_undecodable_image_is_named(tmp_path):
  examples = [make_example(i) for i in range(2)]
  broken = encode_png(examples[1]['image'])[:40]
  path = prepare(tmp_path, {'train': [examples[0], examples[1] | {'image': broken}]})
  source = sources.TfdsSource(path, 'train')
  with pytest.raises(ValueError, match="'hand_0001' .* cannot be decoded") as error:
    source.batch([0, 1])
  _one_sentence(error)


def _cut(file):
  file.write_bytes(file.read_bytes()[:-40_000])


def _cut_short(file):
  file.write_bytes(file.read_bytes()[:300])


def _without_its_middle(file):
  content = bytearray(file.read_bytes())
  content[500:5000] = bytes(4500)
  file.write_bytes(content)


@pytest.mark.parametrize(
  ('name', 'damage', 'message'),
  [
    ('*-train.*', _cut, 'the file tiny_hands-train.*-00001 is damaged'),
    ('*-train.*', _cut_short, 'the file tiny_hands-train.*-00001 is damaged'),
    ('*-train.*', _without_its_middle, r'\(train\) cannot be read'),
    ('*-train.*', pathlib.Path.unlink, 'the file tiny_hands-train.*-00001 is missing'),
    ('dataset_info.json', _cut_short, 'dataset_info.json or features.json is'),
    ('features.json', _cut_short, 'dataset_info.json or features.json is'),
    ('features.json', pathlib.Path.unlink, 'the file features.json is missing'),
  ],
)
def test_what_is_damaged_is_named_on_opening(prepared, tmp_path, name, damage, message):
  folder = tmp_path / '1.0.0'
  shutil.copytree(prepared[0], folder)
  damage(next(folder.glob(name)))
  with pytest.raises(ValueError, match=message) as error:
    sources.TfdsSource(str(folder), 'train')
  text = _one_sentence(error)
  assert str(folder) in text and 'build it again' in text


def test_a_file_of_another_build_is_noticed(prepared, tmp_path):
  folder = tmp_path / '1.0.0'
  shutil.copytree(prepared[0], folder)
  train, test = (next(folder.glob(f'*-{name}.*')) for name in ('train', 'test'))
  train.write_bytes(test.read_bytes())
  with pytest.raises(ValueError, match='holds 2 examples instead of 5') as error:
    sources.TfdsSource(str(folder), 'train')
  _one_sentence(error)


def test_another_file_format_is_one_sentence(prepared, tmp_path):
  folder = tmp_path / '1.0.0'
  shutil.copytree(prepared[0], folder)
  info = folder / 'dataset_info.json'
  info.write_text(info.read_text().replace('array_record', 'riegeli'))
  with pytest.raises(ValueError, match='stored as riegeli; build it with') as error:
    sources.TfdsSource(str(folder), 'train')
  _one_sentence(error)


def test_damage_far_inside_is_one_sentence_on_reading(tmp_path):
  examples = [make_example(i) for i in range(5)]
  path = prepare(tmp_path, {'train': examples})
  file = next(pathlib.Path(path).glob('*-train.*'))
  content = bytearray(file.read_bytes())
  end = content.rindex(b'hand_0004')
  content[end - 200 : end] = bytes(200)
  file.write_bytes(content)
  source = sources.TfdsSource(path, 'train')
  with pytest.raises(ValueError, match='cannot be read .*build it again') as error:
    source.batch(range(5))
  _one_sentence(error)


@pytest.mark.parametrize(
  ('spec', 'message'),
  [
    ({'kind': 'coco'}, "kind is 'coco'; choose one of"),
    (
      {'kind': 'tfds', 'path': '.', 'spilt': 'train'},
      "no key 'spilt'; it has path, spl",
    ),
    ({'kind': 'poses', 'camera': {}}, "needs the key 'path'"),
    ({'kind': 'poses', 'path': 'no.npy', 'camera': {}}, 'no.npy does not exist'),
    ({'kind': 'poses', 'path': __file__, 'camera': {}}, 'must end in .npy or .npz'),
  ],
)
def test_a_wrong_specification_is_one_sentence(spec, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
    sources.open_source(spec)
  _one_sentence(error)
