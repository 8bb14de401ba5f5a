"""The joint order of an export, from the names of its keypoints."""

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.joint_files import names as keypoint_names

CANONICAL = list(skeleton.JOINT_NAMES)
FINGERS = ('thumb', 'index', 'middle', 'ring', 'little')
MEDIAPIPE = ['WRIST', *(f'THUMB_{part}' for part in ('CMC', 'MCP', 'IP', 'TIP'))] + [
  f'{finger}_{part}'
  for finger in ('INDEX_FINGER', 'MIDDLE_FINGER', 'RING_FINGER', 'PINKY')
  for part in ('MCP', 'PIP', 'DIP', 'TIP')
]
WHOLEBODY = ['left_hand_root'] + [
  f'left_{finger}{number}'
  for finger in ('thumb', 'forefinger', 'middle_finger', 'ring_finger', 'pinky_finger')
  for number in (1, 2, 3, 4)
]
CAMEL = ['Wrist'] + [
  f'{finger}{part}'
  for finger in ('Thumb', 'Index', 'Middle', 'Ring', 'Pinky')
  for part in ('Mcp', 'Pip', 'Dip', 'Tip')
]
HANDS_2017 = ['wrist', *(f'T{part}' for part in ('MCP', 'PIP', 'DIP', 'TIP'))] + [
  f'{finger}{part}' for finger in 'IMRP' for part in ('MCP', 'PIP', 'DIP', 'TIP')
]
MIXAMO = ['RightHand'] + [
  f'RightHand{finger}{number}'
  for finger in ('Thumb', 'Index', 'Middle', 'Ring', 'Pinky')
  for number in (1, 2, 3, 4)
]
PHALANXES = ['Wrist'] + [
  f'{finger} {part}'
  for finger in FINGERS
  for part in (
    ('metacarpal', 'proximal', 'distal', 'tip')
    if finger == 'thumb'
    else ('proximal', 'intermediate', 'distal', 'tip')
  )
]
FROM_ZERO = ['wrist', *(f'{finger} {i}' for finger in FINGERS for i in range(4))]


@pytest.mark.parametrize(
  'names',
  [
    *(CANONICAL, MEDIAPIPE, WHOLEBODY, CAMEL, FROM_ZERO),
    *(HANDS_2017, MIXAMO, PHALANXES),
  ],
)
def test_usual_names_are_understood(names):
  assert keypoint_names.canonical_order(names) == tuple(range(21))
  # Whatever the order in which they come.
  mixed = np.random.default_rng(0).permutation(21)
  order = keypoint_names.canonical_order([names[i] for i in mixed])
  assert order == tuple(np.argsort(mixed))


@pytest.mark.parametrize('order', sorted(skeleton.JOINT_ORDERS))
def test_named_keypoints_come_out_as_by_the_table_of_orders(order):
  # In such an order, place p has the canonical joint j where table[j] = p.
  table = np.array(skeleton.JOINT_ORDERS[order])
  names = [skeleton.JOINT_NAMES[j] for j in np.argsort(table)]
  assert keypoint_names.canonical_order(names) == tuple(table)


@pytest.mark.parametrize('form', ['{}', 'kp_{}', 'joint {} (hand)'])
@pytest.mark.parametrize('start', [0, 1])
def test_numbers_are_those_of_canonical_joints_wherever_they_stand(form, start):
  numbers = np.random.default_rng(0).permutation(21)
  names = [form.format(number + start) for number in numbers]
  assert keypoint_names.canonical_order(names) == tuple(np.argsort(numbers))


@pytest.mark.parametrize(
  'names',
  [
    [str(i) for i in range(2, 23)],
    [str(i // 2) for i in range(21)],
    [f'{"ab"[i % 2]}{i}' for i in range(21)],
    [chr(97 + i) for i in range(21)],
    [''] * 21,
  ],
)
def test_names_that_say_nothing_do_not_decide_by_their_place(names):
  with pytest.raises(ValueError, match='do not tell the joints; name the keypoints as'):
    keypoint_names.canonical_order(names)


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    ({3: 'elbow'}, "the keypoint name 'elbow' is not understood"),
    ({0: 'palm'}, "the keypoint name 'palm' is not understood"),
    ({5: 'index_pip'}, "'index_pip' means the same as another"),
    ({5: 'thumb_9'}, 'four joints for each'),
    ({0: 'index_0'}, 'not those of a wrist'),
  ],
)
def test_names_that_contradict_each_other_are_refused(change, expected):
  names = [change.get(i, name) for i, name in enumerate(CANONICAL)]
  with pytest.raises(ValueError, match=expected):
    keypoint_names.canonical_order(names)
