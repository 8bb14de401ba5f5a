"""What rows read: limits, sources, original files in place of the test set."""

import json

import jax
import numpy as np
import pytest

from bmc_jax import limits
from bmc_jax.data import sources
from bmc_jax.experiments import inputs
from bmc_jax.experiments.row_configs import row_config, row_configs
from bmc_jax.experiments.workdir import write_results
from bmc_jax.training import defaults
from tests.fixtures import tiny_config


@pytest.fixture(scope='module')
def poses(tmp_path_factory):
  return tiny_config.write_poses(tmp_path_factory.mktemp('poses') / 'poses.npy')


def test_original_files_are_prepared_once_and_anew_when_they_change(
  tmp_path, monkeypatch
):
  folder = tmp_path / 'photos'
  folder.mkdir()
  (folder / 'a').write_text('1')
  monkeypatch.setattr('bmc_jax.data_prep.build.build', lambda name, out, source: out)
  config = tiny_config.get_config(str(tmp_path))
  config.eval_path, config.eval_prepare = str(folder), 'hand_graph_cnn_real'
  tested = inputs.with_eval_path(config, tmp_path)
  assert inputs.with_eval_path(config, tmp_path).data.test == tested.data.test
  record = {'metrics': {}, 'chance': {}, 'num_test': 1, 'num_test_3d': 1}
  write_results(tmp_path, tested, ['+ BMC'], {'+ BMC': record})
  about = json.loads((tmp_path / 'experiment.json').read_text())
  assert about['test_set'] == 'photos all'
  (folder / 'b').write_text('2')
  changed = inputs.with_eval_path(config, tmp_path)
  assert changed.data.test.path != tested.data.test.path


def _limits(config, workdir):
  return inputs.limits_of_rows({'+ BMC': config}, workdir, ['+ BMC'])['+ BMC']


def test_limits_are_fitted_once_and_kept(poses, tmp_path, monkeypatch):
  config = row_config(tiny_config.get_config(poses), '+ BMC')
  first = _limits(config, tmp_path)
  assert first.metadata.num_poses == 40 and first.metadata.source.startswith(poses)
  text = (tmp_path / 'limits.json').read_text()

  def fit_again(*args, **kwargs):
    raise AssertionError('fitted again')

  monkeypatch.setattr(inputs, 'fit_limits', fit_again)
  jax.tree.map(np.testing.assert_array_equal, first, _limits(config, tmp_path))
  assert (tmp_path / 'limits.json').read_text() == text


def test_a_limits_file_that_has_changed_since_is_told(poses, tmp_path, capsys):
  config = row_config(tiny_config.get_config(poses), '+ BMC')
  config.limits.path = str(tmp_path / 'mine.json')
  limits.save_limits(config.limits.path, limits.mano_limits())
  first = _limits(config, tmp_path / 'run')
  _limits(config, tmp_path / 'run')
  assert capsys.readouterr().err == ''
  limits.save_limits(config.limits.path, limits.surface_limits())
  kept = _limits(config, tmp_path / 'run')
  assert 'mine.json has changed since' in capsys.readouterr().err
  jax.tree.map(np.testing.assert_array_equal, first, kept)


def test_rows_with_other_limits_do_not_share_a_file(poses, tmp_path):
  config = tiny_config.get_config(poses)
  bmc = {'weights': tiny_config.WEIGHTS}
  defaults.add_row(
    config, 'boxes', {'bmc': bmc, 'limits': {'coverage': 0.9}}, group='tiny'
  )
  defaults.add_row(config, 'again', {'bmc': bmc}, group='tiny')
  # The names do not depend on which rows are run.
  config.run_rows = ('boxes',)
  rows = row_configs(config)
  boxes = inputs.limits_of_rows(rows, tmp_path, ['boxes'])
  assert [path.name for path in tmp_path.iterdir()] == ['limits_boxes.json']
  both = inputs.limits_of_rows(rows, tmp_path, ['again', '+ BMC', 'boxes'])
  assert len(list(tmp_path.iterdir())) == 2
  assert both['boxes'] == boxes['boxes']
  assert both['+ BMC'] == both['again'] != both['boxes']


def test_limits_for_another_reference_bone_are_refused(poses, tmp_path):
  config = row_config(tiny_config.get_config(poses), '+ BMC')
  joints = np.load(poses)
  path = tmp_path / 'given.json'
  limits.save_limits(path, limits.fit_limits(joints, reference=(5, 6)))
  config.limits.path = str(path)
  with pytest.raises(ValueError, match=r'reference bone \(5, 6\)'):
    _limits(config, tmp_path)


def test_constraints_without_limits_are_refused(poses, tmp_path):
  config = row_config(tiny_config.get_config(poses), '+ BMC')
  with config.unlocked():
    config.limits.source = type(config)()
  with pytest.raises(ValueError, match="limits.path to a file or to 'mano', 'surface'"):
    _limits(config, tmp_path)


def test_sources_that_rows_share_are_opened_once(poses, monkeypatch):
  rows = row_configs(tiny_config.get_config(poses))
  opened, open_source = [], inputs.sources.open_source
  monkeypatch.setattr(
    inputs.sources, 'open_source', lambda s: opened.append(s) or open_source(s)
  )
  inputs.check_inputs(rows, trained=())
  assert [spec['labels'] for spec in opened] == ['3d', '2d']
  inputs.check_inputs(rows, trained=rows)
  assert len(opened) == 3  # the test set alone


def test_the_literatures_limits_are_named_in_a_config_as_on_the_command_line(
  poses, tmp_path
):
  config = row_config(tiny_config.get_config(poses), '+ BMC')
  config.limits.path = 'clinical'
  given, known = _limits(config, tmp_path), limits.clinical_limits()
  np.testing.assert_allclose(given.bone_lengths, known.bone_lengths, atol=1e-7)
  assert given.metadata == known.metadata


def test_limits_come_from_hands_with_all_3d_labels_and_the_others_are_counted(
  poses, tmp_path, monkeypatch, capsys
):
  config = row_config(tiny_config.get_config(poses), '+ BMC')
  with config.unlocked():
    config.limits.source.labels = '2d'
  with pytest.raises(ValueError, match=r'limits.source, .*poses.npy, has no hand with'):
    _limits(config, tmp_path)
  spec = tiny_config.get_config(poses).limits.source.to_dict()
  arrays = sources.open_source(spec).batch(range(40))
  arrays['has_joints_3d'][:4] = 0
  arrays['joints_3d'][:4] = 0
  arrays['visibility'][4, 20] = 0
  monkeypatch.setattr(
    inputs.sources, 'open_source', lambda spec: sources.ArraySource(arrays)
  )
  assert _limits(config, tmp_path).metadata.num_poses == 35
  assert 'limits are fitted on 35 of the 40 hands' in capsys.readouterr().err


def test_rows_without_any_3d_label_are_told(poses, monkeypatch, capsys):
  rows = row_configs(tiny_config.get_config(poses))
  inputs.check_inputs(rows, trained=())
  assert not capsys.readouterr().err
  open_source = inputs.sources.open_source
  monkeypatch.setattr(
    inputs.sources, 'open_source', lambda spec: open_source({**spec, 'labels': '2d'})
  )
  assert inputs.check_inputs(rows, trained=()) == set(rows)
  told = capsys.readouterr().err.splitlines()
  assert len(told) == 2 and 'no example of its first batch has 3D labels' in told[0]
