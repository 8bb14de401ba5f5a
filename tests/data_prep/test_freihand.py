"""FreiHAND's original layout: splits without leaks, labels, and what may be wrong."""

import json
import shutil

import numpy as np
import pytest

from bmc_jax.data import example as example_lib
from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import freihand
from tests.fixtures import readers

POSES, COPIES, EVALUATION = 20, 4, 3
K = [[480.0, 0, 112], [0, 482, 112], [0, 0, 1]]


def _write(path, name, value):
  value = value.tolist() if isinstance(value, np.ndarray) else value
  (path / f'{name}.json').write_text(json.dumps(value))


def _write_layout(path):
  """A tree of the full structure; the joints of its training part (N, 21, 3)."""
  hands = readers.make_hands(0, POSES + EVALUATION)
  parts = {'training': hands[:POSES], 'evaluation': hands[POSES:]}
  for part, joints in parts.items():
    for index in range(len(joints) * (COPIES if part == 'training' else 1)):
      image = path / part / 'rgb' / f'{index:08d}.jpg'
      readers.write_image(image, 224, 224, 3 * index)
    bones = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)
    intrinsics = np.array([K] * len(joints)) + np.arange(len(joints))[:, None, None] * [
      [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    ]
    _write(path, f'{part}_K', intrinsics)
    _write(path, f'{part}_scale', bones)
    _write(path, f'{part}_xyz', joints)
  return hands[:POSES]


@pytest.fixture(scope='module')
def layout(tmp_path_factory):
  path = tmp_path_factory.mktemp('freihand')
  return path, _write_layout(path)


@pytest.fixture
def damaged(layout, tmp_path):
  """A copy that a test may spoil."""
  return shutil.copytree(layout[0], tmp_path / 'source')


def _poses(records):
  return [int(record['sample_id'].split('/')[1]) % POSES for record in records]


@pytest.mark.parametrize('share', [0.05, 0.25, 0.5, 0.9])
def test_all_copies_of_a_pose_are_on_one_side(layout, share):
  splits = freihand.read_records(layout[0], validation_share=share)
  train, validation = _poses(splits['train']), _poses(splits['validation'])
  assert not set(train) & set(validation)
  assert len(validation) == COPIES * round(share * POSES)
  assert sorted(train + validation) == sorted(list(range(POSES)) * COPIES)


def test_the_splits_are_always_the_same(layout):
  once, again = (freihand.read_records(layout[0]) for _ in range(2))
  for split in once:
    names = [record['sample_id'] for record in once[split]]
    assert names == [record['sample_id'] for record in again[split]]
    assert names == sorted(names)


def test_validation_can_be_left_out(layout):
  splits = freihand.read_records(layout[0], validation_share=0)
  assert sorted(splits) == ['evaluation', 'train']
  assert len(splits['train']) == POSES * COPIES


@pytest.mark.parametrize('share', [-0.1, 1, float('nan')])
def test_a_share_that_cannot_be_is_refused(layout, share):
  with pytest.raises(ValueError, match='validation share'):
    freihand.read_records(layout[0], validation_share=share)


def test_image_i_shows_pose_i_modulo_the_poses(layout):
  path, joints = layout
  splits = freihand.read_records(path, validation_share=0)
  for index in (0, POSES - 1, POSES, 3 * POSES + 7):
    record = splits['train'][index]
    pose = index % POSES
    assert record['image'] == path / 'training' / 'rgb' / f'{index:08d}.jpg'
    np.testing.assert_allclose(record['joints_3d'], joints[pose], atol=1e-6)
    intrinsics = np.array(K) + np.diag([pose, pose, 0])
    np.testing.assert_allclose(record['intrinsics'], intrinsics)
    pixels = readers.slow_projection(joints[pose], intrinsics)
    np.testing.assert_allclose(record['keypoints_2d'], pixels, atol=1e-3)


def test_evaluation_has_labels_only_where_they_are_published(damaged):
  record = freihand.read_records(damaged)['evaluation'][1]
  assert record['has_joints_3d'] == 1 and record['visibility'].all()
  (damaged / 'evaluation_xyz.json').unlink()
  hidden = freihand.read_records(damaged)['evaluation'][1]
  assert hidden['has_joints_3d'] == 0 and not hidden['visibility'].any()
  assert not hidden['joints_3d'].any() and not hidden['keypoints_2d'].any()
  np.testing.assert_array_equal(hidden['intrinsics'], record['intrinsics'])


@pytest.mark.parametrize('part', ['training', 'evaluation'])
def test_one_part_alone_is_enough(damaged, part):
  shutil.rmtree(damaged / part)
  splits = {'training': ['evaluation'], 'evaluation': ['train', 'validation']}
  assert sorted(freihand.read_records(damaged)) == splits[part]


def _drop_images(path, *names):
  for name in names:
    (path / 'training' / 'rgb' / name).unlink()


def _change(path, name, change):
  value = json.loads((path / f'{name}.json').read_text())
  _write(path, name, change(value))


def _set(value, *, at, to):
  value[at[0]][at[1]][at[2]] = to
  return value


DAMAGES = {
  'no folder': (
    lambda p: [shutil.rmtree(p / part) for part in ('training', 'evaluation')],
    'neither a folder training nor a folder evaluation',
  ),
  'no xyz': (
    lambda p: (p / 'training_xyz.json').unlink(),
    'training_xyz.json is missing',
  ),
  'no scale': (
    lambda p: (p / 'evaluation_scale.json').unlink(),
    'evaluation_scale.json is missing',
  ),
  'cut off': (
    lambda p: (p / 'training_K.json').write_bytes(
      (p / 'training_K.json').read_bytes()[:-20]
    ),
    'training_K.json cannot be read as JSON',
  ),
  'an image too few': (
    lambda p: _drop_images(p, '00000079.jpg'),
    r'79 images \(.jpg\), but the annotations call for 20 or a multiple of it',
  ),
  'a gap': (
    lambda p: _drop_images(p, *[f'{i:08d}.jpg' for i in range(3, 23)]),
    'has 60 images, but not 00000003.jpg',
  ),
  'images twice in evaluation': (
    lambda p: shutil.copytree(
      p / 'training' / 'rgb', p / 'evaluation' / 'rgb', dirs_exist_ok=True
    ),
    'the annotations call for 3;',
  ),
  'a pose too few': (
    lambda p: _change(p, 'training_xyz', lambda v: v[:-1]),
    r'training_xyz.json has the shape \(19, 21, 3\), but \(20, 21, 3\) is needed',
  ),
  'nothing': (
    lambda p: _write(p, 'evaluation_K', []),
    r'evaluation_K.json has the shape \(0,\)',
  ),
  'NaN': (
    lambda p: _change(
      p, 'training_K', lambda v: _set(v, at=(3, 0, 0), to=float('nan'))
    ),
    'training_K.json holds a value that is not finite',
  ),
  'text': (
    lambda p: _change(p, 'training_xyz', lambda v: _set(v, at=(3, 0, 0), to='x')),
    'holds something other than an even table of numbers',
  ),
  'millimetres': (
    lambda p: _change(p, 'training_xyz', lambda v: (1000 * np.array(v)).tolist()),
    'this looks like millimetres, not metres',
  ),
  'another joint order': (
    lambda p: _change(p, 'training_xyz', lambda v: np.array(v)[:, ::-1].tolist()),
    'has not the length in training_scale.json',
  ),
  'another order of the poses': (
    lambda p: _change(p, 'evaluation_xyz', lambda v: v[1:] + v[:1]),
    'in 3 of 3 poses, first in entry 0',
  ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_each_kind_of_damage_has_its_sentence(damaged, name):
  spoil, expected = DAMAGES[name]
  spoil(damaged)
  with pytest.raises((ValueError, FileNotFoundError), match=expected) as error:
    freihand.read_records(damaged)
  assert str(damaged) in str(error.value) and str(error.value).endswith('.')


def test_a_damaged_copy_is_not_built(damaged, tmp_path, capsys):
  _drop_images(damaged, '00000079.jpg')
  arguments = ['freihand', '--source', str(damaged)]
  assert 'holds 79 images' in readers.failure(arguments, tmp_path / 'out', capsys)


def test_the_layout_is_built_end_to_end(layout, tmp_path):
  path = build_lib.build('freihand', tmp_path, source=layout[0], validation_share=0.2)
  counts = {
    name: len(sources.TfdsSource(str(path), name))
    for name in ('train', 'validation', 'evaluation')
  }
  assert counts == {'train': 64, 'validation': 16, 'evaluation': 3}
  example = sources.TfdsSource(str(path), 'validation')[4]
  assert example['sample_id'] == 'training/00000036' and example['is_right'] == 1
  np.testing.assert_allclose(example['joints_3d'], layout[1][16], atol=1e-6)
  assert abs(int(example['image'].mean()) - 3 * 36) <= 1


def test_real_samples_are_built_and_project_onto_their_labels(test_data, tmp_path):
  source = test_data / 'data' / 'freihand_layout'
  if not source.is_dir():
    pytest.skip('no real samples of FreiHAND')
  path = build_lib.build('freihand', tmp_path, source=source)
  train = sources.TfdsSource(str(path), 'train')
  joints = train.batch(range(len(train)))['joints_3d']
  scale = json.loads((source / 'training_scale.json').read_text())
  bones = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)
  np.testing.assert_allclose(bones, scale, atol=1e-6)
  for index in range(len(train)):
    example = train[index]
    pixels = readers.slow_projection(example['joints_3d'], example['intrinsics'])
    np.testing.assert_allclose(example['keypoints_2d'], pixels, atol=0.5)
    assert np.all((pixels > 0) & (pixels < 224))
  hidden = sources.TfdsSource(str(path), 'evaluation')
  assert len(hidden) == 60 and not hidden[0]['has_joints_3d'].any()
  example_lib.validate_example(hidden[0])
