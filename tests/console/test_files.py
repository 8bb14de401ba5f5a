"""JSON files and names of folders."""

import json

import pytest

from bmc_jax.console import files
from bmc_jax.console.files import slug_of, write_json
from bmc_jax.experiments.workdir import format_results


@pytest.mark.parametrize(
  'name, folder',
  [
    ('+ 2D + BMC', 'plus_2d_plus_bmc'),
    ('lifter: full 3D', 'lifter_full_3d'),
    ('手', '手'),
    ('', 'row'),
    ('../..', 'row'),
  ],
)
def test_a_row_has_a_folder_that_can_be_read(name, folder):
  assert slug_of(name) == folder


def test_numbers_that_are_not_finite_are_null_in_json(tmp_path):
  content = {'a': float('nan'), 'b': [1.5, float('inf')], 'c': {'d': -float('inf')}}
  write_json(tmp_path / 'x.json', content)
  text = (tmp_path / 'x.json').read_text()
  assert json.loads(text) == {'a': None, 'b': [1.5, None], 'c': {'d': None}}
  record = {
    'metrics': {'depth_mm': None},
    'chance': {},
    'num_test': 1,
    'num_test_3d': 1,
  }
  table = format_results({'r': record}, {'r': 'g'})
  assert 'None' not in table and 'nan' not in table


@pytest.mark.parametrize(
  ('content', 'said'),
  [
    (b'PK\x03\x04\x00', 'by its content this is a zip archive'),
    (b'\x89PNG\r\n', 'by its content this is a PNG image'),
    (b'<!DOCTYPE html>', 'a page of the web'),
    (b'version https://git-lfs.github.com/spec/v1', 'git lfs pull gets the file'),
    (b' \n', 'the file is empty'),
    (b'{"a": \xff}', 'this is no text'),
  ],
)
def test_a_file_that_is_no_text_is_named(tmp_path, content, said):
  (tmp_path / 'a.json').write_bytes(content)
  with pytest.raises(ValueError, match=said):
    files.read_text(tmp_path / 'a.json')


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_texts_of_windows_are_read(tmp_path, encoding):
  (tmp_path / 'a.json').write_text('{"a": "\u00e4"}', encoding=encoding)
  assert files.read_text(tmp_path / 'a.json') == '{"a": "\u00e4"}'
