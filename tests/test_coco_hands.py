"""COCO-keypoints exports: layouts of tools, sides, orders, pixels, cameras, damage."""

import json
import shutil

import cv2
import numpy as np
import pytest
from absl import logging
from PIL import Image

from bmc_jax import skeleton
from bmc_jax.data import sources
from data_prep import build as build_lib
from data_prep import coco_hands, hand_graph_cnn_real
from data_prep.records import read_example
from tests import fixtures_readers

WIDTH, HEIGHT = 64, 48
NAMES = list(skeleton.JOINT_NAMES)


def _points(seed: int) -> np.ndarray:
  """Keypoints (21, 2) inside the image, the first pixel's centre at (0.5, 0.5)."""
  return np.random.default_rng(seed).uniform([2, 2], [60, 44], (21, 2)).round(2)


def _annotation(key, image, *, points=None, v=2, category=1, **fields):
  points = _points(key) if points is None else points
  rows = np.concatenate([points, np.full((21, 1), v)], axis=1)
  return {
    'id': key,
    'image_id': image,
    'category_id': category,
    'keypoints': rows.ravel().tolist(),
    'num_keypoints': 21,
    'iscrowd': 0,
    'bbox': [0, 0, 10, 10],
  } | fields


def _export():
  """Two images, the second with both hands."""
  return {
    'images': [
      {'id': i, 'file_name': f'{i}.png', 'width': WIDTH, 'height': HEIGHT}
      for i in (1, 2)
    ],
    'categories': [
      {'id': 1, 'name': 'right_hand', 'keypoints': NAMES},
      {'id': 2, 'name': 'Left hand', 'keypoints': NAMES},
    ],
    'annotations': [
      _annotation(10, 1),
      _annotation(11, 2),
      _annotation(12, 2, category=2),
    ],
  }


def _write(path, export=None, *, file='annotations/person_keypoints_default.json'):
  (path / file).parent.mkdir(parents=True, exist_ok=True)
  (path / file).write_text(json.dumps(_export() if export is None else export))


def _write_images(folder):
  for number in (1, 2):
    fixtures_readers.write_image(folder / f'{number}.png', WIDTH, HEIGHT, 90 * number)


@pytest.fixture
def source(tmp_path):
  """An export as CVAT writes it, which a test may spoil."""
  path = tmp_path / 'source'
  _write_images(path / 'images' / 'default')
  _write(path)
  return path


@pytest.fixture
def warnings(monkeypatch):
  """What is logged."""
  messages = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: messages.append(text % a))
  return messages


@pytest.mark.parametrize(
  ('file', 'images', 'split'),
  [
    ('annotations/person_keypoints_default.json', 'images/default', 'train'),
    ('annotations/person_keypoints_val2017.json', 'val2017', 'val2017'),
    ('annotations/person_keypoints_test.json', 'images', 'test'),
    ('annotations/hands-old.json', 'images', 'hands_old'),
    ('result.json', 'images', 'train'),
    ('train/_annotations.coco.json', 'train', 'train'),
    ('valid/_annotations.coco.json', 'valid', 'valid'),
    ('_annotations.coco.json', '', 'train'),
  ],
)
def test_the_layouts_of_tools_are_read(tmp_path, file, images, split):
  _write_images(tmp_path / images)
  _write(tmp_path, file=file)
  splits = coco_hands.read_records(tmp_path)
  assert list(splits) == [split]
  images = [record['image'] for record in splits[split]]
  assert [image.name for image in images] == ['1.png', '2.png', '2.png']


def test_each_file_is_a_split(source):
  _write(source, file='annotations/person_keypoints_test.json')
  _write(source, file='annotations/captions.json')
  _write_images(source / 'images' / 'test')
  splits = coco_hands.read_records(source)
  assert sorted(splits) == ['test', 'train']
  assert splits['test'][0]['image'].parent.name == 'test'


def test_each_hand_becomes_an_example_with_2d_labels_alone(source):
  records = coco_hands.read_records(source)['train']
  assert [r['sample_id'] for r in records] == ['1/10', '2/11', '2/12']
  assert [float(r['is_right'][0]) for r in records] == [1, 1, 0]
  for record, key in zip(records, (10, 11, 12), strict=True):
    np.testing.assert_allclose(record['keypoints_2d'], _points(key) - 0.5, atol=1e-5)
    assert record['visibility'].all()
    assert record['has_joints_3d'] == 0 and not record['joints_3d'].any()


def test_pixels_may_be_counted_from_zero(source):
  record = coco_hands.read_records(source, pixel_center=0)['train'][0]
  np.testing.assert_allclose(record['keypoints_2d'], _points(10), atol=1e-5)


def test_occluded_joints_are_labels_and_unlabelled_ones_are_not(source):
  export = _export()
  v = np.array([0, 1, 2] * 7)
  points = np.where(v[:, None] > 0, _points(10), 0)
  export['annotations'][0] = _annotation(10, 1, points=points, v=v[:, None])
  _write(source, export)
  record = coco_hands.read_records(source)['train'][0]
  np.testing.assert_array_equal(record['visibility'], v > 0)
  assert not record['keypoints_2d'][v == 0].any()


def test_names_of_keypoints_set_their_order(source):
  export = _export()
  table = list(skeleton.JOINT_ORDERS['mano'])
  export['categories'][0]['keypoints'] = [NAMES[j] for j in np.argsort(table)]
  _write(source, export)
  first, _, other = coco_hands.read_records(source)['train']
  np.testing.assert_allclose(first['keypoints_2d'], _points(10)[table] - 0.5, atol=1e-5)
  np.testing.assert_allclose(other['keypoints_2d'], _points(12) - 0.5, atol=1e-5)


def test_an_order_without_names_is_said_to_be_canonical(source, warnings):
  export = _export()
  for category in export['categories']:
    category['keypoints'] = [str(i) for i in range(21)]
  _write(source, export)
  record = coco_hands.read_records(source)['train'][0]
  np.testing.assert_allclose(record['keypoints_2d'], _points(10) - 0.5, atol=1e-5)
  assert any('taken to be canonical' in message for message in warnings)


@pytest.mark.parametrize(
  ('fields', 'is_right'),
  [
    ({'hand': 'left'}, 0),
    ({'handedness': 'Left hand'}, 0),
    ({'hand_type': 'R'}, 1),
    ({'is_right': 0}, 0),
    ({'is_right': True}, 1),
    ({'attributes': {'side': 'LEFT', 'occluded': False}}, 0),
    ({}, 1),  # from the category
  ],
)
def test_the_side_comes_from_the_annotation_before_the_category(
  source, fields, is_right
):
  export = _export()
  export['annotations'][0] |= fields
  _write(source, export)
  record = coco_hands.read_records(source, hand='left')['train'][0]
  assert record['is_right'] == is_right


def test_the_side_may_be_said_for_all(source):
  export = _export()
  export['categories'][0]['name'] = 'hand'
  _write(source, export)
  for hand in ('left', 'right'):
    records = coco_hands.read_records(source, hand=hand)['train']
    assert [r['is_right'][0] for r in records] == [hand == 'right'] * 2 + [0]


def test_what_is_no_labelled_hand_is_left_out_and_counted(source, warnings):
  export = _export()
  export['categories'].append({'id': 3, 'name': 'person', 'keypoints': ['nose']})
  export['categories'].append({'id': 4, 'name': 'cup'})
  export['annotations'] += [
    _annotation(20, 1, category=3),
    _annotation(21, 1, category=4),
    _annotation(22, 1, v=0),
    _annotation(23, 1, iscrowd=1),
  ]
  _write(source, export)
  assert len(coco_hands.read_records(source)['train']) == 3
  assert any('4 annotations are no labelled hands' in message for message in warnings)


@pytest.mark.parametrize(
  'fields',
  [
    {'intrinsics': [[70, 0.5, 33], [0, 72, 25], [0, 0, 1]]},
    {'cam_param': {'focal': [70, 72], 'princpt': [33, 25]}},
  ],
)
def test_a_camera_in_the_export_is_used(source, warnings, fields):
  export = _export()
  for image in export['images']:
    image |= fields
  _write(source, export)
  intrinsics = coco_hands.read_records(source)['train'][0]['intrinsics']
  skew = 0.5 if 'intrinsics' in fields else 0
  np.testing.assert_allclose(intrinsics, [[70, skew, 32.5], [0, 72, 24.5], [0, 0, 1]])
  assert not warnings


def test_without_a_camera_the_focal_length_is_the_longer_side(source, warnings):
  intrinsics = coco_hands.read_records(source)['train'][0]['intrinsics']
  np.testing.assert_allclose(intrinsics, [[64, 0, 31.5], [0, 64, 23.5], [0, 0, 1]])
  assert any(
    '2 of 2 images have no camera; their focal length is a guess' in message
    for message in warnings
  )


def _write_photo(path, *, width, height, focal=None, orientation=None):
  exif = Image.Exif()
  if focal:
    exif.get_ifd(0x8769)[0xA405] = focal
  if orientation:
    exif[0x0112] = orientation
  Image.new('RGB', (width, height)).save(path, 'JPEG', exif=exif)


def _photo_export(**fields):
  export = _export()
  export['images'] = [{'id': 1, 'file_name': 'a.jpg'} | fields]
  export['annotations'] = export['annotations'][:1]
  return export


def test_the_35_mm_equivalent_of_a_photo_is_used(source):
  # 36 mm on a frame of 36 x 24 sees as many pixels as the image is wide.
  _write_photo(source / 'images' / 'a.jpg', width=90, height=60, focal=36)
  _write(source, _photo_export(width=90, height=60))
  intrinsics = coco_hands.read_records(source)['train'][0]['intrinsics']
  np.testing.assert_allclose(
    intrinsics, [[90, 0, 44.5], [0, 90, 29.5], [0, 0, 1]], rtol=1e-6
  )


def test_a_photo_is_as_large_as_it_is_decoded(source):
  photo = source / 'images' / 'a.jpg'
  _write_photo(photo, width=HEIGHT, height=WIDTH, orientation=6)
  assert cv2.imread(str(photo)).shape == (HEIGHT, WIDTH, 3)
  _write(source, _photo_export(width=WIDTH, height=HEIGHT))
  record = coco_hands.read_records(source)['train'][0]
  np.testing.assert_allclose(record['intrinsics'][:2, 2], [31.5, 23.5])
  _write(source, _photo_export(width=HEIGHT, height=WIDTH))
  with pytest.raises(ValueError, match='is 64x48 after the rotation in its EXIF data'):
    coco_hands.read_records(source)


def _spoil(path, table, index, **fields):
  """Changes an entry; a field of None is removed."""
  export = _export()
  row = export[table][index] | fields
  export[table][index] = {key: value for key, value in row.items() if value is not None}
  _write(path, export)


DAMAGES = {
  'no export': (
    lambda p: shutil.rmtree(p / 'annotations'),
    'holds no COCO export',
  ),
  'cut off': (
    lambda p: (p / 'annotations' / 'person_keypoints_default.json').write_text('{"im'),
    'cannot be read as JSON',
  ),
  'another JSON': (lambda p: _write(p, [1, 2]), 'has no table images'),
  'no categories': (
    lambda p: _write(p, _export() | {'categories': None}),
    'has no table categories',
  ),
  'two exports': (
    lambda p: _write(p, file='annotations/person_keypoints_annotations.json'),
    "are both of the split 'train'",
  ),
  'no hands': (
    lambda p: _write(p, _export() | {'annotations': []}),
    'has no hand: no annotation with labelled keypoints',
  ),
  'too few numbers': (
    lambda p: _spoil(p, 'annotations', 0, keypoints=[1, 2, 2]),
    r'annotation 10: keypoints has the shape \(3,\), but \(63\) is needed',
  ),
  'no keypoints': (
    lambda p: _spoil(p, 'annotations', 0, keypoints='none'),
    'annotation 10: keypoints holds something other',
  ),
  'infinity': (
    lambda p: _spoil(p, 'annotations', 0, keypoints=[1, float('inf'), 2] * 21),
    'annotation 10: keypoints holds a value that is not finite',
  ),
  'outside': (
    lambda p: _spoil(p, 'annotations', 0, keypoints=[10, 480, 2] + [5, 5, 2] * 20),
    r'annotation 10 has a keypoint outside of 1.png \(64x48\)',
  ),
  'parts of the image': (
    lambda p: _spoil(
      p,
      'annotations',
      0,
      keypoints=[0.2, 0.4, 2, 0.9, 0.5, 2, 0.1] + [0.4, 2] + [0.7, 0.8, 2] * 18,
    ),
    'annotation 10 has all keypoints within 2 pixels',
  ),
  'an id twice': (
    lambda p: _spoil(p, 'annotations', 0, id=11),
    'annotations has an entry whose id 11 is missing or not unique',
  ),
  'no id': (
    lambda p: _spoil(p, 'images', 0, id=None),
    'images has an entry whose id None is missing',
  ),
  'an image that is not listed': (
    lambda p: _spoil(p, 'annotations', 0, image_id=7),
    'annotation 10 is of the image 7, which is not listed',
  ),
  'no image': (
    lambda p: _spoil(p, 'annotations', 0, image_id=None),
    'annotation 10 has no image_id',
  ),
  'a missing image': (
    lambda p: (p / 'images' / 'default' / '2.png').unlink(),
    "the image '2.png' is in none of",
  ),
  'an image of another kind': (
    lambda p: (p / 'images' / 'default' / '2.png').write_bytes(b'GIF89a'),
    '2.png cannot be read as a JPEG or PNG',
  ),
  'an image of another size': (
    lambda p: fixtures_readers.write_image(p / 'images/default/2.png', 32, 24),
    '2.png is 32x24 .* lists it as 64x48',
  ),
  'a path that leads out': (
    lambda p: _spoil(p, 'images', 0, file_name='../../images/1.png'),
    'does not lie in the folder of the export',
  ),
  'an absolute path': (
    lambda p: _spoil(p, 'images', 0, file_name='/etc/1.png'),
    'does not lie in the folder of the export',
  ),
  "Windows' way out": (
    lambda p: _spoil(p, 'images', 0, file_name='..\\1.png'),
    'does not lie in the folder of the export',
  ),
  'no side': (
    lambda p: _spoil(p, 'categories', 0, name='hand'),
    'does not say whether it is a left or a right hand',
  ),
  'another side': (
    lambda p: _spoil(p, 'annotations', 0, hand='both'),
    "annotation 10: hand is 'both'; it must be 'left' or 'right'",
  ),
  'names': (
    lambda p: _spoil(p, 'categories', 0, keypoints=['elbow', *NAMES[1:]]),
    "the keypoint name 'elbow' is not understood",
  ),
  'a camera of another form': (
    lambda p: _spoil(p, 'images', 0, intrinsics=[70, 70, 32, 24]),
    r'image 1: intrinsics has the shape \(4,\)',
  ),
  'half a camera': (
    lambda p: _spoil(p, 'images', 0, cam_param={'focal': [70, 70]}),
    'image 1: princpt of cam_param holds something other',
  ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_each_kind_of_damage_has_its_sentence(source, name):
  spoil, expected = DAMAGES[name]
  spoil(source)
  with pytest.raises((ValueError, FileNotFoundError), match=expected) as error:
    coco_hands.read_records(source)
  assert str(source) in str(error.value) and str(error.value).endswith('.')


def test_an_option_that_cannot_be_is_refused(source):
  with pytest.raises(ValueError, match="hand is 'both'"):
    coco_hands.read_records(source, hand='both')
  with pytest.raises(ValueError, match='pixel_center is -0.5'):
    coco_hands.read_records(source, pixel_center=-0.5)


def test_a_damaged_export_is_not_built(source, tmp_path, capsys):
  _spoil(source, 'categories', 0, name='hand')
  arguments = ['coco_hands', '--source', str(source)]
  message = fixtures_readers.failure(arguments, tmp_path / 'out', capsys)
  assert message.endswith('say it for all of them with --hand.')
  assert (
    build_lib.main([*arguments, '--out', str(tmp_path / 'out'), '--hand', 'left']) == 0
  )


def test_real_photos_with_2d_labels_are_built_end_to_end(test_data, tmp_path):
  folder = test_data / 'data' / 'hand_graph_cnn_real' / 'real_world_testset'
  if not folder.is_dir():
    pytest.skip('no real photos among the samples')
  photos = hand_graph_cnn_real.read_records(folder)['train'][::40]
  examples = [read_example(photo) for photo in photos]
  source = tmp_path / 'export'
  (source / 'images').mkdir(parents=True)
  export = {'categories': [{'id': 1, 'name': 'left', 'keypoints': NAMES}]}
  export['images'] = [
    {'id': i, 'file_name': f'{i}.jpg', 'width': 256, 'height': 256}
    for i in range(len(examples))
  ]
  export['annotations'] = [
    _annotation(i, i, points=example['keypoints_2d'].astype(float) + 0.5)
    for i, example in enumerate(examples)
  ]
  for i, example in enumerate(examples):
    (source / 'images' / f'{i}.jpg').write_bytes(example['image'])
  _write(source, export, file='result.json')
  path = build_lib.build('coco_hands', tmp_path, source=source)
  built = sources.TfdsSource(str(path), 'train')
  assert len(built) == len(examples) > 8
  for i, example in enumerate(examples):
    mirrored = example['keypoints_2d'] * [-1, 1] + [255, 0]
    np.testing.assert_allclose(built[i]['keypoints_2d'], mirrored, atol=1e-3)
    assert built[i]['is_right'] == 0 and built[i]['has_joints_3d'] == 0
