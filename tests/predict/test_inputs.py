"""What is given beside images: boxes and cameras find their files, and are checked."""

import json
from pathlib import Path

import numpy as np
import pytest

from bmc_jax.predict import View
from bmc_jax.predict.boxes import Boxes, parse_box
from bmc_jax.predict.cameras import Cameras
from bmc_jax.predict.media import Frame, Place

IMAGE = np.zeros((200, 256, 3), np.uint8)
BOX = [30, 20, 220, 190]
FILES = [Path('in/p1.jpg'), Path('in/p2.jpg'), Path('in/p10.jpg'), Path('in/w.mp4')]
CAMERA = [480, 480, 128, 100]


def frame(path: Path, number: int | None = None) -> Frame:
  name = path.name if number is None else f'{path.name}#{number}'
  return Frame(name, path, IMAGE, number=number)


@pytest.fixture
def boxes(tmp_path):
  def read(content, side='right', files=FILES):
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(content))
    return Boxes(str(path), side, files)

  return read


@pytest.fixture
def cameras(tmp_path):
  def read(content, files=FILES):
    path = tmp_path / 'K.json'
    path.write_text(json.dumps(content))
    return Cameras(str(path), [Place(file) for file in files])

  return read


@pytest.mark.parametrize(
  'name', ['p2.jpg', 'in/p2.jpg', './in/p2.jpg', 'in\\p2.jpg', str(FILES[1].absolute())]
)
def test_names_and_paths_find_their_file(boxes, cameras, capsys, name):
  (hand,) = boxes({name: BOX})(frame(FILES[1]))
  assert hand.box == BOX and hand.is_right
  assert boxes({name: BOX})(frame(FILES[0])) == []
  assert cameras({name: CAMERA}).of(frame(FILES[1])) is not None
  assert not capsys.readouterr().err


def test_a_name_without_its_ending_finds_its_file_and_is_told(boxes, capsys):
  assert boxes({'p2': BOX, 'in/p10': BOX})(frame(FILES[1]))[0].box == BOX
  told = capsys.readouterr().err
  assert 'p2 is taken for p2.jpg, in/p10 is taken for p10.jpg' in told


def test_names_that_no_input_has_are_told(boxes, cameras, capsys):
  boxes({'p1.jpg': BOX, 'p2.png': BOX})
  assert 'names 1 file that no input is: p2.png; the inputs are p1.jpg' in (
    capsys.readouterr().err
  )
  with pytest.raises(ValueError, match=r'names 1 file that no input is: p2\.png'):
    boxes({'p2.png': BOX})
  assert cameras({'p2.png': CAMERA}).of(frame(FILES[1])) is None
  assert 'names 1 file that no input is: p2.png' in capsys.readouterr().err


def test_a_name_of_two_inputs_and_two_names_of_one_are_refused(boxes):
  with pytest.raises(ValueError, match="'p.jpg' is the name of 2 inputs, a/p.jpg and"):
    boxes({'p.jpg': BOX}, files=[Path('a/p.jpg'), Path('b/p.jpg')])
  read = boxes({'p.jpg': BOX}, files=[Path('p.jpg'), Path('b/p.jpg')])
  assert read(frame(Path('p.jpg'))) and not read(frame(Path('b/p.jpg')))
  with pytest.raises(ValueError, match=r"'p1.jpg' and 'p1' are both of in/p1.jpg"):
    boxes({'p1.jpg': BOX, 'p1': BOX})


def test_frames_have_boxes_of_their_own(boxes):
  read = boxes({'w.mp4#2': BOX, 'w.mp4': [0, 0, 50, 50], 'in/w.mp4#9': BOX})
  assert read(frame(FILES[3], 1))[0].box == [0, 0, 50, 50]
  assert read(frame(FILES[3], 2))[0].box == BOX
  assert read.unseen() == ['in/w.mp4#9']


@pytest.mark.parametrize(
  ('told', 'right'),
  [
    ([*BOX, 0.97], True),
    ({'box': BOX, 'hand': 'Left'}, False),
    ({'box': BOX, 'handedness': 'LEFT', 'score': 0.9}, False),
    ({'box': BOX, 'is_right': 0}, False),
    ({'box': BOX, 'isRight': True}, True),
    ({'box': BOX, 'is_left': 1, 'hand': 'left', 'is_right': None}, False),
    ([{'xywh': [30, 20, 190, 170]}], True),
  ],
)
def test_boxes_are_read_as_detectors_write_them(boxes, told, right):
  (hand,) = boxes({'p1.jpg': told})(frame(FILES[0]))
  assert hand.box == BOX and hand.is_right == right
  (default,) = boxes({'p1.jpg': BOX}, side='left')(frame(FILES[0]))
  assert not default.is_right


@pytest.mark.parametrize(
  ('told', 'message'),
  [
    (
      {'p1.jpg': BOX, 'p2.jpg': [120, 60, 100, 150]},
      'if these are x, y, width, height',
    ),
    ({'p1.jpg': [0.1, 0.1, 0.9, 0.9]}, 'multiply left and right by its width'),
    ({'p1.jpg': [*BOX, 97]}, 'with a score from 0 to 1 behind it, and no class in'),
    ({'p1.jpg': [0, *BOX]}, 'no class in front'),
    ({'p1.jpg': [0, 0.5, 0.5, 0.2, 0.3]}, 'no class in front'),
    ({'p1.jpg': [[1, 0.5, 0.5, 0.2, 0.3]]}, 'no class in front'),
    ({'p1.jpg': [*BOX, 0.9, 0]}, r'is \[30, 20, 220, 190, 0.9, 0\]; \[left, top'),
    ({'p1.jpg': {'box': BOX, 'xywh': BOX}}, 'has both "box" and "xywh": keep one'),
    ({'p1.jpg': {'box': BOX, 'hand': 'left', 'is_right': 1}}, 'contradict each other'),
    ({'p1.jpg': {'box': BOX, 'is_left': 1, 'is_right': 1}}, 'contradict each other'),
    ({'p1.jpg': [0, 0, 1e9, 1e9]}, 'reaches further than any image'),
    ({'p1.jpg': {'xywh': [0, 0, 1e9, 1e9]}}, 'reaches further than any image'),
    ({}, 'names no file: an object {"photo.jpg"'),
    ({'p1.jpg': ['30', '20', '220', '190']}, "is '30'"),
    ({'p1.jpg': {'bbox': BOX}}, 'call it "box" or "xywh"'),
    ({'p1.jpg': {'box': BOX, 'hand': 'both'}}, 'the side of a hand is'),
    ({'p1.jpg': {'box': BOX, 'label': 3}}, 'unknown entry label'),
    ({'p1.jpg': {'xywh': [1, 2]}}, r'the box of .p1.jpg. is \[1, 2\]'),
    ([{'image_id': 1, 'bbox': BOX}], 'the image_id 1 names none of the 4 inputs, nor'),
    ([BOX], 'holds a list, which names no files'),
  ],
)
def test_other_boxes_are_refused_in_a_sentence(boxes, told, message):
  with pytest.raises(ValueError, match=message):
    boxes(told)


def test_boxes_of_coco_are_x_y_width_and_height(boxes):
  xywh = [30, 20, 190, 170]
  coco = {
    'images': [{'id': 7, 'file_name': 'in/p1.jpg'}, {'id': 8, 'file_name': 'p2.jpg'}],
    'categories': [{'id': 1, 'name': 'left_hand'}, {'id': 2, 'name': 'hand'}],
    'annotations': [
      {'id': 1, 'image_id': 7, 'category_id': 1, 'bbox': xywh},
      {'id': 2, 'image_id': 8, 'category_id': 2, 'bbox': xywh},
      {'id': 3, 'image_id': 7, 'category_id': 1, 'bbox': xywh, 'handedness': 'right'},
    ],
  }
  read = boxes(coco)
  sides = [[hand.is_right for hand in read(frame(file))] for file in FILES[:2]]
  assert sides == [[False, True], [True]]
  assert read(frame(FILES[0]))[0].box == BOX
  files = [Path('000000000785.jpg'), Path('b.jpg')]
  row = {'category_id': 1, 'bbox': xywh, 'score': 0.9}
  read = boxes([row | {'image_id': 785}, row | {'image_id': 'b'}], files=files)
  assert [len(read(frame(file))) for file in files] == [1, 1]
  assert read(frame(files[0]))[0].box == BOX


def test_a_box_for_all_is_checked_at_once():
  assert parse_box('1,2,30,40') == [1, 2, 30, 40]
  with pytest.raises(ValueError, match='smaller than 2 pixels'):
    parse_box('0.1,0.1,0.9,0.9')


def test_cameras_in_order_are_those_of_the_files_as_listed(cameras, capsys):
  told = [[100 + i, 100 + i, 128, 100] for i in range(4)]
  read = cameras(told)
  found = [read.of(frame(file)).matrix[0, 0] for file in FILES]
  assert found == [100, 101, 102, 103]
  assert '0: p1.jpg, 1: p2.jpg, 2: p10.jpg, 3: w.mp4' in capsys.readouterr().out
  with pytest.raises(ValueError, match='holds 3 cameras for 4 pictures'):
    cameras(told[:3])
  same = [Path('a/1.jpg'), Path('1.jpg')]
  read = cameras(told[:2], files=same)
  assert [read.of(frame(file)).matrix[0, 0] for file in same] == [100, 101]


@pytest.mark.parametrize('nothing', [{}, [], None, 3])
def test_a_file_without_a_camera_is_refused_and_none_guessed(cameras, nothing):
  with pytest.raises(
    ValueError, match='K.json holds no camera for 4 pictures: give one'
  ):
    cameras(nothing)


def test_what_is_not_used_of_a_camera_is_told(cameras, capsys):
  cameras({'K': [[480, 0, 128], [0, 480, 100], [0, 0, 1]], 'dist': [0.1, 0]})
  assert 'not used of the cameras are dist' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('change', 'kinds'),
  [
    ({}, []),
    ({'box': (-20, 10, 100, 120)}, []),
    ({'box': (100, 100, 900, 900)}, ['box']),
    ({'intrinsics': np.array([[924.0, 0, 640], [0, 924, 362], [0, 0, 1]])}, None),
  ],
)
def test_views_that_may_be_wrong_are_doubted(change, kinds):
  view = View(IMAGE, **{'box': tuple(BOX), **change})
  view.check()
  assert list(view.doubts()) == (['principal point'] if kinds is None else kinds)
