"""Experiments: what is written, what is not run again, and what is refused."""

import json
import re
import shutil

import numpy as np
import pytest

from bmc_jax.experiments import inputs, workdir
from bmc_jax.experiments.rows import run_experiment
from bmc_jax.training import defaults, loop
from tests.fixtures import tiny_config


@pytest.fixture(scope='module')
def poses(tmp_path_factory):
  return tiny_config.write_poses(tmp_path_factory.mktemp('poses') / 'poses.npy')


@pytest.fixture(scope='module')
def finished(poses, tmp_path_factory):
  """A workdir in which the tiny experiment has been run."""
  workdir = tmp_path_factory.mktemp('run')
  run_experiment(tiny_config.get_config(poses), workdir)
  return workdir


def _run(config, workdir):
  """Runs an experiment without its page, which takes longer than its rows."""
  return run_experiment(config, workdir, write_page=False)


def _times(workdir):
  return {p: p.stat().st_mtime_ns for p in (workdir / 'rows').rglob('*') if p.is_file()}


def test_a_run_leaves_results_predictions_logs_and_a_report(finished):
  table = json.loads((finished / 'results.json').read_text())
  assert list(table) == ['source only', '+ BMC']
  about = json.loads((finished / 'experiment.json').read_text())
  assert about['rows'] == list(table)
  assert about['groups'] == dict.fromkeys(table, 'tiny')
  assert about['num_test'] == 40
  assert about['chance']['tiny']['depth_mm'] > 0
  assert (finished / 'report.html').stat().st_size > 1000
  assert not list(finished.rglob('*.partial'))
  for row, slug in (('source only', 'source_only'), ('+ BMC', 'plus_bmc')):
    ran = json.loads((finished / 'rows' / slug / 'config.json').read_text())
    assert ran['data']['use_weak'] == (slug == 'plus_bmc')
    with np.load(finished / 'rows' / slug / 'predictions.npz') as saved:
      arrays = dict(saved)
    assert arrays['joints_3d'].shape == arrays['joints_3d_true'].shape == (40, 21, 3)
    depth = np.abs(arrays['joints_3d'] - arrays['joints_3d_true'])[..., 2].mean()
    assert table[row]['depth_mm'] == pytest.approx(depth, rel=1e-4)
    log = (finished / 'rows' / slug / 'metrics.csv').read_text().splitlines()
    assert [line.split(',')[0] for line in log] == ['step', '5', '10', '15', '20']
    assert table[row]['keypoints_2d_px'] == 0  # a lifter is given them
    assert 'eval/depth_mm' in log[0] and ('train/bmc_joint_angle' in log[0]) == (
      slug == 'plus_bmc'
    )


def test_finished_rows_are_not_run_again_and_the_table_is_printed(
  finished, poses, capsys
):
  times, table = _times(finished), (finished / 'results.json').read_text()
  run_experiment(tiny_config.get_config(poses), finished)
  assert _times(finished) == times
  assert (finished / 'results.json').read_text() == table
  printed = capsys.readouterr().out
  assert '| source only ' in printed and '| chance (tiny) ' in printed
  assert 'report.html' in printed


def test_rows_run_before_stay_in_the_table_and_the_report(finished, poses):
  table = (finished / 'results.json').read_text()
  config = tiny_config.get_config(poses)
  config.run_rows = ('+ BMC',)
  config.data.num_threads = 1  # changes nothing that is trained
  results = _run(config, finished)
  assert list(results) == ['source only', '+ BMC']
  assert (finished / 'results.json').read_text() == table
  about = json.loads((finished / 'experiment.json').read_text())
  assert about['rows'] == ['source only', '+ BMC']


def test_a_damaged_workdir_is_told_with_the_damaged_file(finished, poses, tmp_path):
  config, run = tiny_config.get_config(poses), tmp_path / 'run'
  for name in ('config.json', 'rows/source_only/metrics.json'):
    shutil.copytree(finished, run)
    (run / name).write_text((run / name).read_text()[:50])
    with pytest.raises(ValueError, match=f'{name} is not valid JSON'):
      _run(config, run)
    shutil.rmtree(run)
  shutil.copytree(finished, run)
  (run / 'config.json').unlink()
  with pytest.raises(ValueError, match='holds results but no config.json'):
    _run(config, run)


def test_a_changed_config_is_refused_by_the_name_of_its_key(finished, poses):
  times = _times(finished)
  config = tiny_config.get_config(poses)
  config.optimizer.learning_rate = 0.5
  with pytest.raises(
    ValueError, match=r'different: optimizer.learning_rate\)'
  ) as error:
    _run(config, finished)
  assert '\n' not in str(error.value)
  assert _times(finished) == times


@pytest.mark.slow
def test_rows_can_be_left_out_and_other_poses_tested_without_training_again(
  poses, tmp_path, monkeypatch
):
  config = tiny_config.get_config(poses)
  config.run_rows = ('source only',)
  first = _run(config, tmp_path / 'run')
  checkpoints = tmp_path / 'run' / 'rows' / 'source_only' / 'checkpoints'
  times = {path: path.stat().st_mtime_ns for path in checkpoints.rglob('*')}
  other = tiny_config.write_poses(tmp_path / 'other.npy', 11)
  config.eval_path = other

  def train_again(*args, **kwargs):
    raise AssertionError('opens the training data')

  monkeypatch.setattr(loop, 'open_train_batches', train_again)
  second = run_experiment(config, tmp_path / 'run')
  assert first.keys() == second.keys() == {'source only'}
  assert first != second
  (page,) = (tmp_path / 'run' / 'eval').iterdir()
  about = json.loads((page / 'experiment.json').read_text())
  assert about['num_test'] == 11 and about['test_set'].startswith('other.npy')
  assert about['description'].startswith('Tested on other.npy')
  assert (page / 'report.html').exists()
  # The table of the last call; those of the own test set come back without training.
  table = tmp_path / 'run' / 'results.json'
  assert json.loads(table.read_text()) == json.loads(json.dumps(second))
  config.eval_path = ''
  assert _run(config, tmp_path / 'run') == first
  assert json.loads(table.read_text()) == json.loads(json.dumps(first))
  config.eval_path = other
  tiny_config.write_poses(tmp_path / 'other.npy', 12)  # the same path, other poses
  third = _run(config, tmp_path / 'run')
  assert third != second
  assert len(list((tmp_path / 'run' / 'eval').iterdir())) == 2
  assert {path: path.stat().st_mtime_ns for path in checkpoints.rglob('*')} == times


def test_a_pose_file_in_place_of_the_test_set_is_tested_in_whole(poses, tmp_path):
  config = tiny_config.get_config(poses)
  config.data.test.subjects = (7, 8)
  config.eval_path = poses
  tested = inputs.with_eval_path(config, tmp_path)
  assert tested.data.test.subjects is None
  assert workdir._describe(tested) == 'poses.npy all subjects'


def test_rows_may_be_added_after_the_others(finished, poses, tmp_path):
  shutil.copytree(finished, tmp_path / 'run')
  config = tiny_config.get_config(poses)
  defaults.add_row(
    config, 'full 3D', {'data': {'weak': {'labels': '3d'}}}, group='tiny'
  )
  table = _run(config, tmp_path / 'run')
  assert list(table) == ['source only', '+ BMC', 'full 3D']
  assert {k: table[k] for k in ('source only', '+ BMC')} == json.loads(
    (finished / 'results.json').read_text()
  )
  first = tiny_config.get_config(poses)
  with first.unlocked():
    del first.rows['source only']
  first.run_rows = ('+ BMC',)
  with pytest.raises(ValueError, match='begun with another config .*source only'):
    _run(first, tmp_path / 'run')


def test_lost_predictions_are_made_again(finished, poses, tmp_path):
  shutil.copytree(finished, tmp_path / 'run')
  path = tmp_path / 'run' / 'rows' / 'plus_bmc' / 'predictions.npz'
  path.unlink()
  _run(tiny_config.get_config(poses), tmp_path / 'run')
  assert path.exists()


def test_a_workdir_in_which_nothing_was_made_takes_another_config(poses, tmp_path):
  config = tiny_config.get_config(str(tmp_path / 'missing.npy'))
  with pytest.raises(FileNotFoundError, match='missing.npy does not exist'):
    _run(config, tmp_path / 'run')
  config = tiny_config.get_config(poses)
  config.run_rows = ('source only',)
  config.num_steps = 1
  _run(config, tmp_path / 'run')


@pytest.mark.slow
def test_a_test_set_with_2d_labels_is_tested_in_the_image_and_by_limits(
  finished, poses, tmp_path, capsys
):
  shutil.copytree(finished, tmp_path / 'run')
  config = tiny_config.get_config(poses)
  config.data.test.labels = '2d'
  results = run_experiment(config, tmp_path / 'run')
  told = '0 of 40 test hands have 3D labels'
  assert told in capsys.readouterr().out
  for row in results.values():
    assert set(row) == {
      *('keypoints_2d_px', 'keypoints_2d_percent', 'hands_within_limits'),
      *('pck_2d_2px', 'pck_2d_5px', 'pck_2d_10px', 'broken_limits'),
    }
    assert np.isfinite(list(row.values())).all()
  text = (tmp_path / 'run' / 'report.html').read_text()
  assert told in text and '2D PCK' in text and '3D PCK' not in text
  assert 'Mean error of the joints (px)' in text and '>chance<' not in text
  drawings = ' '.join(re.findall(r' d="([^"]*)"', text))
  data = ' '.join(re.findall(r'<script type="application/json">(.*?)</script>', text))
  assert data and 'nan' not in drawings and 'NaN' not in data


@pytest.mark.parametrize(
  'overrides, message',
  [
    (
      {'bmc': {'weights': tiny_config.WEIGHTS}, 'limits': {'path': 'nope.json'}},
      'no limits file nope.json',
    ),
    ({'data': {'full': {'labels': '2d'}}}, "data.full.labels is '2d'"),
    ({'data': {'weak': {'path': 'nope.npy'}}}, 'nope.npy does not exist'),
    ({'data': {'val': {'path': 'nope.npy'}}}, 'nope.npy does not exist'),
    ({'init_from': 'nope.npz'}, 'no weights nope.npz'),
    ({'init_from': 'package:everyday_64'}, 'do not fit the model'),
    ({'save_weights': __file__ + '/w.npz'}, 'cannot be written: name a file'),
    ({'batch_size': 9}, 'it must be even'),
  ],
)
def test_a_last_row_that_can_not_run_leaves_the_workdir_free(
  poses, tmp_path, overrides, message
):
  config = tiny_config.get_config(poses)
  defaults.add_row(config, 'bad', overrides)
  with pytest.raises((ValueError, OSError), match=message):
    run_experiment(config, tmp_path)
  left = {path.name for path in tmp_path.iterdir() if '.lock' not in path.name}
  assert left == {'config.json'}


@pytest.mark.parametrize(
  'overrides, message',
  [
    ({'batch': 3}, "'bad' do not fit the config: The config has no key 'batch'"),
    ({'batch_size': 'many'}, "'batch_size'"),
    ({'eval': {'batch_size': 0}}, "Row 'bad': eval.batch_size is 0; it must be"),
    ({'optimizer': 3}, "'optimizer' is a group of values: set one of them, such as"),
    ({'data': {'full': 3}}, 'a group of values is overridden by a single one'),
    ({'optimizer': {'name': 'adam'}}, "Row 'bad': optimizer.name is 'adam'"),
    ({'model': {'name': 'lifter'}}, "model.name is 'lifter'; choose one of"),
    ({'bmc': {'joints': 'all'}}, "Row 'bad': bmc.joints is 'all'"),
  ],
)
def test_a_wrong_last_row_is_told_before_the_first_is_run(
  poses, tmp_path, overrides, message
):
  config = tiny_config.get_config(poses)
  defaults.add_row(config, 'bad', overrides)
  with pytest.raises(ValueError, match=message):
    run_experiment(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_rows_need_names_of_their_own(poses, tmp_path):
  config = tiny_config.get_config(poses)
  defaults.add_row(config, 'plus bmc', {})
  with pytest.raises(ValueError, match="share the folder 'plus_bmc': rename one"):
    run_experiment(config, tmp_path)
  config.run_rows = ('nope',)
  with pytest.raises(ValueError, match="There is no row 'nope'; the rows are"):
    run_experiment(config, tmp_path)
  config.run_rows = ()
  with pytest.raises(ValueError, match='has no rows to run'):
    run_experiment(config, tmp_path)


@pytest.mark.parametrize('name', ['', ' ', 3])
def test_a_row_needs_a_name(poses, name):
  with pytest.raises(ValueError, match='must be a text'):
    defaults.add_row(tiny_config.get_config(poses), name, {})
