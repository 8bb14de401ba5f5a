"""Exports of CVAT, Label Studio, labelme and YOLO: one hand in every form."""

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
NAMES = list(skeleton.JOINT_NAMES)
SHUFFLED = np.random.default_rng(0).permutation(21)
RIGHT, LEFT = np.random.default_rng(1).uniform([2, 2], [60, 44], (2, 21, 2)).round(2)
UNLABELLED = 5  # of the left hand
OCCLUDED = 7


def _labelled(side):
  """Names, points and place of the labelled keypoints, in no order."""
  points = RIGHT if side == 'right' else LEFT
  for j in SHUFFLED:
    if side == 'right' or j != UNLABELLED:
      yield NAMES[j], points[j], j


def write_cvat(path, label='{}_hand', name='{}'):
  hands = []
  for side in ('right', 'left'):
    points = [
      f'<points label="{name.format(n)}" outside="0" occluded="{int(j == OCCLUDED)}" '
      f'points="{x},{y}"></points>'
      for n, (x, y), j in _labelled(side)
    ]
    if side == 'left':
      points.append(
        f'<points label="{name.format(NAMES[UNLABELLED])}" outside="1" occluded="0" '
        'points="9,9"></points>'
      )
    hands.append(
      f'<skeleton label="{label.format(side)}">{"".join(points)}'
      f'<attribute name="Side">{side}</attribute></skeleton>'
    )
  (path / 'annotations.xml').write_text(
    '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta>'
    '<task><name>hands</name></task></meta>'
    f'<image id="0" name="1.png" width="{WIDTH}" height="{HEIGHT}">'
    '<box label="cup" xtl="1" ytl="1" xbr="5" ybr="5"></box>'
    f'{"".join(hands)}</image></annotations>'
  )
  readers.write_image(path / 'images' / '1.png', WIDTH, HEIGHT)


def write_labelme(path, *, sided=False):
  shapes = []
  for group, side in enumerate(('right', 'left')):
    box = [[0, 0], [9, 9]]
    if not sided:
      shape = {'label': f'{side}_hand', 'shape_type': 'rectangle', 'points': box}
      shapes.append(shape | {'group_id': group})
    for name, point, _ in _labelled(side):
      shape = {'label': f'{side}_{name}' if sided else name, 'shape_type': 'point'}
      shape |= {'points': [point.tolist()], 'group_id': None if sided else group}
      shapes.append(shape)
  content = {'version': '5.4.1', 'flags': {}, 'shapes': shapes, 'imagePath': '1.png'}
  content |= {'imageData': None, 'imageHeight': HEIGHT, 'imageWidth': WIDTH}
  (path / '1.json').write_text(json.dumps(content))
  readers.write_image(path / '1.png', WIDTH, HEIGHT)


def write_label_studio(path, *, image='/data/upload/3/0a1b2c3d-1.png'):
  result = []
  size = {'original_width': WIDTH, 'original_height': HEIGHT, 'image_rotation': 0}
  for side in ('right', 'left'):
    value = {
      'x': 0,
      'y': 0,
      'width': 9,
      'height': 9,
      'rectanglelabels': [f'{side} hand'],
    }
    result.append(size | {'id': side, 'type': 'rectanglelabels', 'value': value})
    for name, (x, y), j in _labelled(side):
      value = {'x': 100 * x / WIDTH, 'y': 100 * y / HEIGHT, 'width': 0.4}
      value['keypointlabels'] = [name]
      region = {'id': f'{side}{j}', 'parentID': side, 'type': 'keypointlabels'}
      result.append(size | region | {'value': value})
  cancelled = {'was_cancelled': True, 'result': []}
  done = {'was_cancelled': False, 'result': result}
  task = {'id': 7, 'data': {'image': image}, 'annotations': [cancelled, done]}
  (path / 'project-3-at-2026.json').write_text(json.dumps([task]))
  readers.write_image(path / 'images' / '1.png', WIDTH, HEIGHT)


def write_yolo(path, *, columns=3, named=True, train='images/train', names=None):
  order = SHUFFLED if named else np.arange(21)
  lines = []
  for cls, (side, points) in enumerate({'right': RIGHT, 'left': LEFT}.items()):
    rows = np.c_[points / [WIDTH, HEIGHT], np.full(21, 2)]
    if side == 'left':
      rows[UNLABELLED] = 0
    numbers = rows[order, :columns].ravel()
    lines.append(' '.join(map(str, [cls, 0.5, 0.5, 1, 1, *numbers])))
  kpt_names = names or [NAMES[j] for j in order]
  told = {'train': train, 'val': 'images/none', 'kpt_shape': [21, columns]}
  told |= {'names': {0: 'right', 1: 'left'}}
  told |= {'kpt_names': {0: kpt_names, 1: kpt_names}} if named or names else {}
  (path / 'data.yaml').write_text(json.dumps(told))  # JSON is YAML
  folder = path / train.replace('../', '')
  readers.write_image(folder / '1.png', WIDTH, HEIGHT)
  readers.write_image(folder / 'without_hands.png', WIDTH, HEIGHT)
  labels = path / train.replace('../', '').replace('images', 'labels')
  labels.mkdir(parents=True)
  (labels / '1.txt').write_text('\n'.join(lines))


FORMS = {
  'CVAT': write_cvat,
  'CVAT, sides as attributes': lambda p: write_cvat(p, label='hand'),
  'labelme': write_labelme,
  'labelme, sides in names': lambda p: write_labelme(p, sided=True),
  'Label Studio': write_label_studio,
  'Label Studio, local files': lambda p: write_label_studio(
    p, image='/data/local-files/?d=photos/1.png'
  ),
  'YOLO': write_yolo,
  'YOLO, x and y': lambda p: write_yolo(p, columns=2),
  'YOLO, no names': lambda p: write_yolo(p, named=False),
  'Roboflow': lambda p: write_yolo(p, train='../train/images'),
}


@pytest.fixture
def warnings(monkeypatch):
  messages = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: messages.append(text % a))
  return messages


@pytest.mark.parametrize('form', FORMS)
def test_each_tool_gives_the_same_hands(tmp_path, form):
  FORMS[form](tmp_path)
  splits = coco_hands.read_records(tmp_path)
  assert list(splits) == ['train']
  right, left = splits['train']
  assert right['is_right'] == 1 and left['is_right'] == 0
  for record, points in ((right, RIGHT), (left, LEFT)):
    seen = record['visibility'] > 0
    expected = np.arange(21) != UNLABELLED if record is left else np.ones(21, bool)
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_allclose(
      record['keypoints_2d'][seen], points[seen] - 0.5, atol=1e-4
    )
    assert coco_hands.read_example(record)['image']


def test_an_export_of_a_tool_is_built(tmp_path):
  source = tmp_path / 'export'
  source.mkdir()
  write_label_studio(source)
  path = build_lib.build('coco_hands', tmp_path / 'out', source=source)
  assert len(sources.TfdsSource(str(path), 'train')) == 2


def test_points_named_by_numbers_go_by_them_and_it_is_said(tmp_path, warnings):
  write_yolo(tmp_path, names=[f'kp_{j}' for j in SHUFFLED])
  right, _ = coco_hands.read_records(tmp_path)['train']
  np.testing.assert_allclose(right['keypoints_2d'], RIGHT - 0.5, atol=1e-4)
  assert any('named by numbers' in text for text in warnings)


def _edit(path, name, old, new):
  text = (path / name).read_text()
  assert old in text
  (path / name).write_text(text.replace(old, new))


def _spoil_twice(path):
  write_labelme(path)
  _edit(path, '1.json', '"thumb_mcp"', '"thumb_cmc"')


def _spoil_side(path):
  write_cvat(path, name='left_{}')


def _spoil_names(path):
  write_cvat(path)
  _edit(path, 'annotations.xml', 'ring_tip', 'elbow')


def _without_names(path):
  write_cvat(path)
  points = '<points label="hand" points="1,2;3,4"></points></image>'
  _edit(path, 'annotations.xml', '</image>', points)


def _spoil_labels(path, new):
  write_yolo(path)
  text = (path / 'labels/train/1.txt').read_text()
  (path / 'labels/train/1.txt').write_text(new(text))


def _cut_off(path):
  write_labelme(path)
  (path / '2.json').write_text('{"shapes": [')


DAMAGES = {
  'a name twice': (_spoil_twice, "keypoint 'thumb_cmc' twice in one hand"),
  'two sides': (
    _spoil_side,
    "'right_hand' holds the keypoint 'left_.*correct the side",
  ),
  'another name': (_spoil_names, "the keypoint name 'elbow' is not understood"),
  'no names': (_without_names, "'hand' has points without names.*draw a skeleton"),
  'too few numbers': (
    lambda p: _spoil_labels(p, lambda text: text[: len(text) // 4]),
    '1.png: line 1 of its labels has .* entries, but 68 numbers are needed',
  ),
  'pixels': (
    lambda p: _spoil_labels(p, lambda text: text.replace(' 0.', ' 10.')),
    'has pixels; YOLO has parts of the image',
  ),
  'cut off': (_cut_off, r'2\.json cannot be read as JSON'),
  'a video': (
    lambda p: (p / 'a.xml').write_text('<annotations><track/></annotations>'),
    'no export of the kind "CVAT for images 1.1"',
  ),
  'entities': (
    lambda p: (p / 'a.xml').write_text(
      '<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>'
    ),
    'declares entities, which CVAT does not',
  ),
  'broken XML': (
    lambda p: (p / 'a.xml').write_text('<annotations><image'),
    'cannot be read as XML',
  ),
  'a body': (
    lambda p: (p / 'data.yaml').write_text('kpt_shape: [17, 3]'),
    r'kpt_shape is \[17, 3\], but 21 keypoints are needed',
  ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_each_kind_of_damage_has_its_sentence(tmp_path, name):
  spoil, expected = DAMAGES[name]
  spoil(tmp_path)
  with pytest.raises(ValueError, match=expected) as error:
    coco_hands.read_records(tmp_path)
  assert str(error.value).endswith('.')
