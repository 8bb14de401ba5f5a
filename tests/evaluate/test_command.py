"""The command that scores prediction files, on folders as the benchmarks have them."""

import json
import re
import runpy
import sys

import numpy as np
import pytest

from bmc_jax.evaluate.submission import FORMS, write_submission
from tests.fixtures import examples
from tests.fixtures.benchmark_files import COUNT, NOISY, TRUTH, error_of, run, scores_of


def test_perfect_freihand_predictions_score_0_mm_and_an_area_of_1(freihand):
  (result,) = scores_of(freihand, 'freihand', TRUTH).values()
  assert result['num_images'] == COUNT
  assert list(result['alignments']) == ['none', 'scale', 'procrustes']
  for score in result['alignments'].values():
    assert score['epe_mm'] < 1e-9
    assert score['auc_0_50'] == pytest.approx(1, abs=1e-12)
  assert max(result['decomposition'].values()) < 1e-3


def test_figures_are_printed_and_drawn(freihand, capsys):
  (result,) = scores_of(freihand, 'freihand', NOISY).values()
  text = capsys.readouterr().out
  error = 1000 * np.linalg.norm(NOISY - TRUTH, axis=-1)
  found = result['alignments']['none']
  assert found['epe_mm'] == pytest.approx(error.mean(), abs=1e-4)
  thresholds = np.linspace(0, 50, 100)
  curve = [(error <= t).mean() for t in thresholds]
  assert found['curves']['auc_0_50']['thresholds_mm'] == thresholds.tolist()
  np.testing.assert_allclose(found['curves']['auc_0_50']['pck'], curve, atol=0.005)
  assert re.search(rf'all \(12\) +as submitted +{found["epe_mm"]:.3f}', text)
  assert re.search(r'all \(12\) +Procrustes', text)
  assert re.search(r'2D px +depth mm +relative depth mm', text)
  picture = (freihand.parent / 'pred_pck.png').read_bytes()
  assert picture.startswith(b'\x89PNG') and len(picture) > 5000


def test_ho3d_subsets_are_scored_by_the_names_of_their_frames(ho3d, tmp_path):
  (tmp_path / 'extrap.txt').write_text('MPM10/2\nSM1/0003\n')
  results = scores_of(ho3d, 'ho3d', NOISY, '--subset', f'EXTRAP={tmp_path}/extrap.txt')
  assert [r['num_images'] for r in results.values()] == [COUNT, 2]
  chosen = [10, 3]
  for name, index in (('all', slice(None)), ('EXTRAP', chosen)):
    error = 1000 * np.linalg.norm((NOISY - TRUTH)[index], axis=-1).mean()
    score = results[name]['alignments']
    assert score['none']['epe_mm'] == pytest.approx(error, abs=1e-4)
    relative = [a[index] - a[index][:, :1] for a in (NOISY, TRUTH)]
    error = 1000 * np.linalg.norm(relative[0] - relative[1], axis=-1).mean()
    assert score['root']['epe_mm'] == pytest.approx(error, abs=1e-4)
    assert results[name]['decomposition'] is None  # HO-3D's lists hold no cameras


def test_reflections_are_allowed_on_demand(freihand):
  mirrored = TRUTH * [-1, 1, 1]
  (proper,) = scores_of(freihand, 'freihand', mirrored).values()
  (allowed,) = scores_of(freihand, 'freihand', mirrored, '--allow-reflection').values()
  assert proper['alignments']['procrustes']['epe_mm'] > 3
  assert allowed['alignments']['procrustes_reflected']['epe_mm'] < 1e-3


@pytest.mark.parametrize('protocol', ['rhd', 'stb', 'dexter_object'])
def test_prepared_data_are_scored_with_left_hands_as_they_are(
  prepared, tmp_path, protocol
):
  joints = TRUTH.copy()
  joints[0, 16] += 0.5  # not labelled
  write_submission(tmp_path / 'pred.zip', joints, FORMS['camera'])
  arguments = ('--protocol', protocol, '--split', 'evaluation')
  run('--predictions', tmp_path / 'pred.zip', '--ground-truth', prepared, *arguments)
  found = json.loads((tmp_path / 'pred_scores.json').read_text())['results']['all']
  for score in found['alignments'].values():
    assert score['epe_mm'] < 1e-3  # labels are stored in float32
    assert score['auc_20_50'] == pytest.approx(1)
  assert max(found['decomposition'].values()) < 1e-3


def test_root_relative_predictions_are_scored_without_their_place(prepared, tmp_path):
  write_submission(tmp_path / 'pred.zip', TRUTH - TRUTH[:, :1], FORMS['camera'])
  arguments = ('--protocol', 'rhd', '--split', 'evaluation', '--out', tmp_path / 'new')
  run('--predictions', tmp_path / 'pred.zip', '--ground-truth', prepared, *arguments)
  found = json.loads((tmp_path / 'new' / 'pred_scores.json').read_text())
  assert found['results']['all']['alignments']['root']['epe_mm'] < 1e-3
  assert found['results']['all']['decomposition'] is None


def test_real_labels_scored_against_themselves_have_no_error(test_data, tmp_path):
  folder = test_data / 'data' / 'freihand_layout'
  joints = np.array(json.loads((folder / 'training_xyz.json').read_text()))
  write_submission(tmp_path / 'pred.zip', joints, FORMS['freihand'])
  arguments = ('--protocol', 'freihand', '--split', 'training')
  run('--predictions', tmp_path / 'pred.zip', '--ground-truth', folder, *arguments)
  (found,) = json.loads((tmp_path / 'pred_scores.json').read_text())['results'].values()
  for score in found['alignments'].values():
    assert score['epe_mm'] < 1e-6
    assert score['auc_0_50'] == pytest.approx(1, abs=1e-12)
  assert found['decomposition']['keypoints_2d_px'] < 1e-3


def test_the_module_runs_as_a_command(tmp_path, monkeypatch, capsys):
  folder = str(tmp_path / 'nowhere')
  arguments = ['--predictions', 'x', '--protocol', 'stb', '--ground-truth', folder]
  monkeypatch.setattr(sys, 'argv', ['evaluate', *arguments])
  monkeypatch.delitem(sys.modules, 'bmc_jax.evaluate', raising=False)
  with pytest.raises(SystemExit) as error:
    runpy.run_module('bmc_jax.evaluate', run_name='__main__')
  assert error.value.code == 2
  message = capsys.readouterr().err
  assert message.startswith('error: There is no folder of ground truth')


def test_original_files_come_before_prepared_ones_below_them(freihand, ho3d, capsys):
  row = examples.make_example(0, size=40)
  for folder, protocol in ((freihand, 'freihand'), (ho3d, 'ho3d')):
    examples.prepare(folder / 'tfds', {'evaluation': [row]})
    (result,) = scores_of(folder, protocol, TRUTH).values()
    assert result['num_images'] == COUNT
    (folder / 'evaluation_xyz.json').unlink()
    arguments = ('--ground-truth', folder, '--protocol', protocol)
    error = error_of(capsys, '--predictions', folder.parent / 'pred.zip', *arguments)
    assert 'has no evaluation_xyz.json; name the folder' in error


def test_prepared_data_are_not_looked_for_in_deep_folders(prepared, tmp_path, capsys):
  (tmp_path / 'a' / 'b').mkdir(parents=True)
  (tmp_path / 'data').rename(tmp_path / 'a' / 'b' / 'data')
  write_submission(tmp_path / 'pred.zip', TRUTH, FORMS['camera'])
  arguments = ('--predictions', tmp_path / 'pred.zip', '--protocol', 'rhd')
  arguments += ('--split', 'evaluation', '--ground-truth')
  run(*arguments, tmp_path / 'a' / 'b')
  error = error_of(capsys, *arguments, tmp_path)
  assert 'holds no prepared dataset; prepare the original files' in error


def test_scores_take_the_place_of_those_of_the_same_file_alone(
  freihand, tmp_path, capsys
):
  for name in 'ab':
    (tmp_path / name).mkdir()
    write_submission(tmp_path / name / 'pred.zip', NOISY, FORMS['freihand'])
  same = ('--ground-truth', freihand, '--protocol', 'freihand', '--out', tmp_path / 'o')
  for _ in range(2):
    run('--predictions', tmp_path / 'a' / 'pred.zip', *same)
  before = (tmp_path / 'o' / 'pred_scores.json').read_bytes()
  error = error_of(capsys, '--predictions', tmp_path / 'b' / 'pred.zip', *same)
  assert 'something else than scores of these predictions' in error
  assert (tmp_path / 'o' / 'pred_scores.json').read_bytes() == before
