"""The command that scores prediction files, on folders as the benchmarks have them."""

import json
import re
import runpy
import sys

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.evaluate import submission
from bmc_jax.evaluate.__main__ import PROTOCOLS, main
from bmc_jax.evaluate.submission import FORMS, write_submission
from tests.fixtures import examples
from tests.fixtures.hands import random_hands

COUNT = 12
TRUTH = 0.032 * random_hands(0, COUNT).joints + [0.02, -0.03, 0.6]
NOISY = TRUTH + np.random.default_rng(1).normal(0, 0.008, TRUTH.shape)
CAMERA = [[480.0, 0, 112], [0, 480, 112], [0, 0, 1]]
FRAMES = [f'SM1/{number:04d}' for number in range(8)] + [f'MPM10/{i}' for i in range(4)]

MANO = list(skeleton.JOINT_ORDERS['mano'])


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
  main([str(argument) for argument in arguments])


def _score(folder, protocol, joints, *more):
  """Writes predictions, scores them; the results that were written beside them."""
  path = folder.parent / 'pred.zip'
  form = FORMS[PROTOCOLS[protocol].form]
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
    row = examples.make_example(index, size=40, is_right=index % 3 > 0)
    row['joints_3d'] = TRUTH[index].astype(np.float32)
    row['keypoints_2d'] = np.zeros((21, 2), np.float32)
    rows.append(row)
  rows[0]['visibility'][16] = 0
  return examples.prepare(tmp_path / 'data', {'evaluation': rows, 'train': rows})


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


def _transposed_camera(folder):
  _dump(folder / 'evaluation_K.json', [np.transpose(CAMERA)] * COUNT)


def _no_numbers(folder):
  (folder / 'evaluation_xyz.json').write_text('[[1, "a"]]')


def _not_finite(folder):
  joints = TRUTH.copy()
  joints[2, 3] = np.inf
  _dump(folder / 'evaluation_xyz.json', joints)


def _changed(change):
  """Writes labels in which `change` has changed an array (12, 21, 3)."""

  def write(folder):
    joints = TRUTH.copy()
    change(joints)
    _dump(folder / 'evaluation_xyz.json', joints)

  return write


def _other_scale(factor, order=1):
  bones = np.linalg.norm(TRUTH[:, 10] - TRUTH[:, 9], axis=-1)
  sizes = factor * np.linspace(1, 1.2, COUNT)
  made = bones * sizes if order == 1 else bones * sizes / sizes[::-1]
  return lambda folder: _dump(folder / 'evaluation_scale.json', made)


WRONG_TRUTH = {
  'scale of millimetres': (_other_scale(1000), 'in 12 of 12 images, first image 0'),
  'negative scale': (_other_scale(-1), 'in 12 of 12 images, first image 0'),
  'scale in another order': (
    _other_scale(1, -1),
    r'in 1\d of 12 images, .* same order',
  ),
  'one hand in millimetres': (
    _changed(lambda joints: np.multiply(joints[7], 1000, out=joints[7])),
    '1 of 12 hands, first hand 7, are far larger than a hand in metres',
  ),
  'one hand of zeros': (
    _changed(lambda joints: joints[7].fill(0)),
    '1 of 12 hands, first hand 7, have a joint that does not lie before the camera',
  ),
  'relative hands': (
    _changed(lambda joints: np.subtract(joints, joints[:, :1].copy(), out=joints)),
    'their joints are relative to one of them',
  ),
  'another order': (
    _changed(lambda joints: joints.__setitem__(..., joints[:, MANO])),
    'is probably the right one',
  ),
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
  'transposed cameras': (_transposed_camera, 'entry 0 is a transposed matrix'),
  'a long number': (
    lambda folder: (folder / 'evaluation_K.json').write_text(f'[{400 * "1"}]'),
    'evaluation_K.json: this is no JSON list of numbers',
  ),
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
  error = fails(freihand, 'freihand', '--subset', 'X=nowhere.txt')
  assert 'There is no file nowhere.txt for the subset X.' in error


def test_a_list_of_frames_of_another_length_is_refused(ho3d, capsys):
  (ho3d / 'evaluation.txt').write_text('SM1/0000\n')
  write_submission(ho3d / 'pred.zip', NOISY, FORMS['ho3d'])
  arguments = ('--ground-truth', ho3d, '--protocol', 'ho3d')
  error = _fails(capsys, '--predictions', ho3d / 'pred.zip', *arguments)
  assert 'names 1 image, but evaluation_xyz.json holds joints of 12' in error


def test_a_wrist_without_a_label_is_refused_where_hands_are_aligned_to_it(
  tmp_path, capsys
):
  rows = [examples.make_example(i, size=40) for i in range(2)]
  rows[1]['visibility'][0] = 0
  rows.append(examples.make_example(2, size=40) | {'has_joints_3d': np.float32([0])})
  folder = examples.prepare(tmp_path / 'data', {'a': rows[:2], 'b': rows[2:]})
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


def _warnings(capsys) -> list[str]:
  lines = capsys.readouterr().err.splitlines()
  return [line for line in lines if line.startswith('warning: ')]


def test_hands_of_another_order_or_axes_are_told_and_scored(freihand, capsys):
  ho3d = skeleton.reorder(NOISY, 'canonical', 'ho3d')
  for joints, told in (
    (ho3d, 'read in the joint order mano or ho3d its root-aligned error would be'),
    (NOISY * [-1, 1, 1], 'read with x negated its root-aligned error would be'),
    (NOISY * [1, -1, 1], 'read with y negated its'),
    (NOISY * [1, 1, -1], 'read with z negated its'),
    (ho3d * [1, -1, -1], 'joint order mano or ho3d and with y and z negated its'),
  ):
    capsys.readouterr()
    (result,) = _score(freihand, 'freihand', joints).values()
    assert any(told in line for line in _warnings(capsys)), told
    error = 1000 * np.linalg.norm(joints - TRUTH, axis=-1).mean()
    assert result['alignments']['none']['epe_mm'] == pytest.approx(error, abs=1e-3)


def test_poor_predictions_are_scored_without_a_guess_at_their_order(freihand, capsys):
  mean = (TRUTH - TRUTH[:, :1]).mean(axis=0) + [0, 0, 0.6]
  noise = np.random.default_rng(2).normal(0, 0.045, TRUTH.shape)
  for joints, told in (
    (NOISY, []),
    (np.tile(mean, (COUNT, 1, 1)), ['middle MCP->PIP bone measures']),
    (
      np.zeros_like(TRUTH),
      ['all joints of each hand lie at one place', 'leave out 12'],
    ),
    (TRUTH + noise, ['middle MCP->PIP bone measures']),
  ):
    capsys.readouterr()
    (result,) = _score(freihand, 'freihand', joints).values()
    lines = _warnings(capsys)
    assert len(lines) == len(told), lines
    for line, text in zip(lines, told, strict=True):
      assert text in line
    error = 1000 * np.linalg.norm(joints - TRUTH, axis=-1).mean()
    assert result['alignments']['none']['epe_mm'] == pytest.approx(error, abs=1e-3)


def test_left_hands_given_as_right_ones_are_told(prepared, tmp_path, capsys):
  left = np.arange(COUNT) % 3 == 0
  joints = np.where(left[:, None, None], TRUTH * [-1, 1, 1], TRUTH)
  for protocol, aligned in (('rhd', 'root'), ('dexter_object', 'centroid')):
    write_submission(tmp_path / 'pred.zip', joints, FORMS['camera'])
    arguments = ('--protocol', protocol, '--split', 'evaluation')
    capsys.readouterr()
    _run('--predictions', tmp_path / 'pred.zip', '--ground-truth', prepared, *arguments)
    (line,) = _warnings(capsys)
    assert f'read with x of left hands negated its {aligned}-aligned error' in line


def test_a_hand_behind_the_camera_is_left_out_of_the_2d_and_depth_errors(
  freihand, capsys, tmp_path
):
  joints = NOISY.copy()
  joints[4, 20, 2] = -0.1
  (tmp_path / 'a.txt').write_text('00000003\n00000005\n')
  found = _score(freihand, 'freihand', joints, '--subset', f'A={tmp_path / "a.txt"}')
  text = capsys.readouterr()
  assert 'warning: all: the 2D and depth errors leave out 1 of 12 hands' in text.err
  assert 'warning: A' not in text.err
  assert re.search(r'all \(11\) +\d.*\nA \(2\)', text.out)
  rest = np.arange(COUNT) != 4
  depth = 1000 * np.abs(NOISY - TRUTH)[rest, :, 2].mean()
  assert found['all']['decomposition']['depth_mm'] == pytest.approx(depth, abs=1e-3)
  assert [result['num_behind'] for result in found.values()] == [1, 0]


def test_original_files_come_before_prepared_ones_below_them(freihand, ho3d, capsys):
  row = examples.make_example(0, size=40)
  for folder, protocol in ((freihand, 'freihand'), (ho3d, 'ho3d')):
    examples.prepare(folder / 'tfds', {'evaluation': [row]})
    (result,) = _score(folder, protocol, TRUTH).values()
    assert result['num_images'] == COUNT
    (folder / 'evaluation_xyz.json').unlink()
    arguments = ('--ground-truth', folder, '--protocol', protocol)
    error = _fails(capsys, '--predictions', folder.parent / 'pred.zip', *arguments)
    assert 'has no evaluation_xyz.json; name the folder' in error


def test_prepared_data_are_not_looked_for_in_deep_folders(prepared, tmp_path, capsys):
  (tmp_path / 'a' / 'b').mkdir(parents=True)
  (tmp_path / 'data').rename(tmp_path / 'a' / 'b' / 'data')
  write_submission(tmp_path / 'pred.zip', TRUTH, FORMS['camera'])
  arguments = ('--predictions', tmp_path / 'pred.zip', '--protocol', 'rhd')
  arguments += ('--split', 'evaluation', '--ground-truth')
  _run(*arguments, tmp_path / 'a' / 'b')
  error = _fails(capsys, *arguments, tmp_path)
  assert 'holds no prepared dataset; prepare the original files' in error


def test_a_subset_counts_each_image_once(freihand, capsys, tmp_path):
  (tmp_path / 'x.txt').write_text('00000003 00000001 00000003')
  (tmp_path / 'y.txt').write_text('00000003')
  write_submission(tmp_path / 'pred.zip', NOISY, FORMS['freihand'])
  arguments = ('--predictions', tmp_path / 'pred.zip', '--protocol', 'freihand')
  arguments += ('--ground-truth', freihand, '--subset')
  error = _fails(capsys, *arguments, f'X={tmp_path / "x.txt"}')
  assert "x.txt: the image '00000003' is named 2 times; name each image once" in error
  again = f'Y={tmp_path / "y.txt"}'
  error = _fails(capsys, *arguments, again, '--subset', again)
  assert '--subset Y is given twice' in error


def test_ho3d_labels_in_another_order_are_refused_with_the_order_named(ho3d, capsys):
  _dump(ho3d / 'evaluation_xyz.json', TRUTH * [1, -1, -1])
  write_submission(ho3d.parent / 'pred.zip', NOISY, FORMS['ho3d'])
  arguments = ('--ground-truth', ho3d, '--protocol', 'ho3d')
  error = _fails(capsys, '--predictions', ho3d.parent / 'pred.zip', *arguments)
  assert "evaluation_xyz.json: in the joint order 'ho3d' the bones are" in error
  assert 'longer than in the order canonical' in error


def test_some_hands_in_another_unit_are_told_and_scored(freihand, capsys):
  joints = NOISY.copy()
  joints[3] *= 1000
  joints[5] += 1e6
  write_submission(freihand.parent / 'pred.zip', joints, FORMS['freihand'])
  capsys.readouterr()
  _score(freihand, 'freihand', joints)
  assert '2 of 12 hands, first hand 3, are far larger' in capsys.readouterr().err


def test_scores_take_the_place_of_those_of_the_same_file_alone(
  freihand, tmp_path, capsys
):
  for name in 'ab':
    (tmp_path / name).mkdir()
    write_submission(tmp_path / name / 'pred.zip', NOISY, FORMS['freihand'])
  same = ('--ground-truth', freihand, '--protocol', 'freihand', '--out', tmp_path / 'o')
  for _ in range(2):
    _run('--predictions', tmp_path / 'a' / 'pred.zip', *same)
  before = (tmp_path / 'o' / 'pred_scores.json').read_bytes()
  error = _fails(capsys, '--predictions', tmp_path / 'b' / 'pred.zip', *same)
  assert 'something else than scores of these predictions' in error
  assert (tmp_path / 'o' / 'pred_scores.json').read_bytes() == before


def test_cameras_of_pictures_of_another_size_are_told(freihand, capsys):
  cameras = np.array([CAMERA] * COUNT)
  cameras[3:, :2] *= 0.3
  _dump(freihand / 'evaluation_K.json', cameras)
  _score(freihand, 'freihand', NOISY)
  told = capsys.readouterr().err
  assert 'evaluation_K.json: 9 of 12 cameras look wrong, first entry 3' in told
