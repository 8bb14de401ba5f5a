"""`KeypointLifter`: sides, cameras, gaps and batches, of any weights."""

import numpy as np
import pytest

from bmc_jax.lift import KeypointLifter, lifter
from tests.fixtures.hands import INTRINSICS
from tests.fixtures.lifters import project, random_lifter, seen_hands, write_weights

_, SEEN = seen_hands(1, 6)
SIDES = np.array([1, 0, 1, 1, 0, 0], bool)
FINGERS = [[0, *range(start, start + 4)] for start in range(1, 21, 4)]


def _lift(points=SEEN, **options):
  return random_lifter()(points, **{'intrinsics': INTRINSICS, **options})


def _close(one, other, rows=slice(None)):
  for name, a, b in zip(one._fields, one, other, strict=True):
    scale = 1e-2 if name == 'keypoints_2d' else 2e-5  # px, metres
    np.testing.assert_allclose(a[rows], b[rows], rtol=1e-4, atol=scale, err_msg=name)


def test_hands_project_to_their_keypoints_and_are_before_the_camera():
  found = _lift(is_right=SIDES)
  np.testing.assert_allclose(
    project(found.joints_3d, INTRINSICS), found.keypoints_2d, atol=0.02
  )
  assert (found.joints_3d[..., 2] > 0).all()
  moved = np.linalg.norm(found.keypoints_2d - SEEN, axis=-1)
  assert 0.5 < moved.max()  # so that these are not those given


def test_a_mirror_turns_right_hands_into_left_ones():
  width = 640
  mirrored = SEEN * [-1, 1] + [width - 1, 0]
  camera = INTRINSICS.copy()
  camera[0, 2] = width - 1 - camera[0, 2]
  one, other = (
    _lift(is_right=SIDES),
    _lift(mirrored, is_right=~SIDES, intrinsics=camera),
  )
  np.testing.assert_allclose(one.joints_3d * [-1, 1, 1], other.joints_3d, atol=2e-5)
  np.testing.assert_allclose(one.depth_error, other.depth_error, rtol=1e-3)
  # The side matters: the same pixels under the other side are another hand.
  wrong = _lift(is_right=~SIDES)
  apart = np.abs(wrong.joints_3d[..., 2] - one.joints_3d[..., 2]).max(axis=-1)
  assert (apart > 1e-3).all()


@pytest.mark.parametrize('batch', [(), (3,), (2, 3), (0,), (2, 0)])
def test_any_leading_dimensions(batch):
  count = int(np.prod(batch))
  found = _lift(
    SEEN[:count].reshape(*batch, 21, 2), is_right=SIDES[:count].reshape(batch)
  )
  assert found.joints_3d.shape == (*batch, 21, 3)
  assert found.keypoints_2d.shape == (*batch, 21, 2)
  assert found.depth_error.shape == (*batch, 21)
  assert found.intrinsics.shape == (*batch, 3, 3)
  assert found.camera_known.shape == batch and found.camera_known.all()
  flat = type(found)(
    *(field.reshape(count, *field.shape[len(batch) :]) for field in found)
  )
  _close(flat, type(found)(*(field[:count] for field in _lift(is_right=SIDES))))


def test_batches_and_their_filling_change_nothing(monkeypatch):
  whole = _lift(is_right=SIDES)
  monkeypatch.setattr(lifter, 'BATCH_SIZE', 4)
  _close(_lift(is_right=SIDES), whole)  # 4 and 2
  parts = [_lift(SEEN[i : i + 1], is_right=SIDES[i : i + 1]) for i in range(6)]
  _close(
    type(whole)(*(np.concatenate(field) for field in zip(*parts, strict=True))), whole
  )


def test_each_hand_may_have_its_own_camera():
  cameras = np.stack([INTRINSICS * [[s, 1, s], [1, s, s], [1, 1, 1]] for s in (1, 1.5)])
  points = np.stack([SEEN[0], SEEN[0] * 1.5])
  one, other = (field for field in _lift(points, intrinsics=cameras).joints_3d)
  np.testing.assert_allclose(one, other, atol=2e-5)  # only the pixels are smaller
  shared = _lift(points).joints_3d
  assert np.abs(shared[0] - shared[1]).max() > 0.02  # the larger hand is nearer


def test_what_is_missing_may_be_anything():
  confidence = np.ones((6, 21))
  confidence[1, 5] = confidence[4, :8] = 0
  given = np.where(confidence[..., None] > 0, SEEN, np.nan)
  one = _lift(given, is_right=SIDES)
  _close(_lift(given, confidence=confidence, is_right=SIDES), one)
  other = np.where(confidence[..., None] > 0, SEEN, 1e5)
  _close(_lift(other, confidence=confidence, is_right=SIDES), one)
  assert all(np.isfinite(field).all() for field in one)
  # It does make a difference that they are missing, and how sure others are.
  for changed in (_lift(is_right=SIDES), _lift(confidence=0.3 + 0 * confidence)):
    assert np.abs(changed.joints_3d[4] - one.joints_3d[4]).max() > 1e-4


def test_hands_of_too_few_keypoints_are_not_lifted():
  confidence = np.ones((6, 21))
  confidence[2, lifter.LEAST_PRESENT - 1 :] = 0
  confidence[3, lifter.LEAST_PRESENT :] = 0
  confidence[5] = 0
  found = _lift(confidence=confidence)
  for field in (found.joints_3d, found.keypoints_2d, found.depth_error):
    lost = np.isnan(field).reshape(6, -1)
    np.testing.assert_array_equal(lost.all(axis=1), [0, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal(lost.any(axis=1), [0, 0, 1, 0, 0, 1])
  _close(found, _lift(), slice(2))


def _bones(joints):
  return np.array([np.linalg.norm(np.diff(joints[f], axis=0), axis=1) for f in FINGERS])


def test_hands_are_of_the_usual_size_or_of_the_one_that_is_told():
  usual = _lift()
  for hand in usual.joints_3d:
    assert _bones(hand).sum() == pytest.approx(lifter.HAND_SIZE, rel=1e-5)
  told = _lift(bone_length=0.04)
  for hand, other in zip(told.joints_3d, usual.joints_3d, strict=True):
    assert _bones(hand)[2, 1] == pytest.approx(0.04, rel=1e-5)
    scale = 0.04 / _bones(other)[2, 1]
    np.testing.assert_allclose(hand, scale * other, rtol=1e-4)
  np.testing.assert_allclose(told.keypoints_2d, usual.keypoints_2d, atol=1e-3)
  assert 0.5 < np.median(told.depth_error / usual.depth_error) < 2


def test_an_unknown_camera_is_guessed_and_hands_do_not_depend_on_the_resolution():
  found = _lift(intrinsics=None, image_size=(640, 480))
  expected = [[640, 0, 319.5], [0, 640, 239.5], [0, 0, 1]]
  np.testing.assert_array_equal(found.intrinsics, [expected] * 6)
  assert not found.camera_known.any()
  double = _lift(2 * SEEN + 0.5, intrinsics=None, image_size=(1280, 960))
  np.testing.assert_allclose(double.joints_3d, found.joints_3d, atol=5e-5)
  upright = _lift(intrinsics=None, image_size=(480, 640))
  assert upright.intrinsics[0, 0, 0] == 640 and upright.intrinsics[0, 0, 2] == 239.5
  # The same matrix, given, is believed, which the network sees.
  given = _lift(intrinsics=np.array(expected))
  assert given.camera_known.all()
  assert np.abs(given.joints_3d - found.joints_3d).max() > 1e-4


ONES = np.ones((6, 21))
WRONG = {
  'two joints': (SEEN[:, :2], {}, r'keypoints_2d has the shape \(6, 2, 2\)'),
  '3D': (np.zeros((6, 21, 3)), {}, r'keypoints_2d has the shape \(6, 21, 3\)'),
  'no camera': (SEEN, {'intrinsics': None}, 'The camera is not known: give intrinsics'),
  'size': (SEEN, {'intrinsics': None, 'image_size': (640,)}, 'the width and height'),
  'no size': (SEEN, {'intrinsics': None, 'image_size': (0, 9)}, 'the width and height'),
  'camera': (SEEN, {'intrinsics': np.eye(3)[:2]}, r'intrinsics has the shape \(2, 3\)'),
  'cameras': (SEEN, {'intrinsics': np.zeros((5, 3, 3))}, r'\(5, 3, 3\); \(3, 3\) or'),
  'transposed': (SEEN, {'intrinsics': INTRINSICS.T}, 'is a transposed matrix'),
  'focal length': (SEEN, {'intrinsics': np.diag([0, 0, 1.0])}, 'must be positive'),
  'confidence': (SEEN, {'confidence': np.ones(21)}, r'\(21,\); \(6, 21\) is needed'),
  'flat': (SEEN, {'confidence': np.ones((2, 3, 21))}, r'\(6, 21\) is needed'),
  'sure': (SEEN, {'confidence': 2 * ONES}, 'confidence must be within 0 and 1'),
  'unsure': (SEEN, {'confidence': np.nan * ONES}, 'confidence must be within 0 and 1'),
  'NaN': (SEEN * np.nan, {'confidence': ONES}, 'is not finite: give it confidence 0'),
  'sides': (SEEN, {'is_right': [True]}, 'True or False is needed'),
  'words': (SEEN, {'is_right': 'left'}, 'True or False is needed'),
  'unknown sides': (SEEN, {'is_right': -np.ones(6)}, 'True or False is needed'),
  'millimetres': (SEEN, {'bone_length': 30}, 'is no hand: give metres, 0.015 to 0.07'),
  'no length': (SEEN, {'bone_length': np.nan}, 'is no hand: give metres'),
}


@pytest.mark.parametrize('name', WRONG)
def test_wrong_values_are_told_in_a_sentence(name):
  points, options, message = WRONG[name]
  with pytest.raises(ValueError, match=message) as error:
    _lift(points, **options)
  assert str(error.value).endswith('.') and '\n' not in str(error.value)


def test_weights_of_a_file_are_taken_and_others_refused(tmp_path):
  read = KeypointLifter.pretrained(str(write_weights(tmp_path / 'w.npz')))
  _close(read(SEEN, intrinsics=INTRINSICS), _lift())
  with pytest.raises(FileNotFoundError, match='There are no weights .*none.npz'):
    KeypointLifter.pretrained(str(tmp_path / 'none.npz'))
  with pytest.raises(ValueError, match='do not fit the model'):
    KeypointLifter.pretrained('package:everyday_64')


def test_keypoints_all_in_one_place_are_no_hand():
  points = SEEN[:3].copy()
  points[1] = [-1, -1]  # what some tools write for a hand that they did not find
  found = _lift(points)
  np.testing.assert_array_equal(
    np.isfinite(found.joints_3d).all(axis=(1, 2)), [True, False, True]
  )
