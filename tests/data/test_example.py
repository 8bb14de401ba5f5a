"""The example format: what is refused, and how left hands become right ones."""

import cv2
import numpy as np
import pytest

from bmc_jax.data import example as example_lib
from tests.fixtures.examples import encode_png, make_example


def test_a_proper_example_passes():
  example_lib.validate_example(make_example(0))


def test_an_image_may_be_encoded_or_absent():
  example = make_example(0)
  example_lib.validate_example(example | {'image': encode_png(example.pop('image'))})
  example_lib.validate_example(example)


def _break(name, value):
  def change(example):
    example[name] = value(example[name])

  return change


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (_break('joints_3d', lambda v: v[:20]), r'joints_3d has shape \(20, 3\), expected'),
    (_break('keypoints_2d', lambda v: v * np.nan), 'keypoints_2d .* not finite'),
    (_break('joints_3d', lambda v: -v), 'depth .* in front of the camera'),
    (_break('joints_3d', lambda v: v * 1000), 'looks like millimetres, not metres'),
    (_break('joints_3d', lambda v: v * 100), 'looks like centimetres, not metres'),
    (_break('joints_3d', lambda v: v * 4), 'no other unit .* may be in another order'),
    (_break('visibility', lambda v: v * 0.5), 'visibility holds a value other than'),
    (_break('intrinsics', lambda v: v.T), 'intrinsics must be'),
    (_break('image', lambda v: v.astype(np.float32)), 'image has shape .* uint8'),
    (_break('image', lambda v: b'no image'), 'the image cannot be decoded'),
    (_break('image', lambda v: 'a.jpg'), "image is 'a.jpg'; it must be an array, or"),
    (_break('keypoints_2d', np.float64), 'keypoints_2d is of type float64, expected'),
    (_break('is_right', lambda v: v[0]), r'is_right has shape \(\), expected \(1,\)'),
    (_break('sample_id', lambda v: ''), 'sample_id'),
    (lambda example: example.pop('is_right'), "the field 'is_right' is missing"),
  ],
)
def test_a_broken_example_is_refused_in_one_sentence(change, message):
  example = make_example(0)
  change(example)
  with pytest.raises(ValueError, match=message) as error:
    example_lib.validate_example(example)
  text = str(error.value)
  assert '\n' not in text and text.endswith('.')
  assert 'sample_id' in text or 'hand_0000' in text


def test_joints_without_a_label_are_not_judged():
  example = example_lib.drop_joints_3d(make_example(0))
  example_lib.validate_example(example)
  assert not example['has_joints_3d'] and not example['joints_3d'].any()


def test_mirroring_keeps_projection_and_image_consistent():
  left = make_example(1, is_right=False)
  right = example_lib.to_right_hand(left)
  np.testing.assert_array_equal(right['image'], cv2.flip(left['image'], 1))
  homogeneous = right['joints_3d'] @ right['intrinsics'].T
  np.testing.assert_allclose(
    homogeneous[:, :2] / homogeneous[:, 2:], right['keypoints_2d'], atol=1e-3
  )
  # The pixel under a joint is the same one.
  for before, after in zip(left['keypoints_2d'], right['keypoints_2d'], strict=True):
    (u, v), (u2, v2) = np.rint(before).astype(int), np.rint(after).astype(int)
    if 0 <= u < 80 and 0 <= v < 80 and abs(before[0] % 1 - 0.5) > 0.01:
      np.testing.assert_array_equal(left['image'][v, u], right['image'][v2, u2])
  assert right['is_right'] == 0


def test_mirroring_twice_is_the_identity():
  left = make_example(1, is_right=False)
  twice = example_lib.to_right_hand(example_lib.to_right_hand(left))
  for name in ('image', 'joints_3d', 'keypoints_2d', 'intrinsics'):
    np.testing.assert_allclose(twice[name], left[name], atol=1e-4)


def test_a_right_hand_is_left_alone():
  right = make_example(2)
  same = example_lib.to_right_hand(right)
  assert all(same[name] is right[name] for name in right)


def test_images_of_different_sizes_are_refused_in_a_batch():
  with pytest.raises(ValueError, match='set image_size'):
    examples = [make_example(0, size=64), make_example(1, size=80)]
    example_lib.stack_examples(examples, 2)
