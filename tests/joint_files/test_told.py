"""What files tell beside the joints is listened to: sides, names, order and unit."""

import argparse
import csv
import json

import numpy as np
import pytest

from bmc_jax import limits, skeleton
from bmc_jax.joint_files.flags import add_pose_flags, read_poses
from bmc_jax.joint_files.reading import read_joints
from tests.fixtures.hands import random_hands

HANDS = (0.04 * random_hands(5, 6).joints).round(6)
SIDES = np.arange(6) % 3 > 0
WORDS = np.where(SIDES, 'Right', 'left').tolist()
_HEADER = [f'{name}_{axis}' for name in skeleton.JOINT_NAMES for axis in 'xyz']


def _write(folder, ending, joints=HANDS, **told):
  """Hands with values (6,) beside them."""
  path = folder / f'hands.{ending}'
  if ending == 'npz':
    np.savez(path, joints=joints, **{key: np.array(v) for key, v in told.items()})
  elif ending == 'json':
    rows = [
      dict(zip(told, row, strict=True)) for row in zip(*told.values(), strict=True)
    ]
    hands = [{'joints': hand} for hand in joints.tolist()]
    path.write_text(json.dumps([h | r for h, r in zip(hands, rows, strict=True)]))
  else:
    # Columns that are numbered, not named, leave the order open.
    header = [f'{axis}{i}' for i in range(21) for axis in 'xyz']
    with path.open('w', newline='') as file:
      writer = csv.writer(file)
      writer.writerow([*header, *told])
      columns = zip(joints.reshape(6, 63), *told.values(), strict=True)
      writer.writerows([*hand, *cells] for hand, *cells in columns)
  return path


@pytest.mark.parametrize('ending', ['csv', 'json', 'npz'])
@pytest.mark.parametrize(
  ('key', 'values'),
  [
    ('hand', WORDS),
    ('side', [word[0] for word in WORDS]),
    ('handType', WORDS),
    ('is_left', (~SIDES).astype(int).tolist()),
    ('isRight', SIDES.tolist()),
    ('handedness', WORDS),
  ],
)
def test_every_key_of_a_side_is_read_in_every_form(key, values, ending, tmp_path):
  found = read_joints(_write(tmp_path, ending, **{key: values}))
  np.testing.assert_array_equal(found.is_right, SIDES)


@pytest.mark.parametrize('ending', ['csv', 'json', 'npz'])
def test_sides_that_contradict_each_other_are_refused(ending, tmp_path):
  agreeing = {'is_left': (~SIDES).tolist(), 'hand': WORDS}
  found = read_joints(_write(tmp_path, ending, **agreeing))
  np.testing.assert_array_equal(found.is_right, SIDES)
  path = _write(tmp_path, ending, is_left=SIDES.tolist(), hand=WORDS)
  with pytest.raises(ValueError, match='contradict each other at hand 0'):
    read_joints(path)


@pytest.mark.parametrize('ending', ['csv', 'json', 'npz'])
def test_a_hand_that_is_a_number_tells_no_side(ending, tmp_path):
  found = read_joints(_write(tmp_path, ending, hand=list(range(6))))
  assert found.is_right is None


@pytest.mark.parametrize('key', ['name', 'id'])
def test_points_that_carry_names_are_followed(key, tmp_path):
  names = skeleton.JOINT_NAMES if key == 'name' else range(21)
  shuffled = np.random.default_rng(0).permutation(21)

  def points(hand, names):
    named = [
      dict(zip('xyz', point, strict=True), **{key: name})
      for name, point in zip(names, hand.tolist(), strict=True)
    ]
    return [named[place] for place in shuffled]

  path = tmp_path / 'hands.json'
  path.write_text(json.dumps([points(hand, names) for hand in HANDS]))
  np.testing.assert_array_equal(read_joints(path).joints_3d, HANDS)
  silent = ['a'] * 21
  path.write_text(json.dumps([points(hand, silent) for hand in HANDS]))
  with pytest.raises(ValueError, match=r'\(a, a, a, ...\) do not tell the joints'):
    read_joints(path)
  hands = [points(HANDS[0], names), points(HANDS[1], silent)]
  path.write_text(json.dumps(hands))
  with pytest.raises(ValueError, match='not all hands name their joints'):
    read_joints(path, 'canonical')


def test_points_of_which_some_have_names_do_not_tell(tmp_path):
  points = [dict(zip('xyz', point, strict=True)) for point in HANDS[0].tolist()]
  points[3]['name'] = 'wrist'
  path = tmp_path / 'hands.json'
  path.write_text(json.dumps(points))
  with pytest.raises(ValueError, match='only 1 of the 21 points have a name'):
    read_joints(path)
  np.testing.assert_array_equal(read_joints(path, 'canonical').joints_3d, HANDS[:1])


@pytest.mark.parametrize('key', ['joint_order', 'order'])
@pytest.mark.parametrize('ending', ['csv', 'json', 'npz'])
def test_an_order_that_is_told_is_used(key, ending, tmp_path):
  mano = skeleton.reorder(HANDS, 'canonical', 'mano')
  path = _write(tmp_path, ending, mano, **{key: ['MANO'] * 6})
  np.testing.assert_array_equal(read_joints(path).joints_3d, HANDS)
  with pytest.raises(ValueError, match="the order asked for is 'canonical'"):
    read_joints(path, 'canonical')
  path = _write(tmp_path, ending, mano, **{key: ['nimble'] * 6})
  with pytest.raises(ValueError, match="tells the joint order 'nimble', which is none"):
    read_joints(path)
  np.testing.assert_array_equal(read_joints(path, 'mano').joints_3d, HANDS)


@pytest.mark.parametrize('key', ['joint_order', 'joint_names', 'keypointNames'])
@pytest.mark.parametrize('ending', ['json', 'npz'])
def test_an_order_that_is_told_by_names_is_used(key, ending, tmp_path):
  mixed = np.random.default_rng(0).permutation(21)
  names = [skeleton.JOINT_NAMES[i] for i in mixed]

  def write(**told):
    if ending == 'npz':
      np.savez(tmp_path / 'hands.npz', joints=HANDS[:, mixed], **told)
    else:
      hands = [{'joints': hand} for hand in HANDS[:, mixed].tolist()]
      (tmp_path / 'hands.json').write_text(json.dumps(told | {'hands': hands}))
    return tmp_path / f'hands.{ending}'

  path = write(**{key: names})
  np.testing.assert_array_equal(read_joints(path).joints_3d, HANDS)
  with pytest.raises(ValueError, match="the order asked for is 'mano'"):
    read_joints(path, 'mano')
  with pytest.raises(ValueError, match="'elbow' is not understood; .* with --order"):
    read_joints(write(**{key: [*names[:-1], 'elbow']}))
  with pytest.raises(ValueError, match="order 'mano', but other names of joints"):
    read_joints(write(order='mano', joint_names=names))


def test_an_order_around_all_hands_is_used(tmp_path):
  path = tmp_path / 'hands.json'
  hands = [{'joints': h} for h in skeleton.reorder(HANDS, 'canonical', 'mano').tolist()]
  path.write_text(json.dumps({'jointOrder': 'mano', 'unit': 'm', 'hands': hands}))
  found = read_joints(path)
  np.testing.assert_array_equal(found.joints_3d, HANDS)
  assert found.unit == 'm'


def _poses(path, *arguments):
  parser = argparse.ArgumentParser()
  add_pose_flags(parser)
  flags = parser.parse_args(['--handedness', 'right', *arguments])
  return read_poses(str(path), flags, limits.clinical_limits())


@pytest.mark.parametrize('ending', ['csv', 'json', 'npz'])
def test_a_unit_that_is_told_is_used_and_must_not_be_contradicted(ending, tmp_path):
  path = _write(tmp_path, ending, 100 * HANDS, unit=['cm'] * 6)
  poses = _poses(path)
  assert poses.millimetres and 'unit as the file tells: cm' in poses.note
  np.testing.assert_allclose(poses.joints_3d, 1000 * HANDS)
  assert _poses(path, '--unit', 'cm').factor == 10
  with pytest.raises(ValueError, match='the unit cm, which contradicts --unit mm'):
    _poses(path, '--unit', 'mm')
  path = _write(tmp_path, ending, HANDS, unit=['inch'] * 6)
  assert "the unit 'inch', which is no m, cm or mm, not used" in _poses(path).note


def test_columns_of_confidence_are_left_out_and_told(tmp_path):
  path = tmp_path / 'hands.csv'
  extra = ['lm_0_visibility', 'wrist_confidence', 'score7', 'presence']
  rows = [','.join([*map(str, hand.ravel()), *4 * ['0.9']]) for hand in HANDS]
  path.write_text('\n'.join([','.join([*_HEADER, *extra]), *rows]))
  found = read_joints(path)
  np.testing.assert_array_equal(found.joints_3d, HANDS)
  assert found.notes == (f'the columns {", ".join(extra)} left out',)
  every = [f'lm_{i}_visibility' for i in range(21)]
  rows = [','.join([*map(str, hand.ravel()), *21 * ['0.9']]) for hand in HANDS]
  path.write_text('\n'.join([','.join([*_HEADER, *every]), *rows]))
  (note,) = read_joints(path).notes
  assert note.startswith('21 columns (lm_0_visibility, lm_1_visibility')


def _trusting(folder, form, trust):
  """Hands with values (6, 21) or (6,) that say which joints are there."""
  trust = np.asarray(trust)
  if form == 'npz':
    return _write(folder, 'npz', confidence=trust)
  if form == 'json lists':
    return _write(folder, 'json', visibility=trust.tolist())
  each = np.broadcast_to(trust.reshape(6, -1), (6, 21))
  if form == 'json points':
    path = folder / 'hands.json'
    hands = [
      {
        'joints': [
          dict(zip('xyz', point, strict=True), score=value)
          for point, value in zip(hand, values, strict=True)
        ]
      }
      for hand, values in zip(HANDS.tolist(), each.tolist(), strict=True)
    ]
    path.write_text(json.dumps(hands))
    return path
  path = folder / 'hands.csv'
  mixed = np.random.default_rng(0).permutation(84)
  columns = [f'{n}_{a}' for n in skeleton.JOINT_NAMES for a in ('x', 'y', 'z', form)]
  values = np.concatenate([HANDS, each[..., None]], axis=-1).reshape(6, 84)
  with path.open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow([columns[i] for i in mixed])
    writer.writerows(values[:, mixed])
  return path


FORMS = ['npz', 'json lists', 'json points', *('v', 'c', 'conf', 'visibility')]


@pytest.mark.parametrize('form', FORMS)
def test_joints_of_no_visibility_or_confidence_are_missing(form, tmp_path):
  trust = np.full((6, 21), 0.9)
  trust[1, [3, 20]] = trust[4, 0] = 0
  found = read_joints(_trusting(tmp_path, form, trust))
  np.testing.assert_array_equal(
    found.joints_3d, np.where(trust[..., None] > 0, HANDS, np.nan)
  )
  told = '3 joints of a visibility or confidence of 0 in 2 hands taken as missing'
  assert told in found.notes
  # MediaPipe's hands have 0 everywhere.
  found = read_joints(_trusting(tmp_path, form, 0 * trust))
  np.testing.assert_array_equal(found.joints_3d, HANDS)
  assert 'missing' not in ''.join(found.notes)


@pytest.mark.parametrize('ending', ['csv', 'json', 'npz'])
def test_hands_that_are_not_valid_are_missing(ending, tmp_path):
  found = read_joints(_write(tmp_path, ending, valid=[1, 0, 1, 1, 0, 1]))
  np.testing.assert_array_equal(found.complete, [1, 0, 1, 1, 0, 1])
  assert any('42 joints' in note and 'in 2 hands' in note for note in found.notes)


@pytest.mark.parametrize('word', ['NA', 'N/A', 'null', 'None', 'nan', ' NaN '])
def test_words_for_missing_values_are_missing(word, tmp_path):
  path = tmp_path / 'hands.csv'
  rows = [list(map(str, hand.ravel())) for hand in HANDS]
  rows[2][5] = word
  path.write_text('\n'.join(map(','.join, [_HEADER, *rows])))
  np.testing.assert_array_equal(read_joints(path).complete, np.arange(6) != 2)
  path = tmp_path / 'hands.json'
  path.write_text(json.dumps([[x if x == word else float(x) for x in r] for r in rows]))
  np.testing.assert_array_equal(read_joints(path).complete, np.arange(6) != 2)


@pytest.mark.parametrize('root', [None, 0, 9])
def test_joints_stored_as_zeros_are_missing_but_not_the_origin(root, tmp_path):
  joints = HANDS + [0, 0, 0.5] if root is None else HANDS - HANDS[:, [root]]
  np.save(tmp_path / 'hands.npy', joints)
  found = read_joints(tmp_path / 'hands.npy')
  assert found.complete.all() and not found.notes
  joints[2, [4, 8]] = 0
  joints[3, 20] = 0
  np.save(tmp_path / 'hands.npy', joints)
  found = read_joints(tmp_path / 'hands.npy')
  missing = np.isnan(found.joints_3d).all(axis=-1)
  assert np.argwhere(missing).tolist() == [[2, 4], [2, 8], [3, 20]]
  (note,) = found.notes
  assert note == '3 joints at exactly 0, 0, 0 in 2 hands taken as missing'
