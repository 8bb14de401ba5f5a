"""Pictures that keypoints are from: their names, sizes, overlays, and a detector."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from bmc_jax.lift.pictures import Pictures, Place, detect_keypoints, is_of_pictures
from bmc_jax.predict import media
from tests.fixtures.lifters import lifted_hands, make_results
from tests.lift.test_sides import make_file

SIDES = np.array([1, 0, 1], bool)
WIDTH, HEIGHT = 640, 480


def _write(path, width=WIDTH, height=HEIGHT):
  path.parent.mkdir(exist_ok=True)
  cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
  return path


def _write_video(path, count=4, rate=25.0):
  codec = cv2.VideoWriter.fourcc(*'mp4v')
  video = cv2.VideoWriter(str(path), codec, rate, (WIDTH, HEIGHT))
  for _ in range(count):
    video.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
  video.release()
  return path


@pytest.mark.parametrize(
  'name', ['in/a_07.jpg', 'a_07.jpg', 'a_07', 'photos/a_07.png', 'train/a_07', 7]
)
def test_images_are_found_by_path_name_stem_and_number(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  file = _write(Path('in/a_07.jpg'))
  pictures = Pictures([file, _write(Path('in/b_08.jpg'))])
  assert pictures.place(name) == Place(file, None)
  assert pictures.size_of(name) == (WIDTH, HEIGHT)


@pytest.mark.parametrize('name', ['c.jpg', 'a', 9, 'a_07.jpg#1', '#', ''])
def test_other_names_have_no_picture(name, tmp_path):
  pictures = Pictures([_write(tmp_path / 'a_07.jpg')])
  assert pictures.place(name) is None and pictures.size_of(name) is None


def test_of_images_with_one_name_only_the_path_tells(tmp_path):
  one, other = (
    _write(tmp_path / 'x' / '1.jpg'),
    _write(tmp_path / 'y' / '1.jpg', 64, 48),
  )
  pictures = Pictures([one, other])
  assert pictures.place('1.jpg') is None and pictures.place(1) is None
  assert pictures.place(str(other)) == Place(other, None)
  assert pictures.size_of(str(other)) == (64, 48)


def test_frames_of_videos_are_found_by_name_and_number(tmp_path):
  wave, other = (_write_video(tmp_path / name) for name in ('wave.mp4', 'other.mp4'))
  single = Pictures([wave])
  assert single.place(3) == single.place('wave.mp4#3') == Place(wave, 3)
  assert single.place('wave#3') == Place(wave, 3)
  assert single.place('wave.mp4') is None
  assert single.size_of(3) == (WIDTH, HEIGHT)
  assert single.frame_rate() == 25
  both = Pictures([wave, other])
  assert both.place('other.mp4#1') == Place(other, 1) and both.frame_rate() is None
  with pytest.raises(
    ValueError, match='2 videos are given: give the one that they are'
  ):
    both.place(1)


def test_damaged_pictures_have_no_size(tmp_path):
  for name in ('a.jpg', 'a.mp4'):
    (tmp_path / name).write_bytes(b'nothing')
  assert Pictures([tmp_path / 'a.jpg']).size_of('a.jpg') is None
  assert Pictures([tmp_path / 'a.mp4']).size_of(0) is None


def test_sizes_are_those_of_upright_pictures(tmp_path):
  from PIL import Image

  exif = Image.Exif()
  exif[0x0112] = 6  # turned by a quarter
  Image.new('RGB', (WIDTH, HEIGHT)).save(tmp_path / 'a.jpg', exif=exif)
  (frame,) = media.read_frames([tmp_path / 'a.jpg'])
  assert isinstance(frame, media.Frame) and frame.image.shape[:2] == (WIDTH, HEIGHT)
  assert Pictures([tmp_path / 'a.jpg']).size_of('a.jpg') == (HEIGHT, WIDTH)


def test_keypoints_of_pictures_of_another_size_are_refused(tmp_path):
  pictures = Pictures([_write(tmp_path / '1.jpg'), _write(tmp_path / '2.jpg', 64, 48)])
  found = make_file([1, 1, 1])
  pictures.check_sizes(found)  # it tells no size
  sizes = np.array([[64.0, 48], [WIDTH, HEIGHT], [64, 48]])
  pictures.check_sizes(found._replace(image_sizes=sizes))  # 0 has no picture
  with pytest.raises(
    ValueError, match='picture of 1 has 640 x 480 .* of 64 x 48: give'
  ):
    pictures.check_sizes(found._replace(image_sizes=sizes[[0, 0, 2]]))


def _drawn(path):
  """Where a picture is not black."""
  return cv2.imread(str(path)).max(axis=2) > 60


def test_hands_are_drawn_on_their_pictures_and_cut_out_for_the_page(tmp_path, capsys):
  files = [_write(tmp_path / f'{i}.jpg') for i in range(3)]
  found = make_results(4, SIDES, frames=['0.jpg', 'elsewhere.jpg', 2])
  cut = Pictures(files).draw(tmp_path / 'out', found)
  assert '1 of 3 hands have no picture among those given' in capsys.readouterr().err
  assert sorted(cut) == [0, 2]
  for row, name in ((0, '0.jpg'), (2, '2.jpg')):
    seen = _drawn(tmp_path / 'out' / name)
    points = found.hands.keypoints_2d[row].round().astype(int)
    assert all(seen[y - 2 : y + 3, x - 2 : x + 3].any() for x, y in points)
    left, top = points.min(axis=0) - 6
    right, bottom = points.max(axis=0) + 7
    assert seen.sum() == seen[top:bottom, left:right].sum() > 0
    image, camera = cut[row]
    projected = found.hands.joints_3d[row] @ np.asarray(camera).T
    inside = projected[:, :2] / projected[:, 2:]
    assert inside.min() > 0 and inside.max() < len(image)
  assert not _drawn(tmp_path / 'out' / '1.jpg').any()


def test_hands_that_are_not_lifted_are_not_drawn(tmp_path):
  files = [_write(tmp_path / '0.jpg')]
  hands = lifted_hands(4, SIDES[:1])
  nothing = type(hands)(*(field * np.nan for field in hands[:3]), *hands[3:])
  found = make_results(4, SIDES[:1], hands=nothing)
  assert Pictures(files).draw(tmp_path / 'out', found) == {}
  assert not _drawn(tmp_path / 'out' / '0.jpg').any()


def test_an_overlay_of_a_video_has_its_frames(tmp_path):
  video = _write_video(tmp_path / 'wave.mp4')
  found = make_results(4, SIDES, frames=[0, 0, 2])
  assert sorted(Pictures([video]).draw(tmp_path / 'out', found)) == [0, 1, 2]
  drawn = cv2.VideoCapture(str(tmp_path / 'out' / 'wave.mp4'))
  seen = [drawn.read()[1].max() > 100 for _ in range(4)]
  assert seen == [True, False, True, False]


def test_pictures_are_told_from_keypoints(tmp_path):
  _write(tmp_path / 'photos' / '1.jpg')
  assert is_of_pictures(tmp_path / 'photos') and is_of_pictures(Path('wave.MP4'))
  assert not is_of_pictures(Path('a.json')) and not is_of_pictures(tmp_path)
  (tmp_path / 'photos' / '1.json').write_text('{}')
  assert not is_of_pictures(tmp_path / 'photos')


class Detector:
  """Finds the hands that it is told to, picture by picture."""

  def __init__(self, *found):
    self.found = list(found)

  def landmarks(self, image):
    assert image.dtype == np.uint8
    return self.found.pop(0)

  def close(self):
    pass


def test_a_detector_finds_hands_in_images_and_videos(tmp_path):
  points = lifted_hands(4, SIDES).keypoints_2d
  (tmp_path / 'bad.jpg').write_bytes(b'none')
  files = [_write(tmp_path / 'a.jpg', 64, 48), tmp_path / 'bad.jpg']
  files.append(_write_video(tmp_path / 'wave.mp4', 2))
  detector = Detector([(points[0], True), (points[1], False)], [], [(points[2], True)])
  done = []
  found = detect_keypoints(files, detector, done.append)
  np.testing.assert_array_equal(found.keypoints_2d, points)
  np.testing.assert_array_equal(found.is_right, SIDES)
  assert found.frames == ('a.jpg', 'a.jpg', 'wave.mp4#1')
  np.testing.assert_array_equal(found.image_sizes, [[64, 48], [64, 48], [640, 480]])
  assert sum(done) == 4
  assert found.notes[0].startswith('bad.jpg left out: ')
  assert found.notes[1] == '1 picture without a hand'


def test_hands_in_files_of_one_name_are_told_apart(tmp_path):
  files = [_write(tmp_path / folder / '1.jpg') for folder in 'xy']
  points = lifted_hands(4, SIDES).keypoints_2d
  found = detect_keypoints(
    files, Detector([(points[0], True)], [(points[1], True)]), lambda _: None
  )
  places = [Pictures(files).place(name) for name in found.frames]
  assert places == [Place(file, None) for file in files]


def test_a_detector_that_finds_nothing_is_told(tmp_path):
  with pytest.raises(ValueError, match=r'The detector finds no hand in a.jpg\.'):
    detect_keypoints([_write(tmp_path / 'a.jpg')], Detector([]), lambda _: None)
