"""The command that builds datasets: what it writes, keeps and refuses."""

import cv2
import numpy as np
import pytest

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import registry
from tests.fixtures import readers


def _failure(source, out, capsys) -> str:
  arguments = ['hand_graph_cnn_real', '--source', str(source)]
  return readers.failure(arguments, out, capsys)


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
  before = {file.name for file in built.iterdir()}
  # As a build leaves them that is killed while it draws.
  sheet.rename(built / '.partial_0123456789ab.png')
  build_lib.build('hand_graph_cnn_real', built.parent.parent, source=layout[0])
  assert {file.name for file in built.iterdir()} == before


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


@pytest.mark.parametrize('size', [0, 300, 3000])  # of 77 kB
def test_a_photo_that_is_cut_off_is_one_sentence(damaged, tmp_path, capsys, size):
  noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
  encoded = cv2.imencode('.jpg', noise)[1].tobytes()
  (damaged / 'images' / '00002.jpg').write_bytes(encoded[:size])
  message = _failure(damaged, tmp_path / 'out', capsys)
  assert '00002.jpg cannot be' in message or '00002.jpg is cut off' in message


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
  assert message.endswith('build it again with `bmc-jax build`.')


@pytest.mark.parametrize('name', ['pose_gt.mat', 'pose_gt.mat/out'])
def test_a_file_in_the_place_of_the_output_is_one_sentence(damaged, capsys, name):
  message = _failure(damaged, damaged / name, capsys)
  assert f'{damaged / name} cannot be a folder' in message


def test_what_others_put_in_the_place_of_a_dataset_stays(damaged, tmp_path, capsys):
  file = tmp_path / 'a' / 'hand_graph_cnn_real'
  mine = tmp_path / 'b' / 'hand_graph_cnn_real' / '1.0.0' / 'mine.txt'
  for path in (file, mine):
    path.parent.mkdir(parents=True)
    path.write_text('mine')
  for out, told in (
    ('a', f'{file} cannot be a folder'),
    ('b', f'{mine.parent} is there, but holds no prepared dataset'),
  ):
    arguments = ['--source', str(damaged), '--out', str(tmp_path / out)]
    assert build_lib.main(['hand_graph_cnn_real', *arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert told in message and 'delete' not in message
  assert mine.read_text() == file.read_text() == 'mine'


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
  assert registry.parse_examples('a=10, b=2') == {'a': 10, 'b': 2}
