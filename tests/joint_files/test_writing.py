"""Hands come back out of every form of file in which they are written."""

import json

import numpy as np
import pytest

from bmc_jax.joint_files.reading import read_joints
from bmc_jax.joint_files.writing import HANDS, write_joints
from tests.fixtures.hands import random_hands

SIDES = np.array([True, False, True, True])


@pytest.fixture
def hands():
  hands = np.asarray(random_hands(3, 4).joints, np.float64)
  hands[2, 5] = np.nan
  return hands


@pytest.mark.parametrize('ending', HANDS.endings)
def test_hands_are_read_as_they_were_written(hands, ending, tmp_path):
  path = tmp_path / 'new' / f'hands{ending}'
  write_joints(path, hands, SIDES)
  found = read_joints(path)
  np.testing.assert_allclose(found.joints_3d, hands, rtol=1e-6, atol=1e-6)
  np.testing.assert_array_equal(found.complete, [True, True, False, True])
  if ending != '.npy':
    np.testing.assert_array_equal(found.is_right, SIDES)
  assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_else_is_known_stands_beside_the_joints(hands, tmp_path):
  about = {'moved': np.arange(84.0).reshape(4, 21), 'loss': np.array([0, 1, np.nan, 3])}
  for ending in ('.npz', '.json'):
    write_joints(tmp_path / f'x{ending}', hands, SIDES, about=about)
    read_joints(tmp_path / f'x{ending}')
  with np.load(tmp_path / 'x.npz') as arrays:
    for name, values in about.items():
      np.testing.assert_array_equal(arrays[name], values)
  rows = json.loads((tmp_path / 'x.json').read_text())
  assert [row['loss'] for row in rows] == [0, 1, None, 3]
  assert rows[2]['moved'] == about['moved'][2].tolist()


def test_an_unknown_ending_is_told_and_nothing_is_written(hands, tmp_path):
  with pytest.raises(ValueError, match=r'written as \.npz, \.npy, \.csv or \.json'):
    write_joints(tmp_path / 'hands.txt', hands, SIDES)
  assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_as_it_was(hands, tmp_path, monkeypatch):
  path = tmp_path / 'hands.npy'
  write_joints(path, hands, SIDES)
  before = path.read_bytes()

  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr('pathlib.Path.write_bytes', full)
  with pytest.raises(OSError, match='There is no room to write .*hands.npy'):
    write_joints(path, hands[:2], SIDES[:2])
  assert path.read_bytes() == before
  assert [file.name for file in tmp_path.iterdir()] == ['hands.npy']


def test_arrays_and_tables_of_more_than_hands_stay(hands, tmp_path):
  np.save(tmp_path / 'x.npy', np.arange(1000.0))
  np.savez(tmp_path / 'x.npz', joints_canonical=hands, images=np.zeros(3))
  write_joints(tmp_path / 'x.csv', hands, SIDES)
  write_joints(tmp_path / 'x.json', hands, SIDES)
  table = (tmp_path / 'x.csv').read_text().replace('is_right\n', 'is_right,subject\n')
  (tmp_path / 'x.csv').write_text(table)
  entries = json.loads((tmp_path / 'x.json').read_text())
  (tmp_path / 'x.json').write_text(
    json.dumps([e | {'image': 'a.jpg'} for e in entries])
  )
  for ending in HANDS.endings:
    path = tmp_path / f'x{ending}'
    before = path.read_bytes()
    with pytest.raises(ValueError, match='holds something else than hands'):
      write_joints(path, hands, SIDES)
    assert path.read_bytes() == before


def test_hands_take_the_place_of_hands_alone(hands, tmp_path):
  for ending in HANDS.endings:
    path = tmp_path / f'x{ending}'
    path.write_bytes(b'{"format": "bmc_jax hand limits 1"}')
    with pytest.raises(ValueError, match='holds something else than hands'):
      write_joints(path, hands, SIDES)
    path.unlink()
    for _ in range(2):
      write_joints(path, hands, SIDES)
