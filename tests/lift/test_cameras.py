"""Cameras of lifted hands: one for all pictures, one for each, or a guess."""

import json
from pathlib import Path

import numpy as np
import pytest

from bmc_jax.lift import cameras
from bmc_jax.lift.pictures import Pictures
from tests.fixtures.lifters import random_lifter, seen_hands
from tests.lift.test_sides import make_file

SIDES = np.array([1, 1, 0, 1], bool)
_, POINTS = seen_hands(0, 4)
CAMERAS = [[500, 500, 320, 240], [610, 600, 300, 250], [700, 700, 320, 240]]
MATRICES = np.array(
  [[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] for fx, fy, cx, cy in CAMERAS]
)
NAMES = ('a.jpg', 'b.jpg', 'a.jpg', 'c.jpg')  # of four hands in three pictures
OF_HANDS = MATRICES[[0, 1, 0, 2]]


def _file(frames=NAMES, sizes=(640, 480)):
  return make_file(SIDES)._replace(
    keypoints_2d=POINTS,
    frames=tuple(frames),
    image_sizes=np.broadcast_to(np.array(sizes, float), (4, 2)),
  )


@pytest.fixture
def lift(tmp_path):
  """Lifts the hands of a file with the cameras of a JSON file."""

  def run(content, found, files=()):
    path = tmp_path / 'K.json'
    path.write_text(json.dumps(content))
    given = cameras.read_cameras(str(path), found, Pictures(files))
    return cameras.lift_hands(random_lifter(), found, SIDES, given=given)

  return run


@pytest.mark.parametrize(
  ('content', 'frames', 'files'),
  [
    (CAMERAS, NAMES, ()),
    (MATRICES.tolist(), (0, 1, 0, 2), ()),
    ({'b.jpg': CAMERAS[1], 'a.jpg': CAMERAS[0], 'c.jpg': CAMERAS[2]}, NAMES, ()),
    (dict(zip('012', CAMERAS, strict=True)), (0, 1, 0, 2), ()),
    ({f'w.mp4#{i}': c for i, c in enumerate(CAMERAS)}, (0, 1, 0, 2), ('in/w.mp4',)),
    ({'w.mp4': CAMERAS[0], 'w.mp4#2': CAMERAS[2], 'w.mp4#1': CAMERAS[1]},)
    + (('w.mp4#0', 'w.mp4#1', 'w.mp4#0', 'w.mp4#2'), ()),
    ({f'v/p_{i}.png': c for i, c in enumerate(CAMERAS)}, (0, 1, 0, 2))
    + (('v/p_0.png', 'v/p_1.png', 'v/p_2.png', 'v/p_3.png'),),
  ],
)
def test_each_picture_has_its_own_camera(content, frames, files, lift):
  hands = lift(content, _file(frames), [Path(file) for file in files])
  np.testing.assert_array_equal(hands.intrinsics, OF_HANDS)
  assert hands.camera_known.all()
  for row, matrix in enumerate(OF_HANDS):
    alone = random_lifter()(POINTS[row], intrinsics=matrix, is_right=SIDES[row])
    np.testing.assert_allclose(hands.joints_3d[row], alone.joints_3d, atol=1e-5)


def test_pictures_that_are_not_named_have_a_guess(lift, capsys):
  hands = lift({'b.jpg': CAMERAS[1], 'd.jpg': CAMERAS[2]}, _file())
  np.testing.assert_array_equal(hands.camera_known, [False, True, False, False])
  np.testing.assert_array_equal(hands.intrinsics[:, 0, 0], [640, 610, 640, 640])
  assert 'names 1 file that no input is: d.jpg' in capsys.readouterr().err
  with pytest.raises(ValueError, match='The size of the pictures is not known'):
    lift({'b.jpg': CAMERAS[1]}, _file(sizes=(np.nan, np.nan)))
  every = lift(CAMERAS, _file(sizes=(np.nan, np.nan)))
  np.testing.assert_array_equal(every.intrinsics, OF_HANDS)


def test_a_number_of_cameras_other_than_that_of_pictures_is_refused(lift):
  with pytest.raises(ValueError, match='holds 2 cameras for 3 pictures: give one, as'):
    lift(CAMERAS[:2], _file())


def test_a_camera_of_another_picture_is_refused_by_its_name(lift):
  of_size = {'K': MATRICES[0].tolist(), 'width': 320, 'height': 240}
  with pytest.raises(ValueError, match=r"'b\.jpg': the intrinsics are .* of 320x240"):
    lift([CAMERAS[0], of_size, CAMERAS[2]], _file())
  with pytest.raises(ValueError, match=r"'c\.jpg': a focal length of 3 pixels is too"):
    lift([*CAMERAS[:2], [3, 3, 1, 1]], _file())


def test_millimetres_are_refused_where_the_size_of_pictures_is_not_told(lift):
  with pytest.raises(
    ValueError, match='focal length of 3.6 pixels is too short .* mill'
  ):
    lift([3.6, 3.6, 3.2, 2.4], _file(sizes=(np.nan, np.nan)))


def test_odd_cameras_are_told_once(lift, capsys):
  lift([[500, 500, 10 + i, 240] for i in range(3)], _file())
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert 'the principal point (10, 240) is far from the middle' in line
  assert line.endswith('(2 more cameras likewise).')


def test_a_camera_is_compared_with_how_far_the_keypoints_reach(lift, capsys):
  points = np.random.default_rng(0).uniform(100, 400, (4, 21, 2))
  found = _file(sizes=(np.nan, np.nan))._replace(keypoints_2d=points)
  with pytest.raises(ValueError, match="are parts of the image's size: multiply fx"):
    lift([1.9, 1.9, 1, 1], found)
  lift([500, 500, 0, 0], found)
  assert 'the principal point (0, 0) is far from the middle' in capsys.readouterr().err
  assert np.isfinite(lift([500, 500, 250, 250], found).joints_3d).all()
  assert not capsys.readouterr().err


def test_a_camera_of_a_larger_frame_is_told_where_no_size_is(lift, capsys):
  points = np.random.default_rng(0).uniform(100, 400, (4, 21, 2))
  found = _file(sizes=(np.nan, np.nan))._replace(keypoints_2d=points)
  whole = [2000, 2000, 1500, 1000]
  for content in (whole, [whole, [2000, 2000, 1400, 900], CAMERAS[0]]):
    lift(content, found)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('warning: --intrinsics: all keypoints lie within (')
    assert 'as in crops of a frame of about' in line
  lift(whole, found._replace(image_sizes=np.full((4, 2), [3000.0, 2000.0])))
  assert not capsys.readouterr().err  # the hands do lie in a corner
  elsewhere = points + [[[0, 0]], [[1000, 0]], [[0, 900]], [[0, 0]]]
  lift(whole, found._replace(keypoints_2d=elsewhere))
  assert not capsys.readouterr().err
