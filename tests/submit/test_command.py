"""Submission files from a checkpoint: sizes, places, sides, and the whole way."""

import json
import shutil

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.console.files import write_json
from bmc_jax.evaluate.__main__ import main as evaluate_main
from bmc_jax.evaluate.ground_truth import GroundTruth, read_prepared
from bmc_jax.evaluate.submission import FORMS, read_predictions, write_submission
from bmc_jax.experiments.row_configs import row_config
from bmc_jax.submit.__main__ import main
from bmc_jax.submit.predictions import to_metres
from bmc_jax.training import trained_row
from bmc_jax.training.loop import train
from tests.fixtures import tiny_config
from tests.fixtures.examples import make_example, prepare
from tests.fixtures.hands import random_hands

COUNT = 6
TRUTH = 0.032 * random_hands(0, COUNT).joints + [0.02, -0.03, 0.6]
IS_RIGHT = np.arange(COUNT) % 2 == 0
LENGTHS = np.linalg.norm(TRUTH[:, 10] - TRUTH[:, 9], axis=-1)
NORMALIZED = TRUTH / LENGTHS[:, None, None]  # a perfect prediction


def _known(joints) -> GroundTruth:
  """What a prepared dataset tells where these of the 21 joints are given."""
  given = np.isin(np.arange(21), joints)
  return GroundTruth(
    joints_3d=np.where(given[:, None], TRUTH, 0),
    # As in HO-3D's evaluation set, a wrist alone does not count as a 3D label.
    visibility=np.tile(given & (given.sum() > 1), (COUNT, 1)).astype(float),
    scale=LENGTHS,
    names=np.arange(COUNT).astype(str),
    intrinsics=None,
    is_right=IS_RIGHT,
  )


WHOLE, WRIST, NOTHING = _known(range(21)), _known([0]), _known([])


def _as_stored(joints):
  """Left hands mirrored back."""
  return np.where(IS_RIGHT[:, None, None], joints, skeleton.mirror(joints))


def test_hands_get_the_size_that_is_known_of_them():
  for truth, scale in (
    (WHOLE, None),
    (NOTHING, LENGTHS),
    (WRIST, None),
    (WRIST, LENGTHS),
  ):
    joints = to_metres(NORMALIZED, truth, scale=scale)
    np.testing.assert_allclose(joints, _as_stored(TRUTH), rtol=1e-5)
  with pytest.raises(ValueError, match='size of 6 of 6 hands is not known: .*--scale'):
    to_metres(NORMALIZED, NOTHING)
  with pytest.raises(ValueError, match=r'the bone \(9, 10\), but .* is \(5, 6\)'):
    to_metres(NORMALIZED, NOTHING, (5, 6), LENGTHS)


def test_a_wrist_that_is_given_is_where_the_hand_is_put():
  moved = NORMALIZED + [1.0, -2.0, 3.0]
  joints = to_metres(moved, WRIST)
  np.testing.assert_allclose(joints[:, 0], _as_stored(TRUTH)[:, 0], rtol=1e-6)
  # Too far away in reference bones means smaller bones at the given depth.
  sizes = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=-1)
  np.testing.assert_allclose(sizes, TRUTH[:, 0, 2] / moved[:, 0, 2], rtol=1e-5)
  # A whole hand is not moved: the place is the network's.
  whole = to_metres(moved, WHOLE)
  assert np.abs(whole[:, 0] - _as_stored(TRUTH)[:, 0]).max() > 0.02


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A workdir with one trained row, and a prepared dataset of both sides."""
  folder = tmp_path_factory.mktemp('submit')
  config = tiny_config.get_config(tiny_config.write_poses(folder / 'poses.npy'))
  config = row_config(config, 'source only')
  config.update({'num_steps': 2, 'optimizer': {'clip_norm': float('inf')}})
  config.data.val = {}
  row_dir = folder / 'run' / 'rows' / 'source_only'
  train(config, row_dir, None)
  write_json(row_dir / 'config.json', json.loads(config.to_json()))
  rows = [make_example(i, size=40, is_right=i % 2 == 0) for i in range(12)]
  weak = [row | {'has_joints_3d': np.float32([0])} for row in rows]
  data = prepare(folder / 'data', {'evaluation': rows, 'weak': weak})
  return folder / 'run', data


def _submit(trained, out, *more):
  run, data = trained
  arguments = ('--workdir', run, '--data', data, '--out', out, *more)
  main([str(argument) for argument in arguments])


def test_a_checkpoint_becomes_a_file_that_is_valid_and_scored(
  trained, tmp_path, capsys
):
  out = tmp_path / 'pred.zip'
  _submit(trained, out, '--format', 'ho3d', '--split', 'evaluation')
  text = capsys.readouterr().out
  assert '12 images.\nThis is no full submission: the challenge has 11524' in text
  validate = f'--validate {out} --format ho3d --count 12'.split()
  main(validate)
  assert 'a valid ho3d file of 12 images' in capsys.readouterr().out
  joints = read_predictions(out, FORMS['ho3d'], 12)
  # The lifter knows the 2D: what it predicts lies on it, also for left hands.
  rows = [make_example(i, size=40, is_right=i % 2 == 0) for i in range(12)]
  for row, hand in zip(rows, joints, strict=True):
    pixels = hand @ row['intrinsics'].T
    np.testing.assert_allclose(
      pixels[:, :2] / pixels[:, 2:], row['keypoints_2d'], atol=0.01
    )
  arguments = f'--predictions {out} --ground-truth {trained[1]} --protocol ho3d'
  evaluate_main([*arguments.split(), '--split', 'evaluation'])
  found = json.loads((tmp_path / 'pred_scores.json').read_text())['results']['all']
  assert found['decomposition']['keypoints_2d_px'] < 0.01
  assert 0 < found['alignments']['procrustes']['epe_mm'] < 100


def test_a_file_of_poor_predictions_is_written_with_a_warning_and_valid(
  trained, tmp_path, capsys, monkeypatch
):
  hands = random_hands(0, 12).joints + [0, 0, 18]
  hands = np.asarray(skeleton.reorder(hands, 'canonical', 'interhand'))
  monkeypatch.setattr('bmc_jax.submit.__main__.predict_hands', lambda *_: hands)
  out = tmp_path / 'pred.zip'
  _submit(trained, out, '--format', 'freihand', '--split', 'evaluation')
  written = capsys.readouterr().err
  main(['--validate', str(out), '--format', 'freihand', '--count', '12'])
  text = capsys.readouterr()
  assert 'a valid freihand file of 12 images' in text.out
  assert text.err == written and 'longer than in the order interhand' in text.err


def _predictions(kind) -> np.ndarray:
  truth = 0.032 * random_hands(1, 40).joints + [0.02, -0.03, 0.6]
  if kind == 'zeros':
    return np.zeros((40, 21, 3))
  if kind == 'mean pose':
    return np.tile((truth - truth[:, :1]).mean(axis=0) + [0, 0, 0.6], (40, 1, 1))
  if kind == 'noise':
    return truth + np.random.default_rng(0).normal(0, 0.045, truth.shape)
  if kind == 'another order':
    return np.asarray(skeleton.reorder(truth, 'canonical', 'interhand'))
  if kind == 'axes':
    return truth * [1, -1, -1]
  return truth


@pytest.mark.parametrize(
  ('kind', 'told'),
  [
    ('good', []),
    ('zeros', ['all joints of each hand lie at one place']),
    ('mean pose', ['may be in another order']),
    ('noise', ['may be in another order']),
    ('another order', ['order interhand, which is probably the right one']),
    ('axes', ['no joint lies before the camera; the axes must be those of OpenCV']),
  ],
)
@pytest.mark.parametrize('packed', [True, False])
def test_poor_hands_are_valid_and_what_looks_wrong_is_told(
  kind, told, packed, tmp_path, capsys
):
  joints = _predictions(kind)
  path = tmp_path / 'pred.zip'
  write_submission(path, joints, FORMS['freihand'])
  if not packed:
    shutil.unpack_archive(path, tmp_path)
    path = tmp_path / 'pred.json'
    told = ['wants it alone in a zip archive', *told]
  main(['--validate', str(path), '--format', 'freihand', '--count', '40'])
  text = capsys.readouterr()
  assert text.out == f'{path}: a valid freihand file of 40 images.\n'
  for sentence in told:
    assert sentence in text.err
  lines = text.err.splitlines()
  assert all(line.startswith(f'warning: {path}: ') for line in lines)
  assert bool(lines) == bool(told)


def test_unlabelled_images_take_their_scale_from_a_file(trained, tmp_path, capsys):
  scale = tmp_path / 'evaluation_scale.json'
  scale.write_text(json.dumps([0.03] * 12))
  arguments = ('--format', 'freihand', '--split', 'weak')
  _submit(trained, tmp_path / 'a.zip', *arguments, '--scale', scale)
  _submit(trained, tmp_path / 'b.zip', *arguments, '--scale', '0.06')
  once, twice = (
    read_predictions(tmp_path / f'{name}.zip', FORMS['freihand'], 12) for name in 'ab'
  )
  np.testing.assert_allclose(twice, 2 * once, atol=2e-7)
  capsys.readouterr()
  for given, message in (
    ((), 'The size of 12 of 12 hands is not known'),
    (('--scale', '30'), 'would measure 30 metres, outside 0.015-0.07'),
    (('--scale', 'nowhere.json'), 'has no nowhere.json'),
    (('--scale', scale, '--row', 'other'), "has no row 'other'; choose with --row"),
  ):
    with pytest.raises(SystemExit) as error:
      _submit(trained, tmp_path / 'c.zip', *arguments, *given)
    assert error.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith('error: ') and text.count('\n') == 1 and message in text
  assert not (tmp_path / 'c.zip').exists()


def test_no_hand_gets_a_size_of_no_hand_or_of_another(trained, tmp_path, capsys):
  arguments = ('--format', 'camera', '--split', 'evaluation')
  scale, out = tmp_path / 'scale.json', tmp_path / 'a.zip'
  for wrong in (30, -0.03, 0):
    scale.write_text(json.dumps([0.03] * 5 + [wrong] + [0.03] * 6))
    with pytest.raises(SystemExit):
      _submit(trained, out, *arguments, '--scale', scale)
    assert f'bone of 1 of 12 hands would measure {wrong} m' in capsys.readouterr().err
  assert not out.exists()
  lengths = read_prepared(trained[1], 'evaluation').scale
  for given, is_told in ((lengths, False), (lengths[::-1], True)):
    scale.write_text(json.dumps(given.tolist()))
    _submit(trained, out, *arguments, '--scale', scale)
    assert ('not those of the 3D labels' in capsys.readouterr().err) == is_told
  with pytest.raises(SystemExit):
    _submit(trained, out, *arguments, '--validate', out)
  assert '--validate checks a file and writes none' in capsys.readouterr().err


def test_a_wrist_behind_the_camera_gives_no_size():
  behind = NORMALIZED * [1, 1, -1]
  with pytest.raises(ValueError, match='wrists of 6 of 6 hands do not lie before'):
    to_metres(behind, WRIST)


def test_a_workdir_without_a_trained_row_is_told(trained, tmp_path, capsys):
  workdir = tmp_path / 'run'
  with pytest.raises(ValueError, match='holds no row of an experiment'):
    trained_row.find_row(workdir, None)
  for name in ('one', 'plus_two'):
    (workdir / 'rows' / name).mkdir(parents=True)
    config = (trained[0] / 'rows' / 'source_only' / 'config.json').read_text()
    (workdir / 'rows' / name / 'config.json').write_text(config)
  with pytest.raises(ValueError, match='more than one row; choose .*: one, plus_two'):
    trained_row.find_row(workdir, None)
  row = trained_row.find_row(workdir, '+ Two')
  with pytest.raises(ValueError, match='is not trained to its end'):
    trained_row.load_row_config(row)
  with pytest.raises(SystemExit):
    main(['--format', 'ho3d', '--workdir', 'x', '--out', 'y.zip'])
  assert '--data is needed' in capsys.readouterr().err
