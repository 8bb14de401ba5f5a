r"""Dexter+Object: fingertips of left hands that handle an object, for evaluation.

Get it: https://handtracker.mpi-inf.mpg.de/projects/RealtimeHO/dexter+object.htm. The
folder holds, for each of the sequences Grasp1, Grasp2, Occlusion, Pinch, Rigid and
Rotate,

    data/Grasp1/color/*                      640 x 480, in the order of their numbers
    data/Grasp1/annotations/Grasp13D.txt     a line per frame: x,y,z; of the tips of
                                             thumb, index, middle, ring, little finger

in millimetres, in the frame of the depth camera, whose axes are x left, y up and z
forward. (The 2D annotations are pixels of the depth image, and are not read.)

Build it:

    bmc-jax build dexter_object --crop-size 224 --source dexter+object --out ~/data

One split, `test`, with the frames of all six sequences in which the colour camera sees
an annotated fingertip (the depth camera has a wider view). Five of the 21 joints have
labels, the tips: of the others, and of a tip without a measured depth, joints_3d and
keypoints_2d are zeros and `visibility` is 0. `has_joints_3d` is 1. The wrist and the
reference bone are unknown, so the set is for evaluation alone. Joints are brought to
metres in the frame of the colour camera with the dataset's calibration, and
keypoints_2d are the projected joints. Crops (`--crop-size`) are taken around the box
of a whole hand with such fingertips (`data_prep.fingertips`), not around the tips.

All hands are left ones (`is_right` = 0).

Licence: research purposes only; see the web page.
"""

import re
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from bmc_jax import geometry

from . import annotations, base
from .fingertips import TIPS, hand_boxes
from .records import Record, make_record, read_example

_CITATION = """\
@inproceedings{sridhar2016dexterobject,
  title={Real-time Joint Tracking of a Hand Manipulating an Object from RGB-D Input},
  author={Sridhar, Srinath and Mueller, Franziska and Zollhoefer, Michael and Casas, Dan
    and Oulasvirta, Antti and Theobalt, Christian},
  booktitle={European Conference on Computer Vision},
  year={2016}
}
"""

SEQUENCES = ('Grasp1', 'Grasp2', 'Occlusion', 'Pinch', 'Rigid', 'Rotate')

IMAGE_SIZE = np.array([640, 480])
# The calibration that comes with the dataset.
INTRINSICS = np.array([[587.45209, 0, 325], [0, 600.67456, 249], [0, 0, 1]])
DEPTH_TO_COLOR = np.array(  # [R | t] for OpenCV axes, t in millimetres
  [
    [0.9999, 0.0034, 0.0161, 19.0473],
    [-0.0033, 1.0000, -0.0079, -1.8514],
    [-0.0162, 0.0079, 0.9998, -4.7501],
  ]
)
_LABELS_TO_OPENCV = np.array([-1, -1, 1])
# The depth camera marks pixels without a depth with numbers from this on, in mm.
_NO_DEPTH = 32000
# A hand lies within arm's reach of the camera; a unit error does not.
_DEPTH_RANGE = (100, 2000)  # mm


def read_records(source: Path) -> dict[str, list[Record]]:
  """Reads and checks the annotations of the folder.

  Args:
    source: the folder with `data`.

  Returns:
    The records of the split `test`.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is not of the expected form, or images and annotations do not
      match.
  """
  if not (source / 'data').is_dir():
    raise FileNotFoundError(
      f'{source} has no folder data; it must be the folder of Dexter+Object.'
    )
  return {
    'test': [
      record for name in SEQUENCES for record in _read_sequence(source / 'data' / name)
    ]
  }


def _read_sequence(folder: Path) -> list[Record]:
  """The records of a sequence's frames with an annotated fingertip in view."""
  path = folder / 'annotations' / f'{folder.name}3D.txt'
  labels = _read_tips(path)
  images = _list_images(folder / 'color', len(labels))
  visibility = np.zeros((len(labels), 21))
  visibility[:, TIPS] = (labels[..., 2] != 0) & (labels[..., 2] < _NO_DEPTH)
  tips = to_color_camera(labels)
  _check_depth(tips[visibility[:, TIPS] > 0], path)
  joints = np.zeros((len(labels), 21, 3))
  joints[:, TIPS] = tips / 1000
  cameras = np.broadcast_to(INTRINSICS, (len(joints), 3, 3))
  keypoints = np.asarray(geometry.project(joints, cameras))
  inside = np.all((keypoints > -0.5) & (keypoints < IMAGE_SIZE - 0.5), axis=-1)
  in_view = np.flatnonzero(np.any(inside & (visibility > 0), axis=1))
  boxes = hand_boxes(
    joints[in_view][:, TIPS], visibility[in_view][:, TIPS], INTRINSICS, is_right=False
  )
  return [
    make_record(
      images[frame],
      f'{folder.name}/{frame:04d}',
      keypoints_2d=keypoints[frame],
      intrinsics=INTRINSICS,
      is_right=False,
      joints_3d=joints[frame],
      visibility=visibility[frame],
    )
    | {'hand_box': box}
    for frame, box in zip(in_view, boxes, strict=True)
  ]


def _read_tips(path: Path) -> np.ndarray:
  """The fingertips (N, 5, 3) of an annotation file, as they are in it."""
  lines = [line for line in annotations.load_text(path).splitlines() if line.strip()]
  rows = []
  for number, line in enumerate(lines, start=1):
    words = [word for word in re.split(r'[;,\s]+', line) if word]
    try:
      row = [float(word) for word in words]
    except ValueError:
      row = []
    if len(row) != 15:
      raise ValueError(
        f'{path}: line {number} is not five points x,y,z; get a complete copy.'
      )
    rows.append(row)
  return annotations.as_numbers(rows, (None, 15), str(path)).reshape(-1, 5, 3)


def to_color_camera(tips: np.ndarray) -> np.ndarray:
  """Moves points (*b, 3) in mm from the labels' frame to the colour camera's."""
  rotation, translation = DEPTH_TO_COLOR[:, :3], DEPTH_TO_COLOR[:, 3]
  return (tips * _LABELS_TO_OPENCV) @ rotation.T + translation


def from_color_camera(tips: np.ndarray) -> np.ndarray:
  """The inverse of `to_color_camera`."""
  rotation, translation = DEPTH_TO_COLOR[:, :3], DEPTH_TO_COLOR[:, 3]
  return (tips - translation) @ np.linalg.inv(rotation).T * _LABELS_TO_OPENCV


def _check_depth(tips: np.ndarray, path: Path) -> None:
  """Raises a ValueError unless points (N, 3) lie within arm's reach, by the median."""
  depth = float(np.median(tips[:, 2])) if len(tips) else np.nan
  low, high = _DEPTH_RANGE
  if not low <= depth <= high:
    raise ValueError(
      f'{path}: the median depth of the fingertips is {depth:.4g}, outside '
      f'{low}-{high} millimetres; check the unit and the axes, or get a complete copy.'
    )


def _list_images(folder: Path, count: int) -> list[Path]:
  """The images of a folder, in the order of the numbers in their names."""
  if not folder.is_dir():
    raise FileNotFoundError(f'{folder} is missing; get a complete copy.')
  images = [p for p in folder.iterdir() if p.suffix.lower() in ('.png', '.jpg')]
  if len(images) != count:
    raise ValueError(
      f'{folder} holds {len(images)} images (.png, .jpg) for the {count} lines of '
      'annotations; get a complete copy.'
    )
  return sorted(
    images, key=lambda path: [int(number) for number in re.findall(r'\d+', path.name)]
  )


class DexterObject(base.LayoutBuilder):
  """Builder of the frames; the module's docstring says how to get and build them."""

  VERSION = tfds.core.Version('1.1.0')
  RELEASE_NOTES = {
    '1.0.0': 'First release.',
    '1.1.0': 'Crops are taken around the whole hand instead of its fingertips.',
  }
  HOMEPAGE = 'https://handtracker.mpi-inf.mpg.de/projects/RealtimeHO/dexter+object.htm'
  CITATION = _CITATION
  LICENSE = 'For research purposes only; see the web page.'
  IMAGE_SHAPE = (int(IMAGE_SIZE[1]), int(IMAGE_SIZE[0]), 3)
  IMAGE_ENCODING = 'png'
  BOX = 'a hand with the labelled fingertips'

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)
