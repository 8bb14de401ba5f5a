"""Builds that run at once, fail, are killed and go on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmc_jax.data import prepared
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import folders, registry, shards
from tests.fixtures import toy_dataset

FOLDER = 'toy_hands'


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
  datasets = {**registry.DATASETS, FOLDER: toy_dataset.ENTRY}
  monkeypatch.setattr(build_lib, 'DATASETS', datasets)


@pytest.fixture
def source(tmp_path):
  return toy_dataset.write(tmp_path / 'source')


def _content(path: Path) -> dict[str, bytes]:
  """All files of a prepared folder."""
  return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.slow
def test_examples_too_many_end_a_build_and_processes_change_no_byte(
  source, tmp_path, capsys
):
  for index in (1, 8, 10):
    (source / 'train' / f'{index:03d}.png').write_bytes(b'')
  arguments = [FOLDER, '--source', str(source), '--num-shards', '4', '--out']
  one, two = str(tmp_path / 'one'), str(tmp_path / 'two')
  assert build_lib.main([*arguments, two, '--workers=2', '--max-bad=2']) == 2
  assert '.png cannot be decoded' in capsys.readouterr().err
  assert not (tmp_path / 'two').exists()
  assert build_lib.main([*arguments, two, '--workers=2', '--max-bad=3']) == 0
  assert '9 examples' in capsys.readouterr().out
  assert build_lib.main([*arguments, one, '--workers=1', '--max-bad=3']) == 0
  first, second = (_content(Path(out) / FOLDER / '1.0.0') for out in (one, two))
  assert len([name for name in first if 'array_record' in name]) == 8
  assert first == second


def test_a_shard_of_nothing_but_bad_examples_is_refused(source, tmp_path, capsys):
  for index in range(3):
    (source / 'train' / f'{index:03d}.png').write_bytes(b'')
  arguments = ['--source', str(source), '--out', str(tmp_path / 'out')]
  arguments += ['--num-shards', '4', '--max-bad', '9']
  assert build_lib.main([FOLDER, *arguments]) == 2
  assert 'All 3 examples of toy_hands-train' in capsys.readouterr().err


def test_only_the_splits_that_are_named_are_built(source, tmp_path, capsys):
  arguments = ['--source', str(source), '--out', str(tmp_path / 'out'), '--splits']
  assert build_lib.main([FOLDER, *arguments, 'test']) == 0
  path = tmp_path / 'out' / FOLDER / '1.0.0'
  assert list(prepared.read_builder(path).info.splits) == ['test']
  assert build_lib.main([FOLDER, *arguments, 'train']) == 2
  assert 'was made with other settings (splits: ' in capsys.readouterr().err
  arguments[3] = str(tmp_path / 'other')
  assert build_lib.main([FOLDER, *arguments, 'test,valid']) == 2
  assert "has no split 'valid'; it has test, train." in capsys.readouterr().err


def test_a_finished_shard_is_not_read_again(source, tmp_path):
  def read_example(record):
    raise AssertionError('it was read')

  records = toy_dataset.read_records(source)['train']
  converter = shards.Converter(toy_dataset.read_example, (None, None, 3), 'png', None)
  shard = shards.Shard(tmp_path / 'shard', records, converter)
  report = shards.write(shard, 0, lambda: None)
  assert report.examples == 12
  read_once = shards.Converter.__call__
  try:
    shards.Converter.__call__ = lambda self, record: read_example(record)
    assert shards.write(shard, 0, lambda: None) == report
    os.utime(records[0].image, (1, 1))  # a file that is another one now
    with pytest.raises(AssertionError, match='it was read'):
      shards.write(shard, 0, lambda: None)
  finally:
    shards.Converter.__call__ = read_once


@pytest.mark.parametrize(
  ('error', 'kept'),
  [
    (OSError(28, 'No space left on device'), True),
    (PermissionError(13, 'Permission denied'), True),
    (KeyboardInterrupt(), True),
    (ValueError('the data are wrong'), False),
    (FileNotFoundError('an image is missing'), False),
  ],
)
def test_finished_shards_go_for_wrong_data_alone(tmp_path, error, kept):
  folder = folders.shards_folder(tmp_path / FOLDER, '1.0.0')
  with pytest.raises(type(error)), folders.exclusive(tmp_path / FOLDER, '1.0.0'):
    folder.mkdir()
    raise error
  assert folder.exists() == kept


def test_a_second_build_in_the_same_folder_is_refused(source, tmp_path, capsys):
  arguments = ['--source', str(source), '--out', str(tmp_path / 'out')]
  other = tmp_path / 'out' / FOLDER / 'incomplete.ABCDEF_1.0.0'
  with folders.exclusive(tmp_path / 'out' / FOLDER, '1.0.0'):
    other.mkdir()
    assert build_lib.main([FOLDER, *arguments]) == 2
    assert 'Another build is running in' in capsys.readouterr().err
    assert other.exists()
  assert build_lib.main([FOLDER, *arguments]) == 0
  assert os.listdir(tmp_path / 'out' / FOLDER) == ['1.0.0']  # the other one is dead


@pytest.mark.parametrize('damage', ['missing', 'cut off'])
def test_a_folder_with_a_damaged_file_is_not_complete(source, tmp_path, capsys, damage):
  arguments = ['--source', str(source), '--out', str(tmp_path / 'out')]
  assert build_lib.main([FOLDER, *arguments]) == 0
  file = next((tmp_path / 'out' / FOLDER / '1.0.0').glob('*test.array_record*'))
  if damage == 'missing':
    file.unlink()
  else:
    file.write_bytes(file.read_bytes()[:-1000])
  capsys.readouterr()
  assert build_lib.main([FOLDER, *arguments]) == 2
  output = capsys.readouterr()
  assert 'already complete' not in output.out and f'file {file.name} is' in output.err
  assert 'delete the folder and build it again' in output.err


@pytest.mark.slow
def test_a_build_killed_at_any_moment_ends_complete_and_identical(tmp_path):
  toy_dataset.write(tmp_path / 'source', train=48, test=12)
  arguments = [sys.executable, '-m', 'tests.fixtures.killed_builds', str(tmp_path)]
  done = subprocess.run(arguments, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  *rounds, with_processes = json.loads(done.stdout.splitlines()[-1])
  assert len(rounds) == 8
  assert sum(row['killed'] for row in rounds) >= 4
  assert any(row['kept'] for row in rounds), 'no finished shard was ever kept'
  assert all(row['loadable'] == row['complete'] for row in rounds)
  assert all(row['identical'] for row in rounds)
  # The processes of a build end with it.
  assert with_processes['killed'] and not with_processes['orphans']
  assert with_processes['kept'] and with_processes['identical']
