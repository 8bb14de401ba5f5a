"""Columns of tables tell by their names which joint they hold, or are refused."""

import csv

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.joint_files.reading import read_joints
from tests.fixtures.hands import random_hands
from tests.joint_files.test_names import HANDS_2017, MEDIAPIPE

HANDS = random_hands(2, 6).joints.round(6)
FROM_1 = ['wrist0'] + [
  f'{finger}{number}'
  for finger in ('thumb', 'index', 'middle', 'ring', 'pinky')
  for number in (1, 2, 3, 4)
]
_AXES = tuple(enumerate('xyz'))
NUMBERS = [f'j{i}' for i in range(21)]


def _write(path, header, rows):
  with open(path, 'w', newline='') as file:
    csv.writer(file).writerows([header, *rows] if header else rows)
  return path


@pytest.mark.parametrize('names', [MEDIAPIPE, HANDS_2017, FROM_1, NUMBERS])
@pytest.mark.parametrize('form', ['{}_{}', '{}{}', '{}.{}'])
def test_names_tell_the_joints_however_columns_are_sorted(names, form, tmp_path):
  columns = sorted(
    (form.format(names[i], axis), i, n) for i in range(21) for n, axis in _AXES
  )
  header = [name for name, _, _ in columns]
  rows = [[hand[i, n] for _, i, n in columns] for hand in HANDS]
  found = read_joints(_write(tmp_path / 'hands.csv', header, rows))
  np.testing.assert_array_equal(found.joints_3d, HANDS)


def _flat(names):
  return [f'{name}_{axis}' for name in names for axis in 'xyz']


@pytest.mark.parametrize(
  ('header', 'sentence'),
  [
    (_flat('abcdefghijklmnopqrstu'), r'\(a, b, c, ...\) do not tell the joints'),
    (_flat([*skeleton.JOINT_NAMES[:20], 'elbow']), "'elbow' is not understood"),
    ([f'{chr(97 + i % 20)}{i}' for i in range(63)], 'do not name joints and axes'),
  ],
)
def test_names_that_do_not_tell_are_refused_unless_an_order_is_given(
  header, sentence, tmp_path
):
  path = _write(tmp_path / 'hands.csv', header, HANDS.reshape(6, 63))
  with pytest.raises(ValueError, match=f'{sentence}.* with --order'):
    read_joints(path)
  np.testing.assert_array_equal(read_joints(path, 'canonical').joints_3d, HANDS)


def test_a_row_for_each_joint_is_refused(tmp_path):
  rows = [[i, *joint] for hand in HANDS for i, joint in enumerate(hand)]
  path = _write(tmp_path / 'hands.csv', ['joint', 'x', 'y', 'z'], rows)
  with pytest.raises(ValueError, match='each row is one joint; put the 21 joints of'):
    read_joints(path)


def test_columns_that_count_or_name_the_row_are_left_out_and_told(tmp_path):
  path, rows = tmp_path / 'hands.csv', HANDS.reshape(6, 63)
  header = ['frame', *_flat(skeleton.JOINT_NAMES), 'hand', 'Score']
  mixed = [[7 * i, *row, 'LR'[i % 2], 0.9] for i, row in enumerate(rows)]
  found = read_joints(_write(path, header, mixed))
  np.testing.assert_array_equal(found.joints_3d, HANDS)
  np.testing.assert_array_equal(found.is_right, [0, 1, 0, 1, 0, 1])
  assert found.notes == ('the columns frame, Score left out',)
  header = ['isRight', *_flat(skeleton.JOINT_NAMES)]
  found = read_joints(_write(path, header, [[i % 2, *r] for i, r in enumerate(rows)]))
  np.testing.assert_array_equal(found.is_right, [0, 1, 0, 1, 0, 1])
  header = ['index', 'hand', *_flat(skeleton.JOINT_NAMES)]
  found = read_joints(_write(path, header, [[i, i, *r] for i, r in enumerate(rows)]))
  assert found.is_right is None and found.notes == ('the columns index, hand left out',)


@pytest.mark.parametrize('start', [[], ['']])
def test_tables_of_pandas_are_read_with_their_numbers(start, tmp_path):
  rows = [[i][: len(start)] + [*row] for i, row in enumerate(HANDS.reshape(6, 63))]
  path = _write(tmp_path / 'hands.csv', [*start, *range(63)], rows)
  np.testing.assert_array_equal(read_joints(path).joints_3d, HANDS)


def test_a_first_column_that_counts_needs_no_name(tmp_path):
  rows = [[30 + 2 * i, *row] for i, row in enumerate(HANDS.reshape(6, 63))]
  found = read_joints(_write(tmp_path / 'hands.csv', None, rows))
  np.testing.assert_array_equal(found.joints_3d, HANDS)
  assert found.notes == ('the first column, which counts, left out',)
  path = _write(tmp_path / 'other.csv', None, [[0.5, *row[1:]] for row in rows])
  with pytest.raises(ValueError, match='other.csv: each row has 64 values, and the'):
    read_joints(path)
