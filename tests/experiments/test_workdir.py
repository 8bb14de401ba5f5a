"""The workdir: who may write in it, and the table."""

import os

import pytest

from bmc_jax.experiments.workdir import claim_rows, format_results, record_config
from tests.fixtures import tiny_config


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


@pytest.mark.parametrize(
  'name', ['config.json', 'results.json', 'experiment.json', 'report.html']
)
def test_files_of_others_are_not_written_over(tmp_path, name):
  config = tiny_config.get_config('poses.npy')
  (tmp_path / name).write_text('{"mine": 1}')
  with pytest.raises(ValueError, match=f'{name} is there, but of no experiment'):
    record_config(tmp_path, config)
  assert (tmp_path / name).read_text() == '{"mine": 1}'
  (tmp_path / name).unlink()
  record_config(tmp_path, config)
  record_config(tmp_path, config)


def _record(metrics, chance, labelled=5):
  return {
    'metrics': metrics,
    'chance': chance,
    'num_test': 5,
    'num_test_3d': labelled,
  }


def test_what_can_not_be_measured_has_no_column_and_is_told():
  seen = {'keypoints_2d_px': 1.5, 'pck_2d_5px': 90.0}
  text = format_results({'a': _record(seen, {}, 0)}, {'a': 'x'})
  heading, _, row, _, told = text.splitlines()
  cells = [[c.strip() for c in line.split('|')[1:-1]] for line in (heading, row)]
  assert cells == [['row', '2D px', 'PCK 5 px %'], ['a', '1.50', '90.0']]
  assert told.startswith('0 of 5 test hands have 3D labels') and 'limits.path' in told
  judged = seen | {'hands_within_limits': 50.0, 'broken_limits': 2.0}
  text = format_results({'a': _record(judged, {}, 0)}, {'a': 'x'})
  assert 'limits.path' not in text and '| 2.00' in text
  text = format_results(
    {'a': _record({'depth_mm': 3.0}, {'depth_mm': 9.0}, 2)}, {'a': 'x'}
  )
  assert text.endswith(
    '2 of 5 test hands have 3D labels of root joint and reference '
    'bone: errors in 3D are those of these hands.'
  )


def test_the_table_has_a_line_of_chance_under_each_group():
  records = {
    'a': _record({'depth_mm': 1.234, 'auc_0_50': 0.5}, {'depth_mm': 30}),
    'b': _record({'depth_mm': 2}, {'depth_mm': 40}),
    'c': _record({}, {'depth_mm': 30}),
  }
  lines = format_results(records, {'a': 'x', 'b': 'y', 'c': 'x'}).splitlines()
  assert [line.split('|')[1].strip() for line in lines[2:]] == [
    'a',
    'c',
    'chance (x)',
    'b',
    'chance (y)',
  ]
  assert '1.23' in lines[2] and '0.500' in lines[2] and '30.00' in lines[4]
  assert len({len(line) for line in lines}) == 1
