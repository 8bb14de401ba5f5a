"""hands.json, the page and what is said of lifted hands."""

import json
import re

import cv2
import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.joint_files.reading import read_joints
from bmc_jax.lift import results
from bmc_jax.plausibility.__main__ import main as judge
from bmc_jax.plausibility.violations import measure_violations
from tests.fixtures.hands import INTRINSICS, degenerate_hands
from tests.fixtures.lifters import lifted_hands, make_results, project

SIDES = np.array([1, 0, 1, 1, 0], bool)


def _without(row):
  """Hands of which one has not been lifted."""
  hands = lifted_hands(4, SIDES)
  lost = (np.arange(5) == row)[:, None]
  return hands._replace(
    joints_3d=np.where(lost[..., None], np.nan, hands.joints_3d),
    keypoints_2d=np.where(lost[..., None], np.nan, hands.keypoints_2d),
    depth_error=np.where(lost, np.nan, hands.depth_error),
  )


def _write(tmp_path, found, notes=(), doubts=()):
  results.write_hands(tmp_path, found, notes, doubts)
  return json.loads((tmp_path / 'hands.json').read_text())


def test_the_file_names_its_units_and_holds_the_hands_as_they_are_seen(tmp_path):
  found = make_results(
    4, SIDES, frames=['a.jpg', 'a.jpg', 7, 8, 9], person=[3, 'b', None, None, None]
  )
  content = _write(tmp_path, found, ['2 pictures without a hand'], ['odd sides'])
  assert content['num_hands'] == 5 and content['notes'] == ['2 pictures without a hand']
  assert content['doubts'] == ['odd sides']
  assert 'metres' in content['units']['joints_3d']
  assert 'pixels' in content['units']['keypoints_2d']
  assert content['joint_order'] == 'canonical' and len(content['joint_names']) == 21
  hands = content['hands']
  assert [hand['frame'] for hand in hands] == ['a.jpg', 'a.jpg', 7, 8, 9]
  assert [hand.get('person') for hand in hands] == [3, 'b', None, None, None]
  assert [hand['hand'] == 'right' for hand in hands] == SIDES.tolist()
  assert [hand['is_right'] for hand in hands] == SIDES.tolist()
  joints = np.array([hand['joints_3d'] for hand in hands])
  np.testing.assert_allclose(joints, found.hands.joints_3d, atol=1e-6)
  np.testing.assert_allclose(
    [hand['joints_3d_relative'] for hand in hands], joints - joints[:, :1], atol=2e-6
  )
  np.testing.assert_allclose(
    project(joints, INTRINSICS), [hand['keypoints_2d'] for hand in hands], atol=0.01
  )
  assert {hand['intrinsics_from'] for hand in hands} == {'given'}
  guessed = make_results(4, SIDES, hands=lifted_hands(4, SIDES, known=False))
  content = _write(tmp_path, guessed)
  assert {hand['intrinsics_from'] for hand in content['hands']} == {'guessed'}


def test_hands_of_another_order_that_all_break_limits_are_told():
  hands = lifted_hands(4, SIDES)
  right = make_results(4, SIDES)
  assert 'joint order' not in ' '.join(right.summary())
  mano = skeleton.reorder(hands.joints_3d, 'canonical', 'mano')
  wrong = make_results(4, SIDES, hands=hands._replace(joints_3d=mano))
  assert '; 0 of them keep all limits' in wrong.summary()[0]
  assert 'joint order' in ' '.join(wrong.summary())


def test_limits_are_those_of_right_hands_whatever_the_side(tmp_path):
  found = make_results(4, SIDES)
  content = _write(tmp_path, found)
  right = np.where(SIDES[:, None, None], 1, [-1, 1, 1]) * found.hands.joints_3d
  broken = measure_violations(1000 * right, found.limits).broken()
  counts = sum(np.asarray(v).reshape(5, -1).sum(axis=1) for v in broken.values())
  assert counts.any()
  assert [len(hand['broken_limits']) for hand in content['hands']] == counts.tolist()
  kept = int(np.sum(counts == 0))
  assert f'; {kept} of them keep all limits (surface).' in found.summary()[0]


def test_other_commands_read_the_file_with_sides_and_unit(tmp_path, capsys):
  found = make_results(4, SIDES, hands=_without(2))
  _write(tmp_path, found)
  read = read_joints(tmp_path / 'hands.json')
  assert read.is_right is not None
  np.testing.assert_array_equal(read.is_right, SIDES)
  np.testing.assert_allclose(read.joints_3d, found.hands.joints_3d, atol=1e-6)
  assert np.isnan(read.joints_3d[2]).all()
  judge([str(tmp_path / 'hands.json'), '--limits', 'surface', '--unit', 'm'])
  printed = capsys.readouterr().out
  assert '5 hands, 1 of them with missing' in printed and '2 right, 2 left' in printed
  assert re.search(r'of 4 hands .* keep all limits', printed)


def test_hands_that_are_not_lifted_are_null_and_counted(tmp_path):
  found = make_results(4, SIDES, hands=_without(2))
  content = _write(tmp_path, found)
  lost = content['hands'][2]
  assert lost['joints_3d'] == lost['joints_3d_relative'] == [[None] * 3] * 21
  assert lost['keypoints_2d'] == [[None] * 2] * 21
  assert lost['depth_error'] == [None] * 21
  assert lost['broken_limits'] == [] and lost['hand'] == 'right'
  assert 'NaN' not in (tmp_path / 'hands.json').read_text()
  assert results.shown_rows(found) == [0, 1, 3, 4]
  lines = found.summary()
  assert (
    '1 hand with fewer than 4 keypoints, or all of them in one place, not lifted.'
    in lines
  )
  # The median over hands 0, 1, 3, 4 of 20, 40, 80 and 100 mm.
  assert 'within 60 mm' in lines[1]


def test_the_summary_counts_hands_and_pictures():
  found = make_results(4, SIDES, frames=[0, 0, 1, 2, 2], bridged=SIDES & False)
  lines = found.summary()
  assert lines[0].startswith('5 hands (3 right, 2 left) in 3 pictures; ')
  assert len(lines) == 2  # nothing is guessed, added or left out
  one = make_results(4, SIDES[:1], bridged=SIDES[:1])
  assert one.summary()[0].startswith('1 hand (1 right, 0 left) in 1 picture; ')
  assert '1 hand put where none was found in between.' in one.summary()
  guessed = make_results(4, SIDES, hands=lifted_hands(4, SIDES, known=False))
  assert guessed.summary()[-1].startswith('The focal length is a guess')


def _page(tmp_path, found, pictures=None):
  results.write_page(tmp_path, found, ['A line <of text>.'], pictures or {})
  return (tmp_path / 'page.html').read_text()


def test_the_page_shows_hands_with_sides_uncertainty_and_pictures(tmp_path):
  found = make_results(4, SIDES, frames=[f'<{i}>.jpg' for i in range(5)])
  image = np.zeros((64, 64, 3), np.uint8)
  text = _page(tmp_path, found, {1: (image, INTRINSICS)})
  assert 'A line &lt;of text&gt;.' in text
  options = re.findall('<option>(.*?)</option>', text)
  assert options[1] == '&lt;1&gt;.jpg, left hand' and len(options) == 5
  assert 'depths within 40 mm (90 %)' in text  # of hand 1
  assert text.count('data:image/jpeg') == 1
  assert 'Shown are' not in text and 'http' not in text


def test_of_many_hands_the_page_shows_some_evenly(tmp_path):
  sides = np.arange(100) % 2 > 0
  found = make_results(4, sides)
  rows = results.shown_rows(found)
  assert len(rows) == results.MAX_SHOWN and rows[0] == 0 and rows[-1] == 99
  assert set(np.diff(rows)) <= {4, 5}
  assert f'Shown are {results.MAX_SHOWN} of 100 hands.' in _page(tmp_path, found)


def test_degenerate_hands_are_written_and_shown(tmp_path):
  hands = np.array(list(degenerate_hands().values()), float) * 0.03 + [0, 0, 0.5]
  sides = np.ones(len(hands), bool)
  found = make_results(4, sides, hands=lifted_hands(4, sides)._replace(joints_3d=hands))
  assert len(_write(tmp_path, found)['hands']) == len(hands)
  assert found.summary() and _page(tmp_path, found)


def test_only_files_of_ours_are_replaced(tmp_path):
  found = make_results(4, SIDES)
  results.check_outputs(tmp_path, [])
  _write(tmp_path, found)
  _page(tmp_path, found)
  results.check_outputs(tmp_path, [])
  _write(tmp_path, found)  # again
  for name in ('hands.json', 'page.html'):
    with pytest.raises(ValueError, match=f'{name} is read, so it cannot be written'):
      results.check_outputs(tmp_path, ['other.json', str(tmp_path / name)])
  photo = tmp_path / 'overlays' / 'a.jpg'
  with pytest.raises(ValueError, match='lies where overlays are written'):
    results.check_outputs(tmp_path, [], [tmp_path / 'a.jpg', photo])
  photo.parent.mkdir()
  cv2.imwrite(str(photo), np.zeros((8, 8, 3), np.uint8))  # mine
  with pytest.raises(ValueError, match='a.jpg .* something else than overlays'):
    results.check_outputs(tmp_path, [], [tmp_path / 'a.jpg'])
  for name, what in (('hands.json', 'lifted hands'), ('page.html', 'pages')):
    path = tmp_path / name
    kept = path.read_text()
    path.write_text('{"mine": 1}')
    with pytest.raises(ValueError, match=f'{name} .* something else than {what}'):
      results.check_outputs(tmp_path, [])
    assert path.read_text() == '{"mine": 1}'
    path.write_text(kept)
