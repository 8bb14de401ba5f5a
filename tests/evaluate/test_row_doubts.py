"""Predictions of other rows, and relative ones, are told; honest ones are not."""

import json
import re

import numpy as np
import pytest

from bmc_jax.evaluate import row_doubts
from bmc_jax.evaluate.__main__ import main
from bmc_jax.evaluate.submission import FORMS, write_submission
from tests.fixtures.hands import random_hands

COUNT = 60
TRUTH = 32 * random_hands(0, COUNT).joints + [20, -30, 600]  # mm
RNG = np.random.default_rng(1)
NOISY = TRUTH + RNG.normal(0, 8, TRUTH.shape)
LABELLED = np.ones((COUNT, 21), bool)
CAMERA = np.array([[480.0, 0, 112], [0, 480, 112], [0, 0, 1]])


def _find(hands, truth=TRUTH, unit='mm'):
  return row_doubts.find(hands, truth, np.ones(hands.shape[:2], bool), unit)


ROWS = {
  'reversed': (np.arange(COUNT)[::-1], 'from the last row to the first'),
  'one missing': (np.minimum(np.arange(COUNT) + 1, COUNT - 1), 'one row earlier'),
  'one too many': (np.maximum(np.arange(COUNT) - 1, 0), 'one row later'),
  'shuffled': (RNG.permutation(COUNT), 'nearly all hands are far closer to the truth'),
}


def _project(hands):
  points = hands @ CAMERA.T
  return points[..., :2] / points[..., 2:]


@pytest.mark.parametrize('kind', ROWS)
def test_hands_of_other_rows_are_told_in_space_and_in_the_image(kind):
  rows, told = ROWS[kind]
  for doubts in (
    _find(NOISY[rows]),
    _find(_project(NOISY[rows]), _project(TRUTH), 'px'),
  ):
    assert len(doubts) == 1 and told in doubts[0]
    assert doubts[0].endswith('of the ground truth, as its lists name them')


@pytest.mark.parametrize('step', [-1, 1])
@pytest.mark.parametrize('start', [0, 20, 45])
def test_rows_that_slip_in_a_part_of_the_file_are_told(step, start):
  rows = np.arange(COUNT)
  rows[start:] = np.clip(rows[start:] + step, 0, COUNT - 1)
  for slipped in (rows, COUNT - 1 - rows[::-1]):  # the end, and the beginning
    for doubts in (
      _find(NOISY[slipped]),
      _find(_project(NOISY[slipped]), _project(TRUTH), 'px'),
    ):
      assert len(doubts) == 1 and 'read one row ' in doubts[0]
    (told,) = _find(NOISY[slipped])
    if start == 20:
      moved = np.flatnonzero(slipped != np.arange(COUNT))
      first, last = (int(text) for text in re.findall(r'row (\d+)', told)[:2])
      assert abs(first - moved[0]) <= 1 and abs(last - moved[-1]) <= 1


def test_the_errors_that_are_told_are_those_of_either_order():
  (told,) = _find(NOISY[::-1])

  def error(hands):
    gap = hands - TRUTH
    gap -= gap.mean(axis=1, keepdims=True)
    return np.linalg.norm(gap, axis=-1).mean()

  assert f'be {error(NOISY):.1f} mm, not {error(NOISY[::-1]):.1f} mm' in told


def test_poor_predictions_are_not_taken_for_those_of_other_rows():
  centred = TRUTH - TRUTH.mean(axis=1, keepdims=True)
  mean = np.broadcast_to(centred.mean(axis=0), TRUTH.shape)
  for hands in (
    NOISY,
    mean,
    centred[RNG.integers(0, 3, COUNT)],  # of three poses
    RNG.normal(0, 40, TRUTH.shape),
    0.4 * centred + 0.6 * mean,
    np.zeros_like(TRUTH),
    np.where(np.arange(COUNT)[:, None, None] < 40, NOISY, mean),
  ):
    assert _find(hands) == []
  video = np.repeat(TRUTH[:6], 10, axis=0) + RNG.normal(0, 0.5, TRUTH.shape)
  assert _find(video + RNG.normal(0, 8, TRUTH.shape), video) == []
  unlabelled = row_doubts.find(NOISY[::-1], TRUTH, ~LABELLED, 'mm')
  assert unlabelled == []


def _warnings(tmp_path, capsys, joints):
  folder = tmp_path / 'FreiHAND_pub_v2'
  folder.mkdir(exist_ok=True)
  truth = TRUTH / 1e3
  scale = np.linalg.norm(truth[:, 10] - truth[:, 9], axis=-1)
  for name, values in (('xyz', truth), ('K', [CAMERA] * COUNT), ('scale', scale)):
    path = folder / f'evaluation_{name}.json'
    path.write_text(json.dumps(np.asarray(values).tolist()))
  write_submission(tmp_path / 'pred.zip', joints, FORMS['freihand'])
  arguments = ['--ground-truth', str(folder), '--protocol', 'freihand']
  main(['--predictions', str(tmp_path / 'pred.zip'), *arguments])
  return [line for line in capsys.readouterr().err.splitlines() if 'warning' in line]


@pytest.mark.slow
def test_the_command_tells_relative_hands_and_other_rows(tmp_path, capsys):
  hands = NOISY / 1e3
  assert _warnings(tmp_path, capsys, hands) == []
  (told,) = _warnings(tmp_path, capsys, hands[::-1])
  assert 'read from the last row to the first' in told
  for relative in (hands - hands[:, :1], hands - hands[:, 9:10]):
    told, *others = _warnings(tmp_path, capsys, relative)
    assert 'the camera, at 0, 0, 0, lies within most hands' in told
    assert 'leave out 60 of 60 hands' in ''.join(others)
