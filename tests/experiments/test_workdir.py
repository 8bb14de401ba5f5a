"""The workdir: who may write in it, and the table."""

import os

import pytest

from bmc_jax.experiments.workdir import claim_rows, format_results


def test_a_row_is_run_by_one_process_at_a_time(tmp_path):
  with (
    claim_rows(tmp_path, ['a', 'b']),
    claim_rows(tmp_path, ['c']),
    pytest.raises(ValueError, match=rf'another process \({os.getpid()}\).* row b'),
    claim_rows(tmp_path, ['d', 'b']),
  ):
    pass
  with claim_rows(tmp_path, ['b', 'd']):
    pass


def test_the_table_has_a_line_of_chance_under_each_group():
  lines = format_results(
    {'a': {'depth_mm': 1.234, 'auc_0_50': 0.5}, 'b': {'depth_mm': 2}, 'c': {}},
    {'x': {'depth_mm': 30}, 'y': {'depth_mm': 40}},
    {'a': 'x', 'b': 'y', 'c': 'x'},
  ).splitlines()
  assert [line.split('|')[1].strip() for line in lines[2:]] == [
    'a',
    'c',
    'chance (x)',
    'b',
    'chance (y)',
  ]
  assert '1.23' in lines[2] and '0.500' in lines[2] and '30.00' in lines[4]
  assert len({len(line) for line in lines}) == 1
