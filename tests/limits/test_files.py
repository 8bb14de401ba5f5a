"""Limits files: read back as written, edited by people, refused with their place."""

import dataclasses
import json

import numpy as np
import pytest

from bmc_jax import limits

LEAVES = ('bone_lengths', 'curvatures', 'root_angles', 'hulls')


def _assert_equal(a, b, atol=0.0):
  for name in LEAVES:
    np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=atol)


def _set(*keys, to):
  def edit(content):
    for key in keys[:-1]:
      content = content[key]
    content[keys[-1]] = to

  return edit


HULL = ('hulls_flexion_abduction_deg', 'index', 'dip')


BAD_FILES = {
  'its "format" is not': _set('format', to='something else'),
  'metadata is missing': lambda c: c.pop('metadata'),
  'bone_lengths > index is missing': lambda c: c['bone_lengths'].pop('index'),
  'bone_lengths > ring > dip is missing': lambda c: c['bone_lengths']['ring'].pop(
    'dip'
  ),
  'metadata > size is unknown; known are unit, reference': _set(
    'metadata', 'size', to=1
  ),
  'metadata is 3, but a table': _set('metadata', to=3),
  'metadata > reference is missing': lambda c: c['metadata'].pop('reference'),
  'metadata > reference is two different joints of 0 to 20, not .9, 99': _set(
    'metadata', 'reference', to=[9, 99]
  ),
  'metadata > reference is two different joints .*not 5': _set(
    'metadata', 'reference', to=5
  ),
  "metadata > reference is two different joints .*'b'": _set(
    'metadata', 'reference', to=['a', 'b']
  ),
  "metadata > handedness is 'Right'; choose one of .'right', 'left'": _set(
    'metadata', 'handedness', to='Right'
  ),
  "metadata > frames is 'foo'; choose one": _set('metadata', 'frames', to='foo'),
  "metadata > joint_order is 'coco'; choose": _set(
    'metadata', 'joint_order', to='coco'
  ),
  'metadata > unit is 5, but text': _set('metadata', 'unit', to=5),
  "metadata > coverage is '99%', but a share": _set('metadata', 'coverage', to='99%'),
  'metadata > num_poses is 1.5, but a whole': _set('metadata', 'num_poses', to=1.5),
  'index > pip is .-1, 0.5., but such values lie in .0, inf': _set(
    'bone_lengths', 'index', 'pip', to=[-1, 0.5]
  ),
  r'middle > pip is \[20, 30\], but it is the reference bone, of length 1': _set(
    'bone_lengths', 'middle', 'pip', to=[20, 30]
  ),
  "index > pip is .'1', '2'., but .least, largest., two numbers": _set(
    'bone_lengths', 'index', 'pip', to=['1', '2']
  ),
  'index > pip is .True, 2., but': _set('bone_lengths', 'index', 'pip', to=[True, 2]),
  'root_angles_deg > ring-little is .0, 400., but such values lie in .0, 180': _set(
    'root_angles_deg', 'ring-little', to=[0, 400]
  ),
  'root_angles_deg are all below .* radians': lambda c: c['root_angles_deg'].update(
    {pair: [0.2, 1.2] for pair in c['root_angles_deg']}
  ),
  'bone_lengths > thumb > root is .*least value is above': _set(
    'bone_lengths', 'thumb', 'root', to=[2.0, 1.0]
  ),
  'bone_lengths > thumb > root is 2, but .least, largest., two numbers': _set(
    'bone_lengths', 'thumb', 'root', to=2
  ),
  'palm_curvatures > ring-little is .nan, 1.0., but .*two numbers': _set(
    'palm_curvatures', 'ring-little', to=[float('nan'), 1.0]
  ),
  'root_angles_deg > thumb-index is .*least value is above': _set(
    'root_angles_deg', 'thumb-index', to=[30, 20]
  ),
  'hull_vertices is 8.5': _set('hull_vertices', to=8.5),
  'hull_vertices is True, but a whole': _set('hull_vertices', to=True),
  'hull_vertices is 100000, but a whole': _set('hull_vertices', to=100000),
  'index > dip > abduction is missing': _set(
    *HULL, to={'flexion': [0, 10], 'Abduction': [0, 20]}
  ),
  'index > dip > flexion is .700, 800., but such values lie in .-360, 360': _set(
    *HULL, to={'flexion': [700, 800], 'abduction': [0, 20]}
  ),
  'index > dip > abduction is .-200, 200., but such': _set(
    *HULL, to={'flexion': [0, 10], 'abduction': [-200, 200]}
  ),
  'index > dip is out of reach': _set(*HULL, to=[[0, 95], [20, 95], [20, 120]]),
  'index > dip is not finite': _set(*HULL, to=[[0, 0], [float('inf'), 0], [0, 20]]),
  'index > dip is not finite: draw': _set(
    *HULL, to={'flexion': [0, float('inf')], 'abduction': [0, 20]}
  ),
  'index > dip is not convex and counter-clockwise': _set(
    *HULL, to=[[0, 0], [0, 20], [90, 20], [90, 0]]
  ),
  'index > dip is not convex': _set(*HULL, to=[[0, 0], [90, 0], [10, 5], [0, 20]]),
  'index > dip is not': _set(*HULL, to=[[0, 0]] * 4),
  'index > dip is not convex .* or has no area': _set(
    *HULL, to={'flexion': [10, 10], 'abduction': [0, 20]}
  ),
  'index > dip > flexion is .*least value is above': _set(
    *HULL, to={'flexion': [90, 0], 'abduction': [0, 20]}
  ),
  'index > dip is .*, but a list of at least 3 corners': _set(
    *HULL, to=[[0, 0, 0]] * 4
  ),
  'index > dip is .*but a list': _set(*HULL, to=[['a', 'b']] * 4),
}


def test_json_files_return_the_same_limits(tmp_path, fitted):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, fitted)
  _assert_equal(limits.load_limits(path), fitted, atol=1e-8)
  limits.save_limits(tmp_path / 'again.json', limits.load_limits(path))
  assert (tmp_path / 'again.json').read_text() == path.read_text(), 'digit by digit'
  loaded = limits.load_limits(str(path))
  assert dataclasses.asdict(loaded.metadata) == dataclasses.asdict(fitted.metadata)
  content = json.loads(path.read_text())
  corners = content['hulls_flexion_abduction_deg']['index']['dip']
  padded = corners + corners[-1:] * (12 - len(corners))
  np.testing.assert_allclose(padded, np.rad2deg(fitted.hulls[1, 1]), atol=1e-6)
  np.testing.assert_allclose(
    content['bone_lengths']['little']['tip'], fitted.bone_lengths[:, 4, 3], atol=1e-8
  )


def test_hulls_edited_to_different_numbers_of_corners_load_padded(tmp_path):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  content = json.loads(path.read_text())
  content['hulls_flexion_abduction_deg']['ring']['pip'] = [[0, 0], [90, 0], [0, 20]]
  path.write_text(json.dumps(content))
  loaded = limits.load_limits(path).hulls[3, 0]
  np.testing.assert_allclose(
    np.rad2deg(loaded), [[0, 0], [90, 0]] + 6 * [[0, 20]], atol=1e-12
  )


def test_a_person_can_narrow_one_joint_by_its_range(tmp_path, hands):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  text = path.read_text()
  # The index's PIP joint, whose angles are those of its "dip" bone: one line.
  before = '"dip": {"flexion": [0.0, 110.0], "abduction": [-28.0, 28.0]}'
  assert text.count(before) == 1
  path.write_text(text.replace(before, before.replace('110.0', '40')))
  narrow, wide = limits.load_limits(path), limits.clinical_limits()
  _assert_equal(
    dataclasses.replace(narrow, hulls=wide.hulls),
    wide,
    atol=1e-8,
  )
  assert np.rad2deg(narrow.hulls[1, 1].max(axis=0)) == pytest.approx([40, 28])
  changed = np.abs(narrow.hulls - wide.hulls).max(axis=(2, 3)) > 1e-7
  assert np.argwhere(changed).tolist() == [[1, 1]]


@pytest.mark.parametrize('sentence', BAD_FILES)
def test_bad_files_are_refused_in_a_sentence_that_names_the_file(sentence, tmp_path):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  content = json.loads(path.read_text())
  BAD_FILES[sentence](content)
  path.write_text(json.dumps(content))
  with pytest.raises(ValueError, match=sentence) as error:
    limits.load_limits(path)
  assert 'limits.json' in str(error.value)


def test_missing_and_unreadable_files_are_refused_in_a_sentence(tmp_path):
  with pytest.raises(FileNotFoundError, match='no limits file .*bmc-jax limits fit'):
    limits.load_limits(tmp_path / 'none.json')
  path = tmp_path / 'broken.json'
  path.write_text('{"format": ')
  with pytest.raises(ValueError, match='broken.json is not valid JSON'):
    limits.load_limits(path)
  path.write_bytes(bytes(range(256)))
  with pytest.raises(ValueError, match='broken.json is not valid JSON'):
    limits.load_limits(path)
  path.write_text('[1, 2]')
  with pytest.raises(ValueError, match='is not a limits file'):
    limits.load_limits(path)


def test_open_ranges_are_kept(tmp_path):
  wide = limits.clinical_limits()
  is_open = dataclasses.replace(
    wide,
    bone_lengths=wide.bone_lengths + np.float64([0, np.inf])[:, None, None],
    root_angles=np.repeat([[-np.inf], [np.inf]], 4, axis=1),
  )
  limits.save_limits(tmp_path / 'open.json', is_open)
  _assert_equal(limits.load_limits(tmp_path / 'open.json'), is_open, atol=1e-8)


def test_files_from_windows_editors_load(tmp_path):
  path = tmp_path / 'limits.json'
  limits.save_limits(path, limits.clinical_limits())
  text = path.read_text().replace('\n', '\r\n')
  path.write_text(text, encoding='utf-8-sig')
  _assert_equal(limits.load_limits(path), limits.clinical_limits(), atol=1e-8)
