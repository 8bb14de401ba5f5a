"""Pictures of hands that are drawn while a network trains."""

import jax
import numpy as np
import pytest
from PIL import Image

from bmc_jax import geometry
from bmc_jax.data import drawn_images, example, sources
from bmc_jax.data.drawn_images import ProceduralImagesSource
from bmc_jax.data.procedural import everyday
from bmc_jax.data.procedural.draws import Draws
from bmc_jax.data.procedural.mesh import look as look_lib
from bmc_jax.data.procedural.mesh import scene, shading

SIZE = 32
pytestmark = pytest.mark.usefixtures('few_backgrounds')
PLAIN = {'noise': [0.0, 0.0], 'motion': 0.0, 'held': 0.0, 'occluder': 0.0, 'jpeg': 0.0}


@pytest.fixture(scope='module')
def drawn():
  return ProceduralImagesSource(image_size=SIZE).batch(range(20))


def test_an_example_is_the_same_wherever_it_stands_and_another_for_another_seed(drawn):
  source = ProceduralImagesSource(image_size=SIZE)
  again = source.batch([19, 3])
  for name, values in drawn.items():
    np.testing.assert_array_equal(again[name], values[[19, 3]])
  other = ProceduralImagesSource(image_size=SIZE, seed=1).batch([3])
  assert np.abs(other['joints_3d'] - drawn['joints_3d'][3:4]).max() > 1e-3
  example.validate_example(source[5])
  assert drawn['image'].shape == (20, SIZE, SIZE, 3)
  assert drawn['image'].dtype == np.uint8
  # Pictures, and not one colour; no two alike.
  assert drawn['image'].std(axis=(1, 2)).max(axis=1).min() > 3
  assert len({image.tobytes() for image in drawn['image']}) == 20


def test_hands_are_before_the_camera_as_large_as_hands_and_in_the_crop(drawn):
  joints = drawn['joints_3d']
  assert joints[..., 2].min() > 0.05
  reference = np.linalg.norm(joints[:, 10] - joints[:, 9], axis=1)
  assert (reference > 0.024 - 1e-6).all() and (reference < 0.044 + 1e-6).all()
  projected = geometry.project(joints, drawn['intrinsics'])
  np.testing.assert_allclose(drawn['keypoints_2d'], projected, atol=0.01)
  extent = np.ptp(projected, axis=1).max(axis=1) / SIZE
  assert (extent > 0.449).all() and (extent < 0.901).all()


def test_a_hand_is_drawn_where_its_labels_say(drawn):
  @jax.jit
  def found(joints, intrinsics):
    draws = Draws(
      jax.random.key(0), normal=look_lib.NUM_NORMAL, uniform=look_lib.NUM_UNIFORM
    )
    look = look_lib.Look(held=0.0, occluder=0.0)
    body = look_lib.sample_body(jax.random.key(1), look)
    appearance = look_lib.sample_appearance(draws, look, body)
    surface = scene.build(joints, appearance)
    return shading.shade(surface, appearance, joints, intrinsics, 64).found

  finer = np.float32([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
  shares = []
  for joints, intrinsics in zip(drawn['joints_3d'], drawn['intrinsics'], strict=True):
    mask = np.asarray(found(joints, finer @ intrinsics)).reshape(64, 64)
    column, row = np.round(geometry.project(joints, finer @ intrinsics)).astype(int).T
    inside = (column >= 0) & (column < 64) & (row >= 0) & (row < 64)
    shares.append(mask[row[inside], column[inside]].mean())
    assert mask.mean() < 0.9
  assert np.mean(shares) > 0.97  # a pixel is up to 4 mm, and tips are narrow


def test_pictures_are_kept_and_read_again(tmp_path, drawn, monkeypatch):
  options = {'image_size': SIZE, 'count': 40, 'cache': str(tmp_path / 'cache')}
  first = ProceduralImagesSource(**options).batch(range(16))
  np.testing.assert_array_equal(first['image'], drawn['image'][:16])
  with monkeypatch.context() as patch:
    patch.setattr(drawn_images.render, 'render_batch', None)  # draws no more
    again = ProceduralImagesSource(**options).batch([7, 2])
    np.testing.assert_array_equal(again['image'], first['image'][[7, 2]])
  more = ProceduralImagesSource(**options).batch([2, 17])
  np.testing.assert_array_equal(more['image'], drawn['image'][[2, 17]])
  for change in ({'seed': 1}, {'look': PLAIN}, {'count': 41}):
    with pytest.raises(ValueError, match='name another folder as the cache'):
      ProceduralImagesSource(**options | change)


def test_photos_of_a_folder_stand_behind_the_hands(tmp_path):
  with pytest.raises(FileNotFoundError, match='no JPEG or PNG files'):
    ProceduralImagesSource(image_size=SIZE, backgrounds=str(tmp_path)).batch([0])
  Image.new('RGB', (300, 200), (20, 40, 220)).save(tmp_path / 'blue.png')
  images = ProceduralImagesSource(
    image_size=SIZE, backgrounds=str(tmp_path), look=PLAIN
  ).batch(range(16))['image']
  corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]].reshape(-1, 3).astype(float)
  blue = corners[:, 2] > 1.3 * corners[:, 0]
  assert blue.mean() > 0.6  # the rest are arms, and plain colours


def test_poses_of_a_file_wear_the_mesh_and_keep_their_labels(tmp_path, drawn):
  joints = drawn['joints_3d'][:5]
  np.save(tmp_path / 'poses.npy', joints)
  camera = {'fx': 300, 'fy': 300, 'cx': 300, 'cy': 300, 'width': 600, 'height': 600}
  poses = {'path': str(tmp_path / 'poses.npy'), 'camera': camera, 'drop_outside': False}
  spec = {'kind': 'procedural_images', 'image_size': SIZE, 'poses': poses}
  source = sources.open_source(spec)
  assert len(source) == 5
  batch = source.batch(range(5))
  np.testing.assert_allclose(batch['joints_3d'], joints)
  projected = geometry.project(joints, batch['intrinsics'])
  np.testing.assert_allclose(batch['keypoints_2d'], projected, atol=0.01)
  assert batch['sample_id'][2].endswith('/dressed')
  weak = sources.open_source(spec | {'labels': '2d'}).batch(range(5))
  some = sources.open_source(spec | {'share_3d': 0.4})
  assert some.batch(range(5))['has_joints_3d'].sum() == 2
  np.testing.assert_array_equal(weak['image'], batch['image'])
  assert not weak['joints_3d'].any()
  assert not weak['has_joints_3d'].any()
  longer = sources.open_source(spec | {'extend_wrist': 0.5}).batch(range(5))
  np.testing.assert_array_equal(longer['joints_3d'], batch['joints_3d'])
  assert (longer['image'] != batch['image']).any(axis=(1, 2, 3)).all()
  with pytest.raises(ValueError, match='count is 6; it must be a whole number from 1 '):
    sources.open_source(spec | {'count': 6})


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    ({'image_size': 8}, 'image_size is 8; it must be a whole number from 16'),
    ({'image_size': 40.0}, 'must be a whole number'),
    ({'count': 0}, 'count is 0'),
    ({'seed': True}, 'seed is True'),
    ({'labels': '4d'}, "labels is '4d'"),
    ({'share_3d': 2}, 'share_3d is 2; it must be a share from 0 to 1'),
    ({'share_3d': 0.5}, 'give a count of at most 10000000'),
    ({'extend_wrist': -1}, 'extend_wrist is -1'),
    ({'look': {'colour': 1}}, "look is {'colour': 1}; it may set skin_tone"),
    ({'anyone': {'facing': 2.0}}, 'facing is 2.0'),
    ({'look': {'ring': 1.5}}, 'ring is 1.5; it must be a probability'),
    ({'look': {'noise': [0.5, 0.1]}}, 'the smaller one first'),
    ({'look': {'gain': [0.0, 1.0]}}, 'two numbers above 0'),
    ({'look': {'gain': 1.0}}, 'gain is 1.0; it must be two numbers above 0'),
    ({'look': {'held': 'never'}}, 'held is never; it must be a number'),
  ],
)
def test_options_without_a_meaning_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    sources.open_source({'kind': 'procedural_images'} | options)


def test_poses_with_the_least_overlap_are_chosen():
  fist = np.zeros((21, 3), np.float32)
  fist[1:] = np.repeat(np.eye(5, 3, dtype=np.float32) * 3, 4, axis=0)
  apart = np.zeros((21, 3), np.float32)
  apart[1:, 0] = np.repeat(np.arange(5) * 3, 4)
  apart[1:, 1] = np.tile(np.arange(1, 5), 5) * 2
  assert everyday.overlap(fist) > everyday.overlap(apart)
  together = apart.copy()
  together[5:9] = together[9:13] + 0.1
  assert everyday.overlap(together) > everyday.overlap(apart) + 1
