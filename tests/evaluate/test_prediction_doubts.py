"""Predictions that look wrong are told, and scored as they are."""

import re

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.evaluate.submission import FORMS, write_submission
from tests.fixtures.benchmark_files import (
  COUNT,
  NOISY,
  TRUTH,
  run,
  scores_of,
  warnings_in,
)


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
    (result,) = scores_of(freihand, 'freihand', joints).values()
    assert any(told in line for line in warnings_in(capsys)), told
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
    (result,) = scores_of(freihand, 'freihand', joints).values()
    lines = warnings_in(capsys)
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
    run('--predictions', tmp_path / 'pred.zip', '--ground-truth', prepared, *arguments)
    (line,) = warnings_in(capsys)
    assert f'read with x of left hands negated its {aligned}-aligned error' in line


def test_a_hand_behind_the_camera_is_left_out_of_the_2d_and_depth_errors(
  freihand, capsys, tmp_path
):
  joints = NOISY.copy()
  joints[4, 20, 2] = -0.1
  (tmp_path / 'a.txt').write_text('00000003\n00000005\n')
  found = scores_of(freihand, 'freihand', joints, '--subset', f'A={tmp_path / "a.txt"}')
  text = capsys.readouterr()
  assert 'warning: all: the 2D and depth errors leave out 1 of 12 hands' in text.err
  assert 'warning: A' not in text.err
  assert re.search(r'all \(11\) +\d.*\nA \(2\)', text.out)
  rest = np.arange(COUNT) != 4
  depth = 1000 * np.abs(NOISY - TRUTH)[rest, :, 2].mean()
  assert found['all']['decomposition']['depth_mm'] == pytest.approx(depth, abs=1e-3)
  assert [result['num_behind'] for result in found.values()] == [1, 0]


def test_some_hands_in_another_unit_are_told_and_scored(freihand, capsys):
  joints = NOISY.copy()
  joints[3] *= 1000
  joints[5] += 1e6
  write_submission(freihand.parent / 'pred.zip', joints, FORMS['freihand'])
  capsys.readouterr()
  scores_of(freihand, 'freihand', joints)
  assert '2 of 12 hands, first hand 3, are far larger' in capsys.readouterr().err
