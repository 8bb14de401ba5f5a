"""The command: photos, folders and videos to JSON, overlays and a page."""

import json
import shutil

import cv2
import numpy as np
import pytest

from bmc_jax.experiments.rows import run_experiment
from bmc_jax.joint_files.reading import read_joints
from bmc_jax.predict import media
from bmc_jax.predict.__main__ import main
from bmc_jax.predict.boxes import Hand
from tests.fixtures import tiny_config
from tests.fixtures.examples import make_example

pytestmark = pytest.mark.slow  # they train a network first


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A workdir with one small network, trained for two steps and tested."""
  folder = tmp_path_factory.mktemp('predict')
  config = tiny_config.get_config(tiny_config.write_images(folder / 'images', train=8))
  config.num_steps = 2
  config.data.val = {}
  config.run_rows = ('+ BMC',)
  run_experiment(config, folder / 'run', write_page=False)
  return folder / 'run'


@pytest.fixture
def photos(tmp_path):
  """Three photos, a file that is none, and a video of five frames."""
  folder = tmp_path / 'photos'
  folder.mkdir()
  images = [make_example(index, size=120)['image'] for index in range(5)]
  for index, image in enumerate(images[:3]):
    cv2.imwrite(str(folder / f'{index}.png'), image[..., ::-1])
  (folder / '3.jpg').write_bytes(b'no image')
  (folder / 'notes.txt').write_text('not looked at')
  codec = cv2.VideoWriter.fourcc(*'mp4v')
  video = cv2.VideoWriter(str(tmp_path / 'wave.mp4'), codec, 25.0, (120, 120))
  for image in images:
    video.write(image[..., ::-1])
  video.release()
  return folder


def _predict(run, *arguments):
  main(['--checkpoint', str(run), *(str(a) for a in arguments)])


def _fails(capsys, run, *arguments) -> str:
  with pytest.raises(SystemExit) as error:
    _predict(run, *arguments)
  assert error.value.code == 2
  text = capsys.readouterr().err.strip().splitlines()[-1]
  assert text.startswith('error: ')
  return text


def test_the_lifter_has_a_say_in_depth_where_it_is_asked(run, photos, tmp_path):
  hands = []
  for flags in ((), ('--lift',)):
    _predict(run, photos / '0.png', '--out', tmp_path / 'o', *flags)
    content = json.loads((tmp_path / 'o' / 'predictions.json').read_text())
    hands += content['hands']
  before, after = hands
  assert before['keypoints_2d'] == after['keypoints_2d']
  if before['crosses_camera']:
    assert after == before
  else:
    assert after['root_depth_from'] == 'lifted'
    assert before['joints_3d'] != after['joints_3d']


def test_a_folder_becomes_a_file_overlays_and_a_page(run, photos, tmp_path, capsys):
  out = tmp_path / 'out'
  _predict(run, photos, '--out', out, '--batch-size', '2')
  text = capsys.readouterr().out
  assert '3 hands in 3 of 4 images' in text
  assert '1 image without a prediction:' in text and '3.jpg: 3.jpg cannot be' in text
  content = json.loads((out / 'predictions.json').read_text())
  assert content['num_hands'] == 3 and content['num_skipped'] == 1
  assert content['skipped'][0]['input'] == '3.jpg'
  tested = np.stack([make_example(100 + i)['joints_3d'] for i in range(5)])
  bones = np.linalg.norm(tested[:, 10] - tested[:, 9], axis=-1)
  assert content['reference_bone_m'] == pytest.approx(np.median(bones), abs=1e-5)
  for hand in content['hands']:
    camera, joints = (np.array(hand[k]) for k in ('intrinsics', 'joints_3d'))
    assert hand['intrinsics_from'] == 'guessed' and camera[0, 0] == 120
    projected = joints @ camera.T
    np.testing.assert_allclose(
      projected[:, :2] / projected[:, 2:], hand['keypoints_2d'], atol=0.02
    )
    np.testing.assert_allclose(
      hand['joints_3d_relative'], joints - joints[0], atol=2e-6
    )
  names = sorted(path.name for path in (out / 'overlays').iterdir())
  assert names == ['0.jpg', '1.jpg', '2.jpg']
  drawn = cv2.imread(str(out / 'overlays' / '0.jpg')).astype(int)
  original = cv2.imread(str(photos / '0.png')).astype(int)
  assert drawn.shape == original.shape and np.abs(drawn - original).max() > 100
  page = (out / 'page.html').read_text()
  assert '2.png, right hand' in page
  assert 'http' not in page


def test_the_file_can_be_judged_like_any_other(run, photos, tmp_path, capsys):
  _predict(run, photos / '0.png', '--out', tmp_path / 'out', '--hand', 'left')
  path = tmp_path / 'out' / 'predictions.json'
  content = json.loads(path.read_text())
  joints = make_example(0)['joints_3d'].astype(float)  # two steps teach no hand
  content['hands'][0]['joints_3d'] = joints.tolist()
  path.write_text(json.dumps(content))
  read = read_joints(path)
  np.testing.assert_array_equal(read.joints_3d, joints[None])
  assert read.is_right is not None and not read.is_right[0]


def test_a_video_is_predicted_frame_by_frame(run, photos, tmp_path, capsys):
  video = tmp_path / 'wave.mp4'
  raw, smooth = tmp_path / 'raw', tmp_path / 'smooth'
  _predict(run, video, '--out', raw)
  _predict(run, video, '--out', smooth, '--smooth')
  hands, smoothed = (
    json.loads((folder / 'predictions.json').read_text())['hands']
    for folder in (raw, smooth)
  )
  assert [hand['frame'] for hand in hands] == list(range(5))
  np.testing.assert_allclose([h['seconds'] for h in hands], np.arange(5) / 25)
  drawn = cv2.VideoCapture(str(raw / 'overlays' / 'wave.mp4'))
  assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 5
  assert drawn.get(cv2.CAP_PROP_FPS) == 25

  def way(found):
    joints = np.array([hand['joints_3d'] for hand in found])
    return np.abs(np.diff(joints, axis=0)).sum()

  assert way(smoothed) < 0.9 * way(hands)
  first = [np.array(found[0]['joints_3d']) for found in (hands, smoothed)]
  np.testing.assert_array_equal(*first)


def test_boxes_name_hands_sides_and_frames(run, photos, tmp_path, capsys):
  boxes = tmp_path / 'boxes.json'
  left = {'box': [40, 30, 100, 90], 'hand': 'left'}
  boxes.write_text(
    json.dumps({'0.png': [[20, 20, 90, 90], left], '1.png': [10, 10, 80, 80], 'x': []})
  )
  out = tmp_path / 'out'
  _predict(run, photos, '--boxes', boxes, '--out', out)
  text = capsys.readouterr()
  assert '3 hands in 2 of 4 images' in text.out
  assert '2.png: no box is given' in text.out
  assert 'names 1 file that no input is: x' in text.err
  hands = json.loads((out / 'predictions.json').read_text())['hands']
  assert [hand['hand'] for hand in hands] == ['right', 'left', 'right']


def test_cameras_are_given_for_all_or_one_by_one(run, photos, tmp_path, capsys):
  (photos / '3.jpg').unlink()
  cameras = tmp_path / 'K.json'
  matrices = [[[100 + i, 0, 60], [0, 100 + i, 60], [0, 0, 1]] for i in range(3)]
  cameras.write_text(json.dumps(matrices))
  out = tmp_path / 'out'
  _predict(run, photos, '--intrinsics', cameras, '--out', out)
  hands = json.loads((out / 'predictions.json').read_text())['hands']
  assert [hand['intrinsics'] for hand in hands] == matrices
  assert {hand['intrinsics_from'] for hand in hands} == {'given'}
  _predict(run, photos / '0.png', '--intrinsics', '90,91,60,61', '--out', out)
  (hand,) = json.loads((out / 'predictions.json').read_text())['hands']
  assert hand['intrinsics'] == [[90, 0, 60], [0, 91, 61], [0, 0, 1]]
  cameras.write_text(json.dumps(matrices[:2]))
  told = _fails(capsys, run, photos, '--intrinsics', cameras, '--out', out)
  assert 'holds 2 cameras for 3 pictures' in told


def test_an_interrupted_run_writes_what_it_has(
  run, photos, tmp_path, monkeypatch, capsys
):
  read = media.read_frames

  def until_the_third(files):
    for number, frame in enumerate(read(files)):
      if number == 3:
        raise KeyboardInterrupt
      yield frame

  monkeypatch.setattr(media, 'read_frames', until_the_third)
  with pytest.raises(SystemExit) as error:
    _predict(run, tmp_path / 'wave.mp4', '--out', tmp_path / 'out', '--batch-size', '1')
  assert error.value.code == 130
  content = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
  assert content['num_hands'] == 3
  assert 'interrupted' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['nowhere.jpg'], 'There is no file or folder nowhere.jpg'),
    (['{photos}/notes.txt'], 'is no image and no video'),
    (['{photos}/../empty'], 'holds no image and no video'),
    (['{photos}/3.jpg'], 'No hand was predicted in 1 image: 3.jpg cannot be decoded'),
    (['{photos}/0.png', '--box', '1,2,3'], "--box is '1,2,3'; it must be left,top"),
    (['{photos}/0.png', '--box', '500,0,600,90'], 'outside of the image of 120x120'),
    (['{photos}/0.png', '--boxes', 'no.json'], 'There is no file no.json'),
    (['{photos}/0.png', '--boxes', '{photos}/3.jpg'], 'is no valid JSON'),
    (['{photos}/0.png', '--intrinsics', 'a,b'], 'it must be fx,fy,cx,cy in pixels'),
    (['{photos}/0.png', '--bone-length', '40'], 'is no hand: give metres'),
    (['{photos}/0.png', '--detector', 'no.task'], 'There is no detector no.task'),
    (['{photos}/0.png', '--batch-size', '0'], '--batch-size is 0'),
    (['{photos}/0.png', '--row', 'other'], "has no row 'other'"),
  ],
)
def test_wrong_calls_are_told_in_one_sentence(
  run, photos, tmp_path, capsys, arguments, message
):
  (tmp_path / 'empty').mkdir()
  arguments = [a.replace('{photos}', str(photos)) for a in arguments]
  assert message in _fails(capsys, run, *arguments, '--out', tmp_path / 'out')
  assert not (tmp_path / 'out' / 'predictions.json').exists()


def test_a_lifter_is_refused(run, photos, tmp_path, capsys):
  copy = tmp_path / 'run'
  shutil.copytree(run, copy)
  path = copy / 'rows' / 'plus_bmc' / 'config.json'
  config = json.loads(path.read_text())
  config['model']['name'] = 'keypoint_lifter'
  path.write_text(json.dumps(config))
  with pytest.raises(SystemExit):
    _predict(copy, photos, '--out', tmp_path / 'out')


def test_the_detector_gives_boxes_and_sides(run, photos, tmp_path, monkeypatch, capsys):
  found = [[Hand([20, 20, 90, 90], False)], [], [Hand(None, True)] * 2]
  monkeypatch.setattr(
    'bmc_jax.predict.__main__._hand_finder', lambda *_: lambda _: found.pop(0)
  )
  (photos / '3.jpg').unlink()
  _predict(run, photos, '--out', tmp_path / 'out')
  assert '1.png: no hand found' in capsys.readouterr().out
  hands = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['hands']
  assert [hand['hand'] for hand in hands] == ['left', 'right', 'right']
