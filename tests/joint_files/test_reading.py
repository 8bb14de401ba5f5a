"""Joints come out of every form of file as they went in."""

import csv
import json

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.joint_files.reading import read_joints
from tests.fixtures.hands import random_hands

HANDS = random_hands(0, 12).joints.round(6)
SIDES = np.arange(12) % 3 > 0


def _points(hand):
  return [dict(zip('xyz', map(float, point), strict=True)) for point in hand]


def _landmarker_result(hand, is_right):
  """What MediaPipe's hand landmarker gives for an image of one hand (JavaScript)."""
  image_points = [point | {'z': 0.0} for point in _points(hand)]
  name = 'Right' if is_right else 'Left'
  return {
    'landmarks': [image_points],
    'worldLandmarks': [_points(hand)],
    'handedness': [[{'score': 0.9, 'index': 0, 'categoryName': name}]],
  }


def _write(path, form):
  sides = None
  if form == 'npy':
    np.save(path, HANDS)
  elif form == 'flat npy':
    np.save(path, HANDS.reshape(12, 63))
  elif form == 'npz':
    np.savez(path, joints_3d=HANDS, is_right=SIDES, image=np.zeros((12, 4)))
    sides = SIDES
  elif form == 'npz of an order':
    mano = skeleton.reorder(HANDS, 'canonical', 'mano')
    names = np.where(SIDES, 'right', 'left')
    np.savez(path, joints_MANO=mano, handedness=names)
    sides = SIDES
  elif form == 'csv':
    np.savetxt(path, HANDS.reshape(12, 63), delimiter=',')
  elif form == 'csv with a header':
    with open(path, 'w', newline='') as file:
      writer = csv.writer(file)
      writer.writerow(['handedness', *(f'{a}{i}' for i in range(21) for a in 'xyz')])
      for hand, side in zip(HANDS, SIDES, strict=True):
        writer.writerow(['Right' if side else 'Left', *hand.ravel()])
    sides = SIDES
  elif form == 'csv by axis':  # x of all joints, then y, then z; joints by name
    names = [f'{name}_{axis}' for axis in 'xyz' for name in skeleton.JOINT_NAMES]
    columns = HANDS.transpose(0, 2, 1).reshape(12, 63)
    last_first = np.arange(63)[::-1]
    with open(path, 'w', newline='') as file:
      writer = csv.writer(file)
      writer.writerow([*(names[i] for i in last_first), 'is_right'])
      writer.writerows([*c[last_first], s] for c, s in zip(columns, SIDES, strict=True))
    sides = SIDES
  elif form == 'json':
    path.write_text(json.dumps(HANDS.tolist()))
  elif form == 'json of points':
    path.write_text(json.dumps([_points(hand) for hand in HANDS]))
  elif form == 'json of results':
    results = [_landmarker_result(*pair) for pair in zip(HANDS, SIDES, strict=True)]
    results.insert(3, {'landmarks': [], 'worldLandmarks': [], 'handedness': []})
    path.write_text(json.dumps(results))
    sides = SIDES
  elif form == 'json of joints':
    content = {'joints': HANDS.tolist(), 'is_right': SIDES.astype(int).tolist()}
    path.write_text(json.dumps(content), encoding='utf-8-sig')
    sides = SIDES
  elif form == 'json of older results':
    results = [
      {
        'multi_hand_world_landmarks': [{'landmark': _points(hand)}],
        'multi_handedness': [{'classification': [{'label': 'Right' if side else 'L'}]}],
      }
      for hand, side in zip(HANDS, SIDES, strict=True)
    ]
    path.write_text(json.dumps(results))
    sides = SIDES
  elif form == 'json in snake case':
    result = {'hand_world_landmarks': [_points(hand) for hand in HANDS]}
    path.write_text(json.dumps(result))
  return sides


FORMS = {
  'npy': 'npy',
  'flat npy': 'npy',
  'npz': 'npz',
  'npz of an order': 'npz',
  'csv': 'csv',
  'csv with a header': 'csv',
  'csv by axis': 'csv',
  'json': 'json',
  'json of points': 'json',
  'json of results': 'json',
  'json of joints': 'json',
  'json of older results': 'json',
  'json in snake case': 'json',
}


@pytest.mark.parametrize('form', FORMS)
def test_every_form_of_file_gives_the_same_hands(form, tmp_path):
  path = tmp_path / f'hands.{FORMS[form]}'
  sides = _write(path, form)
  found = read_joints(path)
  np.testing.assert_allclose(found.joints_3d, HANDS, rtol=1e-12)
  assert found.complete.all()
  if sides is None:
    assert found.is_right is None
  else:
    np.testing.assert_array_equal(found.is_right, sides)


def test_one_hand_alone_is_a_file_of_one(tmp_path):
  path = tmp_path / 'hand.json'
  path.write_text(json.dumps(_points(HANDS[0])))
  np.testing.assert_allclose(read_joints(path).joints_3d, HANDS[:1])


@pytest.mark.parametrize('ending', ['csv', 'json', 'npy'])
def test_missing_values_are_kept_as_hands_with_nan(ending, tmp_path):
  path = tmp_path / f'hands.{ending}'
  holes = HANDS.reshape(12, 63).astype(object)
  holes[4, 7] = None
  if ending == 'csv':
    lines = [','.join('' if v is None else str(v) for v in row) for row in holes]
    path.write_text('\n'.join(lines))
  elif ending == 'json':
    path.write_text(json.dumps(holes.tolist()))
  else:
    np.save(path, holes.astype(float))
  found = read_joints(path)
  assert len(found.joints_3d) == 12
  np.testing.assert_array_equal(found.complete, np.arange(12) != 4)


def _flat_points(path):
  points = [{'x': 0.1, 'y': 0.2}] * 21
  path.write_text(json.dumps({'joints': [points]}))


def _csv_hands(path, header=None, **changes):
  rows = [[str(value) for value in hand.ravel()] for hand in HANDS]
  for place, cell in changes.values():
    rows[place[0]][place[1]] = cell
  rows = ([header] if header else []) + rows
  path.write_text('\n'.join(map(','.join, rows)))


def _json_results(*sides):
  results = [
    {'worldLandmarks': [_points(hand)], 'handedness': side}
    for hand, side in zip(HANDS, sides, strict=False)
  ]
  return lambda path: path.write_text(json.dumps(results))


def _csv_row(count):
  return lambda path: path.write_text('\n'.join([','.join(['1'] * count)] * 3))


BAD_FILES = {
  'none.npy': (None, 'There is no file of joints'),
  'hands.txt': (lambda path: path.write_text('1'), 'are read from .npy, .npz, .csv'),
  'shape.npy': (lambda p: np.save(p, HANDS[:, :20]), r'expected \(N, 21, 3\)'),
  'text.npy': (lambda p: np.save(p, np.full((2, 63), 'a')), 'expected numbers'),
  'empty.npy': (lambda p: np.save(p, HANDS[:0]), 'with N > 0'),
  'two.npz': (lambda p: np.savez(p, a=HANDS, b=HANDS), 'found a, b; call it joints_<'),
  'sides.npz': (
    lambda p: np.savez(p, joints=HANDS, is_right=SIDES[:3]),
    'not told by 12 values of 1',
  ),
  'broken.npz': (lambda p: p.write_bytes(b'PK no zip'), r'broken.npz: '),
  'short.csv': (_csv_row(62), r'shape \(3, 62\)'),
  'empty.csv': (lambda p: p.write_text('\n'), 'the file is empty'),
  'ragged.csv': (lambda p: p.write_text('1,2\n1,2,3'), 'hand 1 has 3 values'),
  'word.csv': (lambda p: p.write_text('a,b\n1,word'), "'word', which is no number"),
  'first.csv': (
    lambda p: _csv_hands(p, cell=((0, 5), 'nothing')),
    "hand 0 holds 'nothing', which is no number",
  ),
  'semicolons.csv': (
    lambda p: np.savetxt(p, HANDS.reshape(12, 63), delimiter=';'),
    r'is no number; values are separated by commas',
  ),
  'twice.csv': (lambda p: _csv_hands(p, [*'xyz'] * 21), 'two columns hold x of joint'),
  'score.csv': (
    lambda p: _csv_hands(p, [f'{a}{i}' for i in range(21) for a in 'xyz'][:62] + ['p']),
    "the column 'p' is no coordinate",
  ),
  'axis.csv': (
    lambda p: _csv_hands(p, ['0_x', '0_y', *(f'a{i}_z' for i in range(61))]),
    "does not name x, y and z of joint '0'",
  ),
  'broken.json': (lambda p: p.write_text('[1,'), 'not valid JSON'),
  'key.json': (lambda p: p.write_text('{"hand": []}'), 'expected an entry worldLand'),
  'point.json': (_flat_points, "{'x': 0.1, 'y': 0.2} is no point with x, y and z"),
  'joints.json': (lambda p: p.write_text('{"joints": {"a": 1}}'), 'is no point with x'),
  'huge.json': (
    lambda p: p.write_text(json.dumps([[[10**400, 2, 3]] * 21])),
    'not all joints are numbers',
  ),
  'lengths.npy': (lambda p: np.save(p, 1e200 * HANDS), 'is no length in any unit'),
  'zip.json': (lambda p: p.write_bytes(b'PK\x03\x04'), 'by its content this is a zip'),
  'image.csv': (lambda p: p.write_bytes(b'\x89PNG'), 'by its content this is a PNG'),
  'deep.json': (lambda p: p.write_text(100000 * '[' + 100000 * ']'), 'too deeply'),
  'counts.json': (
    _json_results(['Left', 'Right'], []),
    'result 0 has 1 hand, but 2 sides',
  ),
  'some.json': (_json_results(['Left'], [[]]), 'is not told by 2 values'),
  'side.json': (_json_results(['up']), "the side of a hand is 'up', expected right"),
  'nimble.npz': (
    lambda p: np.savez(p, joints_nimble=HANDS),
    "'nimble' in the name of its array is no known joint order",
  ),
  'words.npy': (lambda p: p.write_text('hello'), 'no arrays of numbers as NumPy saves'),
  'nothing.json': (lambda p: p.write_text('{"landmarks": []}'), 'holds no hand'),
}


@pytest.mark.parametrize('name', BAD_FILES)
def test_bad_files_are_refused_in_a_sentence_that_names_them(name, tmp_path):
  write, sentence = BAD_FILES[name]
  if write:
    write(tmp_path / name)
  with pytest.raises((ValueError, OSError), match=sentence) as error:
    read_joints(tmp_path / name)
  assert name in str(error.value) and '\n' not in str(error.value)


@pytest.mark.filterwarnings('error')
def test_infinite_values_are_missing_without_a_word_of_numpy(tmp_path):
  holes = HANDS.copy()
  holes[4, 7], holes[5, 8] = np.inf, [0, -np.inf, 0]
  np.save(tmp_path / 'hands.npy', holes)
  found = read_joints(tmp_path / 'hands.npy')
  np.testing.assert_array_equal(found.complete, ~np.isin(np.arange(12), [4, 5]))
  assert not np.isinf(found.joints_3d).any()


def test_a_corrupt_archive_is_refused_whichever_byte_is_wrong(tmp_path):
  whole, path = tmp_path / 'whole.npz', tmp_path / 'corrupt.npz'
  np.savez_compressed(whole, joints=HANDS)
  content = whole.read_bytes()
  refused = 0
  for start in range(0, len(content) - 60, 40):
    path.write_bytes(content[:start] + bytes(60) + content[start + 60 :])
    try:
      read_joints(path)
    except (ValueError, OSError) as error:
      refused += 'corrupt.npz' in str(error)
  assert refused > 0.9 * (len(content) - 60) // 40


def test_the_order_of_stb_is_told_from_the_canonical_one_even_for_one_hand(tmp_path):
  path = tmp_path / 'hand.npy'
  for hands in (HANDS, HANDS[:1]):
    np.save(path, skeleton.reorder(hands, 'canonical', 'stb'))
    with pytest.raises(ValueError, match='thumb is shorter .* so that stb is probably'):
      read_joints(path)
    np.testing.assert_array_equal(read_joints(path, 'stb').joints_3d, hands)
    assert not read_joints(path, 'stb').doubts
    np.save(path, hands)
    (doubt,) = read_joints(path, 'stb').doubts
    assert 'so that canonical or' in doubt


def test_a_wrong_order_is_noticed_and_an_unknown_one_refused(tmp_path):
  path = tmp_path / 'hands.npy'
  mano = skeleton.reorder(HANDS, 'canonical', 'mano')
  np.save(path, mano)
  with pytest.raises(ValueError, match=r'order mano or ho3d.* name it with --order'):
    read_joints(path)
  # A given order counts, whatever the hands look like.
  found = read_joints(path, 'canonical')
  np.testing.assert_array_equal(found.joints_3d, mano)
  assert 'in the order mano or ho3d' in found.doubts[0]
  with pytest.raises(ValueError, match="Unknown joint order 'coco'"):
    read_joints(path, 'coco')
  np.savez(tmp_path / 'hands.npz', joints_mano=HANDS)
  with pytest.raises(ValueError, match="asked for is 'rhd', the joints are named mano"):
    read_joints(tmp_path / 'hands.npz', 'rhd')
