"""Sides that a detector names are compared with the hands."""

import json

import numpy as np
import pytest

from bmc_jax.predict.detector import SideVote
from tests.fixtures.hands import random_hands

HANDS = random_hands(3, 20, spread=10).joints
IS_RIGHT = np.arange(20) % 3 > 0
SEEN = np.where(IS_RIGHT[:, None, None], HANDS, HANDS * [-1, 1, 1])


def test_sides_that_are_all_swapped_are_swapped_back_and_told():
  vote = SideVote()
  found = [vote(not right, hand) for right, hand in zip(IS_RIGHT, SEEN, strict=True)]
  np.testing.assert_array_equal(found, IS_RIGHT)
  assert 'the other side of 20 of 20 hands' in (vote.describe() or '')


def test_sides_are_believed_where_a_few_hands_bend_oddly():
  vote = SideVote()
  odd = np.arange(20) % 7 == 3
  seen = np.where(odd[:, None, None], SEEN * [-1, 1, 1], SEEN)
  found = [vote(right, hand) for right, hand in zip(IS_RIGHT, seen, strict=True)]
  np.testing.assert_array_equal(found, IS_RIGHT)
  assert vote.describe() is None


@pytest.mark.parametrize(
  ('name', 'is_right'), [('hand_graph_cnn_real', False), ('freihand_evaluation', True)]
)
def test_mediapipes_sides_of_real_photos_come_out_right(test_data, name, is_right):
  path = test_data / 'data' / 'detections' / f'{name}.json'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path.name}')
  vote, right = SideVote(), []
  for found in json.loads(path.read_text()).values():
    joints = np.array([[p['x'], p['y'], p['z']] for p in found['worldLandmarks']])
    right.append(vote(found['handedness']['categoryName'] == 'Right', joints))
  assert np.mean(np.array(right) == is_right) > 0.97
  assert vote.describe()
