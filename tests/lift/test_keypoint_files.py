"""2D keypoints come out of every form of file as they went in."""

import json

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.lift.files import read_keypoints
from tests.fixtures import keypoint_forms as forms
from tests.fixtures.keypoint_forms import (
  HANDS,
  HEIGHT,
  NAMES,
  SEEN,
  SIDES,
  TRUST,
  WIDTH,
)

EACH = list(zip(HANDS, TRUST, SIDES, strict=True))


def _check(found, keypoints=SEEN, trust=TRUST, sides=SIDES, frames=(0, 1, 2, 3)):
  np.testing.assert_allclose(found.keypoints_2d, keypoints, atol=1e-6)
  np.testing.assert_allclose(found.confidence, np.broadcast_to(trust, (4, 21)))
  sides = np.full(4, -1) if sides is None else sides
  np.testing.assert_array_equal(found.is_right, sides)
  assert found.is_right.dtype == np.int8
  assert found.frames == tuple(frames)


def _results():
  return [forms.mediapipe(hand, side) for hand, _, side in EACH]


def _named():
  return [f'{i}.jpg' for i in range(4)]


def _older(result):
  """MediaPipe's older results of Python."""
  return {
    'image_width': WIDTH,
    'image_height': HEIGHT,
    'multi_hand_landmarks': [{'landmark': result['landmarks']}],
    'multi_handedness': [
      {'classification': [{'label': result['handedness']['categoryName']}]}
    ],
  }


def _javascript(hand, side):
  """A picture of MediaPipe's Tasks API in JavaScript, which tells sides twice."""
  name = 'Right' if side else 'Left'
  sides = [[{'score': 0.9, 'index': 0, 'categoryName': name, 'displayName': name}]]
  told = {'handednesses': sides, 'handedness': sides}
  size = {'imageWidth': WIDTH, 'imageHeight': HEIGHT}
  return {'landmarks': [forms.landmarks(hand)], 'worldLandmarks': [[]], **told, **size}


MEDIAPIPE = {
  'JavaScript': ([_javascript(hand, side) for hand, _, side in EACH], range(4)),
  'by file name': (dict(zip(_named(), _results(), strict=True)), _named()),
  'results': (_results(), range(4)),
  'older results': ([_older(result) for result in _results()], range(4)),
  'frames': (
    {
      'width': WIDTH,
      'height': HEIGHT,
      'frames': [
        {'frame': 3 * i, 'landmarks': r['landmarks'], 'hand': 'LR'[SIDES[i]]}
        for i, r in enumerate(_results())
      ],
    },
    (0, 3, 6, 9),
  ),
  'hands by picture': (
    {
      'a': forms.tasks_api(HANDS[:2], SIDES[:2]),
      'b': forms.tasks_api(HANDS[2:], SIDES[2:]),
    },
    'aabb',
  ),
  'lists of x, y, z': (
    [
      r | {'landmarks': [[p['x'], p['y'], p['z']] for p in r['landmarks']]}
      for r in _results()
    ],
    range(4),
  ),
  'sides as keys': (
    [
      {
        'image_size': [WIDTH, HEIGHT],
        'leftHandLandmarks': [] if SIDES[i] else r['landmarks'],
        'rightHandLandmarks': r['landmarks'] if SIDES[i] else None,
      }
      for i, r in enumerate(_results())
    ],
    range(4),
  ),
}


@pytest.mark.parametrize('form', MEDIAPIPE)
def test_results_of_mediapipe_are_pixels_with_centres_at_integers(form, tmp_path):
  content, frames = MEDIAPIPE[form]
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  _check(found, HANDS, 1, frames=frames)
  np.testing.assert_array_equal(found.image_sizes, [[WIDTH, HEIGHT]] * 4)
  assert found.form == 'MediaPipe' and not found.doubts


def test_pictures_without_a_hand_are_counted(tmp_path):
  content = dict(zip(_named(), _results(), strict=True)) | {'5.jpg': None, '6.jpg': {}}
  content['4.jpg'] = forms.tasks_api([], [])
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  _check(found, HANDS, 1, frames=_named())
  assert found.notes == ('3 pictures without a hand',)


def test_the_size_of_pictures_may_be_given_but_not_contradicted(tmp_path):
  bare = [{'landmarks': r['landmarks']} for r in _results()]
  path = forms.write_json(tmp_path / 'a.json', bare)
  with pytest.raises(ValueError, match=r'a.json: .* give --image-size width,height\.$'):
    read_keypoints(path)
  _check(read_keypoints(path, image_size=(WIDTH, HEIGHT)), HANDS, 1, None)
  path = forms.write_json(tmp_path / 'b.json', _results())
  with pytest.raises(ValueError, match='640 x 480 pixels, but 640 x 640 are given'):
    read_keypoints(path, image_size=(WIDTH, WIDTH))


def _points(hand, trust):
  """Points by name, in another order."""
  points = [
    {'name': name, 'x': x, 'y': y, 'confidence': c}
    for name, (x, y), c in zip(NAMES, hand.tolist(), trust.tolist(), strict=True)
  ]
  return points[::-1]


JSON = {
  'points by name': [{'keypoints': _points(h, t)} for h, t, _ in EACH],
  'lists': np.concatenate([HANDS, TRUST[..., None]], axis=2).tolist(),
  'flat lists': [forms.flat(h, t) for h, t, _ in EACH],
  'pictures of hands': [
    [np.reshape(forms.flat(h, t), (21, 3)).tolist()] for h, t, _ in EACH
  ],
  'our predictions': {
    'made_by': 'bmc_jax.predict',
    'joint_order': 'canonical',
    'hands': [
      {
        'frame': i,
        'hand': 'left',
        'keypoints_2d': np.reshape(forms.flat(h, t), (21, 3)).tolist(),
      }
      for i, (h, t, _) in enumerate(EACH)
    ],
  },
}


@pytest.mark.parametrize('form', JSON)
def test_other_json_in_pixels_is_taken_as_it_is(form, tmp_path):
  sides = np.zeros(4) if form == 'our predictions' else None
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', JSON[form]))
  _check(found, sides=sides)
  assert found.form == 'JSON' and np.isnan(found.image_sizes).all()


def test_a_folder_of_openpose_is_a_video_in_the_order_of_its_numbers(tmp_path):
  for number, one in zip((2, 10, 9, 100), EACH, strict=True):
    name = f'wave_{number}_keypoints.json'
    forms.write_json(tmp_path / 'out' / name, forms.openpose(*one))
  forms.write_json(tmp_path / 'out' / 'wave_11_keypoints.json', {'people': []})
  (tmp_path / 'out' / 'wave_2_rendered.png').write_bytes(b'')
  found = read_keypoints(tmp_path / 'out')
  order = [0, 2, 1, 3]
  _check(found, SEEN[order], TRUST[order], SIDES[order], (2, 9, 10, 100))
  assert found.notes[0] == '1 of 5 pictures without a hand'
  assert found.notes[1] == '4 hands without a keypoint left out'
  one = read_keypoints(tmp_path / 'out' / 'wave_10_keypoints.json')
  assert one.frames == (10,) and one.form == 'OpenPose'


def test_a_folder_of_pictures_by_name_names_them(tmp_path):
  for name, one in zip(('b', 'a10', 'a9', 'c'), EACH, strict=True):
    forms.write_json(tmp_path / 'out' / f'{name}_keypoints.json', forms.openpose(*one))
  assert read_keypoints(tmp_path / 'out').frames == ('a9', 'a10', 'b', 'c')


@pytest.mark.parametrize('whole', [False, True])
def test_results_of_mmpose_are_read_with_and_without_bodies(whole, tmp_path):
  content = forms.mmpose(whole=whole)
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  _check(found, sides=SIDES if whole else None, frames=(1, 2, 3, 4))
  assert found.form == 'mmpose'
  box = np.full(4, np.nan) if whole else [10, 20, 110, 220]
  np.testing.assert_array_equal(found.bbox, [box] * 4)
  instances = [frame['instances'] for frame in content['instance_info']]
  for i in range(4):
    forms.write_json(tmp_path / 'out' / f'{i}.json', instances[i])
  _check(
    read_keypoints(tmp_path / 'out'), sides=SIDES if whole else None, frames='0123'
  )


def test_scores_of_networks_above_1_are_cut_and_told(tmp_path):
  content = forms.mmpose()
  content['instance_info'][1]['instances'][0]['keypoint_scores'][4] = 3.5
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  assert found.confidence[1, 4] == 1 and found.notes == ('1 scores above 1 taken as 1',)


def test_annotations_of_tools_are_measured_from_the_corner(tmp_path):
  trust = np.where(TRUST > 0, 1, 0)
  content = forms.coco()
  content['annotations'].append({'id': 9, 'image_id': 7, 'category_id': 1, 'bbox': []})
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  _check(found, trust=trust, frames=[f'in/{i}.jpg' for i in range(4)])
  np.testing.assert_array_equal(found.bbox, [[10, 20, 110, 220]] * 4)
  np.testing.assert_array_equal(found.image_sizes, [[WIDTH, HEIGHT]] * 4)
  assert found.person == (5,) * 4
  assert found.notes == ('1 annotation without a hand left out',)


def test_names_of_a_category_bring_joints_into_order(tmp_path):
  content = forms.coco(names=NAMES[::-1])
  for row in content['annotations']:
    row['keypoints'] = np.reshape(row['keypoints'], (21, 3))[::-1].ravel().tolist()
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  np.testing.assert_allclose(found.keypoints_2d, SEEN)


def test_whole_bodies_of_coco_have_their_hands_in_keys_of_their_own(tmp_path):
  content = forms.coco()
  for row, (hand, trust, side) in zip(content['annotations'], EACH, strict=True):
    name = 'right' if side else 'left'
    row['keypoints'] = [0.0] * 51
    row |= {'lefthand_kpts': [0.0] * 63, 'righthand_kpts': [0.0] * 63}
    row |= {
      'lefthand_valid': False,
      'righthand_valid': False,
      f'{name}hand_valid': True,
    }
    row[f'{name}hand_kpts'] = forms.flat(hand, np.where(trust > 0, 2, 0))
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  _check(
    found, trust=np.where(TRUST > 0, 1, 0), frames=[f'in/{i}.jpg' for i in range(4)]
  )


@pytest.mark.parametrize('whole', [False, True])
def test_results_of_coco_are_read_with_and_without_bodies(whole, tmp_path):
  rows = [
    {
      'image_id': f'{i}.jpg',
      'category_id': 1,
      'keypoints': forms.whole_body(*one).ravel().tolist()
      if whole
      else forms.flat(*one[:2]),
      'score': 0.9,
      'idx': i + 1,
    }
    for i, one in enumerate(EACH)
  ]
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', rows))
  _check(found, sides=SIDES if whole else None, frames=_named())
  assert found.person == (1, 2, 3, 4)


ARRAYS = {
  'x, y': (HANDS, 1),
  'x, y, confidence': (np.concatenate([HANDS, TRUST[..., None]], axis=2), TRUST),
  'rows of 42': (HANDS.reshape(4, 42), 1),
  'rows of 63': (np.array([forms.flat(h, t) for h, t, _ in EACH]), TRUST),
}


@pytest.mark.parametrize('form', ARRAYS)
def test_arrays_of_all_shapes_are_the_same_hands(form, tmp_path):
  array, trust = ARRAYS[form]
  np.save(tmp_path / 'a.npy', array)
  seen = SEEN if trust is TRUST else HANDS
  _check(read_keypoints(tmp_path / 'a.npy'), seen, trust, None)
  mano = np.argsort(skeleton.JOINT_ORDERS['mano'])
  array = array.reshape(4, 21, -1)[:, mano]
  np.savez(
    tmp_path / 'a.npz', keypoints_2d_mano=array, is_right=SIDES, other=np.ones(3)
  )
  _check(read_keypoints(tmp_path / 'a.npz'), seen, trust)
  np.save(tmp_path / 'one.npy', array[0])
  one = read_keypoints(tmp_path / 'one.npy', order='mano')
  np.testing.assert_allclose(one.keypoints_2d, seen[:1])


def test_archives_tell_what_is_known_of_hands(tmp_path):
  more = {
    'confidence': TRUST,
    'frames': np.array(_named()),
    'image_size': np.array([WIDTH, HEIGHT]),
    'bbox': np.tile([1.0, 2, 30, 40], (4, 1)),
    'track_id': np.arange(4),
  }
  shares = (HANDS + 0.5) / [WIDTH, HEIGHT]
  np.savez(tmp_path / 'a.npz', keypoints=shares, handedness=['left'], **more)
  found = read_keypoints(tmp_path / 'a.npz')
  _check(found, sides=np.zeros(4), frames=_named())
  assert found.person == (0, 1, 2, 3)
  np.testing.assert_array_equal(found.bbox, more['bbox'])


def test_real_detections_lie_on_the_labelled_hands(test_data):
  folder = test_data / 'data'
  if not (folder / 'detections').is_dir():
    pytest.skip('no real samples: there are no detections')
  found = read_keypoints(folder / 'detections' / 'freihand_training.json')
  labels = json.loads((folder / 'freihand_layout' / 'training_xyz.json').read_text())
  cameras = json.loads((folder / 'freihand_layout' / 'training_K.json').read_text())
  offsets = []
  for frame, keypoints in zip(found.frames, found.keypoints_2d, strict=True):
    number = int(str(frame).removesuffix('.jpg'))
    rays = np.array(labels[number]) @ np.array(cameras[number]).T
    offsets.append(np.linalg.norm(keypoints - rays[:, :2] / rays[:, 2:], axis=1))
  assert np.median(offsets) < 10 and len(offsets) == 5  # of 224
  photos = read_keypoints(folder / 'detections' / 'hand_graph_cnn_real.json')
  assert len(photos.frames) == 440 and photos.frames[:2] == ('00000.jpg', '00001.jpg')
  assert photos.is_right.all() and not photos.doubts  # MediaPipe's sides are mirrored
