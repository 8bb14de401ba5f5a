import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy.spatial.transform import Rotation

from bmc_jax import skeleton
from tests.fixtures.hands import as_users_call, random_hands

# The orders by name, from the datasets' own documents, finger by finger.
_FINGER_BY_FINGER = (
  'wrist thumb_cmc thumb_mcp thumb_ip thumb_tip index_mcp index_pip index_dip '
  'index_tip middle_mcp middle_pip middle_dip middle_tip ring_mcp ring_pip ring_dip '
  'ring_tip little_mcp little_pip little_dip little_tip'
)
DOCUMENTED = {
  'canonical': _FINGER_BY_FINGER,
  'freihand': _FINGER_BY_FINGER,
  'openpose': _FINGER_BY_FINGER,
  'mediapipe': _FINGER_BY_FINGER,
  'mano': (
    'wrist index_mcp index_pip index_dip middle_mcp middle_pip middle_dip little_mcp '
    'little_pip little_dip ring_mcp ring_pip ring_dip thumb_cmc thumb_mcp thumb_ip '
    'thumb_tip index_tip middle_tip ring_tip little_tip'
  ),
  'ho3d': (
    'wrist index_mcp index_pip index_dip middle_mcp middle_pip middle_dip little_mcp '
    'little_pip little_dip ring_mcp ring_pip ring_dip thumb_cmc thumb_mcp thumb_ip '
    'thumb_tip index_tip middle_tip ring_tip little_tip'
  ),
  'rhd': (
    'wrist thumb_tip thumb_ip thumb_mcp thumb_cmc index_tip index_dip index_pip '
    'index_mcp middle_tip middle_dip middle_pip middle_mcp ring_tip ring_dip ring_pip '
    'ring_mcp little_tip little_dip little_pip little_mcp'
  ),
  'stb': (
    'wrist little_mcp little_pip little_dip little_tip ring_mcp ring_pip ring_dip '
    'ring_tip middle_mcp middle_pip middle_dip middle_tip index_mcp index_pip '
    'index_dip index_tip thumb_cmc thumb_mcp thumb_ip thumb_tip'
  ),
  'interhand': (
    'thumb_tip thumb_ip thumb_mcp thumb_cmc index_tip index_dip index_pip index_mcp '
    'middle_tip middle_dip middle_pip middle_mcp ring_tip ring_dip ring_pip ring_mcp '
    'little_tip little_dip little_pip little_mcp wrist'
  ),
  'ait': (
    'wrist thumb_cmc index_mcp middle_mcp ring_mcp little_mcp thumb_mcp index_pip '
    'middle_pip ring_pip little_pip thumb_ip index_dip middle_dip ring_dip little_dip '
    'thumb_tip index_tip middle_tip ring_tip little_tip'
  ),
}


@pytest.mark.parametrize('order', skeleton.JOINT_ORDERS)
def test_reordering_brings_documented_orders_to_the_canonical_one(order):
  names = np.array(DOCUMENTED[order].split())
  index = np.array([skeleton.JOINT_NAMES.index(name) for name in names])
  canonical = skeleton.reorder(index[:, None], order)[:, 0]
  assert canonical.tolist() == list(range(21))


@pytest.mark.parametrize('order', skeleton.JOINT_ORDERS)
def test_orders_are_permutations_and_there_and_back_is_the_identity(order):
  joints = np.arange(2 * 21 * 3).reshape(2, 21, 3)
  assert sorted(skeleton.JOINT_ORDERS[order]) == list(range(21))
  there = skeleton.reorder(joints, 'canonical', order)
  assert np.array_equal(skeleton.reorder(there, order), joints)
  assert isinstance(there, np.ndarray)
  assert isinstance(skeleton.reorder(jnp.asarray(joints), order), jnp.ndarray)


def test_ho3d_reordering_of_real_poses_gives_a_hand_like_ours(test_data):
  path = test_data / 'data' / 'poses' / 'dexycb_subjects01-08.npz'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  with np.load(path) as archive:
    joints = archive['joints_ho3d'][::500]
  joints = skeleton.reorder(joints, 'ho3d')
  fingers = joints[:, 1:].reshape(-1, 5, 4, 3)
  # In a wrong order some neighbours are joints of different fingers, far apart.
  lengths = np.linalg.norm(np.diff(fingers, axis=2), axis=-1)
  assert lengths.max() < 0.05
  # And the knuckles follow one another across the palm.
  from_index = np.linalg.norm(fingers[:, 1:, 0] - fingers[:, 1:2, 0], axis=-1)
  assert np.all(np.diff(from_index, axis=1) > 0)


POINTS = st_numpy.arrays(
  np.float32,
  st.tuples(st.integers(0, 2), st.integers(0, 22), st.just(3)),
  elements=st.floats(-1e3, 1e3, width=32),
)
AXES = st.sampled_from(sorted(skeleton.CAMERA_AXES))


@given(POINTS, AXES, AXES)
def test_axes_there_and_back_are_the_same_and_nothing_changes_in_place(points, a, b):
  before = points.copy()
  there = skeleton.change_axes(points, a, b)
  np.testing.assert_array_equal(skeleton.change_axes(there, b, a), before)
  np.testing.assert_array_equal(points, before)
  assert isinstance(there, np.ndarray) and there.dtype == np.float32


def test_opengl_axes_are_those_of_opencv_turned_by_half_about_x():
  half_turn = Rotation.from_euler('x', 180, degrees=True)  # so chirality stays
  joints = random_hands(0, 2).joints
  turned = half_turn.apply(np.reshape(joints, (-1, 3))).reshape(joints.shape)
  for there in (('opencv', 'opengl'), ('opengl', 'opencv')):
    np.testing.assert_allclose(skeleton.change_axes(joints, *there), turned, atol=1e-6)
  assert isinstance(skeleton.change_axes(jnp.asarray(joints), 'opengl'), jnp.ndarray)


def test_mirroring_negates_x_only_and_twice_is_the_identity():
  joints = random_hands(0, 2).joints
  mirrored = skeleton.mirror(joints)
  np.testing.assert_array_equal(mirrored[..., 0], -joints[..., 0])
  np.testing.assert_array_equal(mirrored[..., 1:], joints[..., 1:])
  np.testing.assert_array_equal(skeleton.mirror(mirrored), joints)


def test_unknown_orders_and_wrong_shapes_are_refused_in_a_sentence():
  with pytest.raises(ValueError, match="Unknown joint order 'coco'; known are ait, "):
    skeleton.reorder(np.zeros((21, 3)), 'coco')
  with as_users_call():
    with pytest.raises(ValueError, match=r'shape \(20, 3\), but \(\.\.\., 21, n\)'):
      skeleton.reorder(np.zeros((20, 3)), 'mano')
    with pytest.raises(ValueError, match='wrist first, then thumb to little'):
      skeleton.mirror(np.zeros((21, 2)))
    with pytest.raises(ValueError, match=r'shape \(21, 2\), but \(\.\.\., n, 3\)'):
      skeleton.change_axes(np.zeros((21, 2)), 'opengl')
  with pytest.raises(ValueError, match="axes 'unity'; known are opencv, opengl"):
    skeleton.change_axes(np.zeros((21, 3)), 'unity')
