"""Public datasets in the form of COCO, as generated folders of their layouts."""

import json

import numpy as np
import pytest
from absl import logging

from bmc_jax import skeleton
from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import coco_hands
from tests.fixtures import readers

WIDTH, HEIGHT = 64, 48
CAMERA = np.array([[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]])
MMPOSE_NAMES = ['wrist'] + [
  f'{finger}{i}'
  for finger in (
    'thumb', 'forefinger', 'middle_finger', 'ring_finger', 'pinky_finger'
  )
  for i in (1, 2, 3, 4)
]  # fmt: skip


def _hands(count):
  """Projected hands (count, 21, 3): x, y and v = 1."""
  points = [
    readers.slow_projection(joints, CAMERA) for joints in readers.make_hands(3, count)
  ]
  return np.concatenate([points, np.ones((count, 21, 1))], axis=2)


def _write(path, annotations, *, names=('nose',), description='', images=('1.jpg',)):
  path.parent.mkdir(parents=True, exist_ok=True)
  content = {
    'info': {'description': description},
    'images': [
      {'id': i, 'file_name': name, 'width': WIDTH, 'height': HEIGHT}
      for i, name in enumerate(images)
    ],
    'categories': [{'id': 1, 'name': 'hand', 'keypoints': list(names)}],
    'annotations': [
      {'id': i, 'image_id': 0, 'category_id': 1, 'iscrowd': 0} | row
      for i, row in enumerate(annotations)
    ],
  }
  path.write_text(json.dumps(content))


def _wholebody(left, right, **fields):
  return {
    'keypoints': [0, 0, 0] * 17,
    'lefthand_kpts': left.ravel().tolist(),
    'righthand_kpts': right.ravel().tolist(),
    'lefthand_box': [0.0] * 4,
    'lefthand_valid': True,
    'righthand_valid': True,
  } | fields


@pytest.fixture
def warnings(monkeypatch):
  messages = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: messages.append(text % a))
  return messages


def test_the_valid_hands_of_coco_wholebody_are_built(tmp_path, warnings):
  left, right = _hands(2)
  left[7] = 0
  source = tmp_path / 'coco'
  for split in ('train', 'val'):
    readers.write_image(source / f'{split}2017' / '1.jpg', WIDTH, HEIGHT)
    rows = [
      _wholebody(left, right),
      _wholebody(left, right, lefthand_valid=False),
      _wholebody(0 * left, right / 1000 + [5, 5, 1], righthand_valid=True),
    ]
    _write(source / 'annotations' / f'coco_wholebody_{split}_v1.0.json', rows)
  # COCO's own files, which lie there too, have no hands.
  _write(source / 'annotations' / 'person_keypoints_val2017.json', [])
  path = build_lib.build('coco_wholebody', tmp_path / 'out', source=source)
  built = sources.TfdsSource(str(path), 'val')
  ids = [built[i]['sample_id'] for i in range(len(built))]
  assert ids == ['1/0_left', '1/0_right', '1/1_right']
  mirrored = left[:, :2] * [-1, 1] + [WIDTH - 1, 0]
  mirrored[7] = 0
  found = built[0]
  seen = found['visibility'] > 0
  np.testing.assert_array_equal(seen, np.arange(21) != 7)
  np.testing.assert_allclose(found['keypoints_2d'][seen], mirrored[seen], atol=1e-3)
  # Pixels are counted from 0.
  np.testing.assert_allclose(built[1]['keypoints_2d'], right[:, :2], atol=1e-3)
  assert any('3 annotations are no labelled hands' in text for text in warnings)
  assert 'non-commercial' in (path / 'README.md').read_text()


def test_halpe_has_its_hands_among_136_keypoints(tmp_path):
  left, right = _hands(2)
  body = np.zeros((136, 3))
  body[94:115], body[115:136] = left, right
  readers.write_image(
    tmp_path / 'hico_20160224_det/images/train2015/1.jpg', WIDTH, HEIGHT
  )
  _write(
    tmp_path / 'annotations' / 'halpe_train_v1.json',
    [{'keypoints': body.ravel().tolist()}],
  )
  found = coco_hands.read_records(tmp_path)['train']
  assert [bool(record['is_right']) for record in found] == [False, True]
  for record, points in zip(found, (left, right), strict=True):
    np.testing.assert_allclose(record['keypoints_2d'], points[:, :2], atol=1e-4)


def test_a_v_that_is_none_of_a_whole_body_is_refused(tmp_path):
  left, right = _hands(2)
  readers.write_image(tmp_path / 'val2017' / '1.jpg', WIDTH, HEIGHT)
  _write(tmp_path / 'halpe_val_v1.json', [_wholebody(left + [0, 0, 2], right)])
  with pytest.raises(ValueError, match='lefthand_kpts has a v that is not from 0 to 2'):
    coco_hands.read_records(tmp_path)


@pytest.mark.parametrize(
  ('file', 'image', 'split'),
  [
    ('annotations/onehand10k_train.json', 'Train/source/1.jpg', 'train'),
    ('annotations/onehand10k_test.json', 'Test/source/1.jpg', 'test'),
    ('annotations/panoptic_train.json', 'hand143_panopticdb/imgs/1.jpg', 'train'),
  ],
)
def test_jsons_of_mmpose_are_read(tmp_path, file, image, split):
  readers.write_image(tmp_path / image, WIDTH, HEIGHT)
  points = _hands(1)[0]
  points[0] = 0
  name = image if split == 'train' else '1.jpg'
  rows = [{'keypoints': points.ravel().tolist()}]
  _write(tmp_path / file, rows, names=MMPOSE_NAMES, images=[name])
  with pytest.raises(ValueError, match='say it for all of them with --hand'):
    coco_hands.read_records(tmp_path)
  (record,) = coco_hands.read_records(tmp_path, hand='right')[split]
  np.testing.assert_allclose(record['keypoints_2d'], points[:, :2], atol=1e-4)
  np.testing.assert_array_equal(record['visibility'], np.arange(21) > 0)


@pytest.mark.parametrize('known', [True, False])
def test_fingers_from_tip_to_base_are_turned_or_refused(tmp_path, warnings, known):
  readers.write_image(tmp_path / 'training' / 'color' / '1.png', WIDTH, HEIGHT)
  hands = _hands(6)
  stored = hands[:, np.argsort(skeleton.JOINT_ORDERS['rhd'])]
  rows = [{'keypoints': points.tolist(), 'hand_type': 'left'} for points in stored]
  name = 'annotations/rhd_train.json' if known else 'annotations/mine.json'
  _write(tmp_path / name, rows, names=MMPOSE_NAMES, images=['training/color/1.png'])
  if not known:
    with pytest.raises(ValueError, match='fingers run from tip to base, but the names'):
      coco_hands.read_records(tmp_path)
    return
  found = coco_hands.read_records(tmp_path)['train']
  for record, points in zip(found, hands, strict=True):
    np.testing.assert_allclose(record['keypoints_2d'], points[:, :2], atol=1e-4)
    assert not record['is_right']
  assert any('and are turned' in text for text in warnings)


def test_both_hands_of_a_person_are_looked_at(tmp_path, warnings):
  left, right = _hands(2)
  left[3, :2] = 0  # labelled, but where tools put what is not
  readers.write_image(tmp_path / 'train2017' / '1.jpg', WIDTH, HEIGHT)
  _write(tmp_path / 'coco_wholebody_train_v1.0.json', [_wholebody(left, right)])
  coco_hands.read_records(tmp_path)
  told = '1 keypoints of 1 hands, first of annotation 0_left, lie at exactly 0, 0'
  assert any(told in text for text in warnings)
