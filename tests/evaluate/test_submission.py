"""Prediction files: written, checked, read back, and each kind of damage."""

import json
import struct
import zipfile

import numpy as np
import pytest

from bmc_jax.data_prep import ho3d, pickles
from bmc_jax.evaluate import doubts, submission
from bmc_jax.evaluate.submission import FORMS, read_predictions, write_submission
from tests.fixtures.hands import random_hands

COUNT = 12
HANDS = 0.032 * random_hands(0, COUNT).joints + [0.02, -0.03, 0.6]


@pytest.mark.parametrize('name', FORMS)
def test_what_is_written_is_read_back(tmp_path, name):
  write_submission(tmp_path / 'pred.zip', HANDS, FORMS[name])
  found = read_predictions(tmp_path / 'pred.zip', FORMS[name], COUNT)
  np.testing.assert_array_equal(found, HANDS)
  with zipfile.ZipFile(tmp_path / 'pred.zip') as archive:
    assert archive.namelist() == ['pred.json']
    archive.extractall(tmp_path)
  joints, vertices = json.loads((tmp_path / 'pred.json').read_text())
  assert np.shape(joints) == (COUNT, 21, 3)
  assert np.shape(vertices) == (COUNT, 778, 3) and not np.any(vertices)
  again = read_predictions(tmp_path / 'pred.json', FORMS[name], COUNT)
  np.testing.assert_array_equal(again, found)


def test_ho3d_files_have_opengl_axes_and_the_order_of_mano():
  made = submission.to_form(HANDS, FORMS['ho3d'])
  # Wrist, then index, middle, little, ring and thumb without tips, then the tips.
  order = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
  for place, joint in enumerate(order):
    x, y, z = HANDS[:, joint].T
    np.testing.assert_allclose(made[:, place], np.stack([x, -y, -z], axis=-1))
  np.testing.assert_array_equal(submission.from_form(made, FORMS['ho3d']), HANDS)
  assert (made[..., 2] < 0).all()


def test_ho3ds_own_annotations_are_a_valid_file(test_data, tmp_path):
  folder = test_data / 'data' / 'ho3d_layout'
  frames = ho3d.read_records_v3(folder)['train']
  stored = [pickles.load(frame.meta)['handJoints3D'].tolist() for frame in frames]
  path = _write(tmp_path / 'pred.json', stored)
  found = read_predictions(path, FORMS['ho3d'], len(frames))
  for frame, joints in zip(frames, found, strict=True):
    prepared = ho3d.read_example(frame)['joints_3d']
    np.testing.assert_allclose(joints, prepared, atol=1e-6)
  assert doubts.find(found, FORMS['ho3d']) == []
  wrong = read_predictions(path, FORMS['freihand'], len(frames))
  assert any('no joint lies before' in d for d in doubts.find(wrong, FORMS['freihand']))


def _write(path, joints, vertices=None, count=None):
  """Writes pred.json by hand."""
  if vertices is None:
    vertices = np.zeros((len(joints) if count is None else count, 778, 3), int).tolist()
  path.write_text(json.dumps([joints, vertices]))
  return path


def _joints(**change):
  joints = HANDS.tolist()
  for index, value in change.get('at', ()):
    node = joints
    for i in index[:-1]:
      node = node[i]
    node[index[-1]] = value
  return joints


def _archive(path, names, content=b'[]'):
  with zipfile.ZipFile(path, 'w') as archive:
    for name in names:
      archive.writestr(name, content)
  return path


def _change_header(path, flags=0, method=0):
  """Sets what both headers of the one file of an archive say of its packing."""
  content = bytearray(path.read_bytes())
  for start, at in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
    place = content.index(start) + at
    content[place : place + 4] = struct.pack('<HH', flags, method)
  path.write_bytes(content)
  return path


def _first_half(path):
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])
  return path


DAMAGE = {
  'no file': (lambda p: p / 'nowhere.json', 'There is no prediction file .*nowhere'),
  'no JSON': (
    lambda p: (p / 'pred.json').write_text('{"a": ') and p / 'pred.json',
    'this is no valid JSON',
  ),
  'half an archive': (
    lambda p: _first_half(_archive(p / 'pred.zip', ['pred.json'])),
    'pred.zip: this is a damaged archive .*; get a complete copy',
  ),
  'a picture': (
    lambda p: (p / 'pred.json').write_bytes(b'\x89PNG\r\n') and p / 'pred.json',
    'pred.json: by its content this is a PNG image; pred.json, or a zip archive of it,',
  ),
  'an object': (
    lambda p: (p / 'pred.json').write_text('{}') and p / 'pred.json',
    'expected a list of two lists, joints and vertices of each image, found no list',
  ),
  'joints alone': (
    lambda p: (p / 'pred.json').write_text(json.dumps(_joints())) and p / 'pred.json',
    'expected a list of two lists.*found 12 entries',
  ),
  'too few images': (
    lambda p: _write(p / 'pred.json', _joints()[:-1]),
    'joints of 11 images, but there are 12 images',
  ),
  'fewer vertices': (
    lambda p: _write(p / 'pred.json', _joints(), count=11),
    'vertices of 11 images, but there are 12 images',
  ),
  'no vertices': (
    lambda p: _write(p / 'pred.json', _joints(), []),
    'there are no vertices',
  ),
  'a shape': (
    lambda p: _write(p / 'pred.json', [hand[:20] for hand in _joints()]),
    r'joints of image 0 have the shape \(20, 3\), expected \(21, 3\)',
  ),
  'a ragged hand': (
    lambda p: _write(p / 'pred.json', _joints(at=[((3, 4), [1.0, 2.0])])),
    r'joints of image 3 have the shape ragged, expected \(21, 3\)',
  ),
  'text': (
    lambda p: _write(p / 'pred.json', _joints(at=[((3, 4, 1), '0.1')])),
    'joints of image 3 hold something other than numbers',
  ),
  'null': (
    lambda p: _write(p / 'pred.json', _joints(at=[((3, 4, 1), None)])),
    'joints of image 3 hold something other than numbers',
  ),
  'not finite': (
    lambda p: _write(p / 'pred.json', _joints(at=[((3, 4, 1), float('nan'))])),
    'the joints of 1 of 12 images are not all finite numbers, first those of image 3',
  ),
  'vertices that are not finite': (
    lambda p: _write(p / 'pred.json', _joints(), [[[np.inf] * 3] * 778] * COUNT),
    'the vertices of 12 of 12 images are not all finite numbers',
  ),
  'millimetres': (
    lambda p: _write(p / 'pred.json', (1000 * HANDS).tolist()),
    'this looks like millimetres, not metres',
  ),
  'centimetres': (
    lambda p: _write(p / 'pred.json', (100 * HANDS).tolist()),
    'this looks like centimetres, not metres',
  ),
  'a number of 5000 digits': (
    lambda p: (
      (p / 'pred.json').write_text('[[' + 5000 * '1' + '], []]') and p / 'pred.json'
    ),
    'it holds a number of too many digits',
  ),
  'a zip with a password': (
    lambda p: _change_header(_archive(p / 'pred.zip', ['pred.json']), flags=1),
    'pred.zip: the archive is encrypted, or',
  ),
  'a zip of unknown compression': (
    lambda p: _change_header(_archive(p / 'pred.zip', ['pred.json']), method=97),
    'compressed in a way that Python does not know; zip pred.json anew',
  ),
  'zip without pred.json': (
    lambda p: _archive(p / 'pred.zip', ['results/pred.json']),
    'holds no pred.json at its top, but results/pred.json; zip that file alone',
  ),
  'an empty zip': (
    lambda p: _archive(p / 'pred.zip', []),
    'holds no pred.json at its top, but nothing',
  ),
}


@pytest.mark.parametrize('kind', DAMAGE)
def test_damage_is_told_in_one_sentence(tmp_path, kind):
  make, message = DAMAGE[kind]
  with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
    read_predictions(make(tmp_path), FORMS['freihand'], COUNT)
  assert '\n' not in str(error.value)


def test_a_zip_that_is_cut_off_or_a_bomb_is_refused(tmp_path, monkeypatch):
  path = tmp_path / 'pred.zip'
  write_submission(path, HANDS, FORMS['freihand'])
  whole = path.read_bytes()
  path.write_bytes(whole[:200] + b'\0' * 100 + whole[300:])
  with pytest.raises(ValueError, match='this is a damaged archive'):
    read_predictions(path, FORMS['freihand'], COUNT)
  path.write_bytes(whole)
  monkeypatch.setattr(submission, '_MAX_BYTES', 1000)
  with pytest.raises(ValueError, match='would unpack to'):
    read_predictions(path, FORMS['freihand'], COUNT)


def test_hands_that_would_be_refused_are_not_written(tmp_path):
  for name, joints, message in (
    ('pred.zip', HANDS * 1000, 'looks like millimetres'),
    ('pred.zip', HANDS * [1, 1, np.nan], 'not all finite numbers'),
    ('pred.json', HANDS, 'submissions are written as .zip; name such'),
  ):
    with pytest.raises(ValueError, match=message):
      write_submission(tmp_path / name, joints, FORMS['ho3d'])
  assert not list(tmp_path.iterdir())


def test_counts_are_those_of_the_challenges(tmp_path):
  write_submission(tmp_path / 'pred.zip', HANDS, FORMS['ho3d'])
  with pytest.raises(ValueError, match='12 images, but there are 11524 or 20137'):
    read_predictions(tmp_path / 'pred.zip', FORMS['ho3d'])
  assert FORMS['freihand'].counts == (3960,)


def test_what_a_challenge_may_not_take_about_the_packing_is_told(tmp_path):
  write_submission(tmp_path / 'pred.zip', HANDS, FORMS['freihand'])
  bare = _write(tmp_path / 'pred.json', _joints())
  more = _archive(tmp_path / 'more.zip', ['pred.json', 'readme.txt', 'old/pred.json'])
  for path, told in (
    (tmp_path / 'pred.zip', None),
    (bare, 'wants it alone in a zip archive, called pred.json'),
    (more, 'alone in the archive, which holds readme.txt, old/pred.json as well'),
  ):
    found = submission.packing_doubts(path, FORMS['freihand'])
    assert len(found) == (told is not None)
    assert told is None or told in found[0]
    assert submission.packing_doubts(path, FORMS['camera']) == []


def test_hands_that_bend_the_other_way_are_told_where_nothing_else_is_wrong():
  right = 0.03 * random_hands(1, 40, spread=10).joints + [0, 0, 0.6]
  left = right * [-1, 1, 1]
  (told,) = doubts.find(left, FORMS['freihand'])
  assert told.startswith('40 of the 40 hands whose fingers tell their side')
  assert not doubts.find(right, FORMS['freihand'])
  assert not doubts.find(left, FORMS['camera']), 'it has hands of both sides'
  sides = np.arange(40) % 2 > 0
  mixed = np.where(sides[:, None, None], right, left)
  assert not doubts.find_sides(mixed, sides) and doubts.find_sides(mixed, ~sides)


def test_pixels_with_a_confidence_are_no_predictions(tmp_path):
  points = random_hands(1, COUNT, spread=10).joints[..., :2] * 30 + 100
  score = np.random.default_rng(0).uniform(0.3, 1, (COUNT, 21, 1))
  content = [np.concatenate([points, score], axis=-1).tolist(), []]
  path = tmp_path / 'pred.json'
  path.write_text(json.dumps(content))
  with pytest.raises(ValueError, match='pred.json: these are 2D points, whose third'):
    submission.read_predictions(path, FORMS['camera'], COUNT)
