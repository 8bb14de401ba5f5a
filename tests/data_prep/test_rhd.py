"""RHD: its original layout, which hands become examples, and every way to fail."""

import pickle
import shutil

import cv2
import numpy as np
import pytest

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import rhd
from tests.fixtures import readers
from tests.fixtures.examples import make_joints

CAMERA = np.array([[280, 0, 160], [0, 281, 161], [0, 0, 1]], np.float32)


def _to_rhd_order(joints):
  """Wrist, then each finger from tip to base, written out from RHD's documents."""
  fingers = joints[1:].reshape(5, 4, 3)
  return np.concatenate([joints[:1], *(finger[::-1] for finger in fingers)])


def _project(joints):
  u = CAMERA[0, 0] * joints[:, 0] / joints[:, 2] + CAMERA[0, 2]
  v = CAMERA[1, 1] * joints[:, 1] / joints[:, 2] + CAMERA[1, 2]
  return np.stack([u, v], axis=1)


def _hand(seed, side):
  """A hand (21, 3) left or right of the middle of the image."""
  joints = make_joints(np.random.default_rng(seed))
  return joints * [-1, 1, 1] - [0.1, 0, 0] if side == 'left' else joints + [0.1, 0, 0]


def _entry(left, right, visible=(21, 21)):
  """An annotation of RHD; a hand that is None is all zeros."""
  xyz, uv_vis = np.zeros((42, 3), np.float32), np.zeros((42, 3), np.float32)
  for place, hand, count in ((0, left, visible[0]), (21, right, visible[1])):
    if hand is not None:
      rows = _to_rhd_order(hand)
      xyz[place : place + 21] = rows
      uv_vis[place : place + 21, :2] = _project(rows)
      uv_vis[place : place + count, 2] = 1
  return {'K': CAMERA, 'xyz': xyz, 'uv_vis': uv_vis}


HANDS = {(i, side): _hand(i, side) for i in range(4) for side in ('left', 'right')}
ENTRIES = {
  0: _entry(HANDS[0, 'left'], HANDS[0, 'right']),
  1: _entry(HANDS[1, 'left'], None),
  2: _entry(HANDS[2, 'left'], HANDS[2, 'right'], visible=(11, 10)),
  3: _entry(None, None),
}


def _write_part(folder, entries):
  """`training` or `evaluation`; in masks the right hand is larger, but in image 2."""
  for name in ('color', 'mask'):
    (folder / name).mkdir(parents=True)
  for i in entries:
    image = np.full((320, 320, 3), 10 * i, np.uint8)
    cv2.imwrite(str(folder / 'color' / f'{i:05d}.png'), image)
    mask = np.full((320, 320), 1, np.uint8)  # the person
    mask[:40, :20] = 17
    mask[: 39 if i == 2 else 41, 20:40] = 18
    mask[0, [0, 20]] = 2, 33
    cv2.imwrite(str(folder / 'mask' / f'{i:05d}.png'), mask)
  path = folder / f'anno_{folder.name}.pickle'
  path.write_bytes(pickle.dumps(entries, protocol=2))


@pytest.fixture(scope='module')
def layout(tmp_path_factory):
  path = tmp_path_factory.mktemp('layout') / 'RHD_published_v2'
  _write_part(path / 'training', ENTRIES)
  _write_part(path / 'evaluation', {0: ENTRIES[0]})
  return path


@pytest.fixture
def damaged(layout, tmp_path):
  """A copy of the layout that a test may spoil."""
  return shutil.copytree(layout, tmp_path / 'source')


def _spoil(source, change):
  """Changes the annotations of `training`."""
  path = source / 'training' / 'anno_training.pickle'
  entries = pickle.loads(path.read_bytes())
  change(entries)
  path.write_bytes(pickle.dumps(entries, protocol=2))


def _examples(source, split='train', **options):
  records = rhd.read_records(source, **options)[split]
  return {e['sample_id']: e for e in map(rhd.read_example, records)}


def test_each_hand_that_can_be_seen_is_an_example(layout):
  assert list(_examples(layout)) == [
    'training/00000_left',
    'training/00000_right',
    'training/00001_left',
    'training/00002_left',  # 11 joints can be seen, of the right hand only 10
  ]
  assert list(_examples(layout.parent, 'evaluation')) == [
    'evaluation/00000_left',
    'evaluation/00000_right',
  ]


def test_joints_are_those_that_were_written_in_canonical_order(layout):
  for sample_id, example in _examples(layout).items():
    number, side = sample_id.removeprefix('training/').split('_')
    joints = HANDS[int(number), side]
    np.testing.assert_allclose(example['joints_3d'], joints, atol=1e-6)
    np.testing.assert_allclose(example['keypoints_2d'], _project(joints), atol=1e-3)
    np.testing.assert_array_equal(example['intrinsics'], CAMERA)
    assert example['is_right'] == (side == 'right')
    assert example['has_joints_3d'] == 1 and example['visibility'].all()
    image = layout / 'training' / 'color' / f'{number}.png'
    assert example['image'] == image.read_bytes()


def test_the_dominant_hand_has_more_pixels_in_the_mask(layout):
  assert list(_examples(layout, hands='dominant')) == [
    'training/00000_right',
    'training/00001_left',
    'training/00002_left',
  ]


def test_of_equal_hands_in_the_mask_the_right_one_is_dominant(damaged):
  mask = np.zeros((320, 320), np.uint8)
  mask[:2, :160], mask[:2, 160:] = 2, 33
  cv2.imwrite(str(damaged / 'training' / 'mask' / '00000.png'), mask)
  assert 'training/00000_right' in _examples(damaged, hands='dominant')


def test_without_masks_the_dominant_hand_has_more_visible_joints_or_is_larger(damaged):
  shutil.rmtree(damaged / 'training' / 'mask')
  near = HANDS[3, 'left'] - [0, 0, 0.1]

  def change(entries):
    entries[0] = _entry(HANDS[0, 'left'], HANDS[0, 'right'], visible=(20, 21))
    entries[1] = _entry(HANDS[1, 'left'], HANDS[1, 'right'], visible=(20, 19))
    entries[2] = _entry(near, HANDS[2, 'right'], visible=(1, 1))

  _spoil(damaged, change)
  assert list(_examples(damaged, hands='dominant')) == [
    'training/00000_right',
    'training/00001_left',
    'training/00002_left',
  ]


def test_a_build_holds_what_the_readers_give(layout, tmp_path):
  path = build_lib.build('rhd', tmp_path, source=layout, hands='dominant')
  train = sources.TfdsSource(str(path), 'train')
  batch = train.batch(range(len(train)))
  assert batch['sample_id'].tolist() == list(_examples(layout, hands='dominant'))
  assert batch['is_right'].tolist() == [1, 0, 0]
  assert batch['image'].shape == (3, 320, 320, 3)
  assert len(sources.TfdsSource(str(path), 'evaluation')) == 1
  assert (path / 'contact_sheet.png').is_file()


def _failure(source, tmp_path, capsys, *flags) -> str:
  arguments = ['rhd', '--source', str(source), *flags]
  return readers.failure(arguments, tmp_path / 'out', capsys)


def _set(name, value):
  return lambda entries: entries[1].update({name: value})


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    (lambda e: e[1].pop('xyz'), 'anno_training.pickle: the entry 1 has no xyz'),
    (lambda e: e.update({1: None}), 'the entry 1 has no K'),
    (lambda e: e.clear(), 'holds no annotations by number'),
    (lambda e: e.update({'00007': e[0]}), 'holds no annotations by number'),
    (lambda e: e.pop(2), '(1 differ, for example 00002.png); get a complete copy'),
    (lambda e: e.update({7: e[0]}), '(1 differ, for example 00007.png)'),
    (_set('xyz', np.zeros((21, 3))), 'xyz holds something other than an even table'),
    (_set('K', np.full((3, 3), np.nan)), 'K holds a value that is not finite'),
    (_set('uv_vis', np.full((42, 3), 0.5)), 'column of uv_vis is not 1 or 0'),
    (
      lambda e: [entry.update(xyz=entry['xyz'] * 1000) for entry in e.values()],
      'looks like millimetres, not metres',
    ),
    (_set('xyz', -ENTRIES[1]['xyz']), "'training/00001_left': a joint has depth"),
  ],
)
def test_wrong_annotations_are_one_sentence(
  damaged, tmp_path, capsys, change, expected
):
  _spoil(damaged, change)
  assert expected in _failure(damaged, tmp_path, capsys)


def test_entries_that_are_all_wrong_in_shape_are_one_sentence(
  damaged, tmp_path, capsys
):
  _spoil(damaged, lambda e: [entry.update(K=np.eye(4)) for entry in e.values()])
  message = _failure(damaged, tmp_path, capsys)
  assert 'K has the shape (4, 4, 4), but (N, 3, 3) is needed' in message


def test_a_missing_mask_is_told_only_if_masks_are_needed(damaged, tmp_path, capsys):
  mask = damaged / 'training' / 'mask' / '00000.png'
  mask.write_bytes(mask.read_bytes()[:60])
  message = _failure(damaged, tmp_path, capsys, '--hands', 'dominant')
  assert f'{mask}' in message and 'is cut off or damaged' in message
  mask.unlink()
  message = _failure(damaged, tmp_path, capsys, '--hands', 'dominant')
  assert f'{mask.parent} and the 4 entries of anno_training.pickle' in message
  assert len(_examples(damaged)) == 4


def test_a_hostile_pickle_is_not_run(damaged, tmp_path, capsys):
  trace = tmp_path / 'trace'
  path = damaged / 'training' / 'anno_training.pickle'
  path.write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(trace).encode())
  message = _failure(damaged, tmp_path, capsys)
  assert f'{path} was not read, because it asks for os.system' in message
  assert not trace.exists()


def test_another_folder_or_option_is_one_sentence(layout, tmp_path, capsys):
  message = _failure(layout / 'training', tmp_path, capsys)
  assert 'neither a folder training nor a folder evaluation' in message
  with pytest.raises(ValueError, match="hands is 'both'; it must be each or dominant"):
    rhd.read_records(layout, hands='both')


def test_real_samples_are_built_with_their_labels_on_the_hands(test_data, tmp_path):
  source = test_data / 'data' / 'rhd_layout'
  if not source.is_dir():
    pytest.skip('no real samples of RHD')
  path = build_lib.build('rhd', tmp_path, source=source)
  hands = sources.TfdsSource(str(path), 'evaluation')
  for example in map(hands.__getitem__, range(len(hands))):
    points = example['joints_3d'] @ example['intrinsics'].T
    error = points[:, :2] / points[:, 2:] - example['keypoints_2d']
    assert np.linalg.norm(error, axis=1).max() < 0.5
    # The corners of the hand's bones lie on skin, which is redder than blue.
    v, u = np.rint(example['keypoints_2d']).astype(int).T[::-1]
    skin = example['image'][v, u].astype(float)
    assert np.mean(skin[:, 0] > 1.1 * skin[:, 2]) > 0.8
  assert len(hands) == 3


def test_the_first_row_of_a_hand_is_the_wrist_and_not_the_palm(test_data):
  poses = test_data / 'data' / 'poses' / 'rhd_eval_joints.npy'
  if not poses.is_file():
    pytest.skip(f'no real samples: there is no file {poses}')
  joints = np.load(poses)
  root = np.linalg.norm(joints[:, 9] - joints[:, 0], axis=1)
  bone = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=1)
  # About 3 from the wrist in real hands, half of that from the palm's centre.
  assert 2.5 < np.median(root / bone) < 3.5
