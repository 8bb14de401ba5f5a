"""Building datasets: real photos from their original files, and every way to fail."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import scipy.io

from bmc_jax.data import sources
from data_prep import build as build_lib
from tests.fixtures_data import FLAT_HAND

CAMERA = (900.0, 905.0, 640.0, 360.0)
BOX = (400, 150, 480, 480)


def _write_layout(path, count):
  """A folder in the photos' original layout; its joints in metres (N, 21, 3)."""
  (path / 'images').mkdir(parents=True)
  joints = np.zeros((count, 21, 3), np.float32)
  joints[..., :2] = FLAT_HAND
  joints[..., 2] = 0.45 + 0.001 * np.arange(count)[:, None]
  for index in range(count):
    image = np.full((256, 256, 3), index, np.uint8)
    cv2.imwrite(str(path / 'images' / f'{index:05d}.jpg'), image)
  scipy.io.savemat(path / 'pose_gt.mat', {'pose_gt': joints * 100})
  _write_params(path, count)
  return joints


def _write_params(path, count, **changed):
  params = {
    'image_path': [f'images/{i:05d}.jpg' for i in range(count)],
    'cam_param': np.tile(CAMERA, (count, 1)),
    'bbox': np.tile(BOX, (count, 1)),
  }
  scipy.io.savemat(path / 'params.mat', params | changed)


@pytest.fixture(scope='module')
def layout(tmp_path_factory):
  path = tmp_path_factory.mktemp('layout') / 'real_world_testset'
  return path, _write_layout(path, 85)


@pytest.fixture
def damaged(tmp_path):
  """A small layout that a test may spoil."""
  path = tmp_path / 'source'
  _write_layout(path, 4)
  return path


@pytest.fixture(scope='module')
def built(layout, tmp_path_factory):
  return build_lib.build(
    'hand_graph_cnn_real', tmp_path_factory.mktemp('out'), source=layout[0]
  )


def _failure(source, out, capsys) -> str:
  """Runs the command line, which must fail; its message."""
  arguments = ['hand_graph_cnn_real', '--source', str(source), '--out', str(out)]
  assert build_lib.main(arguments) == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith('error: ') and message.endswith('.')
  assert not list(out.glob('**/dataset_info.json'))
  return message


def test_every_fourth_block_of_twenty_neighbours_is_for_testing(built):
  train = sources.TfdsSource(str(built), 'train').batch(range(65))['sample_id']
  test = sources.TfdsSource(str(built), 'test').batch(range(20))['sample_id']
  assert [int(i) for i in test] == list(range(60, 80))
  assert [int(i) for i in train] == [*range(60), *range(80, 85)]


def test_labels_are_metres_in_the_camera_of_the_crop(built, layout):
  example = sources.TfdsSource(str(built), 'train')[30]
  joints = layout[1][30]
  # The stored hand is a left one: x and u come back mirrored.
  assert example['is_right'] == 0
  np.testing.assert_allclose(example['joints_3d'] * [-1, 1, 1], joints, atol=1e-6)
  frame = joints[:, :2] / joints[:, 2:] * CAMERA[:2] + CAMERA[2:]
  crop = (frame - BOX[:2]) * 256 / 480
  expected = np.stack([255 - crop[:, 0], crop[:, 1]], axis=-1)
  np.testing.assert_allclose(example['keypoints_2d'], expected, atol=1e-3)


def test_images_are_stored_byte_for_byte(built, layout):
  import tensorflow_datasets as tfds

  data = tfds.builder_from_directory(str(built)).as_data_source(
    'train', decoders={'image': tfds.decode.SkipDecoding()}
  )
  assert data[7]['image'] == (layout[0] / 'images' / '00007.jpg').read_bytes()


def test_a_contact_sheet_shows_every_split(built):
  sheet = cv2.imread(str(built / 'contact_sheet.png'))
  # Two titles of 32 px, and two rows of tiles for each split.
  assert sheet.shape == (2 * 32 + 4 * 192, 8 * 192, 3)


def test_what_is_complete_is_not_built_again(built, layout, capsys):
  before = {file: file.stat().st_mtime_ns for file in built.iterdir()}
  arguments = ['--source', str(layout[0]), '--out', str(built.parent.parent)]
  assert build_lib.main(['hand_graph_cnn_real', *arguments]) == 0
  output = capsys.readouterr().out
  assert 'already complete' in output and '65 examples' in output
  assert {file: file.stat().st_mtime_ns for file in built.iterdir()} == before


def test_the_contact_sheet_is_all_that_is_made_anew(built, layout):
  sheet = built / 'contact_sheet.png'
  sheet.unlink()
  build_lib.build('hand_graph_cnn_real', built.parent.parent, source=layout[0])
  assert sheet.exists()


def test_shards_are_as_many_as_asked_for(layout, tmp_path):
  path = build_lib.build(
    'hand_graph_cnn_real', tmp_path, source=layout[0], num_shards=3
  )
  assert len(list(path.glob('*-train.array_record-*-of-00003'))) == 3
  assert len(sources.TfdsSource(str(path), 'all')) == 85


def test_a_missing_source_folder_is_one_sentence(tmp_path, capsys):
  message = _failure(tmp_path / 'nowhere', tmp_path / 'out', capsys)
  assert 'does not exist' in message


def test_a_wrong_source_folder_is_one_sentence(tmp_path, capsys):
  (tmp_path / 'other').mkdir()
  message = _failure(tmp_path / 'other', tmp_path / 'out', capsys)
  assert 'does not exist or is empty' in message
  (tmp_path / 'other' / 'README').write_text('something else')
  message = _failure(tmp_path / 'other', tmp_path / 'out', capsys)
  assert 'has no images; it must be the folder real_world_testset' in message


def test_a_missing_photo_is_one_sentence(damaged, tmp_path, capsys):
  (damaged / 'images' / '00002.jpg').unlink()
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert '3 images and the 4 entries of image_path do not match' in message
  assert "(for example 'images/00002.jpg')" in message


@pytest.mark.parametrize('name', ['{outside}', 'images/../../00000.jpg'])
def test_no_photo_is_read_from_elsewhere(damaged, tmp_path, capsys, name):
  outside = tmp_path / '00000.jpg'
  outside.write_bytes((damaged / 'images' / '00000.jpg').read_bytes())
  names = [f'images/{i:05d}.jpg' for i in range(1, 4)]
  _write_params(damaged, 4, image_path=[name.format(outside=outside), *names])
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert 'do not match one to one' in message and '00000.jpg' in message


def test_a_photo_named_twice_in_the_place_of_another_is_noticed(
  damaged, tmp_path, capsys
):
  (damaged / 'images' / '00000.jpg').unlink()
  names = [f'images/{i:05d}.jpg' for i in (1, 1, 2, 3)]
  _write_params(damaged, 4, image_path=names)
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert "do not match one to one (for example 'images/00001.jpg')" in message


@pytest.mark.parametrize('size', [0, 300, 3000])  # of 77 kB
def test_a_photo_that_is_cut_off_is_one_sentence(damaged, tmp_path, capsys, size):
  noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
  encoded = cv2.imencode('.jpg', noise)[1].tobytes()
  (damaged / 'images' / '00002.jpg').write_bytes(encoded[:size])
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert '00002.jpg cannot be decoded' in message


@pytest.mark.parametrize(
  ('change', 'expected'),
  [
    (lambda joints: joints * 10, 'this looks like millimetres, not centimetres'),
    (lambda joints: joints * [1, 1, -1], 'in front of the camera'),
    (lambda joints: joints[:, :20], 'pose_gt has shape (4, 20, 3), expected'),
    (lambda joints: joints[:3], 'pose_gt has shape (3, 21, 3), expected'),
  ],
)
def test_wrong_joints_are_one_sentence(damaged, tmp_path, capsys, change, expected):
  joints = scipy.io.loadmat(damaged / 'pose_gt.mat')['pose_gt']
  scipy.io.savemat(damaged / 'pose_gt.mat', {'pose_gt': change(joints)})
  assert expected in _failure(damaged, tmp_path / 'out', capsys)


@pytest.mark.parametrize(
  ('changed', 'expected'),
  [
    ({'bbox': np.zeros((4, 4))}, 'bbox holds a crop without width or height'),
    ({'bbox': np.full((4, 4), np.nan)}, 'bbox holds something other than finite num'),
    ({'cam_param': np.full((4, 4), 'x')}, 'cam_param holds something other'),
  ],
)
def test_wrong_cameras_are_one_sentence(damaged, tmp_path, capsys, changed, expected):
  _write_params(damaged, 4, **changed)
  assert expected in _failure(damaged, tmp_path / 'out', capsys)


@pytest.mark.parametrize('size', [0, 20, 129, 300])
def test_a_matlab_file_that_is_cut_off_is_named(damaged, tmp_path, capsys, size):
  file = damaged / 'pose_gt.mat'
  file.write_bytes(file.read_bytes()[:size])
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert f'{file} cannot be read as a MATLAB file' in message


def test_a_matlab_file_of_another_kind_is_one_sentence(damaged, tmp_path, capsys):
  (damaged / 'pose_gt.mat').write_bytes(b'nothing')
  assert 'cannot be read' in _failure(damaged, tmp_path / 'out', capsys)
  scipy.io.savemat(damaged / 'pose_gt.mat', {'joints': np.zeros(3)})
  assert 'has no pose_gt' in _failure(damaged, tmp_path / 'out', capsys)


@pytest.mark.parametrize('name', ['dataset_info.json', 'features.json'])
def test_damaged_metadata_of_an_earlier_build_are_named(
  damaged, tmp_path, capsys, name
):
  path = build_lib.build('hand_graph_cnn_real', tmp_path, source=damaged)
  (path / name).write_text('{"name')
  arguments = ['--source', str(damaged), '--out', str(tmp_path)]
  assert build_lib.main(['hand_graph_cnn_real', *arguments]) == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert f'error: {path}: dataset_info.json or features.json is damaged' in message
  assert message.endswith('build it again with `python -m data_prep.build`.')


@pytest.mark.parametrize('name', ['pose_gt.mat', 'pose_gt.mat/out'])
def test_a_file_in_the_place_of_the_output_is_one_sentence(damaged, capsys, name):
  message = _failure(damaged, damaged / name, capsys)
  assert f'{damaged / name} cannot be a folder' in message


def test_flags_of_another_dataset_are_refused(tmp_path, capsys):
  with pytest.raises(SystemExit) as error:
    build_lib.main(['hand_graph_cnn_real', '--out', str(tmp_path), '--seed', '1'])
  assert error.value.code == 2
  assert 'hand_graph_cnn_real has no flag --seed' in capsys.readouterr().err


@pytest.mark.parametrize('number', [0, -3, 100])
def test_a_number_of_files_that_cannot_be_is_one_sentence(
  damaged, tmp_path, capsys, number
):
  options = ['--source', str(damaged), '--num-shards', str(number)]
  arguments = ['hand_graph_cnn_real', '--out', str(tmp_path / 'out'), *options]
  assert build_lib.main(arguments) == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith('error: ') and message.endswith('.')
  assert 'files per split' in message and str(number) in message


def test_what_an_interrupted_build_left_is_named(damaged, tmp_path, capsys):
  left = tmp_path / 'hand_graph_cnn_real' / 'incomplete.ABCDEF_1.0.0'
  left.mkdir(parents=True)
  build_lib.build('hand_graph_cnn_real', tmp_path, source=damaged)
  assert f'{left} is of a build that was interrupted' in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_that_looks_complete(layout, tmp_path):
  code = (
    'import os, sys\n'
    'from data_prep import build, hand_graph_cnn_real as dataset\n'
    'read, calls = dataset.read_example, []\n'
    'def read_example(record):\n'
    '  calls.append(1)\n'
    '  return os._exit(9) if len(calls) > 75 else read(record)\n'
    'dataset.read_example = read_example\n'
    'build.main(["hand_graph_cnn_real", "--source", sys.argv[1], "--out", sys.argv[2]])'
  )
  arguments = [sys.executable, '-c', code, str(layout[0]), str(tmp_path)]
  assert subprocess.run(arguments, capture_output=True, check=False).returncode == 9
  assert list(tmp_path.glob('*/incomplete.*'))
  with pytest.raises(FileNotFoundError, match='holds no prepared dataset'):
    sources.TfdsSource(str(tmp_path), 'train')
  path = build_lib.build('hand_graph_cnn_real', tmp_path, source=layout[0])
  assert len(sources.TfdsSource(str(tmp_path), 'all')) == 85
  assert path.name == '1.0.0'


def test_real_photos_are_built_end_to_end(test_data, tmp_path):
  source = test_data / 'data' / 'hand_graph_cnn_real' / 'real_world_testset'
  if not source.is_dir():
    pytest.skip('no real photos among the samples')
  path = build_lib.build('hand_graph_cnn_real', tmp_path, source=source)
  photos = sources.TfdsSource(str(path), 'all')
  batch = photos.batch(range(len(photos)))
  assert batch['image'].shape == (len(photos), 256, 256, 3)
  assert np.all((batch['keypoints_2d'] > 0) & (batch['keypoints_2d'] < 255))
  assert not batch['is_right'].any()
  # Joints lie on skin, which is redder than blue, and the corners do not.
  rows = np.rint(batch['keypoints_2d']).astype(int)
  index = np.arange(len(photos))[:, None]
  skin = batch['image'][index, rows[..., 1], rows[..., 0]].astype(float)
  corners = batch['image'][:, :8, :8].reshape(len(photos), -1, 3).astype(float)
  assert np.mean(skin[..., 0] > skin[..., 2] + 20) > 0.9
  assert np.mean(corners[..., 0] > corners[..., 2] + 20) < 0.2


@pytest.mark.parametrize('text', ['train', 'train=x', 'train=1;test=2'])
def test_numbers_of_examples_must_be_pairs(tmp_path, text, capsys):
  with pytest.raises(SystemExit):
    build_lib.main(['procedural_hands', '--out', str(tmp_path), '--examples', text])
  assert 'is not of the form split=number' in capsys.readouterr().err


def test_a_split_named_twice_is_refused(tmp_path, capsys):
  arguments = ['procedural_hands', '--out', str(tmp_path), '--examples', 'a=1,a=2']
  with pytest.raises(SystemExit):
    build_lib.main(arguments)
  assert "'a=1,a=2' names a split twice" in capsys.readouterr().err


def test_numbers_of_examples_are_read_by_split():
  assert build_lib.parse_examples('a=10, b=2') == {'a': 10, 'b': 2}
