"""JSON files and names of folders."""

import json

import pytest

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
