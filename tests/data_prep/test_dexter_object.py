"""Dexter+Object's original layout: five fingertips, and what may be wrong."""

import shutil

import numpy as np
import pytest

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import dexter_object
from tests.fixtures import readers

SEQUENCES = ('Grasp1', 'Grasp2', 'Occlusion', 'Pinch', 'Rigid', 'Rotate')
FRAMES = 3
TIPS = [4, 8, 12, 16, 20]
TURN = np.array(
  [[0.9999, 0.0034, 0.0161], [-0.0033, 1.0, -0.0079], [-0.0162, 0.0079, 0.9998]]
)
SHIFT = np.array([19.0473, -1.8514, -4.7501])
INTRINSICS = [[587.45209, 0, 325], [0, 600.67456, 249], [0, 0, 1]]


def _write_annotations(path, sequence, tips):
  """Writes tips (N, 5, 3) in mm of the labels' frame."""
  file = path / 'data' / sequence / 'annotations' / f'{sequence}3D.txt'
  file.parent.mkdir(parents=True, exist_ok=True)
  lines = [
    ''.join(f'{x:.4f}, {y:.4f}, {z:.4f}; ' for x, y, z in row).rstrip() for row in tips
  ]
  file.write_text('\r\n'.join(lines) + '\r\n')


def _write_layout(path):
  """A tree of the full structure; tips (N, 5, 3) in metres of the colour camera."""
  tips = {}
  for number, sequence in enumerate(SEQUENCES):
    hands = readers.make_hands(number, FRAMES, bone=0.04) * [-1, 1, 1]
    tips[sequence] = hands[:, TIPS]
    in_depth = np.linalg.solve(TURN, (1000 * tips[sequence] - SHIFT)[..., None])[..., 0]
    _write_annotations(path, sequence, in_depth * [-1, -1, 1])
    for frame in range(FRAMES):
      # Numbers without leading zeros: 10 comes after 9.
      image = path / 'data' / sequence / 'color' / f'image_{frame + 9}_color.png'
      readers.write_image(image, 640, 480, 40 * number + frame)
  return tips


@pytest.fixture(scope='module')
def layout(tmp_path_factory):
  path = tmp_path_factory.mktemp('dexter')
  return path, _write_layout(path)


@pytest.fixture
def damaged(layout, tmp_path):
  """A copy that a test may spoil."""
  return shutil.copytree(layout[0], tmp_path / 'source')


def _annotations(path, sequence='Pinch'):
  return path / 'data' / sequence / 'annotations' / f'{sequence}3D.txt'


def test_tips_are_metres_in_the_frame_of_the_color_camera(layout):
  path, tips = layout
  records = dexter_object.read_records(path)['test']
  assert len(records) == len(SEQUENCES) * FRAMES
  for index, record in enumerate(records):
    sequence, frame = SEQUENCES[index // FRAMES], index % FRAMES
    assert record['image'].name == f'image_{frame + 9}_color.png'
    assert record['sample_id'] == f'{sequence}/{frame:04d}'
    expected = tips[sequence][frame]
    np.testing.assert_allclose(record['joints_3d'][TIPS], expected, atol=2e-6)
    pixels = readers.slow_projection(expected, INTRINSICS)
    np.testing.assert_allclose(record['keypoints_2d'][TIPS], pixels, atol=0.01)
    assert record['is_right'] == 0 and record['has_joints_3d'] == 1


def test_only_tips_are_labelled(layout):
  for record in dexter_object.read_records(layout[0])['test']:
    np.testing.assert_array_equal(np.flatnonzero(record['visibility']), TIPS)
    others = np.setdiff1d(np.arange(21), TIPS)
    assert not record['joints_3d'][others].any()
    assert not record['keypoints_2d'][others].any()


def test_tips_without_a_depth_are_no_labels(damaged):
  # The depth camera marks what it could not measure with 32001; zeros are none either.
  tips = np.full((FRAMES, 5, 3), [10.0, 20.0, 500.0])
  tips[0, 1] = [3, 4, 32001]
  tips[1] = 0
  tips[2, :4] = 0
  _write_annotations(damaged, 'Pinch', tips)
  records = [
    record
    for record in dexter_object.read_records(damaged)['test']
    if record['sample_id'].startswith('Pinch')
  ]
  assert [record['sample_id'][-1] for record in records] == ['0', '2']
  assert np.flatnonzero(records[0]['visibility']).tolist() == [4, 12, 16, 20]
  assert not records[0]['joints_3d'][8].any()
  assert np.flatnonzero(records[1]['visibility']).tolist() == [20]


def test_a_frame_is_left_out_if_the_color_camera_sees_no_tip(damaged):
  # Labels have x to the left: -300 mm at half a metre is far to the right.
  tips = np.full((FRAMES, 5, 3), [10.0, 20.0, 500.0])
  tips[1, :, 0] = -300
  tips[2, 1:, 0] = -300
  _write_annotations(damaged, 'Pinch', tips)
  records = dexter_object.read_records(damaged)['test']
  kept = [r for r in records if r['sample_id'].startswith('Pinch')]
  assert [r['sample_id'] for r in kept] == ['Pinch/0000', 'Pinch/0002']
  # Out of the image, but a label all the same.
  assert kept[1]['visibility'].sum() == 5 and kept[1]['keypoints_2d'][8, 0] > 640


def _rewrite(path, change):
  file = _annotations(path)
  file.write_text(change(file.read_text()))


DAMAGES = {
  'no data': (lambda p: shutil.rmtree(p / 'data'), 'has no folder data'),
  'no annotations': (
    lambda p: _annotations(p).unlink(),
    'Pinch3D.txt is missing',
  ),
  'no images': (
    lambda p: shutil.rmtree(p / 'data' / 'Rigid' / 'color'),
    'color is missing',
  ),
  'an image too few': (
    lambda p: (p / 'data' / 'Rigid' / 'color' / 'image_9_color.png').unlink(),
    'holds 2 images .* for the 3 lines',
  ),
  'cut off': (
    lambda p: _rewrite(p, lambda text: text[:-30]),
    'Pinch3D.txt: line 3 is not five points',
  ),
  'text': (
    lambda p: _rewrite(p, lambda text: text.replace(',', ' x', 1)),
    'Pinch3D.txt: line 1 is not five points',
  ),
  'no text at all': (
    lambda p: _annotations(p).write_bytes(b'\xff\xfe\x00\xd8'),
    'Pinch3D.txt is no text file',
  ),
  'empty': (
    lambda p: _rewrite(p, lambda text: ''),
    r'Pinch3D.txt has the shape \(0,\)',
  ),
  'NaN': (
    lambda p: _write_annotations(p, 'Pinch', np.full((FRAMES, 5, 3), np.nan)),
    'Pinch3D.txt holds a value that is not finite',
  ),
  'metres': (
    lambda p: _write_annotations(p, 'Pinch', np.full((FRAMES, 5, 3), 0.5)),
    'median depth of the fingertips is -4.2.*, outside 100-2000 millimetres',
  ),
  'other axes': (
    lambda p: _write_annotations(p, 'Pinch', np.full((FRAMES, 5, 3), -500.0)),
    'outside 100-2000 millimetres',
  ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_each_kind_of_damage_has_its_sentence(damaged, name):
  spoil, expected = DAMAGES[name]
  spoil(damaged)
  with pytest.raises((ValueError, FileNotFoundError), match=expected) as error:
    dexter_object.read_records(damaged)
  assert str(damaged) in str(error.value) and str(error.value).endswith('.')


def test_a_damaged_copy_is_not_built(damaged, tmp_path, capsys):
  _rewrite(damaged, lambda text: text[:-30])
  arguments = ['dexter_object', '--source', str(damaged)]
  message = readers.failure(arguments, tmp_path / 'out', capsys)
  assert 'line 3 is not five points' in message


def test_the_layout_is_built_end_to_end(layout, tmp_path):
  path = build_lib.build('dexter_object', tmp_path, source=layout[0])
  test = sources.TfdsSource(str(path), 'test')
  assert len(test) == len(SEQUENCES) * FRAMES
  example = test[4]  # mirrored on reading
  tips = layout[1]['Grasp2'][1] * [-1, 1, 1]
  np.testing.assert_allclose(example['joints_3d'][TIPS], tips, atol=2e-6)
  pixels = readers.slow_projection(tips, example['intrinsics'])
  np.testing.assert_allclose(example['keypoints_2d'][TIPS], pixels, atol=0.5)
