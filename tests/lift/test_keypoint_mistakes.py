"""What are no 2D keypoints is refused in one sentence that names the file."""

import json

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.lift.files import read_keypoints
from tests.fixtures import keypoint_forms as forms
from tests.fixtures.hands import random_hands
from tests.fixtures.keypoint_forms import HANDS, NAMES, TRUST

JOINTS = 0.03 * random_hands(0, 12).joints  # metres, around the wrist
IN_CAMERA = JOINTS + [0.2, 0.15, 0.6]


def _text(text):
  return lambda path: path.write_text(text)


def _dump(content):
  return lambda path: path.write_text(json.dumps(content))


def _save(array):
  return lambda path: np.save(path, array)


def _table(header, rows):
  return lambda path: forms.write_csv(path, header, rows)


def _changed(content, change):
  change(content)
  return _dump(content)


def _literal(literal):
  text = json.dumps(HANDS.tolist()).replace(str(HANDS[1, 4, 0]), literal, 1)
  assert literal in text
  return _text(text)


X_Y = [f'{name}_{axis}' for name in NAMES for axis in 'xy']
ROWS = HANDS.reshape(4, 42).tolist()
WORLD = {
  'worldLandmarks': [dict(zip('xyz', p, strict=True)) for p in JOINTS[0].tolist()]
}
BAD = {
  'none.json': (None, 'There is no file or folder of keypoints'),
  'hands.txt': (_text('1'), 'are read from .json, .csv, .npy, .npz files, or folders'),
  'empty.json': (_text(''), 'the file is empty'),
  'blank.json': (_text('  '), 'the file is empty'),
  'nothing.json': (_text('{}'), 'it holds no hand'),
  'list.json': (_text('[]'), 'it holds no hand'),
  'cut.json': (_text(json.dumps(forms.coco())[:-40]), 'not valid JSON'),
  'deep.json': (_text(100000 * '[' + 100000 * ']'), 'nested too deeply'),
  'bytes.json': (lambda p: p.write_bytes(b'\xff\xfe\x00'), 'this is no text'),
  'number.json': (_text('7'), 'expected keypoints, found 7'),
  'other.json': (
    _dump({'a': 1, 'b': 2}),
    'landmarks or keypoints, found one with a, b',
  ),
  'infinite.json': (_literal('Infinity'), 'hand 1 has a number that is infinite'),
  'exponent.json': (_literal('1e999'), 'hand 1 has a number that is infinite'),
  'digits.json': (_literal('9' * 400), 'no even table of numbers'),
  'huge.json': (_literal('1e7'), r'to 1e\+07, where no picture has pixels'),
  'word.json': (_literal('"far"'), 'no even table of numbers'),
  'world.json': (_dump(WORLD), 'worldLandmarks are 3D joints; give the 2D keypoints'),
  'metres.json': (_dump(JOINTS.tolist()), 'confidence from 0 to 1: these may be 3D'),
  'metres.npy': (_save(JOINTS), 'confidence from 0 to 1: these may be 3D joints'),
  'camera.npy': (_save(IN_CAMERA), 'shares of the picture .or 3D joints in metres'),
  'millimetres.npy': (_save(1e3 * IN_CAMERA), 'no confidence from 0 to 1'),
  'flat.npy': (_save(JOINTS[..., :2]), 'neither pixels nor shares of a picture'),
  'shares.npy': (_save(HANDS / 640), 'give --image-size width,height'),
  'nan.npy': (_save(np.full((3, 21, 2), np.nan)), 'none of its 3 hands has a keypoint'),
  'zeros.npy': (_save(np.zeros((3, 21, 2))), 'none of its 3 hands has a keypoint'),
  'few.npy': (_save(HANDS[:, :20]), r'the shape \(4, 20, 2\), but \(N, 21, 2\)'),
  'no.npy': (_save(HANDS[:0]), 'with N > 0'),
  'objects.npy': (_save(np.array([{}, 1])), 'no arrays of numbers as NumPy saves'),
  'words.npy': (_save(np.full((2, 42), 'a')), 'no even table of numbers'),
  'two.npz': (
    lambda p: np.savez(p, a=HANDS, b=HANDS),
    'found a, b; call it keypoints_2d',
  ),
  'trust.npz': (lambda p: np.savez(p, a=HANDS, confidence=TRUST[:2]), r'but \(4, 21\)'),
  'broken.npz': (lambda p: p.write_bytes(b'PK no zip'), 'damaged|as NumPy saves'),
  'point.json': (_dump({'landmarks': [{'x': 1}] * 21}), 'is no point with x and y'),
  'count.json': (
    _dump([HANDS[0, :17].tolist()]),
    'has 17 keypoints, but a hand has 21',
  ),
  'sides.json': (
    _dump({'landmarks': HANDS.tolist(), 'handedness': ['Left', 'Right']}),
    'has 4 hands, but 2 sides',
  ),
  'size.json': (
    _dump([{'image_width': -3, 'image_height': 2, 'landmarks': HANDS[0].tolist()}]),
    'its width and height in pixels are needed',
  ),
  'hands.json': (
    _dump({'people': [{'pose_keypoints_2d': [1.0] * 75}]}),
    'run OpenPose with --hand',
  ),
  'people.json': (
    _dump({'people': [{'hand_left_keypoints_2d': [1.0] * 62}]}),
    'no list of x, y, confidence',
  ),
  'instances.json': (
    _changed(forms.mmpose(), lambda c: c['instance_info'][0].pop('instances')),
    'expected instances with keypoints and keypoint_scores, found one with frame_id',
  ),
  'names.json': (
    _changed(forms.mmpose(), lambda c: c['meta_info']['keypoint_id2name'].pop('3')),
    'has 21 keypoints, but 20 names',
  ),
  'visible.json': (
    _changed(
      forms.coco(), lambda c: c['annotations'][2]['keypoints'].__setitem__(2, 7)
    ),
    'annotation 2 has a keypoint with v = 7',
  ),
  'image.json': (
    _changed(forms.coco(), lambda c: c['images'].pop()),
    'annotation 3 is of the image 10, which is not listed',
  ),
  'result.json': (
    _dump([{'image_id': 1, 'keypoints': [1.0] * 51}]),
    'has 17 keypoints',
  ),
  'empty.csv': (_text(''), 'the file is empty'),
  'header.csv': (_table(X_Y, []), 'it has a header, but no hand'),
  'short.csv': (_table(X_Y[:40], [row[:40] for row in ROWS]), 'x and y of 20 joints'),
  'twice.csv': (
    _table(['wrist_x', *X_Y[:41]], ROWS),
    "two columns hold x of joint 'wrist'",
  ),
  'cell.csv': (_table(X_Y, [['far', *ROWS[0][1:]]]), "'far', which is no number"),
  'wide.csv': (_table(None, [row[:41] for row in ROWS]), 'each row has 41 values'),
  'joint.csv': (
    _table(['frame', 'x', 'y'], [[0, 1, 2]]),
    'no column landmark or joint',
  ),
  'again.csv': (
    _table(['joint', 'x', 'y'], [[0, 10, 20], [0, 11, 20]]),
    "joint '0' of frame None is there twice",
  ),
}


@pytest.mark.parametrize('name', BAD)
def test_wrong_files_are_refused_in_a_sentence(name, tmp_path):
  write, sentence = BAD[name]
  if write:
    write(tmp_path / name)
  with pytest.raises((ValueError, OSError), match=sentence) as error:
    read_keypoints(tmp_path / name)
  assert name in str(error.value) and '\n' not in str(error.value)
  assert len(str(error.value)) < 400 + len(str(tmp_path))


def test_a_damaged_file_of_a_folder_is_named(tmp_path):
  forms.write_json(tmp_path / 'out' / 'a.json', forms.openpose(HANDS[0], TRUST[0], 1))
  (tmp_path / 'out' / 'b.json').write_text('{"people": [')
  with pytest.raises(ValueError, match='out: b.json: this is not valid JSON'):
    read_keypoints(tmp_path / 'out')
  (tmp_path / 'none').mkdir()
  with pytest.raises(ValueError, match='none: the folder holds no .json file'):
    read_keypoints(tmp_path / 'none')


def test_nothing_that_is_not_finite_gets_out(tmp_path):
  points = np.concatenate([HANDS, TRUST[..., None]], axis=2)
  points[0, 3, 0] = points[1, 5, 2] = points[3] = np.nan
  np.save(tmp_path / 'a.npy', points)
  found = read_keypoints(tmp_path / 'a.npy')
  assert np.isfinite(found.keypoints_2d).all() and np.isfinite(found.confidence).all()
  assert found.confidence[0, 3] == found.confidence[1, 5] == 0
  assert not found.keypoints_2d[found.confidence == 0].any()
  assert found.frames == (0, 1, 2)
  assert '1 hand without a keypoint left out' in found.notes


def test_an_order_counts_unless_names_contradict_it(tmp_path):
  np.save(tmp_path / 'a.npy', skeleton.reorder(HANDS, 'canonical', 'mano'))
  found = read_keypoints(tmp_path / 'a.npy', order='mano')
  np.testing.assert_array_equal(found.keypoints_2d, HANDS)
  with pytest.raises(ValueError, match="Unknown joint order 'coco'"):
    read_keypoints(tmp_path / 'a.npy', order='coco')
  path = forms.write_csv(tmp_path / 'a.csv', X_Y, ROWS)
  with pytest.raises(ValueError, match="asked for is 'mano', the joints are named"):
    read_keypoints(path, order='mano')
  path = forms.write_csv(tmp_path / 'b.csv', [f'p{n}' for n in X_Y], ROWS)
  with pytest.raises(
    ValueError, match=r'\(pwrist, .*\) do not tell the joints.* with --order'
  ):
    read_keypoints(path)
  np.testing.assert_array_equal(
    read_keypoints(path, order='canonical').keypoints_2d, HANDS
  )


def test_a_wrong_size_of_pictures_is_doubted(tmp_path):
  content = [
    forms.mediapipe(HANDS[0], 1) | {'landmarks': forms.landmarks(3 * HANDS[0])}
  ]
  found = read_keypoints(forms.write_json(tmp_path / 'a.json', content))
  assert 'keypoints lie outside of the pictures' in found.doubts[0]


CONTENTS = {
  'MediaPipe': {'a.jpg': forms.mediapipe(HANDS[0], 1), 'b.jpg': None},
  'Tasks API': [forms.tasks_api(HANDS[:2], [0, 1])],
  'OpenPose': forms.openpose(HANDS[0], TRUST[0], 1),
  'mmpose': forms.mmpose(),
  'COCO': forms.coco(),
  'results': [
    {'image_id': 1, 'keypoints': forms.flat(HANDS[0], TRUST[0]), 'bbox': [1]}
  ],
}


def _places(node, place=()):
  """The ways to all that lies in nested objects and lists, long lists cut short."""
  yield place
  if not isinstance(node, dict | list):
    return
  inner = node.items() if isinstance(node, dict) else enumerate(node[:2])
  for key, value in inner:
    yield from _places(value, (*place, key))


@pytest.mark.parametrize('form', CONTENTS)
def test_any_entry_of_another_kind_is_read_or_refused_in_a_sentence(form, tmp_path):
  path = tmp_path / 'a.json'
  text = json.dumps(CONTENTS[form])
  wrong = (None, True, -1, 2.5, 1e400, 10**400, 'x', '', [], {}, [[]], {'x': 1}, [None])
  refused = 0
  for place in list(_places(CONTENTS[form]))[1:]:
    for value in wrong:
      content = json.loads(text)
      node = content
      for key in place[:-1]:
        node = node[key]
      node[place[-1]] = value
      path.write_text(json.dumps(content))
      try:
        found = read_keypoints(path)
        assert np.isfinite(found.keypoints_2d).all()
      except (ValueError, OSError) as error:
        refused += 1
        assert 'a.json: ' in str(error) and '\n' not in str(error)
  assert refused > 10
