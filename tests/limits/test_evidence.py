"""What hands tell of their order, side and third numbers, against what is said."""

import warnings

import numpy as np
import pytest
import scipy.io

from bmc_jax import limits, skeleton
from bmc_jax.limits import depths, evidence
from tests.fixtures.hands import as_users_call, random_hands

HANDS = random_hands(3, 200, spread=10).joints
OTHER_ORDERS = ('mano', 'rhd', 'stb', 'interhand', 'ait')


def _fit(joints, **options):
  with as_users_call():
    return limits.fit_limits(joints, **options)


@pytest.mark.parametrize('order', OTHER_ORDERS)
@pytest.mark.parametrize('is_named', [True, False])
def test_limits_are_not_fitted_on_hands_in_another_order(order, is_named):
  joints, said = HANDS, order
  if not is_named:
    joints, said = skeleton.reorder(HANDS, 'canonical', order), 'canonical'
  with pytest.raises(ValueError, match='is probably the right one: give '):
    _fit(joints, joint_order=said)


def test_who_insists_on_an_order_gets_limits_of_it():
  mano = skeleton.reorder(HANDS, 'canonical', 'mano')
  # In a wrong order nobody knows the sides: of them it is only warned, too.
  with pytest.warns(UserWarning) as told:
    fitted = _fit(mano, believe_order=True)
  ours = [one.message for one in told if one.category is UserWarning]
  order, sides = map(str, ours)
  assert 'which is probably the right one' in order and 'of the other side do' in sides
  lengths = np.linalg.norm(mano[:, 1] - mano[:, 0], axis=-1)
  scale = np.linalg.norm(mano[:, 10] - mano[:, 9], axis=-1)
  assert fitted.bone_lengths[0, 0, 0] == pytest.approx(np.min(lengths / scale), rel=0.1)


@pytest.mark.parametrize(
  'sides', [np.ones(200), np.arange(200) % 5 > 0], ids=['all left', 'left among right']
)
def test_limits_are_not_fitted_on_hands_of_the_other_side(sides):
  left = np.where(sides[:, None, None], HANDS * [-1, 1, 1], HANDS)
  if not sides.all():
    left = np.where(sides[:, None, None], HANDS, HANDS * [-1, 1, 1])
  with pytest.raises(ValueError, match='of the other side do .*: correct is_right'):
    _fit(left)


def test_a_few_hands_of_the_other_side_are_named_in_a_warning():
  some = HANDS.copy()
  some[[7, 30]] *= [-1, 1, 1]
  with pytest.warns(UserWarning, match=r'^joints_3d: 2 of the 200 .*\(hands 7, 30\)'):
    _fit(some)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    _fit(some, is_right=~np.isin(np.arange(200), [7, 30]))


def _real_sets(test_data):
  """Right hands by name, in metres; each set in its own order of frames."""
  folder = test_data / 'data' / 'poses'
  paths = [folder / f'{name}_joints.npy' for name in ('stb_train', 'rhd_eval')]
  paths.append(folder / 'dexycb_subjects01-08.npz')
  photos = test_data / 'data/hand_graph_cnn_real/real_world_testset/pose_gt.mat'
  for path in (*paths, photos):
    if not path.is_file():
      pytest.skip(f'no real samples: there is no file {path.name}')
  videos = np.load(paths.pop())
  hands = {path.stem: np.load(path) for path in paths}
  joints = skeleton.reorder(videos['joints_ho3d'], 'ho3d')
  right = videos['side_is_right'][:, None, None] > 0
  hands['dexycb'] = np.where(right, joints, skeleton.mirror(joints))
  hands['photos'] = scipy.io.loadmat(photos)['pose_gt'] / 100 * [-1, 1, 1]
  return {name: joints.astype(np.float64) for name, joints in hands.items()}


def _origins(hands):
  """The same hands where people put the origin, and as rounded as files have them."""
  for root in (hands[:, :1], hands[:, 9:10], hands.mean(axis=1, keepdims=True)):
    yield hands - root
    yield (hands - root).round(3)  # to millimetres


@pytest.mark.parametrize('rows', [1, 2, 5, 6])  # after 3 they look like InterHand's
def test_shifted_rows_are_told_and_no_wrong_order_is_advised(rows):
  shifted = np.roll(HANDS.reshape(-1, 3), rows, axis=0).reshape(HANDS.shape)
  told = evidence.doubt_order(shifted, 'canonical')
  assert told and 'are shifted' in told and 'is probably' not in told


def test_an_order_that_was_advised_for_shifted_rows_is_refused_too():
  shifted = np.roll(HANDS.reshape(-1, 3), 2, axis=0).reshape(HANDS.shape)
  for order in ('interhand', 'mano', 'stb'):
    told = evidence.doubt_order(shifted, order)
    assert told and 'is probably' not in told, order


@pytest.mark.slow
def test_real_hands_contradict_nothing_that_is_right_and_all_that_is_wrong(test_data):
  for name, hands in _real_sets(test_data).items():
    part = hands[:: max(1, len(hands) // 300)]
    assert depths.doubt_depth(part) is None, name
    for moved in _origins(part):
      assert depths.doubt_depth(moved) is None, name
      assert all(depths.doubt_depth(hand[None]) is None for hand in moved[:100]), name
    assert evidence.doubt_order(part, 'canonical') is None, name
    assert evidence.doubt_sides(part, True) is None, name
    others = evidence.doubt_sides(part, False)
    assert others and others.is_clear and others.is_of_most, name
    assert len(others.hands) == others.telling > 0.75 * len(part), name
    for order in OTHER_ORDERS:
      assert evidence.doubt_order(part, order), (name, order)
      other = skeleton.reorder(part, 'canonical', order)
      assert evidence.doubt_order(other, 'canonical'), (name, order)
    for start in range(0, len(hands) - 12, max(12, len(hands) // 20)):
      frames = hands[start : start + 12]  # of one video
      assert depths.doubt_depth(frames) is None, name
      assert evidence.doubt_order(frames, 'canonical') is None, name
      assert evidence.doubt_sides(frames, True) is None, name


def test_bones_of_no_length_and_few_hands_are_told():
  hands = random_hands(0, 12).joints + [0, 0, 9]
  hands[3, 7] = hands[3, 6]
  hands[8, [5, 17]] = hands[8, 0]
  with pytest.warns(UserWarning, match='3 bones of length 0 in 2 of 12 hands, first'):
    _fit(hands)
  told = evidence.doubt_bones(hands)
  assert 'first index_pip to index_dip of hand 3: leave out' in told
  whole = np.delete(hands, [3, 8], axis=0)
  point = np.zeros((1, 21, 3))  # of no size: told elsewhere
  assert evidence.doubt_bones(np.concatenate([whole, point, point + np.nan])) is None
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    _fit(whole)
  with pytest.warns(UserWarning, match='limits of 9 hands admit hardly any other one'):
    _fit(whole[:9])
  copies = r'limits of 1 hand \(the 40 are copies\) admit hardly'
  with pytest.warns(UserWarning, match=copies):
    _fit(np.repeat(whole[:1], 40, axis=0))


def test_zeros_are_missing_joints_but_for_the_origin():
  hands = random_hands(0, 4).joints + [0, 0, 9]
  hands[1, 7] = hands[2, 0] = 0  # a wrist alone may be an origin
  hands[3] = 0  # tells nothing
  found = evidence.stored_as_zero(hands)
  assert np.argwhere(found).tolist() == [[1, 7]]
  with pytest.raises(ValueError, match='1 of 2 poses have missing joints that are sto'):
    _fit(hands[:2])
  relative = hands[:1] - hands[:1, :1]
  relative[:, 12] = 0
  assert np.argwhere(evidence.stored_as_zero(relative)).tolist() == [[0, 12]]
