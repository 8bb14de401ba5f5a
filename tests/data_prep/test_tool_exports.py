"""Annotation tools' own forms: the same hands come out of each."""

import json
import re

import numpy as np
import pytest
from absl import logging

from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import coco_hands
from tests.fixtures import readers, tool_exports


@pytest.fixture
def source(tmp_path):
  path = tmp_path / 'source'
  path.mkdir()
  return path


def _check(records):
  assert len(records) == 2
  for record, (file, label, points) in zip(records, tool_exports.hands(), strict=True):
    labelled = points[:, 2] > 0
    assert record['image'].name == file
    assert bool(record['is_right'][0]) is (label == 'right_hand')
    np.testing.assert_array_equal(record['visibility'], labelled)
    expected = np.where(labelled[:, None], points[:, :2] - 0.5, 0)
    np.testing.assert_allclose(record['keypoints_2d'], expected, atol=1e-4)


@pytest.mark.parametrize('tool', tool_exports.WRITERS)
def test_the_same_hands_come_out_of_the_form_of_each_tool(tool, source):
  tool_exports.WRITERS[tool](source)
  splits = coco_hands.read_records(source)
  assert list(splits) == ['train']
  _check(splits['train'])


@pytest.mark.parametrize('tool', tool_exports.WRITERS)
def test_a_build_takes_them(tool, source, tmp_path):
  tool_exports.WRITERS[tool](source)
  arguments = ['coco_hands', '--source', str(source), '--out', str(tmp_path / 'out')]
  assert build_lib.main(arguments) == 0


@pytest.mark.parametrize('first', [0, 1])
def test_numbers_tell_joints_wherever_they_stand(first, source):
  names = [str(joint + first) for joint in range(21)]
  tool_exports.write_cvat(source, names=names)
  _check(coco_hands.read_records(source)['train'])


@pytest.mark.parametrize(
  ('layout', 'split'),
  [('images/train', 'train'), ('valid/images', 'valid'), ('images', 'train')],
)
def test_yolo_without_names_takes_the_canonical_order_with_a_word(
  layout, split, source, monkeypatch
):
  messages = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: messages.append(text % a))
  tool_exports.write_yolo(source, named=False, layout=layout)
  splits = coco_hands.read_records(source)
  assert list(splits) == [split]
  _check(splits[split])
  assert any('named by numbers (0, ...)' in text for text in messages)


def _change_json(path, change):
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))


def _replace(path, old, new):
  text = path.read_text()
  assert old in text
  path.write_text(text.replace(old, new, 1))


DAMAGES = {
  'a joint that is never labelled': (
    'labelme',
    lambda s: [
      _change_json(
        s / f'{i}.json',
        lambda c: c.update(shapes=[*c['shapes'][:9], *c['shapes'][10:]]),
      )
      for i in (0, 1)
    ],
    'but the 21 of a hand are needed, each of them labelled at least once',
  ),
  'two hands in one group': (
    'labelme',
    lambda s: _change_json(
      s / '0.json', lambda c: c['shapes'].append(dict(c['shapes'][-1], points=[[1, 2]]))
    ),
    "has the point 'wrist' twice; if these are two hands, group",
  ),
  'a joint that no hand has': (
    'cvat',
    lambda s: [
      _replace(s / 'annotations.xml', 'label="ring2"', 'label="x"') for _ in range(2)
    ],
    "keypoint name 'x' is not understood",
  ),
  'a joint under two names': (
    'cvat',
    lambda s: [
      _replace(s / 'annotations.xml', 'label="right_hand"', 'label="left_hand"'),
      _replace(s / 'annotations.xml', 'label="ring2"', 'label="ring"'),
    ],
    'have 22 different names',
  ),
  'entities': (
    'cvat',
    lambda s: _replace(
      s / 'annotations.xml', '<annotations>', '<!DOCTYPE a><annotations>'
    ),
    'declares entities',
  ),
  'cut off XML': (
    'cvat',
    lambda s: _replace(s / 'annotations.xml', '</annotations>', ''),
    'cannot be read as XML',
  ),
  'a point without a place': (
    'cvat',
    lambda s: _replace(s / 'annotations.xml', 'points="', 'points="x'),
    'in place of a number; correct the export',
  ),
  'percents without a size': (
    'label_studio',
    lambda s: _change_json(
      s / 'project.json',
      lambda c: c[0]['annotations'][0]['result'][3].pop('original_width'),
    ),
    'original_width has None in place of a number',
  ),
  'another number of keypoints': (
    'yolo',
    lambda s: _replace(s / 'data.yaml', '- 21', '- 17'),
    r'kpt_shape is \[17, 3\]; a hand has',
  ),
  'a short line': (
    'yolo',
    lambda s: (s / 'labels/train/0.txt').write_text('0 0.5 0.5 0.1 0.1 0.3'),
    'line 1 has 6 numbers; a class, a box and 21 keypoints of 3 are 68',
  ),
  'pixels': (
    'yolo',
    lambda s: (s / 'labels/train/0.txt').write_text('0 ' + '30 ' * 67),
    'has pixels; YOLO has parts of the image',
  ),
  'broken YAML': (
    'yolo',
    lambda s: (s / 'data.yaml').write_text('kpt_shape: [21, 3'),
    'cannot be read as YAML',
  ),
  'no image': (
    'yolo',
    lambda s: (s / 'images/train/1.png').unlink(),
    r'has no image .*1\.jpg \(or \.png\); put it there',
  ),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_what_is_wrong_is_told_in_a_sentence(damage, source, tmp_path, capsys):
  tool, spoil, message = DAMAGES[damage]
  tool_exports.WRITERS[tool](source)
  spoil(source)
  arguments = ['coco_hands', '--source', str(source)]
  assert re.search(message, readers.failure(arguments, tmp_path / 'out', capsys))


def test_of_a_task_that_was_labelled_twice_the_last_label_counts(source, monkeypatch):
  messages = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: messages.append(text % a))
  tool_exports.write_label_studio(source)

  def label_again(tasks):
    first = tasks[0]['annotations'][0]
    moved = json.loads(json.dumps(first))
    for region in moved['result']:
      region['value']['x'] /= 2
    tasks[0]['annotations'] = [moved, first, dict(moved, was_cancelled=True)]

  _change_json(source / 'project.json', label_again)
  _check(coco_hands.read_records(source)['train'])
  assert any('1 tasks were labelled more than once' in text for text in messages)
