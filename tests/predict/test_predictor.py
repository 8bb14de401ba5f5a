"""Predictions on any image: crops, cameras, sides and sizes come out right.

The network is replaced by one that knows the hands, and checks what it is shown.
"""

import dataclasses
import types

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.predict import View, predictor
from bmc_jax.predict.files import describe_hand
from bmc_jax.predict.framing import Framing
from bmc_jax.predict.media import Frame
from bmc_jax.predict.recorder import Recorder
from bmc_jax.predict.smoothing import OneEuroFilter
from tests.fixtures import examples
from tests.fixtures.examples import DOT_JOINTS, find_dots

SIZE = 96
CONFIG = types.SimpleNamespace(
  model=types.SimpleNamespace(name='pose_network'), image_size=SIZE, reference=(9, 10)
)
ROW = types.SimpleNamespace(config=CONFIG, variables={}, model=None, folder='rows/one')


def bone_of(joints) -> float:
  return float(np.linalg.norm(joints[10] - joints[9]))


def photo(index: int, *, is_right=True, height=240, width=320) -> dict:
  """An example in a photo that is not square, with the hand off its middle."""
  example = examples.make_example(index, size=160)
  intrinsics = example['intrinsics'] + np.float32([[0, 0, 130], [0, 0, 40], [0, 0, 0]])
  keypoints = example['keypoints_2d'] + np.float32([130, 40])
  image = examples.draw_dots(keypoints, max(height, width))[:height, :width]
  example |= {'image': image, 'intrinsics': intrinsics, 'keypoints_2d': keypoints}
  if is_right:
    return example
  mirrored = {
    'image': np.ascontiguousarray(image[:, ::-1]),
    'joints_3d': np.asarray(skeleton.mirror(example['joints_3d'])),
    'keypoints_2d': np.float32([width - 1, 0]) + keypoints * np.float32([-1, 1]),
  }
  flip = np.float32([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
  camera = flip @ intrinsics @ np.diag(np.float32([-1, 1, 1]))
  return example | mirrored | {'intrinsics': camera}


@pytest.fixture
def oracle(monkeypatch):
  """Knows the right hands of the views; notes where their dots are in its crops."""
  shown = types.SimpleNamespace(hands=[], calls=[])

  shown.replaced = False

  def predict_crops(variables, images, cameras, *, model):
    joints = np.stack(
      [shown.hands[min(i, len(shown.hands) - 1)] for i in range(len(images))]
    )
    for image, camera, hand in zip(images, cameras, joints, strict=True):
      assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
      projected = hand @ camera.T
      expected = (projected[:, :2] / projected[:, 2:])[list(DOT_JOINTS)]
      shown.calls.append((find_dots(image / 255), expected))
    return joints, np.ones(len(joints)), np.full(len(joints), shown.replaced)

  monkeypatch.setattr(predictor, 'predict_crops', predict_crops)
  return shown


def predict(oracle, examples, *, boxes=None, bone_length=None, **options):
  oracle.hands = [
    np.where(e['is_right'][0], e['joints_3d'], skeleton.mirror(e['joints_3d']))
    / bone_of(e['joints_3d'])
    for e in examples
  ]
  views = [
    View(e['image'], e['intrinsics'], box, bool(e['is_right'][0]))
    for e, box in zip(examples, boxes or [None] * len(examples), strict=True)
  ]
  model = predictor.HandPosePredictor(
    ROW, Framing(1.5, 0.03, 10), bone_length=bone_length
  )
  return model.predict(views, **options)


@pytest.mark.parametrize('is_right', [True, False])
@pytest.mark.parametrize('with_box', [True, False])
@pytest.mark.parametrize('height', [240, 340])
def test_crops_show_the_hand_where_their_camera_says(
  oracle, is_right, with_box, height
):
  example = photo(0, is_right=is_right, height=height)
  example['is_right'] = np.float32([is_right])
  box = None
  if with_box:
    keypoints = example['keypoints_2d']
    box = [*keypoints.min(axis=0), *keypoints.max(axis=0)]
  (hand,) = predict(oracle, [example], boxes=[box], batch_size=1)
  assert len(oracle.calls) == 2
  # On the whole image the dots are a pixel wide: their centres are less exact.
  for (found, expected), tolerance in zip(oracle.calls, (1.5, 0.4), strict=True):
    np.testing.assert_allclose(found, expected, atol=tolerance)
  np.testing.assert_allclose(hand.keypoints_2d, example['keypoints_2d'], atol=0.01)
  scale = hand.bone_length / bone_of(example['joints_3d'])
  np.testing.assert_allclose(hand.joints_3d, scale * example['joints_3d'], atol=1e-5)
  np.testing.assert_array_equal(hand.joints_3d_relative[0], 0)
  assert hand.is_right == is_right


def test_the_second_crop_is_framed_as_the_test_set_was(oracle):
  example = photo(1)
  (hand,) = predict(oracle, [example], batch_size=1)
  extent = np.ptp(example['keypoints_2d'], axis=0).max()
  low, high = hand.box[:2], hand.box[2:]
  np.testing.assert_allclose(high - low, 1.5 * extent, atol=1.5)
  middle = example['keypoints_2d'].min(axis=0) + example['keypoints_2d'].max(axis=0)
  np.testing.assert_allclose((low + high) / 2, middle / 2, atol=1.0)
  (once,) = predict(oracle, [example], batch_size=1, passes=1)
  np.testing.assert_allclose(once.box[2:] - once.box[:2], 319, atol=1.5)


def test_batches_of_any_size_give_the_same_hands(oracle):
  examples = [photo(index) for index in range(5)]
  whole = predict(oracle, examples, batch_size=8)
  assert len(whole) == 5
  for example, hand in zip(examples, whole, strict=True):
    np.testing.assert_allclose(hand.keypoints_2d, example['keypoints_2d'], atol=0.01)


def test_a_longer_bone_makes_the_hand_larger_and_farther(oracle):
  example = photo(2)
  (small,), (large,) = (
    predict(oracle, [example], bone_length=length) for length in (0.03, 0.045)
  )
  np.testing.assert_allclose(large.joints_3d, 1.5 * small.joints_3d, rtol=1e-5)
  assert bone_of(large.joints_3d) == pytest.approx(0.045)
  np.testing.assert_allclose(large.keypoints_2d, small.keypoints_2d, atol=1e-3)
  with pytest.raises(ValueError, match='bone of 30.0 m is no hand: give metres'):
    predict(oracle, [example], bone_length=30.0)


def test_an_unknown_camera_is_guessed_from_the_image_size(oracle):
  view = View(np.zeros((100, 200, 3), np.uint8))
  np.testing.assert_array_equal(
    view.camera, [[200, 0, 99.5], [0, 200, 49.5], [0, 0, 1]]
  )


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'image': np.zeros((10, 10), np.uint8)}, r'shape \(10, 10\).*\(H, W, 3\)'),
    ({'image': np.zeros((10, 10, 3))}, 'float64 .* must be uint8 RGB'),
    ({'image': np.zeros((0, 10, 3), np.uint8)}, 'hold pixels'),
    ({'intrinsics': np.eye(4)}, r'a \(3, 3\) matrix is needed'),
    ({'intrinsics': np.diag([0.0, 1, 1])}, 'they must be positive'),
    ({'intrinsics': np.diag([1.0, 1, 1])}, 'multiply fx, cx by its width'),
    ({'box': (1, 2, 3)}, 'four numbers are needed'),
    ({'box': (5, 5, 5, 9)}, 'is empty: give left < right'),
    ({'box': (50, 5, 60, 9)}, 'outside of the image of 20x20'),
    ({'box': (np.nan, 5, 60, 9)}, 'four numbers are needed'),
  ],
)
def test_wrong_views_are_told_in_one_sentence(oracle, change, message):
  view = {'image': np.zeros((20, 20, 3), np.uint8)} | change
  model = predictor.HandPosePredictor(ROW, Framing(1.5, 0.03, 10))
  with pytest.raises(ValueError, match=message):
    model(view.pop('image'), **view)


def test_hands_behind_the_camera_are_told(oracle, tmp_path):
  example = photo(0)
  (hand,) = predict(oracle, [example], batch_size=1)
  assert hand.root_depth_from == 'refined' and not hand.crosses_camera
  oracle.replaced = True
  (replaced,) = predict(oracle, [example], batch_size=1)
  assert replaced.root_depth_from == 'calculated'
  behind = dataclasses.replace(hand, joints_3d=hand.joints_3d - [0, 0, 1])
  assert behind.crosses_camera
  path = tmp_path / 'photo.png'
  recorder = Recorder(tmp_path, types.SimpleNamespace(), num_frames=1)
  frame = Frame(path.name, path, example['image'])
  doubts = {'box': 'the box is large'}
  recorder.add(frame, [(hand, 'given', {}), (replaced, 'given', doubts)])
  recorder.add(frame, [(behind, 'given', doubts)])
  assert recorder.doubts() == [
    '2 of 3 hands: the box is large (photo.png).',
    'The refined root depth of 1 hand puts a joint at or behind the camera: the '
    'calculated one is taken (root_depth_from).',
    '1 hand with a joint at or behind the camera all the same, which is wrong '
    '(crosses_camera).',
  ]
  entry = describe_hand(frame, replaced, 'given', [], list(doubts.values()))
  assert entry['root_depth_from'] == 'calculated' and not entry['crosses_camera']
  assert entry['doubts'] == ['the box is large']


def test_joints_that_are_not_finite_still_give_a_second_crop(oracle, monkeypatch):
  joints = np.full((1, 21, 3), np.nan)
  monkeypatch.setattr(
    predictor,
    'predict_crops',
    lambda *_, **__: (joints, np.zeros(1), np.zeros(1, bool)),
  )
  model = predictor.HandPosePredictor(ROW, Framing(1.5, 0.03, 10))
  hand = model.predict([View(photo(0)['image'])], batch_size=1)[0]
  assert np.isfinite(hand.box).all() and np.isnan(hand.joints_3d).all()


def test_the_filter_keeps_still_hands_still_and_follows_moving_ones():
  rng = np.random.default_rng(0)
  still = OneEuroFilter()
  noisy = 0.005 * rng.normal(size=(90, 21, 3))
  smoothed = np.stack([still(x, i / 30) for i, x in enumerate(noisy)])
  assert smoothed[30:].std() < 0.6 * noisy[30:].std()
  ramp = np.linspace(0, 1.5, 45)[:, None, None] * np.ones((1, 21, 3))  # 1 m/s
  moving = OneEuroFilter()
  followed = np.stack([moving(x, i / 30) for i, x in enumerate(ramp)])
  assert np.abs(followed[-1] - ramp[-1]).max() < 0.05  # less than 50 ms behind


@pytest.mark.parametrize('labelled', [0, 2])
def test_the_size_of_hands_is_that_of_tested_hands_with_3d_labels(labelled, tmp_path):
  examples_ = [examples.make_example(i, size=SIZE) for i in range(4)]
  truth = np.full((4, 21, 3), np.nan, np.float32)
  for i in range(labelled):
    truth[i] = 1000 * examples_[i]['joints_3d']
  np.savez(
    tmp_path / 'predictions.npz',
    visibility=np.ones((4, 21)),
    has_joints_3d=np.arange(4) < labelled,
    joints_3d_true=truth,
    joints_3d=truth + np.float32([3.0, 0, 0]) * (np.arange(21) > 0)[:, None],
    keypoints_2d_true=np.stack([e['keypoints_2d'] for e in examples_]),
  )
  row = types.SimpleNamespace(config=CONFIG, folder=tmp_path)
  framing = Framing.of(row)
  assert framing.count == labelled and framing.crop_scale > 1
  if labelled:
    bones = [bone_of(e['joints_3d']) for e in examples_[:labelled]]
    found = predictor.HandPosePredictor(row, framing).bone_length
    assert found == pytest.approx(np.median(bones), rel=1e-5)
    assert framing.depth_error == 0  # what is off sideways is not off in depth
  else:
    with pytest.raises(ValueError, match='how large hands are: give --bone-length'):
      predictor.HandPosePredictor(row, framing)
    given = predictor.HandPosePredictor(row, framing, bone_length=0.03)
    assert given.bone_length == 0.03
