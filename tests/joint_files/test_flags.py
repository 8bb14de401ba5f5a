"""What commands make of sides, orders and columns that the hands contradict."""

import argparse
import dataclasses
import json

import numpy as np
import pytest

from bmc_jax import limits, skeleton
from bmc_jax.joint_files.flags import add_pose_flags, read_poses
from tests.fixtures.hands import random_hands

HANDS = 0.04 * random_hands(4, 30, spread=10).joints
IS_RIGHT = np.arange(30) % 3 > 0
MIXED = np.where(IS_RIGHT[:, None, None], HANDS, HANDS * [-1, 1, 1])


@pytest.fixture
def read(tmp_path, capsys):
  """Reads hands with sides as a command does; gives them and what is warned of."""

  def read(joints, sides, arguments='', changes=None, **options):
    path = tmp_path / 'hands.json'
    hands = [{'joints': hand} for hand in joints.tolist()]
    if sides is not None:
      hands = [h | {'is_right': bool(s)} for h, s in zip(hands, sides, strict=True)]
    for number, change in (changes or {}).items():
      hands[number] |= change
    path.write_text(json.dumps(hands))
    parser = argparse.ArgumentParser()
    add_pose_flags(parser)
    flags = parser.parse_args(arguments.split())
    options = {'limits': limits.clinical_limits()} | options
    poses = read_poses(str(path), flags, **options)
    return poses, capsys.readouterr().err

  return read


def test_sides_of_a_mirrored_picture_are_told_and_can_be_swapped(read):
  poses, told = read(MIXED, ~IS_RIGHT)
  assert '30 of the 30 hands whose fingers tell their side' in told
  assert 'give --handedness swapped' in told
  np.testing.assert_array_equal(poses.is_right, ~IS_RIGHT)
  for arguments in ('--handedness swapped', '--handedness judged'):
    poses, told = read(MIXED, ~IS_RIGHT, arguments, strict=True)
    assert not told
    np.testing.assert_array_equal(poses.is_right, IS_RIGHT)
    np.testing.assert_allclose(poses.joints_3d, HANDS)


@pytest.mark.parametrize(
  ('sides', 'arguments', 'remedy'),
  [
    (~IS_RIGHT, '', 'give --handedness swapped, or'),
    (IS_RIGHT, '--handedness swapped', 'give --handedness told, or'),
    (~IS_RIGHT, '--handedness told', 'give --handedness swapped, or'),
    (np.ones(30), '', 'give --handedness judged, or'),
    (IS_RIGHT, '--handedness left', 'give --handedness right, or'),
  ],
)
def test_where_limits_are_written_wrong_sides_are_an_error(
  read, sides, arguments, remedy
):
  with pytest.raises(ValueError, match=rf'hands.json: \d+ of the 30 .*{remedy}'):
    read(MIXED, sides, arguments, strict=True)


def test_sides_that_are_asked_for_are_believed_unless_most_hands_contradict(read):
  odd = IS_RIGHT ^ (np.arange(30) % 4 == 0)
  with pytest.raises(ValueError, match='8 of the 30 .*give --handedness judged, or'):
    read(MIXED, odd, strict=True)
  poses, told = read(MIXED, odd, '--handedness told', strict=True)
  assert '8 of the 30 hands' in told and 'give --handedness judged, or' in told
  np.testing.assert_array_equal(poses.is_right, odd)


def test_advice_on_sides_is_not_what_was_done_already(read):
  """Fingers that bend backwards within wide limits: no side is right."""
  wide = limits.clinical_limits()
  wide = dataclasses.replace(wide, hulls=-wide.hulls, curvatures=-wide.curvatures[::-1])
  for arguments, sides in (('', None), ('--handedness judged', IS_RIGHT)):
    with pytest.raises(ValueError, match='other hands, .* right or left, or') as error:
      read(MIXED, sides, arguments, strict=True, limits=wide)
    assert 'swapped' not in str(error.value) and 'judged' not in str(error.value)
  with pytest.raises(ValueError, match='tells no sides: give --handedness judged, r'):
    read(MIXED, None, '--handedness swapped')
  with pytest.raises(ValueError, match='tells no sides: give --handedness judged, r'):
    read(MIXED, None, '--handedness told')


def test_a_single_odd_hand_is_counted_and_no_error(read):
  odd = IS_RIGHT.copy()
  odd[4] = not odd[4]
  _, told = read(MIXED, odd, strict=True)
  assert '1 of the 30 hands' in told and '(hand 4): they may be odd hands' in told
  _, told = read(MIXED, IS_RIGHT, strict=True)
  assert not told


def test_hands_with_missing_joints_have_no_side_and_need_none(read):
  holes = [[None] * 3] * 21
  changes = {2: {'joints': holes, 'is_right': None}, 5: {'joints': holes}}
  poses, _ = read(MIXED, IS_RIGHT, changes=changes)
  right = int(np.delete(IS_RIGHT, [2, 5]).sum())
  assert f'as the file tells: {right} right, {28 - right} left' in poses.describe()
  poses, _ = read(MIXED, IS_RIGHT, '--handedness judged', changes=changes)
  assert f'by the limits: {right} right, {28 - right} left' in poses.describe()


def test_bones_of_no_length_are_told(read):
  hands = MIXED.copy()
  hands[6, 12] = hands[6, 11]
  _, told = read(hands, IS_RIGHT)
  assert 'warning: ' in told and '1 bone of length 0 in 1 of 30 hands' in told


def test_a_given_order_counts_and_what_speaks_against_it_is_told(read):
  mano = skeleton.reorder(MIXED, 'canonical', 'mano')
  with pytest.raises(ValueError, match='mano or ho3d.*name it with --order'):
    read(mano, IS_RIGHT)
  poses, told = read(mano, IS_RIGHT, '--order canonical', strict=True)
  assert 'in the order mano or ho3d, which is probably the right one' in told
  right = IS_RIGHT[:, None, None]
  np.testing.assert_allclose(np.where(right, poses.joints_3d, 0), mano * right)
