"""Predictions scored by 2D labels alone, through the command."""

import json

import numpy as np
import pytest

from bmc_jax.evaluate.__main__ import main
from bmc_jax.evaluate.submission import FORMS, write_submission
from tests.fixtures import examples

COUNT, SIZE = 6, 40


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
  """Left and right hands with 2D labels; one fingertip is not labelled."""
  rows = [
    examples.make_example(i, size=SIZE, is_right=i % 2 > 0)
    | {'joints_3d': np.zeros((21, 3), np.float32)}
    | {'has_joints_3d': np.zeros(1, np.float32)}
    for i in range(COUNT)
  ]
  rows[0]['visibility'][8] = 0
  return examples.prepare(tmp_path_factory.mktemp('photos'), {'test': rows})


JOINTS = np.stack(
  [examples.make_example(i, size=SIZE)['joints_3d'] for i in range(COUNT)]
)


def _score(photos, folder, joints, *more):
  path = folder / 'pred.zip'
  write_submission(path, joints, FORMS['camera'])
  main(
    [
      *('--predictions', str(path), '--ground-truth', str(photos)),
      *('--protocol', '2d', *map(str, more)),
    ]
  )
  return json.loads((folder / 'pred_scores.json').read_text())['results']


@pytest.mark.slow
def test_hands_of_any_size_that_project_onto_their_labels_have_no_error(
  photos, tmp_path, capsys
):
  joints = 1.5 * JOINTS
  joints[0, 8] += 0.05  # not labelled
  (result,) = _score(photos, tmp_path, joints, '--limits', 'clinical').values()
  assert result['keypoints_2d_px'] == pytest.approx(0, abs=1e-4)
  assert [result[f'pck_2d_{px}px'] for px in (2, 5, 10)] == [100, 100, 100]
  assert result['num_images'] == COUNT and result['num_behind'] == 0
  assert result['hands_within_limits'] == 0 and result['broken_limits'] > 1
  text = capsys.readouterr().out
  assert 'PCK 5 px %' in text and 'broken limits' in text
  assert (tmp_path / 'pred_pck.png').read_bytes().startswith(b'\x89PNG')


def test_errors_are_those_of_the_projected_joints(photos, tmp_path, capsys):
  joints = JOINTS + np.float32([0.01, 0, 0])
  joints[3, 4, 2] = -0.1
  (tmp_path / 'some.txt').write_text('hand_0001\nhand_0002\n')
  subset = ('--subset', f'A={tmp_path / "some.txt"}')
  results = _score(photos, tmp_path, joints, *subset)
  assert 'leave out 1 of 6 hands' in capsys.readouterr().err
  moved = 1.4 * SIZE * 0.01 / JOINTS[..., 2]  # focal length x shift / depth
  wanted = moved[[1, 2]].mean()
  assert results['A']['keypoints_2d_px'] == pytest.approx(wanted, rel=1e-3)
  assert results['all']['num_behind'] == 1
  assert 'broken_limits' not in results['all']


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (('--protocol', '2d', '--allow-reflection'), 'has no meaning where hands are not'),
    (('--protocol', 'rhd'), 'have no 3D labels to score against; --protocol 2d'),
    (('--protocol', 'rhd', '--limits', 'clinical'), '--limits is for --protocol 2d'),
    (('--protocol', '2d', '--limits', 'no.json'), 'no limits file no.json'),
  ],
)
def test_what_does_not_go_together_is_told(
  photos, tmp_path, capsys, arguments, message
):
  write_submission(tmp_path / 'pred.zip', JOINTS, FORMS['camera'])
  files = ['--predictions', str(tmp_path / 'pred.zip'), '--ground-truth', str(photos)]
  with pytest.raises(SystemExit):
    main([*files, *arguments])
  error = capsys.readouterr().err.splitlines()[-1]
  assert error.startswith('error: ') and message in error
