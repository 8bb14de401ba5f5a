"""Augmentation: image, keypoints, camera and joints stay one consistent whole."""

import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bmc_jax.data import augment
from bmc_jax.data.example import stack_examples
from tests.fixtures.examples import DOT_JOINTS, find_dots, make_example

OPTIONS = {
  'rotation': 45.0,
  'scale': 0.3,
  'shift': 0.1,
  'brightness': 0.2,
  'contrast': 0.3,
  'color': 0.2,
  'noise': 0.1,
  'blur': 0.5,
  'erase': 0.5,
}
GEOMETRY = ('rotation', 'scale', 'shift')


@pytest.fixture(scope='module')
def batch():
  examples = stack_examples([make_example(i) for i in range(12)], 12)
  del examples['sample_id']
  return examples


@jax.jit
def _move(key, batch, rotation, scale, shift):
  """Geometry alone; its strengths may be traced, so this compiles once."""
  return augment.augment_batch(
    key, batch, image_size=64, rotation=rotation, scale=scale, shift=shift
  )


@functools.cache
def _augment(image_size, **options):
  return jax.jit(
    functools.partial(augment.augment_batch, image_size=image_size, **options)
  )


def _reprojection_error(batch) -> float:
  homogeneous = np.einsum(
    'bij,bnj->bni',
    np.asarray(batch['intrinsics'], np.float64),
    np.asarray(batch['joints_3d'], np.float64),
  )
  projected = homogeneous[..., :2] / homogeneous[..., 2:]
  return np.abs(projected - np.asarray(batch['keypoints_2d'])).max()


@pytest.mark.parametrize(
  ('rotation', 'scale', 'shift'),
  [
    (0.0, 0.0, 0.0),
    (180.0, 0.0, 0.0),
    (0.0, 0.5, 0.0),
    (0.0, 0.0, 0.3),
    (45.0, 0.3, 0.1),
  ],
)
def test_joints_project_onto_keypoints_wherever_they_move(
  batch, rotation, scale, shift
):
  result = _move(jax.random.key(1), batch, rotation, scale, shift)
  assert _reprojection_error(result) < 0.05


def test_joints_project_onto_keypoints_after_all_augmentations_at_once(batch):
  result = _augment(64, **OPTIONS)(jax.random.key(1), batch)
  assert _reprojection_error(result) < 0.05


def test_the_image_moves_with_the_keypoints(batch):
  result = _move(jax.random.key(2), batch, *(OPTIONS[name] for name in GEOMETRY))
  checked = 0
  for image, keypoints in zip(result['image'], result['keypoints_2d'], strict=True):
    true = np.asarray(keypoints)[list(DOT_JOINTS)]
    whole = np.all((true > 8) & (true < 55), axis=-1)
    error = np.abs(find_dots(np.asarray(image)) - true)[whole]
    assert np.all(error < 0.35)
    checked += whole.sum()
  assert checked > 20


def test_the_crop_of_evaluation_is_an_exact_resize(batch):
  result = jax.jit(functools.partial(augment.center_crop_batch, image_size=64))(batch)
  assert _reprojection_error(result) < 0.05
  expected = np.stack(
    [cv2.resize(x, (64, 64), interpolation=cv2.INTER_LINEAR) for x in batch['image']]
  )
  # OpenCV has the same convention (half-pixel centres), and rounds to whole numbers.
  np.testing.assert_allclose(255 * np.asarray(result['image']), expected, atol=1.0)


def test_a_crop_of_the_same_size_changes_nothing(batch):
  result = augment.center_crop_batch(batch, 80)
  np.testing.assert_allclose(
    255 * np.asarray(result['image']), batch['image'], atol=1e-2
  )
  np.testing.assert_allclose(result['keypoints_2d'], batch['keypoints_2d'], atol=1e-4)


def test_strength_zero_is_the_crop_of_evaluation(batch):
  result = _move(jax.random.key(0), batch, 0.0, 0.0, 0.0)
  expected = augment.center_crop_batch(batch, 64)
  for name in ('image', 'keypoints_2d', 'intrinsics', 'joints_3d'):
    np.testing.assert_allclose(result[name], expected[name], atol=1e-4)


def test_rotation_agrees_with_opencv(batch):
  angle = np.deg2rad(20)
  c, s = np.cos(angle), np.sin(angle)
  affine = np.array([[c, -s, 20], [s, c, -10], [0, 0, 1]])
  image = batch['image'][0]
  ours = augment.warp_affine(jnp.asarray(image), jnp.asarray(affine, jnp.float32), 80)
  theirs = cv2.warpAffine(
    image.astype(np.float32), affine[:2], (80, 80), borderMode=cv2.BORDER_REPLICATE
  )
  # OpenCV keeps 5 bits of the fraction of a pixel.
  np.testing.assert_allclose(255 * np.asarray(ours), theirs, atol=3)


def test_samples_of_a_batch_differ_and_a_key_repeats_itself(batch):
  same = {k: np.repeat(v[:1], 4, axis=0) for k, v in batch.items()}
  run = _augment(64, **OPTIONS)
  result = run(jax.random.key(3), same)
  keypoints = np.asarray(result['keypoints_2d'])
  differences = np.abs(keypoints[:, None] - keypoints[None]).max((2, 3))
  assert np.all(differences[~np.eye(4, dtype=bool)] > 0.1)
  again = run(jax.random.key(3), same)
  np.testing.assert_array_equal(result['image'], again['image'])


@pytest.mark.parametrize('name', sorted(set(OPTIONS) - set(GEOMETRY)))
def test_each_colour_change_touches_pixels_only(batch, name):
  plain = augment.center_crop_batch(batch, 64)
  result = _augment(64, **{name: OPTIONS[name]})(jax.random.key(4), batch)
  image = np.asarray(result['image'])
  assert image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1
  assert np.abs(image - np.asarray(plain['image'])).max() > 0.02
  np.testing.assert_allclose(result['keypoints_2d'], plain['keypoints_2d'], atol=1e-4)


def test_noise_has_the_strength_asked_for():
  grey = {
    'image': np.full((64, 64, 64, 3), 128, np.uint8),
    'keypoints_2d': np.zeros((64, 21, 2), np.float32),
    'joints_3d': np.zeros((64, 21, 3), np.float32),
    'intrinsics': np.tile(np.eye(3, dtype=np.float32), (64, 1, 1)),
  }
  image = _augment(64, noise=0.1)(jax.random.key(5), grey)['image']
  deviation = np.asarray(image).std((1, 2, 3))
  # Even between 0 and 0.1.
  assert deviation.max() < 0.105 and deviation.min() < 0.02
  assert 0.035 < deviation.mean() < 0.065


def test_dropped_labels_stay_dropped(batch):
  weak = batch | {'joints_3d': np.zeros_like(batch['joints_3d'])}
  result = _augment(64, **OPTIONS)(jax.random.key(6), weak)
  assert not np.any(result['joints_3d'])


def test_visibility_and_other_fields_pass_through(batch):
  result = _move(jax.random.key(7), batch, 0.0, 0.0, 0.3)
  for name in ('visibility', 'is_right', 'has_joints_3d'):
    np.testing.assert_array_equal(result[name], batch[name])


def test_a_turned_camera_sees_the_turned_joints(batch):
  poses = {k: v for k, v in batch.items() if k != 'image'}
  result = augment.augment_poses(jax.random.key(8), poses, rotation=180.0, tilt=15.0)
  assert _reprojection_error(result) < 0.05
  moved = np.abs(np.asarray(result['keypoints_2d']) - poses['keypoints_2d'])
  assert np.all(moved.max((1, 2)) > 1)
  np.testing.assert_array_equal(result['intrinsics'], poses['intrinsics'])
  # A rotation about the camera keeps every joint's distance from it.
  np.testing.assert_allclose(
    np.linalg.norm(result['joints_3d'], axis=-1),
    np.linalg.norm(poses['joints_3d'], axis=-1),
    rtol=1e-5,
  )


def test_tilt_is_within_its_limit(batch):
  poses = {k: v for k, v in batch.items() if k != 'image'}
  joints = poses['joints_3d']
  result = augment.augment_poses(jax.random.key(9), poses, tilt=10.0)['joints_3d']
  cosine = np.sum(np.asarray(result) * joints, -1) / np.sum(joints**2, -1)
  angle = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
  assert np.all(angle < 10.1) and angle.max() > 3


def test_another_viewpoint_turns_the_hand_about_its_centre(batch):
  poses = {k: v for k, v in batch.items() if k != 'image'}
  weak = poses['has_joints_3d'] * (np.arange(len(poses['joints_3d'])) % 2)
  poses |= {'has_joints_3d': weak}
  result = augment.augment_poses(jax.random.key(11), poses, viewpoint=60.0)
  full = weak > 0
  before, after = poses['joints_3d'][full], np.asarray(result['joints_3d'])[full]
  assert _reprojection_error(result) < 0.05
  np.testing.assert_allclose(before.mean(1), after.mean(1), atol=1e-6)
  angles = []
  for x, y in zip(before - before.mean(1, keepdims=True), after, strict=True):
    turn, error = Rotation.align_vectors(y - y.mean(0), x)
    assert error < 1e-5
    angles.append(np.rad2deg(turn.magnitude()))
    assert abs(turn.as_rotvec()[2]) < 1e-3  # the axis is parallel to the image
  assert max(angles) < 60.1 and max(angles) > 10
  for name in ('joints_3d', 'keypoints_2d'):
    np.testing.assert_allclose(
      np.asarray(result[name])[~full], poses[name][~full], rtol=1e-5, atol=1e-4
    )


def test_pose_noise_is_on_keypoints_only(batch):
  poses = {k: v for k, v in batch.items() if k != 'image'}
  result = augment.augment_poses(jax.random.key(10), poses, noise=2.0)
  difference = np.asarray(result['keypoints_2d']) - poses['keypoints_2d']
  assert 1.7 < difference.std() < 2.3
  np.testing.assert_allclose(result['joints_3d'], poses['joints_3d'], atol=1e-6)
