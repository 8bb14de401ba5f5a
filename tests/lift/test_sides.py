"""Sides: as told, unless the file's own 3D hands say the contrary."""

import numpy as np
import pytest

from bmc_jax.lift import sides
from bmc_jax.lift.files import KeypointFile
from tests.fixtures.hands import random_hands

HANDS = 0.03 * random_hands(3, 20, spread=10).joints
TRUE = np.arange(20) % 3 > 0
OWN = np.where(TRUE[:, None, None], HANDS, HANDS * [-1, 1, 1])


def make_file(told, own_3d=None):
  """A file of as many hands, which tells their sides and maybe its own 3D hands."""
  count = len(told)
  return KeypointFile(
    keypoints_2d=np.zeros((count, 21, 2)),
    confidence=np.ones((count, 21)),
    is_right=np.asarray(told, np.int8),
    frames=tuple(range(count)),
    image_sizes=np.full((count, 2), np.nan),
    bbox=np.full((count, 4), np.nan),
    person=(None,) * count,
    own_3d=np.full((count, 21, 3), np.nan) if own_3d is None else own_3d,
    form='MediaPipe',
  )


def _resolve(told, choice='auto', own_3d=None):
  return sides.resolve_sides(make_file(told, own_3d), 'a.json', choice)


def test_told_sides_are_taken():
  for own_3d in (None, OWN):
    found, doubt = _resolve(TRUE, own_3d=own_3d)
    np.testing.assert_array_equal(found, TRUE)
    assert found.dtype == bool and doubt is None


@pytest.mark.parametrize('choice', ['right', 'left'])
def test_a_side_that_is_asked_for_holds_whatever_the_file_tells(choice):
  for told in (TRUE, ~TRUE, np.full(20, -1)):
    found, doubt = _resolve(told, choice, OWN)
    assert (found == (choice == 'right')).all() and found.dtype == bool
    assert doubt is None


def test_sides_of_a_mirrored_picture_are_swapped_and_told():
  found, doubt = _resolve(~TRUE, own_3d=OWN)
  np.testing.assert_array_equal(found, TRUE)
  assert doubt is not None and doubt.startswith('a.json: its own 3D hands contradict')
  assert 'They are swapped; --hand right or left overrules that' in doubt
  swapped, doubt = _resolve(~TRUE, 'swapped', OWN)
  np.testing.assert_array_equal(swapped, TRUE)
  assert doubt is None


def test_hands_without_3d_do_not_count():
  own = OWN.copy()
  own[:, 3] = np.nan
  found, doubt = _resolve(~TRUE, own_3d=own)
  np.testing.assert_array_equal(found, ~TRUE)
  assert doubt is None
  own = np.where((np.arange(20) < 8)[:, None, None], OWN, np.nan)
  np.testing.assert_array_equal(_resolve(~TRUE, own_3d=own)[0], TRUE)


def test_some_contradictions_are_told_and_change_nothing():
  told = np.where(np.arange(20) % 4 == 1, ~TRUE, TRUE)  # a quarter of the hands
  found, doubt = _resolve(told, own_3d=OWN)
  np.testing.assert_array_equal(found, told)
  assert doubt is not None and doubt.endswith('the told sides are taken')
  found, doubt = _resolve(np.r_[~TRUE[:1], TRUE[1:]], own_3d=OWN)
  assert doubt is None  # a single hand may be odd


@pytest.mark.parametrize('choice', ['auto', 'swapped'])
def test_sides_that_nobody_tells_are_asked_for(choice):
  told = np.where(np.arange(20) < 3, -1, TRUE)
  with pytest.raises(
    ValueError, match='a.json does not tell the side of 3 of 20 hands'
  ):
    _resolve(told, choice, OWN)
