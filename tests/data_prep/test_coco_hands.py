"""COCO-keypoints exports: layouts of tools, sides, orders, pixels, cameras, damage."""

import cv2
import numpy as np
import pytest
from absl import logging

from bmc_jax import skeleton
from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import coco_hands, hand_graph_cnn_real
from bmc_jax.data_prep import records as records_lib
from tests.fixtures import readers
from tests.fixtures.coco_damages import DAMAGES
from tests.fixtures.coco_exports import (
  HEIGHT,
  NAMES,
  WIDTH,
  make_annotation,
  make_export,
  make_points,
  spoil,
  write_export,
  write_images,
  write_photo,
)


@pytest.fixture
def source(tmp_path):
  """An export as CVAT writes it, which a test may spoil."""
  path = tmp_path / 'source'
  write_images(path / 'images' / 'default')
  write_export(path)
  return path


@pytest.fixture
def warnings(monkeypatch):
  """What is logged."""
  messages = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: messages.append(text % a))
  return messages


def _first_example(source):
  return coco_hands.read_example(coco_hands.read_records(source)['train'][0])


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
    ('annotations/all.json', 'images', 'train'),
  ],
)
def test_the_layouts_of_tools_are_read(tmp_path, file, images, split):
  write_images(tmp_path / images)
  write_export(tmp_path, file=file)
  splits = coco_hands.read_records(tmp_path)
  assert list(splits) == [split]
  images = [record['image'] for record in splits[split]]
  assert [image.name for image in images] == ['1.png', '2.png', '2.png']


def test_each_file_is_a_split(source):
  write_export(source, file='annotations/person_keypoints_test.json')
  write_export(source, file='annotations/captions.json')
  write_images(source / 'images' / 'test')
  splits = coco_hands.read_records(source)
  assert sorted(splits) == ['test', 'train']
  assert splits['test'][0]['image'].parent.name == 'test'


def test_other_json_files_beside_an_export_are_left_out_with_a_word(tmp_path, warnings):
  write_images(tmp_path / 'images')
  write_export(tmp_path, file='train.json')
  captions = {'images': [], 'annotations': [{'caption': 'a hand'}]}
  write_export(tmp_path, captions, file='captions.json')
  write_export(tmp_path, {'version': 1}, file='package.json')
  (tmp_path / '._train.json').write_bytes(b'\0\5\x16\7')  # macOS writes such a file
  assert list(coco_hands.read_records(tmp_path)) == ['train']
  left_out = [message for message in warnings if 'left out' in message]
  assert [message.split(' has ')[1] for message in left_out] == [
    'no table categories, so it is left out.',
    'no table images, so it is left out.',
  ]


def test_json_files_that_are_all_no_exports_are_refused(tmp_path):
  for name in 'ab':
    write_export(tmp_path, {'version': 1}, file=f'{name}.json')
  with pytest.raises(ValueError, match=r'a\.json has no table images; export it as'):
    coco_hands.read_records(tmp_path)


def test_a_split_named_all_beside_others_is_refused(tmp_path, capsys):
  write_images(tmp_path / 'source' / 'images')
  for name in ('all', 'val'):
    write_export(tmp_path / 'source', file=f'annotations/{name}.json')
  arguments = ['coco_hands', '--source', str(tmp_path / 'source')]
  message = readers.failure(arguments, tmp_path / 'out', capsys)
  assert "has a split 'all', which is TFDS's name for all splits together" in message
  arguments += ['--splits', 'val', '--out', str(tmp_path / 'out')]
  assert build_lib.main(arguments) == 0


@pytest.mark.parametrize('size', [('64', '48.0'), (None, 48), ('64', None)])
def test_sizes_may_be_text_or_null(source, size):
  export = make_export()
  export['images'][0] |= {'width': size[0], 'height': size[1]}
  write_export(source, export)
  np.testing.assert_allclose(_first_example(source)['intrinsics'][:2, 2], [31.5, 23.5])


def test_each_hand_becomes_an_example_with_2d_labels_alone(source):
  records = coco_hands.read_records(source)['train']
  assert [r['sample_id'] for r in records] == ['1/10', '2/11', '2/12']
  assert [float(r['is_right'][0]) for r in records] == [1, 1, 0]
  for record, key in zip(records, (10, 11, 12), strict=True):
    np.testing.assert_allclose(
      record['keypoints_2d'], make_points(key) - 0.5, atol=1e-5
    )
    assert record['visibility'].all()
    assert record['has_joints_3d'] == 0 and not record['joints_3d'].any()


def test_pixels_may_be_counted_from_zero(source):
  record = coco_hands.read_records(source, pixel_center=0)['train'][0]
  np.testing.assert_allclose(record['keypoints_2d'], make_points(10), atol=1e-5)


def test_occluded_joints_are_labels_and_unlabelled_ones_are_not(source):
  export = make_export()
  v = np.array([0, 1, 2] * 7)
  points = np.where(v[:, None] > 0, make_points(10), 0)
  export['annotations'][0] = make_annotation(10, 1, points=points, v=v[:, None])
  write_export(source, export)
  record = coco_hands.read_records(source)['train'][0]
  np.testing.assert_array_equal(record['visibility'], v > 0)
  assert not record['keypoints_2d'][v == 0].any()


def test_names_of_keypoints_set_their_order(source):
  export = make_export()
  table = list(skeleton.JOINT_ORDERS['mano'])
  export['categories'][0]['keypoints'] = [NAMES[j] for j in np.argsort(table)]
  write_export(source, export)
  first, _, other = coco_hands.read_records(source)['train']
  np.testing.assert_allclose(
    first['keypoints_2d'], make_points(10)[table] - 0.5, atol=1e-5
  )
  np.testing.assert_allclose(other['keypoints_2d'], make_points(12) - 0.5, atol=1e-5)


def test_numbers_as_names_are_those_of_canonical_joints_and_it_is_said(
  source, warnings
):
  export = make_export()
  numbers = sorted(range(21), key=str)  # 0, 1, 10, 11...
  for category in export['categories']:
    category['keypoints'] = [str(i) for i in numbers]
  write_export(source, export)
  record = coco_hands.read_records(source)['train'][0]
  expected = make_points(10)[np.argsort(numbers)] - 0.5
  np.testing.assert_allclose(record['keypoints_2d'], expected, atol=1e-5)
  assert any('named by numbers' in message for message in warnings)


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
  export = make_export()
  export['annotations'][0] |= fields
  write_export(source, export)
  record = coco_hands.read_records(source, hand='left')['train'][0]
  assert record['is_right'] == is_right


def test_the_side_may_be_said_for_all(source):
  export = make_export()
  export['categories'][0]['name'] = 'hand'
  write_export(source, export)
  for hand in ('left', 'right'):
    records = coco_hands.read_records(source, hand=hand)['train']
    assert [r['is_right'][0] for r in records] == [hand == 'right'] * 2 + [0]


def test_what_is_no_labelled_hand_is_left_out_and_counted(source, warnings):
  export = make_export()
  export['categories'].append({'id': 3, 'name': 'person', 'keypoints': ['nose']})
  export['categories'].append({'id': 4, 'name': 'cup'})
  export['annotations'] += [
    make_annotation(20, 1, category=3),
    make_annotation(21, 1, category=4),
    make_annotation(22, 1, v=0),
    make_annotation(23, 1, iscrowd=1),
    make_annotation(24, 1, keypoints=None),
    make_annotation(25, 1, keypoints=[]),
    {'id': 26, 'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 3, 4]},
  ]
  write_export(source, export)
  assert len(coco_hands.read_records(source)['train']) == 3
  assert any('7 annotations are no labelled hands' in message for message in warnings)


@pytest.mark.parametrize(
  'fields',
  [
    {'intrinsics': [[70, 0.5, 33], [0, 72, 25], [0, 0, 1]]},
    {'cam_param': {'focal': [70, 72], 'princpt': [33, 25]}},
    {'cam_param': [70, 72, 33, 25]},
  ],
)
def test_a_camera_in_the_export_is_used(source, warnings, fields):
  export = make_export()
  for image in export['images']:
    image |= fields
  write_export(source, export)
  intrinsics = coco_hands.read_records(source)['train'][0]['intrinsics']
  skew = 0.5 if 'intrinsics' in fields else 0
  np.testing.assert_allclose(intrinsics, [[70, skew, 32.5], [0, 72, 24.5], [0, 0, 1]])
  assert not warnings


def test_a_camera_of_another_image_is_told(source, warnings):
  export = make_export()
  export['images'][0]['intrinsics'] = [700, 720, 320, 240]
  write_export(source, export)
  coco_hands.read_records(source)
  (told,) = (message for message in warnings if 'cameras look wrong' in message)
  assert 'as of a frame of about 639x479' in told


def test_without_a_camera_the_focal_length_is_the_longer_side(source, warnings):
  intrinsics = _first_example(source)['intrinsics']
  np.testing.assert_allclose(intrinsics, [[64, 0, 31.5], [0, 64, 23.5], [0, 0, 1]])
  assert any(
    '2 of 2 images have no camera; their focal length is a guess' in message
    for message in warnings
  )


def _photo_export(**fields):
  export = make_export()
  export['images'] = [{'id': 1, 'file_name': 'a.jpg'} | fields]
  export['annotations'] = export['annotations'][:1]
  return export


def test_the_35_mm_equivalent_of_a_photo_is_used(source):
  # 36 mm on a frame of 36 x 24 sees as many pixels as the image is wide.
  write_photo(source / 'images' / 'a.jpg', width=90, height=60, focal=36)
  write_export(source, _photo_export(width=90, height=60))
  intrinsics = _first_example(source)['intrinsics']
  np.testing.assert_allclose(
    intrinsics, [[90, 0, 44.5], [0, 90, 29.5], [0, 0, 1]], rtol=1e-6
  )


def test_a_photo_is_as_large_as_it_is_decoded(source):
  photo = source / 'images' / 'a.jpg'
  write_photo(photo, width=HEIGHT, height=WIDTH, orientation=6)
  assert cv2.imread(str(photo)).shape == (HEIGHT, WIDTH, 3)
  write_export(source, _photo_export(width=WIDTH, height=HEIGHT))
  example = _first_example(source)
  np.testing.assert_allclose(example['intrinsics'][:2, 2], [31.5, 23.5])
  write_export(source, _photo_export(width=HEIGHT, height=WIDTH))
  with pytest.raises(ValueError, match='is 64x48 after the rotation in its EXIF data'):
    _first_example(source)


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
  spoil(source, 'categories', 0, name='hand')
  arguments = ['coco_hands', '--source', str(source)]
  message = readers.failure(arguments, tmp_path / 'out', capsys)
  assert message.endswith('say it for all of them with --hand.')
  assert (
    build_lib.main([*arguments, '--out', str(tmp_path / 'out'), '--hand', 'left']) == 0
  )


def test_real_photos_with_2d_labels_are_built_end_to_end(test_data, tmp_path):
  folder = test_data / 'data' / 'hand_graph_cnn_real' / 'real_world_testset'
  if not folder.is_dir():
    pytest.skip('no real samples of photos')
  photos = hand_graph_cnn_real.read_records(folder)['train'][::40]
  examples = [records_lib.read_example(photo) for photo in photos]
  source = tmp_path / 'export'
  (source / 'images').mkdir(parents=True)
  export = {'categories': [{'id': 1, 'name': 'left', 'keypoints': NAMES}]}
  export['images'] = [
    {'id': i, 'file_name': f'{i}.jpg', 'width': 256, 'height': 256}
    for i in range(len(examples))
  ]
  export['annotations'] = [
    make_annotation(i, i, points=example['keypoints_2d'].astype(float) + 0.5)
    for i, example in enumerate(examples)
  ]
  for i, example in enumerate(examples):
    (source / 'images' / f'{i}.jpg').write_bytes(example['image'])
  write_export(source, export, file='result.json')
  path = build_lib.build('coco_hands', tmp_path, source=source)
  built = sources.TfdsSource(str(path), 'train')
  assert len(built) == len(examples) > 8
  for i, example in enumerate(examples):
    mirrored = example['keypoints_2d'] * [-1, 1] + [255, 0]
    np.testing.assert_allclose(built[i]['keypoints_2d'], mirrored, atol=1e-3)
    assert built[i]['is_right'] == 0 and built[i]['has_joints_3d'] == 0


def test_labelled_keypoints_at_the_corner_are_told(source, warnings):
  points = make_points(10)
  points[[4, 8]] = 0
  for v, told in ((2, True), (np.where(np.arange(21) % 4, 2, 0)[:, None], False)):
    row = make_annotation(10, 1, points=points, v=v)
    spoil(source, 'annotations', 0, keypoints=row['keypoints'])
    coco_hands.read_records(source)
    found = [text for text in warnings if 'lie at exactly 0, 0' in text]
    assert bool(found) == told
    if told:
      assert '2 keypoints of 1 hands, first of annotation 10' in found[0]
    warnings.clear()


def test_a_side_that_the_export_contradicts_is_told(source, warnings):
  coco_hands.read_records(source, hand='right')
  assert any(
    'tells of 1 of 3 hands that they are left ones, which counts' in text
    for text in warnings
  )
  warnings.clear()
  coco_hands.read_records(source)
  assert not any('--hand' in text for text in warnings)
