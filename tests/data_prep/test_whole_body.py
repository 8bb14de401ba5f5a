"""COCO-WholeBody and Halpe, on made-up files of their layouts."""

import json

import numpy as np
import pytest
from absl import logging

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import whole_body
from tests.fixtures import readers

WIDTH, HEIGHT = 160, 120


def _points(seed: int, span: float = 60) -> np.ndarray:
  """Keypoints x, y, v (21, 3), the first two of which span so many pixels."""
  rng = np.random.default_rng(seed)
  points = rng.uniform(20, 20 + span, (21, 2)).round(1)
  points[:2] = [[20, 20], [20 + span, 20 + span]]
  # Whole-body labels have scores for v, too.
  return np.concatenate([points, rng.choice([0.4, 1, 2], (21, 1))], axis=1)


NOTHING = np.zeros((21, 3))


def _wholebody(left, right):
  def row(side, points):
    valid = points is not None
    kept = (points if valid else NOTHING).ravel().tolist()
    return {f'{side}hand_kpts': kept, f'{side}hand_valid': valid}

  return {'keypoints': [0] * 51} | row('left', left) | row('right', right)


def _halpe(left, right):
  hands = [NOTHING if points is None else points for points in (left, right)]
  body = np.full((94, 3), 7.0)
  return {'keypoints': np.concatenate([body, *hands]).ravel().tolist()}


FORMS = {
  'coco_wholebody': (_wholebody, 'coco_wholebody_{}_v1.0.json', 'train2017'),
  'halpe': (_halpe, 'halpe_{}_v1.json', 'hico_20160224_det/images/train2015'),
}


def _write(source, name, people, *, split='train', folder=None):
  """A split of two images; people are pairs of image, left and right keypoints."""
  person, file, images = FORMS[name]
  for number in (1, 2):
    path = source / (folder or images) / f'{number:06}.jpg'
    readers.write_image(path, WIDTH, HEIGHT, 90 * number)
  rows = [
    {'id': i, 'image_id': image, 'category_id': 1, 'iscrowd': 0, **person(left, right)}
    for i, (image, left, right) in enumerate(people)
  ]
  listed = [
    {'id': n, 'file_name': f'{n:06}.jpg', 'width': WIDTH, 'height': HEIGHT}
    for n in (1, 2)
  ]
  content = {'images': listed, 'annotations': rows, 'categories': [{'id': 1}]}
  (source / file.format(split)).write_text(json.dumps(content))
  return content


@pytest.fixture
def warnings(monkeypatch):
  """What is logged."""
  messages = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: messages.append(text % a))
  return messages


@pytest.mark.parametrize('name', FORMS)
def test_hands_of_both_sides_keep_their_pixels(name, tmp_path, warnings):
  source = tmp_path / 'source'
  source.mkdir()
  left, right, small = _points(0), _points(1), _points(2, span=10)
  right[5] = 0  # not labelled
  _write(source, name, [(1, left, right), (2, None, small)])
  out = tmp_path / 'out'
  assert build_lib.main([name, '--source', str(source), '--out', str(out)]) == 0
  built = sources.TfdsSource(str(out / name), 'train')
  found = {built[i]['sample_id']: built[i] for i in range(len(built))}
  assert set(found) == {'000001/0/left', '000001/0/right'}
  for side, points in (('left', left), ('right', right)):
    example = found[f'000001/0/{side}']
    assert bool(example['is_right']) is (side == 'right')
    np.testing.assert_array_equal(example['visibility'], points[:, 2] > 0)
    expected = points[:, :2]
    if side == 'left':  # mirrored on loading
      expected = np.where(points[:, 2:] > 0, [WIDTH - 1, 0] + expected * [-1, 1], 0)
    np.testing.assert_allclose(example['keypoints_2d'], expected, atol=1e-4)
    assert not example['has_joints_3d']
    # A guessed camera: the longer side, and the middle of the image.
    np.testing.assert_allclose(
      example['intrinsics'], [[160, 0, 79.5], [0, 160, 59.5], [0, 0, 1]]
    )
    assert example['image'].shape == (HEIGHT, WIDTH, 3)
  invalid = 'called invalid' if name == 'coco_wholebody' else 'without a label'
  (told,) = [text for text in warnings if 'left out' in text]
  assert f'2 hands; left out are 1 {invalid}, 1 smaller than 24 pixels' in told


def test_small_hands_are_taken_where_asked_for_and_crowds_never(tmp_path):
  content = _write(tmp_path, 'coco_wholebody', [(1, None, _points(2, span=10))] * 2)
  content['annotations'][0]['iscrowd'] = 1
  (tmp_path / 'coco_wholebody_train_v1.0.json').write_text(json.dumps(content))
  (record,) = whole_body.read_wholebody(tmp_path, min_size=5)['train']
  assert record['sample_id'] == '000001/1/right'
  with pytest.raises(ValueError, match='has no hand of 24 or more pixels'):
    whole_body.read_wholebody(tmp_path)


def test_one_split_in_the_folder_of_annotations_will_do(tmp_path):
  (tmp_path / 'annotations').mkdir()
  people = [(2, _points(0), None)]
  _write(tmp_path, 'halpe', people, split='val', folder='images/val2017')
  file = 'halpe_val_v1.json'
  (tmp_path / file).rename(tmp_path / 'annotations' / file)
  splits = whole_body.read_halpe(tmp_path)
  assert list(splits) == ['val']
  assert splits['val'][0]['image'] == tmp_path / 'images/val2017/000002.jpg'


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'lefthand_kpts': [1, 2, 2] * 20}, r'lefthand_kpts has the shape \(60,\)'),
    ({'lefthand_kpts': None}, 'lefthand_kpts holds something other'),
    ({'lefthand_kpts': [float('nan')] * 63}, 'lefthand_kpts holds a value'),
    ({'image_id': 9}, 'annotation 0 is of the image 9, which is not listed'),
  ],
)
def test_damaged_annotations_are_told_in_a_sentence(change, message, tmp_path):
  content = _write(tmp_path, 'coco_wholebody', [(1, _points(0), None)])
  content['annotations'][0] |= change
  (tmp_path / 'coco_wholebody_train_v1.0.json').write_text(json.dumps(content))
  with pytest.raises(ValueError, match=message) as error:
    whole_body.read_wholebody(tmp_path)
  assert '\n' not in str(error.value)


def test_a_folder_without_annotations_says_where_they_belong(tmp_path):
  with pytest.raises(FileNotFoundError, match='holds no halpe_train_v.*annotations'):
    whole_body.read_halpe(tmp_path)


def test_two_versions_of_a_split_are_refused(tmp_path):
  _write(tmp_path, 'halpe', [(1, _points(0), None)])
  (tmp_path / 'halpe_train_v2.json').write_text('{}')
  with pytest.raises(ValueError, match="are both of 'train'; keep one"):
    whole_body.read_halpe(tmp_path)
