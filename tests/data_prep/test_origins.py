"""A prepared folder is not taken for one that is made of another source."""

import json
import os
import shutil

import pytest

from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import origins, registry
from tests.fixtures import coco_exports, toy_dataset


def _write(path):
  coco_exports.write_images(path / 'images' / 'default')
  coco_exports.write_export(path)
  return path


def _move_a_label(path):
  export = coco_exports.make_export()
  export['annotations'][0]['keypoints'][0] += 1
  coco_exports.write_export(path, export)


@pytest.fixture
def run(tmp_path, capsys):
  """Builds a source into one place; the exit code and what is said."""

  def call(source, *flags, dataset='coco_hands'):
    arguments = ['--source', str(source), '--out', str(tmp_path / 'out'), *flags]
    code = build_lib.main([dataset, *arguments])
    captured = capsys.readouterr()
    return code, captured.err if code else captured.out

  return call


def test_another_source_is_refused_and_the_same_one_is_complete(tmp_path, run):
  first, second = _write(tmp_path / 'a'), _write(tmp_path / 'b')
  _move_a_label(second)
  assert run(first)[0] == 0
  code, message = run(second)
  assert code == 2 and f'The source {second} is not {first}, of which' in message
  assert 'choose another --out, or delete that folder' in message
  code, message = run(first)
  assert code == 0 and '1.0.0 is already complete; delete it' in message
  os.utime(first / 'annotations' / 'person_keypoints_default.json', (1, 1))
  assert run(shutil.copytree(first, tmp_path / 'copy'))[0] == 0


def test_a_source_that_has_changed_is_refused(tmp_path, run):
  source = _write(tmp_path / 'a')
  assert run(source)[0] == 0
  _move_a_label(source)
  code, message = run(source)
  assert code == 2 and f'The source {source} has changed since' in message


def test_archives_are_told_apart(tmp_path, run):
  archives = []
  for name in 'ab':
    folder = _write(tmp_path / name)
    if name == 'b':
      _move_a_label(folder)
    archives.append(shutil.make_archive(str(tmp_path / f'{name}_set'), 'zip', folder))
  assert run(archives[0])[0] == 0
  assert run(archives[0])[0] == 0
  assert f'is not {archives[0]}' in run(archives[1])[1]


def test_folders_without_annotation_files_are_told_by_their_path(
  tmp_path, run, monkeypatch
):
  datasets = {**registry.DATASETS, 'toy_hands': toy_dataset.ENTRY}
  monkeypatch.setattr(build_lib, 'DATASETS', datasets)
  first = toy_dataset.write(tmp_path / 'a', 2, 2)
  assert run(first, dataset='toy_hands')[0] == 0
  assert run(first, dataset='toy_hands')[0] == 0
  second = toy_dataset.write(tmp_path / 'b', 3, 2)
  assert run(second, dataset='toy_hands')[0] == 2


def test_examples_and_the_output_beside_them_are_no_part_of_the_origin(tmp_path):
  source = _write(tmp_path / 'a')
  before = origins.describe(source)
  for name in ('out/coco_hands/1.0.0/features.json', 'images/3.png', '.x.json'):
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_text('{}')
  assert origins.describe(source) == before
  (source / 'more.json').write_text(json.dumps({}))
  assert origins.describe(source) != before


def test_options_that_are_not_applied_to_a_complete_folder_are_named(tmp_path, run):
  source = _write(tmp_path / 'a')
  assert run(source, '--num-shards', '1')[0] == 0
  same = run(source, '--num-shards', '1', '--max-bad', '0')[1]
  assert 'is already complete; delete it to build it anew.' in same
  other = run(source, '--num-shards', '2', '--max-bad', '1')[1]
  assert 'is already complete, made with another --num-shards and --max-bad' in other


@pytest.mark.parametrize('text', [',', '', ' , '])
def test_an_empty_list_of_splits_is_refused(tmp_path, run, capsys, text):
  with pytest.raises(SystemExit) as error:
    run(_write(tmp_path / 'a'), '--splits', text)
  assert error.value.code == 2
  assert 'names nothing; name one or more: a,b' in capsys.readouterr().err
  with pytest.raises(ValueError, match='splits names none'):
    build_lib.build('coco_hands', tmp_path / 'out', source=tmp_path / 'a', splits=[])
