"""2D keypoints come out of tables whatever their columns are called."""

import numpy as np
import pytest

from bmc_jax.lift.files import read_keypoints
from tests.fixtures.keypoint_forms import (
  HANDS,
  HEIGHT,
  NAMES,
  SEEN,
  SIDES,
  TRUST,
  WIDTH,
  write_csv,
)


def _check(found, keypoints=SEEN, trust=TRUST, sides=None, frames=(0, 1, 2, 3)):
  np.testing.assert_allclose(found.keypoints_2d, keypoints, atol=1e-6)
  np.testing.assert_allclose(found.confidence, np.broadcast_to(trust, (4, 21)))
  sides = np.full(4, -1) if sides is None else sides
  np.testing.assert_array_equal(found.is_right, sides)
  assert found.frames == tuple(frames)


def _cells(*columns):
  """One row for each hand: (4, 21) of each column, joint after joint."""
  return np.stack(columns, axis=2).reshape(4, -1).tolist()


X, Y = SEEN[..., 0], SEEN[..., 1]


@pytest.mark.parametrize('trust', ['conf', 'c', 'score', 'likelihood', 'confidence'])
@pytest.mark.parametrize('form', ['{}_{}', '{}.{}', '{} {}'])
def test_columns_by_names_of_joints_are_followed(form, trust, tmp_path):
  header = [form.format(name, what) for name in NAMES for what in ('x', 'y', trust)]
  places = np.random.default_rng(0).permutation(63)
  rows = np.array(_cells(X, Y, TRUST))[:, places].tolist()
  header = [header[i] for i in places]
  rows = [
    ['LR'[side], f'{i}.jpg', *row]
    for i, (row, side) in enumerate(zip(rows, SIDES, strict=True))
  ]
  path = write_csv(tmp_path / 'a.csv', ['hand', 'file_name', *header], rows)
  _check(read_keypoints(path), sides=SIDES, frames=[f'{i}.jpg' for i in range(4)])


def test_tables_of_mediapipe_are_shares_with_a_depth(tmp_path):
  shares = (HANDS + 0.5) / [WIDTH, HEIGHT]
  header = [f'{axis}{i}' for i in range(21) for axis in 'xyz']
  rows = _cells(shares[..., 0], shares[..., 1], np.full((4, 21), -0.02))
  rows = [[7 * i, 1, WIDTH, HEIGHT, *row] for i, row in enumerate(rows)]
  header = ['frame', 'hand', 'image_width', 'image_height', *header]
  found = read_keypoints(write_csv(tmp_path / 'a.csv', header, rows))
  _check(found, HANDS, 1, frames=(0, 7, 14, 21))
  assert found.person == (1,) * 4 and found.notes == ('columns of z left out',)


def test_a_visibility_of_nothing_but_zeros_is_none(tmp_path):
  header = [f'{name}_{what}' for name in NAMES for what in ('x', 'y', 'visibility')]
  rows = _cells(X, Y, np.zeros((4, 21)))
  found = read_keypoints(write_csv(tmp_path / 'a.csv', header, rows))
  np.testing.assert_allclose(found.confidence, TRUST > 0)  # the one at 0, 0 is missing
  rows = _cells(X, Y, TRUST)
  _check(read_keypoints(write_csv(tmp_path / 'a.csv', header, rows)))


@pytest.mark.parametrize('names', [NAMES, range(21)])
def test_rows_of_one_joint_each_are_put_together(names, tmp_path):
  rows = [
    [f'{frame}', name, SEEN[frame, i, 0], SEEN[frame, i, 1], TRUST[frame, i], hand]
    for i, name in enumerate(names)
    for frame, hand in enumerate(np.where(SIDES, 'Right', 'Left'))
    if TRUST[frame, i]
  ]
  header = ['frame', 'landmark', 'x', 'y', 'confidence', 'handedness']
  found = read_keypoints(write_csv(tmp_path / 'a.csv', header, rows))
  _check(found, sides=SIDES)


def test_two_hands_in_a_row_and_in_a_frame_are_two(tmp_path):
  header = [
    f'{side}_{name}_{axis}'
    for side in ('right', 'left')
    for name in NAMES
    for axis in 'xy'
  ]
  rows = np.concatenate([HANDS[:2].reshape(2, 42), HANDS[2:].reshape(2, 42)], axis=1)
  found = read_keypoints(write_csv(tmp_path / 'a.csv', header, rows.tolist()))
  _check(found, HANDS[[2, 0, 3, 1]], 1, [0, 1, 0, 1], (0, 0, 1, 1))
  rows = [
    [hand // 2, hand % 2, i, *HANDS[hand, i]] for hand in range(4) for i in range(21)
  ]
  path = write_csv(tmp_path / 'b.csv', ['frame', 'hand', 'joint', 'x', 'y'], rows)
  found = read_keypoints(path)
  _check(found, HANDS, 1, frames=(0, 0, 1, 1))
  assert found.person == (0, 1, 0, 1)


def test_the_three_headers_of_deeplabcut_are_one(tmp_path):
  header = [
    ['scorer', *['DLC_resnet50'] * 63],
    ['bodyparts', *(name for name in NAMES for _ in range(3))],
    ['coords', *['x', 'y', 'likelihood'] * 21],
  ]
  rows = [[i, *row] for i, row in enumerate(_cells(X, Y, TRUST))]
  _check(read_keypoints(write_csv(tmp_path / 'a.csv', None, header + rows)))


def test_rows_of_numbers_need_no_header(tmp_path):
  path = write_csv(tmp_path / 'a.csv', None, _cells(X, Y, TRUST))
  _check(read_keypoints(path))
  rows = [[30 + i, *row] for i, row in enumerate(HANDS.reshape(4, 42).tolist())]
  path = write_csv(tmp_path / 'b.csv', None, rows)
  _check(read_keypoints(path), HANDS, 1, frames=(30, 31, 32, 33))


def test_empty_cells_are_missing_keypoints(tmp_path):
  header = [f'{name}_{axis}' for name in NAMES for axis in 'xy']
  rows = HANDS.reshape(4, 42).astype(object)
  rows[2, 14:16] = '', 'nan'
  found = read_keypoints(write_csv(tmp_path / 'a.csv', header, rows.tolist()))
  _check(found, SEEN, TRUST > 0)
