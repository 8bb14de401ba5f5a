"""The commands that fit, show and compare limits, and judge hands by them."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from bmc_jax import limits, skeleton
from bmc_jax.joint_files.flags import Poses
from bmc_jax.limits.__main__ import main as limits_main
from bmc_jax.plausibility import judgement, violations
from bmc_jax.plausibility.__main__ import main as plausibility_main
from bmc_jax.report import hulls
from tests.fixtures.hands import random_hands

HANDS = 0.04 * random_hands(7, 200, spread=10).joints
OTHERS = 0.04 * random_hands(8, 150, spread=14).joints


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """A folder with poses and limits, which the commands run in."""
  monkeypatch.chdir(tmp_path)
  np.save('hands.npy', HANDS)
  np.save('others.npy', OTHERS)
  limits.save_limits('fitted.json', limits.fit_limits(HANDS, coverage=0.95))
  return tmp_path


def _fails(capsys, main, arguments) -> str:
  with pytest.raises(SystemExit) as error:
    main(arguments.split())
  assert error.value.code == 2
  message = capsys.readouterr().err
  assert message.startswith('error: ') and message.count('\n') == 1
  return message


def test_fit_writes_what_fit_limits_gives(folder, capsys):
  mixed = np.where((np.arange(200) % 2 == 0)[:, None, None], HANDS, HANDS * [-1, 1, 1])
  mixed[3, 4] = np.nan
  np.save('mixed.npy', 1e3 * skeleton.reorder(mixed, 'canonical', 'mano'))
  limits_main(
    'fit mixed.npy --order mano --unit mm --coverage 0.95 --out new.json'.split()
  )
  text = capsys.readouterr().out
  assert '200 hands, 1 of them with missing joints, left out' in text
  assert '100 right, 99 left' in text, 'of hand 3 nobody knows'
  wanted = limits.fit_limits(np.delete(HANDS, 3, axis=0), coverage=0.95)
  found = limits.load_limits('new.json')
  for name in ('bone_lengths', 'curvatures', 'root_angles'):
    np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-5)
  assert found.metadata.num_poses == 199 and found.metadata.coverage == 0.95


def test_limits_of_a_single_hand_are_written_with_a_word(folder, capsys):
  np.save('one.npy', HANDS[:1])
  limits_main('fit one.npy --out new.json'.split())
  told = capsys.readouterr().err
  assert told.startswith('warning: one.npy: limits of 1 hand admit hardly any other')
  assert limits.load_limits('new.json').metadata.num_poses == 1


def _admitted(joints, each):
  """Slowly: one hand after the other."""
  counts = {name: 0 for name in (*violations.GROUPS, 'all')}
  for hand in joints:
    broken = violations.measure_violations(hand, each).broken()
    kept = {name: not value.any() for name, value in broken.items()}
    for name in kept:
      counts[name] += kept[name]
    counts['all'] += all(kept.values())
  return list(counts.values())


@pytest.mark.slow
def test_diff_counts_hands_as_a_slow_loop_does(folder, capsys):
  limits_main(
    'diff clinical fitted.json --poses others.npy --unit m --out diff.html'.split()
  )
  text = capsys.readouterr().out
  wanted = [
    _admitted(OTHERS, each)
    for each in (limits.clinical_limits(), limits.load_limits('fitted.json'))
  ]
  names = [*violations.GROUPS.values(), 'all limits']
  for name, first, second in zip(names, *wanted, strict=True):
    line = next(line for line in text.splitlines() if line.startswith(name))
    assert re.findall(r'(\d+) \(', line) == [str(first), str(second)]
  assert 0 < wanted[1][2] < 150 and 0 < wanted[1][3] < 150, 'both sides are tested'
  assert 'index PIP joint' in text and 'flexion 0 to 110°' in text
  page = (folder / 'diff.html').read_text()
  assert page.count('class="plot"') == 19 and 'fitted.json (dashed)' in page


def test_diff_marks_what_an_edit_changed_however_small(folder, capsys):
  content = json.loads((folder / 'fitted.json').read_text())
  hulls = content['hulls_flexion_abduction_deg']
  hulls['index']['dip'][0][0] -= 0.4
  content['bone_lengths']['ring']['tip'][1] += 0.001
  content['hull_vertices'] += 3  # the same hulls
  (folder / 'edited.json').write_text(json.dumps(content))
  limits_main('diff fitted.json edited.json --out diff.html'.split())
  rows = capsys.readouterr().out.splitlines()
  changed = [row.split('  ')[0] for row in rows if row.endswith('  yes')]
  assert changed == ['ring DIP-tip length', 'index PIP joint']
  page = (folder / 'diff.html').read_text()
  assert page.count('<td>yes</td>') == 2 and 'limits diff LIMITS LIMITS' in page


@pytest.mark.slow
def test_show_needs_no_other_file_and_draws_every_joint(folder, capsys):
  limits_main('show fitted.json --out page.html --poses hands.npy'.split())
  assert capsys.readouterr().out == 'page.html\n'
  page = (folder / 'page.html').read_text()
  assert page.count('class="plot"') == 19 and page.count('flexion (°)') == 15
  assert not re.search(r'(src|href)="(?!#)', page), 'nothing is fetched'
  shares = re.findall(r'([\d.]+)% inside', page)
  assert len(shares) == 15 and min(map(float, shares)) >= 95


@pytest.mark.slow
def test_plausibility_names_what_is_wrong_with_a_hand(folder, capsys):
  hands = HANDS[:30].copy()
  hands[4, 8] += (
    0.01 * (hands[4, 8] - hands[4, 7]) / np.linalg.norm(hands[4, 8] - hands[4, 7])
  )  # index tip bone, 10 mm too long
  hands[9, 5] = np.nan
  hands[11] = hands[11, 9]
  np.savez('joints.npz', joints_canonical=hands, is_right=np.ones(30))
  limits.save_limits('exact.json', limits.fit_limits(HANDS, coverage=1.0))
  command = 'joints.npz --unit m --limits exact.json --out page.html'
  plausibility_main(f'{command} --out all.json --out all.csv'.split())
  text = capsys.readouterr().out
  assert '30 hands, 1 of them with missing joints, left out' in text
  assert '(all joints at one place) is not judged. 27 of 28 hands' in text
  found = re.search(r'hand 4: index DIP-tip length \+([\d.]+) mm', text)
  scale = np.linalg.norm(hands[4, 10] - hands[4, 9])
  length = np.linalg.norm(hands[4, 8] - hands[4, 7]) / scale
  most = limits.load_limits('exact.json').bone_lengths[1, 1, 3]
  assert float(found[1]) == pytest.approx(1e3 * scale * (length - most), abs=0.01)
  page = (folder / 'page.html').read_text()
  assert 'hand 4' in page and page.count('class="hand blank"') == 2
  _check_verdicts(folder, float(found[1]))
  plausibility_main('joints.npz --limits exact.json'.split())
  assert '% of the reference bone' in capsys.readouterr().out, 'the unit is unknown'


def _check_verdicts(folder, excess):
  """Of hand 4 a bone is too long, hand 9 lacks a joint, hand 11 is a point."""
  content = json.loads((folder / 'all.json').read_text())
  assert content['verdicts_of'] == 'joints.npz' and content['limits'] == 'exact.json'
  hands = content['hands']
  assert [hand['hand'] for hand in hands] == list(range(30))
  expected = ['keeps all limits'] * 30
  expected[4], expected[9] = 'breaks limits', 'joints are missing'
  expected[11] = 'has no size'
  assert [hand['verdict'] for hand in hands] == expected
  assert list(content['counts'].values()) == [27, 1, 1, 1]
  longer = {'limit': 'index DIP-tip length', 'excess': excess, 'unit': 'mm'}
  found = hands[4]['broken'][0]
  assert found == longer | {'excess': pytest.approx(excess, abs=0.01)}
  assert hands[9]['side'] is None and hands[4]['side'] == 'right'
  with open(folder / 'all.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  assert [row['verdict'] for row in rows] == expected
  limits_of = [row['index DIP-tip length (mm)'] for row in rows]
  assert float(limits_of[4]) == pytest.approx(excess, abs=0.01)
  assert limits_of[9] == limits_of[11] == '' == rows[9]['broken'] == rows[9]['side']
  assert len(rows[0]) == 4 + 43 and limits_of[0] == '0' == rows[0]['broken']
  assert int(rows[4]['broken']) == len(hands[4]['broken'])


def test_the_worst_hand_breaks_limits_by_most_and_its_largest_violation_comes_first():
  hands = HANDS[:20].copy()
  root = hands[5, 5] - hands[5, 0]
  along = np.linalg.norm(hands[5, 6:9] - hands[5, 5], axis=-1, keepdims=True)
  hands[5, 6:9] = hands[5, 5] - along * root / np.linalg.norm(root)  # folded back
  tips = hands[9, [4, 8, 12]] - hands[9, [3, 7, 11]]
  hands[9, [4, 8, 12]] += 0.1 * tips
  exact = limits.fit_limits(HANDS, coverage=1.0)
  poses = Poses(hands, np.ones(20, bool), np.ones(20, bool), True, '')
  found = judgement.judge(poses, exact)
  assert found.worst().tolist() == [5, 9]
  assert re.match(r'index MCP joint \+\d+', found.describe(5)[0])
  for hand in (5, 9):
    sizes = [
      float(re.search(r'\+([\d.]+) mm|$', p)[1] or 0) for p in found.describe(hand)
    ]
    lengths = [size for size in sizes if size]
    assert lengths == sorted(lengths, reverse=True)


def test_dots_in_figures_keep_the_share_that_is_outside():
  inside = np.arange(3000) % 10 > 0
  angles = np.full((3000, 2), 30.0)
  angles[inside] = 0
  box = np.radians([[-9.0, -9], [9, -9], [9, 9], [-9, 9]])
  figure = hulls.limits_figure('f', [(2, box)], (angles, inside), 'a hull')
  dots = [
    len(re.findall('M', figure_path))
    for figure_path in re.findall(r'<path d="([^"]*)"[^>]*--s[02]', figure)
  ]
  assert len(dots) == 2 and sum(dots) == 300 and 15 <= min(dots) <= 45


@pytest.mark.slow
def test_hands_of_no_size_are_told_and_need_no_figure(folder, capsys):
  np.save('points.npy', np.zeros((3, 21, 3)))
  plausibility_main('points.npy --limits clinical --out page.html'.split())
  text = capsys.readouterr().out
  assert (
    '3 of no size (all joints at one place) are not judged. No hand could be judged.'
    in text
  )
  assert 'limit  ' not in text, 'no table without rows'
  limits_main('show clinical --poses points.npy --out page.html'.split())


def test_sides_are_told_by_the_limits_where_the_file_does_not(folder, capsys):
  is_right = np.arange(200) % 3 > 0
  np.save('mixed.npy', np.where(is_right[:, None, None], HANDS, HANDS * [-1, 1, 1]))
  plausibility_main('mixed.npy --limits clinical'.split())
  text = capsys.readouterr().out
  assert (
    f'judged by the limits: {is_right.sum()} right, {(~is_right).sum()} left' in text
  )
  plausibility_main('mixed.npy --limits clinical --handedness right'.split())
  assert 'taken as right hands' in capsys.readouterr().out


def test_no_command_writes_over_what_it_reads(folder, capsys):
  limits.save_limits('left.json', _left(limits.load_limits('fitted.json')))
  before = {path.name: path.read_bytes() for path in folder.iterdir()}
  command, check = limits_main, plausibility_main
  for main, arguments in (
    (command, 'fit hands.npy --out ./hands.npy'),
    (command, 'show fitted.json --out fitted.json'),
    (command, 'show clinical --poses hands.npy --out hands.npy'),
    (command, 'diff clinical fitted.json --out fitted.json'),
    (check, 'hands.npy --limits fitted.json --out page.html --out hands.npy'),
    (check, 'hands.npy --limits fitted.json --out page.html --out fitted.json'),
  ):
    assert 'is read, so it cannot be written' in _fails(capsys, main, arguments)
  message = _fails(capsys, command, 'diff fitted.json left.json')
  assert "their handedness differs: 'right' and 'left'" in message
  assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def _left(fitted):
  metadata = dataclasses.replace(fitted.metadata, handedness='left')
  return dataclasses.replace(fitted, metadata=metadata)


def test_mistakes_end_with_one_sentence_and_status_2(folder, capsys):
  fit, show, judge = 'fit hands.npy --out x.json', 'show fitted.json', 'hands.npy'
  command, check = limits_main, plausibility_main
  message = _fails(capsys, command, f'{fit} --unit mm')
  assert 'this looks like metres, not millimetres' in message
  np.save('rhd.npy', skeleton.reorder(HANDS, 'canonical', 'rhd'))
  message = _fails(capsys, command, 'fit rhd.npy --out x.json')
  assert 'longer than in the order rhd' in message and 'with --order' in message
  assert 'coverage is a share' in _fails(capsys, command, f'{fit} --coverage 2')
  message = _fails(capsys, command, f'{show} --out x.html --poses none.csv')
  assert 'There is no file of joints none.csv' in message
  assert 'There is no limits file' in _fails(capsys, check, f'{judge} --limits a.json')
  content = json.loads((folder / 'fitted.json').read_text())
  del content['palm_curvatures']['index-middle']
  (folder / 'fitted.json').write_text(json.dumps(content))
  message = _fails(capsys, check, f'{judge} --limits fitted.json')
  assert 'fitted.json: palm_curvatures > index-middle is missing' in message
  np.save('empty.npy', np.full((3, 21, 3), np.nan))
  message = _fails(capsys, check, 'empty.npy --limits clinical')
  assert 'none of its 3 hands has all 21 joints' in message


def test_limits_of_other_frames_are_fitted_and_not_compared(folder, capsys):
  limits_main('fit hands.npy --frames shortest_arc --out arc.json'.split())
  capsys.readouterr()
  assert limits.load_limits('arc.json').metadata.frames == 'shortest_arc'
  message = _fails(capsys, limits_main, 'diff arc.json fitted.json')
  assert "'shortest_arc' and 'sequential'" in message


def test_no_command_writes_over_what_is_of_another_kind(folder, capsys, monkeypatch):
  (folder / 'notes.html').write_text('<p>my own page</p>')
  (folder / 'other.json').write_text('{"hands": [[[0, 0, 0]]]}')
  before = {path.name: path.read_bytes() for path in folder.iterdir()}
  command, check = limits_main, plausibility_main
  for main, arguments, message in (
    (command, 'show clinical --out fitted.json', 'pages are written as .html or .htm'),
    (command, 'show clinical --out notes.html', 'something else than pages'),
    (command, 'fit hands.npy --out page.html', 'limits are written as .json'),
    (command, 'fit hands.npy --out other.json', 'something else than limits'),
    (check, 'hands.npy --limits clinical --out a.txt', 'pages are written as .html'),
    (check, 'hands.npy --limits clinical --out other.json', 'else than verdicts'),
  ):
    assert message in _fails(capsys, main, arguments)

  def write_half(path, text, **_):
    path.write_bytes(text.encode()[: len(text) // 2])
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(type(folder), 'write_text', write_half)
  told = _fails(capsys, command, 'fit hands.npy --out fitted.json')
  assert 'There is no room to write fitted.json: make room' in told
  assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
