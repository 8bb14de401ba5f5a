"""`bmc-jax lift`: keypoints of every form in, hands.json, overlays and a page out."""

import json

import cv2
import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.lift.__main__ import main
from tests.fixtures import keypoint_forms as forms
from tests.fixtures.keypoint_forms import HANDS, HEIGHT, SIDES, TRUST, WIDTH
from tests.fixtures.lifters import random_lifter, write_weights
from tests.lift.test_pictures import Detector

EACH = list(zip(HANDS, TRUST, SIDES, strict=True))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
  return write_weights(tmp_path_factory.mktemp('weights') / 'w.npz')


@pytest.fixture
def lift(weights, tmp_path):
  """Runs the command; gives the hands of the file that it wrote."""

  def run(*arguments, out='out'):
    main(
      [*map(str, arguments), '--weights', str(weights), '--out', f'{tmp_path}/{out}']
    )
    return json.loads((tmp_path / out / 'hands.json').read_text())['hands']

  return run


@pytest.fixture
def fails(lift, tmp_path, capsys):
  """Runs the command; gives the sentence with which it ends."""

  def run(*arguments, out='out'):
    with pytest.raises(SystemExit) as error:
      lift(*arguments, out=out)
    assert error.value.code == 2
    text = capsys.readouterr().err.strip().splitlines()[-1]
    assert text.startswith('error: ') and text.endswith('.')
    assert out != 'out' or not (tmp_path / 'out').exists()
    return text

  return run


def _mediapipe(folder):
  results = {f'{i}.jpg': forms.mediapipe(h, s) for i, (h, _, s) in enumerate(EACH)}
  return forms.write_json(folder / 'a.json', results)


def _openpose(folder):
  for i, one in enumerate(EACH):
    forms.write_json(folder / 'op' / f'{i}_keypoints.json', forms.openpose(*one))
  return folder / 'op'


def _coco_results(folder):
  rows = [
    {'image_id': i, 'keypoints': forms.whole_body(*one).ravel().tolist(), 'score': 1}
    for i, one in enumerate(EACH)
  ]
  return forms.write_json(folder / 'a.json', rows)


def _csv(folder):
  header = ['frame', 'hand']
  header += [f'{name}_{axis}' for name in forms.NAMES for axis in ('x', 'y', 'conf')]
  rows = [
    [i, 'right' if side else 'left', *forms.flat(hand, trust)]
    for i, (hand, trust, side) in enumerate(EACH)
  ]
  return forms.write_csv(folder / 'a.csv', header, rows)


def _npz(folder):
  path = folder / 'a.npz'
  np.savez(path, keypoints_2d=HANDS, confidence=TRUST, is_right=SIDES)
  return path


def _mmpose(folder):
  return forms.write_json(folder / 'a.json', forms.mmpose(whole=True))


def _coco(folder):
  return forms.write_json(folder / 'a.json', forms.coco())


FORMS = {
  'mediapipe': (_mediapipe, np.ones_like(TRUST)),
  'openpose': (_openpose, TRUST),
  'mmpose': (_mmpose, TRUST),
  'coco results': (_coco_results, TRUST),
  'coco': (_coco, np.ceil(TRUST)),
  'csv': (_csv, TRUST),
  'npz': (_npz, TRUST),
}


@pytest.mark.parametrize('form', FORMS)
def test_hands_of_every_form_are_those_of_the_lifter(form, lift, tmp_path, capsys):
  write, confidence = FORMS[form]
  hands = lift(write(tmp_path), '--image-size', f'{WIDTH},{HEIGHT}')
  expected = random_lifter()(
    HANDS, confidence=confidence, is_right=SIDES, image_size=(WIDTH, HEIGHT)
  )
  assert [hand['is_right'] for hand in hands] == SIDES.tolist()
  for name, digits in (('joints_3d', 5e-5), ('keypoints_2d', 0.02)):
    found = np.array([hand[name] for hand in hands])
    np.testing.assert_allclose(found, getattr(expected, name), atol=digits)
  assert {hand['intrinsics'][0][0] for hand in hands} == {WIDTH}
  assert {hand['intrinsics_from'] for hand in hands} == {'guessed'}
  printed = capsys.readouterr().out
  assert '4 hands (3 right, 1 left) in 4 pictures; ' in printed
  assert 'The focal length is a guess' in printed
  assert printed.strip().endswith('hands.json, page.html.')
  assert '<option>' in (tmp_path / 'out' / 'page.html').read_text()


def test_a_camera_a_bone_an_order_and_a_side_are_followed(lift, tmp_path, capsys):
  np.save(tmp_path / 'a.npy', skeleton.reorder(HANDS, 'canonical', 'mano'))
  hands = lift(
    *(tmp_path / 'a.npy', '--order', 'mano', '--hand', 'left'),
    *('--intrinsics', '500,510,320,240', '--bone-length', '0.04'),
  )
  camera = np.array([[500, 0, 320], [0, 510, 240], [0, 0, 1]])
  expected = random_lifter()(HANDS, is_right=False, intrinsics=camera, bone_length=0.04)
  np.testing.assert_allclose(
    [hand['joints_3d'] for hand in hands], expected.joints_3d, atol=1e-5
  )
  assert {hand['hand'] for hand in hands} == {'left'}
  assert {hand['intrinsics_from'] for hand in hands} == {'given'}
  assert 'guess' not in capsys.readouterr().out


def test_some_pictures_have_cameras_of_their_own(lift, fails, tmp_path, capsys):
  given = forms.write_json(tmp_path / 'K.json', {'0.jpg': [500, 510, 320, 240]})
  hands = lift(_mediapipe(tmp_path), '--image-size', '640,480', '--intrinsics', given)
  origins = [hand['intrinsics_from'] for hand in hands]
  assert origins == ['given', 'guessed', 'guessed', 'guessed']
  assert 'The focal length of 3 hands is a guess' in capsys.readouterr().out
  told = fails(tmp_path / 'a.json', '--intrinsics', 'nada.json', out='b')
  assert 'There is no file nada.json' in told


def _photos(folder, sizes=((WIDTH, HEIGHT),) * 4):
  folder.mkdir(exist_ok=True)
  for i, (width, height) in enumerate(sizes):
    cv2.imwrite(str(folder / f'{i}.jpg'), np.zeros((height, width, 3), np.uint8))
  return folder


def _video(path, count):
  codec = cv2.VideoWriter.fourcc(*'mp4v')
  video = cv2.VideoWriter(str(path), codec, 10.0, (WIDTH, HEIGHT))
  for _ in range(count):
    video.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
  video.release()
  return path


def test_pictures_tell_their_sizes_and_are_drawn_on(lift, tmp_path, capsys):
  sizes = [(WIDTH, HEIGHT), (800, 600), (WIDTH, HEIGHT), (800, 600)]
  photos = _photos(tmp_path / 'photos', sizes)
  hands = lift(_openpose(tmp_path), '--images', photos)
  assert [hand['intrinsics'][0][0] for hand in hands] == [640, 800, 640, 800]
  assert capsys.readouterr().out.strip().endswith('hands.json, page.html, overlays.')
  for i, (width, height) in enumerate(sizes):
    drawn = cv2.imread(str(tmp_path / 'out' / 'overlays' / f'{i}.jpg'))
    assert drawn.shape == (height, width, 3) and drawn.max() > 100
  page = (tmp_path / 'out' / 'page.html').read_text()
  assert page.count('data:image/jpeg') == 4 and 'http' not in page
  # Shares of pictures, whose sizes the file does not tell.
  bare = [{'landmarks': forms.landmarks(h), 'hand': 'R'} for h in HANDS]
  shares = forms.write_json(tmp_path / 'b.json', bare)
  hands = lift(shares, '--images', photos)
  assert [hand['intrinsics'][0][0] for hand in hands] == [640, 800, 640, 800]


def _path(numbers):
  """A file of a hand that trembles on its way, in the pictures of these numbers."""
  rng = np.random.default_rng(0)
  frames = [
    {
      'frame': number,
      'landmarks': forms.landmarks(
        HANDS[0] + [2 * number, 0] + rng.normal(0, 0.7, (21, 2))
      ),
      'hand': 'R',
    }
    for number in numbers.tolist()
  ]
  return {'width': WIDTH, 'height': HEIGHT, 'frames': frames}


def test_a_video_is_smoothed_and_its_gaps_are_bridged(lift, tmp_path, capsys):
  numbers = np.r_[0:8, 10:20, 25:40]
  path = forms.write_json(tmp_path / 'a.json', _path(numbers))
  raw = lift(path, out='raw')
  assert [hand['frame'] for hand in raw] == numbers.tolist()
  # The video has 10 pictures a second: 6 of its steps are more than half a second.
  smooth = lift(path, '--smooth', '--images', _video(tmp_path / 'wave.mp4', 40))
  assert [hand['frame'] for hand in smooth] == [*range(20), *range(25, 40)]
  assert [h['frame'] for h in smooth if h['bridged']] == [8, 9]
  printed = capsys.readouterr().out
  assert '2 hands put where none was found in between.' in printed
  assert 'Smoothing made joints tremble by ' in printed
  more = lift(path, '--smooth', '--fps', '30', out='more')
  assert len(more) == 40 and sum(hand['bridged'] for hand in more) == 7

  def trembling(hands):
    joints = np.array([h['joints_3d'] for h in hands if h['frame'] >= 25])
    return np.median(np.abs(np.diff(joints, n=3, axis=0)))

  assert trembling(more) < 0.6 * trembling(raw)
  overlay = cv2.VideoCapture(str(tmp_path / 'out' / 'overlays' / 'wave.mp4'))
  assert overlay.get(cv2.CAP_PROP_FRAME_COUNT) == 40


def test_sides_that_the_files_own_3d_contradicts_are_swapped(lift, tmp_path, capsys):
  results = [forms.mediapipe(hand, 0) for hand in HANDS]
  for result, hand in zip(
    results, forms.random_hands(3, 4, spread=10).joints, strict=True
  ):
    world = (0.03 * hand).tolist()  # of right hands
    result['worldLandmarks'] = [dict(zip('xyz', point, strict=True)) for point in world]
  path = forms.write_json(tmp_path / 'a.json', results)
  assert {hand['hand'] for hand in lift(path)} == {'right'}
  assert 'its own 3D hands contradict its sides' in capsys.readouterr().err
  (doubt,) = json.loads((tmp_path / 'out' / 'hands.json').read_text())['doubts']
  assert 'They are swapped' in doubt
  assert {hand['hand'] for hand in lift(path, '--hand', 'left')} == {'left'}
  assert 'contradict' not in capsys.readouterr().err


@pytest.mark.parametrize('hand', ['auto', 'swapped', 'right'])
def test_a_detector_gives_hands_of_pictures(hand, lift, tmp_path, monkeypatch, capsys):
  found = [[(h, bool(s))] for h, _, s in EACH]
  detector = Detector(found[0], found[1], [], found[2] + found[3])
  monkeypatch.setattr('bmc_jax.lift.__main__.HandDetector', lambda _: detector)
  photos = _photos(tmp_path / 'photos')
  hands = lift(photos, '--detector', 'hand_landmarker.task', '--hand', hand)
  assert [h['frame'] for h in hands] == ['0.jpg', '1.jpg', '3.jpg', '3.jpg']
  sides = {'auto': SIDES, 'swapped': 1 - SIDES, 'right': np.ones(4)}[hand]
  assert [h['is_right'] for h in hands] == sides.tolist()
  assert '1 picture without a hand.' in capsys.readouterr().out
  assert len(list((tmp_path / 'out' / 'overlays').iterdir())) == 4


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['nowhere.json'], 'There is no file or folder of keypoints nowhere.json'),
    (['{in}/a.json', '{in}/a.json'], '2 inputs are given: give one file or folder'),
    (['{in}/photos'], 'holds pictures: give keypoints of them, with --images'),
    (['{in}/photos/0.jpg'], 'holds pictures: give keypoints of them'),
    (['{in}/photos', '--detector', 'x.task'], 'There is no detector x.task'),
    (['{in}/a.json', '--detector', 'x.task'], 'a.json is no image and no video'),
    (['{in}/photos', '--detector', 'x', '--order', 'mano'], '--order is of keypoints'),
    (['{in}/op'], 'The size of the pictures is not known, from which the camera is'),
    (['{in}/bare.npy'], 'does not tell the side of 4 of 4 hands'),
    (['{in}/bare.npy', '--hand', 'swapped'], 'does not tell the side of 4 of 4 hands'),
    (['{in}/few.npz'], 'None of the 4 hands has the 4 keypoints, not all'),
    (
      ['{in}/a.json', '--image-size', '640'],
      "--image-size is '640'; give width,height",
    ),
    (
      ['{in}/a.json', '--image-size', 'a,b'],
      "--image-size is 'a,b'; give width,height",
    ),
    (
      ['{in}/a.json', '--image-size', '64,48'],
      'tells pictures of 640 x 480 pixels, but',
    ),
    (
      ['{in}/op', '--image-size', '0,480'],
      'the size of a picture is (0.0, 480.0), but',
    ),
    (
      ['{in}/a.json', '--images', '{in}/small'],
      'has 64 x 48 pixels, but its keypoints',
    ),
    (['{in}/a.json', '--images', 'nada'], 'There is no file or folder nada'),
    (['{in}/a.json', '--intrinsics', '1,2,3'], 'it must be fx,fy,cx,cy in pixels'),
    (['{in}/a.json', '--intrinsics', '0,9,3,4'], '--intrinsics 0,9,3,4 has the focal'),
    (['{in}/a.json', '--intrinsics', '1,1.3,.5,.5'], "are parts of the image's size"),
    (['{in}/a.json', '--bone-length', '40'], 'is no hand: give metres'),
    (['{in}/a.json', '--limits', 'none.json'], 'There is no limits file none.json'),
    (['{in}/a.json', '--fps', '0'], '--fps is 0.0; give pictures a second, above 0'),
    (['{in}/a.json', '--fps', 'nan'], '--fps is nan'),
    (
      ['{in}/named.json', '--smooth'],
      "names differ in a number only: here are 'a.jpg'",
    ),
  ],
)
def test_wrong_calls_are_told_in_one_sentence(arguments, message, fails, tmp_path):
  path = _mediapipe(tmp_path)
  _openpose(tmp_path)
  _photos(tmp_path / 'photos', [(WIDTH, HEIGHT)])
  _photos(tmp_path / 'small', [(64, 48)])
  named = json.loads(path.read_text())
  named = dict(zip(('a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'), named.values(), strict=True))
  forms.write_json(tmp_path / 'named.json', named)
  np.save(tmp_path / 'bare.npy', HANDS)
  few = TRUST * (np.arange(21) < 3)
  sizes = np.full((4, 2), [WIDTH, HEIGHT])
  np.savez(
    *(tmp_path / 'few.npz',),
    **{'keypoints_2d': HANDS, 'confidence': few},
    **{'is_right': SIDES, 'image_sizes': sizes},
  )
  told = fails(*(text.replace('{in}', str(tmp_path)) for text in arguments))
  assert message in told


def test_other_weights_are_refused(tmp_path, capsys):
  path = str(_mediapipe(tmp_path))
  for name, message in (
    ('none.npz', 'There are no weights none.npz'),
    ('package:everyday_64', 'do not fit the model'),
    (path, 'is no weights file'),
  ):
    with pytest.raises(SystemExit):
      main([path, '--weights', name, '--out', str(tmp_path / 'out')])
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
  assert not (tmp_path / 'out').exists()


def test_nothing_but_results_of_before_is_written_over(lift, fails, tmp_path):
  path = _mediapipe(tmp_path)
  photos = _photos(tmp_path / 'photos')
  lift(path, '--images', photos)
  lift(path, '--images', photos)  # again
  own = tmp_path / 'out' / 'hands.json'
  overlays = tmp_path / 'out' / 'overlays'
  before = {file: file.read_bytes() for file in overlays.iterdir()}
  with pytest.raises(SystemExit):
    lift(path, '--images', overlays)
  with pytest.raises(SystemExit):
    lift(own, '--image-size', '640,480')
  assert before == {file: file.read_bytes() for file in overlays.iterdir()}
  for name in ('hands.json', 'page.html'):
    mine = tmp_path / name.split('.')[0] / name
    mine.parent.mkdir()
    mine.write_text('{"mine": 1}')
    assert 'something else than' in fails(path, out=mine.parent.name)
    assert [f.name for f in mine.parent.iterdir()] == [name]
    assert mine.read_text() == '{"mine": 1}'
  assert 'cannot be written' in fails(path, out='a.json')


def test_its_own_file_can_be_lifted_again(lift, tmp_path):
  first = lift(_mediapipe(tmp_path))
  own = tmp_path / 'out' / 'hands.json'
  again = lift(own, '--image-size', f'{WIDTH},{HEIGHT}', out='again')
  assert [h['frame'] for h in again] == [h['frame'] for h in first]
  assert [h['is_right'] for h in again] == SIDES.tolist()


def test_an_interrupted_run_writes_nothing(lift, tmp_path, monkeypatch, capsys):
  def interrupt(*_, **__):
    raise KeyboardInterrupt

  path = _mediapipe(tmp_path)
  monkeypatch.setattr('bmc_jax.lift.pictures.cut_picture', interrupt)
  with pytest.raises(SystemExit) as error:
    lift(path, '--images', _photos(tmp_path / 'photos'))
  assert error.value.code == 130
  assert 'interrupted; files that were not complete' in capsys.readouterr().err
  assert not (tmp_path / 'out' / 'hands.json').exists()
