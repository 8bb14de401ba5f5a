"""The command that scores prediction files, on folders as the benchmarks have them."""

import json
import re
import runpy
import sys

import numpy as np
import pytest

from bmc_jax import evaluate_command, skeleton, submission
from bmc_jax.submission import FORMS, write_submission
from tests import fixtures_data
from tests.fixtures_hands import random_hands

COUNT = 12
TRUTH = 0.032 * random_hands(0, COUNT).joints + [0.02, -0.03, 0.6]
NOISY = TRUTH + np.random.default_rng(1).normal(0, 0.008, TRUTH.shape)
CAMERA = [[480.0, 0, 112], [0, 480, 112], [0, 0, 1]]
FRAMES = [f'SM1/{number:04d}' for number in range(8)] + [f'MPM10/{i}' for i in range(4)]


def _dump(path, values):
  path.write_text(json.dumps(np.asarray(values).tolist()))


@pytest.fixture
def freihand(tmp_path):
  folder = tmp_path / 'FreiHAND_pub_v2'
  folder.mkdir()
  _dump(folder / 'evaluation_xyz.json', TRUTH)
  _dump(folder / 'evaluation_K.json', [CAMERA] * COUNT)
  scale = np.linalg.norm(TRUTH[:, 10] - TRUTH[:, 9], axis=-1)
  _dump(folder / 'evaluation_scale.json', scale)
  return folder


@pytest.fixture
def ho3d(tmp_path):
  folder = tmp_path / 'HO3D_v2'
  folder.mkdir()
  made = submission.to_form(TRUTH, FORMS['ho3d'])
  _dump(folder / 'evaluation_xyz.json', made)
  (folder / 'evaluation.txt').write_text('\n'.join(FRAMES) + '\n')
  return folder


def _run(*arguments) -> None:
  evaluate_command.main([str(argument) for argument in arguments])


def _score(folder, protocol, joints, *more):
  """Writes predictions, scores them; the results that were written beside them."""
  path = folder.parent / 'pred.zip'
  form = FORMS[evaluate_command.PROTOCOLS[protocol].form]
  write_submission(path, joints, form)
  _run('--predictions', path, '--ground-truth', folder, '--protocol', protocol, *more)
  return json.loads((folder.parent / 'pred_scores.json').read_text())['results']


def _fails(capsys, *arguments) -> str:
  capsys.readouterr()  # TFDS draws bars while it prepares
  with pytest.raises(SystemExit) as error:
    _run(*arguments)
  assert error.value.code == 2
  message = capsys.readouterr().err
  assert message.startswith('error: ') and message.count('\n') == 1, message
  return message


def test_perfect_freihand_predictions_score_0_mm_and_an_area_of_1(freihand):
  (result,) = _score(freihand, 'freihand', TRUTH).values()
  assert result['num_images'] == COUNT
  assert list(result['alignments']) == ['none', 'scale', 'procrustes']
  for score in result['alignments'].values():
    assert score['epe_mm'] < 1e-9
    assert score['auc_0_50'] == pytest.approx(1, abs=1e-12)
  assert max(result['decomposition'].values()) < 1e-3


def test_figures_are_printed_and_drawn(freihand, capsys):
  (result,) = _score(freihand, 'freihand', NOISY).values()
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
  results = _score(ho3d, 'ho3d', NOISY, '--subset', f'EXTRAP={tmp_path}/extrap.txt')
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
  (proper,) = _score(freihand, 'freihand', mirrored).values()
  (allowed,) = _score(freihand, 'freihand', mirrored, '--allow-reflection').values()
  assert proper['alignments']['procrustes']['epe_mm'] > 3
  assert allowed['alignments']['procrustes_reflected']['epe_mm'] < 1e-3


@pytest.fixture
def prepared(tmp_path):
  """Left and right hands; the ring fingertip of the first is not labelled."""
  rows = []
  for index in range(COUNT):
    row = fixtures_data.make_example(index, size=40, is_right=index % 3 > 0)
    row['joints_3d'] = TRUTH[index].astype(np.float32)
    row['keypoints_2d'] = np.zeros((21, 2), np.float32)
    rows.append(row)
  rows[0]['visibility'][16] = 0
  return fixtures_data.prepare(tmp_path / 'data', {'evaluation': rows, 'train': rows})


@pytest.mark.parametrize('protocol', ['rhd', 'stb', 'dexter_object'])
def test_prepared_data_are_scored_with_left_hands_as_they_are(
  prepared, tmp_path, protocol
):
  joints = TRUTH.copy()
  joints[0, 16] += 0.5  # not labelled
  write_submission(tmp_path / 'pred.zip', joints, FORMS['camera'])
  arguments = ('--protocol', protocol, '--split', 'evaluation')
  _run('--predictions', tmp_path / 'pred.zip', '--ground-truth', prepared, *arguments)
  found = json.loads((tmp_path / 'pred_scores.json').read_text())['results']['all']
  for score in found['alignments'].values():
    assert score['epe_mm'] < 1e-3  # labels are stored in float32
    assert score['auc_20_50'] == pytest.approx(1)
  assert max(found['decomposition'].values()) < 1e-3


def test_root_relative_predictions_are_scored_without_their_place(prepared, tmp_path):
  write_submission(tmp_path / 'pred.zip', TRUTH - TRUTH[:, :1], FORMS['camera'])
  arguments = ('--protocol', 'rhd', '--split', 'evaluation', '--out', tmp_path / 'new')
  _run('--predictions', tmp_path / 'pred.zip', '--ground-truth', prepared, *arguments)
  found = json.loads((tmp_path / 'new' / 'pred_scores.json').read_text())
  assert found['results']['all']['alignments']['root']['epe_mm'] < 1e-3
  assert found['results']['all']['decomposition'] is None


def test_real_labels_scored_against_themselves_have_no_error(test_data, tmp_path):
  folder = test_data / 'data' / 'freihand_layout'
  joints = np.array(json.loads((folder / 'training_xyz.json').read_text()))
  write_submission(tmp_path / 'pred.zip', joints, FORMS['freihand'])
  arguments = ('--protocol', 'freihand', '--split', 'training')
  _run('--predictions', tmp_path / 'pred.zip', '--ground-truth', folder, *arguments)
  (found,) = json.loads((tmp_path / 'pred_scores.json').read_text())['results'].values()
  for score in found['alignments'].values():
    assert score['epe_mm'] < 1e-6
    assert score['auc_0_50'] == pytest.approx(1, abs=1e-12)
  assert found['decomposition']['keypoints_2d_px'] < 1e-3


def _wrong_scale(folder):
  _dump(folder / 'evaluation_scale.json', np.full(5, 0.03))


def _wrong_camera(folder):
  _dump(folder / 'evaluation_K.json', [[480, 480]] * COUNT)


def _no_numbers(folder):
  (folder / 'evaluation_xyz.json').write_text('[[1, "a"]]')


def _not_finite(folder):
  joints = TRUTH.copy()
  joints[2, 3] = np.inf
  _dump(folder / 'evaluation_xyz.json', joints)


WRONG_TRUTH = {
  'scale file': (
    lambda folder: (folder / 'evaluation_scale.json').unlink(),
    'FreiHAND_pub_v2 has no evaluation_scale.json; name the folder',
  ),
  'joints file': (
    lambda folder: (folder / 'evaluation_xyz.json').unlink(),
    'FreiHAND_pub_v2 has no evaluation_xyz.json; name the folder',
  ),
  'count': (_wrong_scale, 'evaluation_scale.json is about 5 images, not 12'),
  'shape': (_wrong_camera, r'shape \(12, 2\), expected \(N, 3, 3\), N images'),
  'content': (_no_numbers, 'evaluation_xyz.json: this is no JSON list of numbers'),
  'infinity': (_not_finite, 'evaluation_xyz.json: a number is not finite'),
}


@pytest.mark.parametrize('kind', WRONG_TRUTH)
def test_wrong_ground_truth_is_told_in_one_sentence(freihand, capsys, kind):
  damage, message = WRONG_TRUTH[kind]
  damage(freihand)
  write_submission(freihand / 'pred.zip', NOISY, FORMS['freihand'])
  arguments = ('--ground-truth', freihand, '--protocol', 'freihand')
  error = _fails(capsys, '--predictions', freihand / 'pred.zip', *arguments)
  assert re.search(message, error)
  assert not list(freihand.glob('pred_*'))


def test_wrong_arguments_are_told_in_one_sentence(freihand, prepared, capsys, tmp_path):
  pred = tmp_path / 'pred.zip'
  write_submission(pred, NOISY, FORMS['camera'])

  def fails(folder, protocol, *more) -> str:
    arguments = ('--ground-truth', folder, '--protocol', protocol, *more)
    return _fails(capsys, '--predictions', pred, *arguments)

  assert 'no folder of ground truth' in fails(tmp_path / 'nowhere', 'stb')
  assert 'holds no prepared dataset; prepare' in fails(freihand, 'stb')
  assert '12 images, but there are 24 images' in fails(prepared, 'rhd')
  assert "no split 'tset'" in fails(prepared, 'rhd', '--split', 'tset')
  assert 'write NAME=FILE' in fails(freihand, 'freihand', '--subset', 'x.txt')
  (tmp_path / 'x.txt').write_text('00000003\n3\n')  # the first is an image
  subset = ('--subset', f'X={tmp_path}/x.txt')
  assert "'3' is none of the images" in fails(freihand, 'freihand', *subset)
  assert 'nowhere.txt' in fails(freihand, 'freihand', '--subset', 'X=nowhere.txt')


def test_a_list_of_frames_of_another_length_is_refused(ho3d, capsys):
  (ho3d / 'evaluation.txt').write_text('SM1/0000\n')
  write_submission(ho3d / 'pred.zip', NOISY, FORMS['ho3d'])
  arguments = ('--ground-truth', ho3d, '--protocol', 'ho3d')
  error = _fails(capsys, '--predictions', ho3d / 'pred.zip', *arguments)
  assert 'names 1 images, but evaluation_xyz.json holds joints of 12' in error


def test_a_wrist_without_a_label_is_refused_where_hands_are_aligned_to_it(
  tmp_path, capsys
):
  rows = [fixtures_data.make_example(i, size=40) for i in range(2)]
  rows[1]['visibility'][0] = 0
  rows.append(
    fixtures_data.make_example(2, size=40) | {'has_joints_3d': np.float32([0])}
  )
  folder = fixtures_data.prepare(tmp_path / 'data', {'a': rows[:2], 'b': rows[2:]})
  pred = tmp_path / 'pred.zip'
  joints = np.array([row['joints_3d'] for row in rows])
  write_submission(pred, joints[:2], FORMS['camera'])
  arguments = ('--predictions', pred, '--ground-truth', folder, '--protocol', 'stb')
  error = _fails(capsys, *arguments, '--split', 'a')
  assert '1 of 2 images have no label of joint 0 (wrist), which STB aligns' in error
  error = _fails(capsys, *arguments, '--split', 'b')
  assert '1 of 1 examples have no 3D labels to score against' in error


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


def test_hands_of_another_order_are_told(freihand, capsys):
  pred = freihand / 'pred.json'
  joints = skeleton.reorder(NOISY, 'canonical', 'ho3d').tolist()
  pred.write_text(json.dumps([joints, np.zeros((COUNT, 778, 3)).tolist()]))
  arguments = ('--ground-truth', freihand, '--protocol', 'freihand')
  error = _fails(capsys, '--predictions', pred, *arguments)
  assert 'longer than in the order mano or ho3d, which is probably the right' in error
