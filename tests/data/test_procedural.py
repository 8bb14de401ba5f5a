"""Procedural hands: plausible poses, joints inside the flesh, a stable dataset."""

import dataclasses
import functools
import hashlib

import cv2
import jax
import numpy as np
import pytest

from bmc_jax import geometry, kinematics
from bmc_jax.data.procedural import render
from bmc_jax.data.procedural.domain import DOMAINS, STUDIO, WILD
from bmc_jax.data.procedural.mesh.render import BATCH
from bmc_jax.data.procedural.pose import (
  ANGLE_PERCENTILES,
  LENGTH_RATIOS,
  sample_hand,
)
from bmc_jax.data.procedural.render import render_batch
from bmc_jax.data_prep.procedural_hands import ProceduralHands, generate_examples

SIZE = 32
pytestmark = pytest.mark.usefixtures('few_backgrounds')


@pytest.fixture(scope='module', params=sorted(DOMAINS))
def domain(request):
  return DOMAINS[request.param]


@functools.cache
def _sample(domain):
  keys = jax.random.split(jax.random.key(3), 500)
  return jax.jit(jax.vmap(lambda key: sample_hand(key, domain, SIZE)))(keys)


@pytest.fixture(scope='module')
def hands(domain):
  return _sample(domain)


def test_angles_lie_between_the_percentiles_of_real_hands(hands):
  angles = np.rad2deg(kinematics.joint_angles(hands.joints_3d))
  low, high = ANGLE_PERCENTILES[..., 0], ANGLE_PERCENTILES[..., 2]
  assert np.all(angles > low - 0.1)
  assert np.all(angles < high + 0.1)


def test_poses_use_most_of_the_plausible_range(hands):
  flexion = np.rad2deg(kinematics.joint_angles(hands.joints_3d))[..., 0]
  low, high = ANGLE_PERCENTILES[:, :, 0, 0], ANGLE_PERCENTILES[:, :, 0, 2]
  assert np.all(np.ptp(flexion, axis=0) > 0.5 * (high - low))


def test_fingers_curl_together(hands):
  flexion = np.asarray(kinematics.joint_angles(hands.joints_3d))[:, 1:, :2, 0]
  correlation = np.corrcoef(flexion.reshape(len(flexion), 8).T)
  assert correlation.min() > 0.2


def test_palms_are_arched_like_real_ones(hands):
  curvatures = np.asarray(kinematics.root_bone_curvatures(hands.joints_3d))
  assert np.all(curvatures > -1.0)
  # Medians of real hands; smaller hands are more curved.
  np.testing.assert_allclose(
    np.median(curvatures, axis=0), [1.3, 14, 8, 4.4], rtol=0.35, atol=1.0
  )
  angles = np.rad2deg(kinematics.root_bone_angles(hands.joints_3d))
  assert np.all(np.abs(angles - [38, 15, 16, 15]) < 3.0)


def test_bones_have_the_lengths_of_human_hands(hands):
  lengths = np.asarray(kinematics.bone_lengths(hands.joints_3d))
  reference = lengths[:, 2, 1]
  assert np.all((reference > 0.029) & (reference < 0.048))
  ratios = lengths / reference[:, None, None]
  np.testing.assert_allclose(ratios / LENGTH_RATIOS, 1.0, atol=0.35)


def test_hands_are_right_hands(hands):
  # With the fingers up and the palm to the viewer the thumb of a right hand is at the
  # viewer's right; curled fingers tell where the palm is.
  joints = np.asarray(hands.joints_3d)
  curl = np.asarray(kinematics.joint_angles(hands.joints_3d))[:, 1:, :2, 0].sum((1, 2))
  joints = joints[curl > np.deg2rad(300)]
  up = joints[:, 9] - joints[:, 0]
  to_thumb = joints[:, 5] - joints[:, 17]
  out_of_palm = joints[:, 12] - joints[:, 9]
  assert len(joints) > 10
  assert np.all(np.einsum('ni,ni->n', np.cross(to_thumb, up), out_of_palm) > 0)


def test_hand_fills_its_crop(hands, domain):
  keypoints = np.asarray(hands.keypoints_2d)
  np.testing.assert_allclose(
    keypoints, geometry.project(hands.joints_3d, hands.intrinsics), atol=1e-4
  )
  assert np.mean((keypoints > -0.5) & (keypoints < SIZE - 0.5)) > 0.999
  side = np.ptp(keypoints, axis=1).max(axis=1) / SIZE
  assert np.all((side > domain.fill[0] - 1e-3) & (side < domain.fill[1] + 1e-3))
  depth = np.asarray(hands.joints_3d)[..., 2]
  assert np.all((depth > 0.2) & (depth < 1.1))


def test_wild_has_wider_viewpoints_and_poses_than_studio():
  def spread(domain):
    sampled = _sample(domain)
    normal = kinematics.palm_normals(sampled.joints_3d)[:, 1]
    facing = np.abs(normal[:, 2])
    flexion = kinematics.joint_angles(sampled.joints_3d)[..., 0]
    return facing.mean(), np.asarray(flexion).std(axis=0).mean()

  studio, wild = spread(STUDIO), spread(WILD)
  assert wild[0] < studio[0]
  assert wild[1] > studio[1]


@pytest.mark.slow
def test_joints_lie_on_pixels_of_the_hand(domain):
  keys = jax.random.split(jax.random.key(1), BATCH)
  # Pictures that differ in the colour of the skin alone show where it is.
  bare = dataclasses.replace(
    domain.look, sleeve=0.0, held=0.0, occluder=0.0, noise=(0, 0)
  )
  images = []
  for tone in (0.0, 1.0):
    look = dataclasses.replace(bare, skin_tone=(tone, tone))
    hands, drawn = render_batch(keys, dataclasses.replace(domain, look=look), SIZE)
    images.append(np.asarray(drawn, np.float32))
  skin = np.abs(images[0] - images[1]).max(axis=-1) > 4
  columns, rows = np.round(hands.keypoints_2d).astype(int).transpose(2, 0, 1)
  inside = (columns >= 0) & (columns < SIZE) & (rows >= 0) & (rows < SIZE)
  columns, rows = columns.clip(0, SIZE - 1), rows.clip(0, SIZE - 1)
  assert skin[np.arange(BATCH)[:, None], rows, columns][inside].mean() > 0.97
  # A hand, not a blob: most of the picture is background.
  assert 0.1 < skin.mean() < 0.6


@pytest.mark.slow
def test_subjects_keep_their_flesh_and_skin_in_every_picture(domain):
  keys = jax.random.split(jax.random.key(4), 64)
  _, hands, bodies = jax.device_get(render.sample_batch(keys, domain, SIZE))
  subjects = np.asarray(hands.subject)
  assert set(subjects) == set(range(domain.num_subjects))
  looks = np.column_stack([bodies.shape, bodies.thickness, bodies.tone])
  own = {i: looks[subjects == i] for i in set(subjects)}
  assert all(np.ptp(rows, axis=0).max() < 1e-6 for rows in own.values())
  people = np.stack([rows[0] for rows in own.values()])
  assert np.ptp(people, axis=0).min() > 0.05
  low, high = domain.look.thickness
  assert low <= people[:, -2].min() and people[:, -2].max() <= high


@pytest.mark.slow
def test_images_show_a_hand_before_another_background(domain):
  keys = jax.random.split(jax.random.key(2), BATCH)
  hands, images = render_batch(keys, domain, SIZE)
  images = np.asarray(images, np.float32)
  assert images.shape == (BATCH, SIZE, SIZE, 3)
  centre = np.asarray(hands.keypoints_2d[:, [0, 5, 9, 13, 17]]).mean(axis=1)
  palm = images[np.arange(BATCH), *np.round(centre).astype(int).T[::-1]]
  # Skin of every tone reflects more red than blue.
  assert np.mean(palm[:, 0] > palm[:, 2]) > 0.8
  assert images.std(axis=(1, 2)).min() > 5


def _digest(split, count, seed):
  digest = hashlib.sha256()
  for example in generate_examples(split, count, SIZE, seed):
    digest.update(example['image'] + np.asarray(example['joints_3d']).tobytes())
  return digest.hexdigest()


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes():
  first = _digest('wild_train', 40, 7)
  assert first == _digest('wild_train', 40, 7)
  assert first != _digest('wild_train', 40, 8)
  assert first != _digest('wild_test', 40, 7)


@pytest.mark.slow
def test_longer_split_begins_with_the_shorter_one():
  short = list(generate_examples('studio_train', 3, SIZE, 0))
  long = list(generate_examples('studio_train', 35, SIZE, 0))
  assert (len(short), len(long)) == (3, 35)
  for a, b in zip(short, long, strict=False):
    assert a['image'] == b['image'] and a['sample_id'] == b['sample_id']


@pytest.mark.slow
def test_builder_round_trip_keeps_labels_and_pictures(tmp_path):
  import tensorflow_datasets as tfds

  counts = {'studio_train': 9, 'wild_test': 3}  # fewer than the usual four files
  settings = {'data_dir': str(tmp_path), 'file_format': 'array_record'}
  builder = ProceduralHands(image_size=SIZE, examples=counts, seed=4, **settings)
  builder.download_and_prepare()
  with pytest.raises(ValueError, match='made with other settings .seed: 4, now 5'):
    ProceduralHands(image_size=SIZE, examples=counts, seed=5, **settings)
  prepared = tfds.builder_from_directory(str(builder.data_path))
  for split, count in counts.items():
    source = prepared.as_data_source(split=split)
    assert len(source) == count
    assert prepared.info.splits[split].num_shards == 3
    stored = {example['sample_id'].decode(): example for example in source}
    for example in generate_examples(split, count, SIZE, 4):
      found = stored[example['sample_id']]
      for name in ('joints_3d', 'keypoints_2d', 'intrinsics', 'is_right'):
        np.testing.assert_allclose(found[name], example[name], atol=1e-6)
      jpeg = np.frombuffer(example['image'], np.uint8)
      decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
      difference = decoded.astype(int) - found['image'].astype(int)
      assert np.abs(difference).mean() < 1  # two JPEG decoders


def test_photos_of_a_folder_stand_behind_the_hands(tmp_path):
  with pytest.raises(FileNotFoundError, match='no JPEG or PNG files'):
    ProceduralHands(data_dir=str(tmp_path), backgrounds=str(tmp_path))
  blue = np.full((200, 300, 3), (220, 40, 20), np.uint8)
  cv2.imwrite(str(tmp_path / 'blue.png'), blue)
  images = [
    cv2.imdecode(np.frombuffer(example['image'], np.uint8), cv2.IMREAD_COLOR)
    for example in generate_examples('wild_test', 16, SIZE, 0, str(tmp_path))
  ]
  corners = np.float32(images)[:, 2, [2, -3]].reshape(-1, 3)
  assert (
    np.mean((corners[:, 0] > corners[:, 1]) & (corners[:, 0] > corners[:, 2])) > 0.6
  )


def test_more_files_than_examples_are_refused_before_any_is_made(tmp_path):
  import tensorflow_datasets as tfds

  counts = {'studio_train': 9, 'studio_test': 3}
  builder = ProceduralHands(data_dir=str(tmp_path), examples=counts)
  config = tfds.download.DownloadConfig(num_shards=4)
  with pytest.raises(ValueError, match='4 files per split, but .* only 3 examples'):
    builder.download_and_prepare(download_config=config)
  assert not list(tmp_path.rglob('*.*'))


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'examples': {'studio': 5}}, 'no split'),
    ({'examples': {'studio_train': 0}}, 'at least one'),
    ({'examples': {}}, 'No split'),
    ({'image_size': 4}, 'at least 16'),
    ({'seed': 10**20}, 'must be from 0 to 4294967295'),
    ({'seed': -1}, 'must be from 0 to 4294967295'),
  ],
)
def test_wrong_settings_are_refused_in_one_sentence(tmp_path, settings, message):
  with pytest.raises(ValueError, match=message):
    ProceduralHands(data_dir=str(tmp_path), **settings)
