r"""STB, the Stereo Hand Pose Tracking Benchmark: one left hand before six backgrounds.

Get it: https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset links to the images
and the labels. Unpacked into one folder they hold, for each of the twelve sequences
B1Counting, B1Random, ... B6Random,

    images/B1Counting/BB_left_N.png   stereo pair, 640 x 480, N from 0 on
    images/B1Counting/BB_right_N.png
    images/B1Counting/SK_color_N.png  RealSense, 640 x 480 (SK_depth_N.png is not read)
    labels/B1Counting_BB.mat          handPara (3, 21, 1500): millimetres, in the frame
                                      of the left camera of the stereo pair
    labels/B1Counting_SK.mat          the same in the frame of the depth camera

Build it:

    bmc-jax build stb --source STB --out ~/data

Splits, as published: `train` has the sequences B2 to B6, `test` has B1. Frames in a row
look alike. The option `cameras` says whose images are taken: bb_left and bb_right (the
default: 30,000 and 6,000 examples) or sk; `partial` takes the frames and sequences that
are there, where otherwise one that is missing is an error.

The calibration is that of the dataset's README. Joints come to metres in the frame of
the camera that took the image, and keypoints_2d are the projected joints. The first
joint of the labels is not the wrist but the centre of the palm. Papers extrapolate the
wrist from it, not all in the same way; here the palm's centre is midway between the
wrist and the ring finger's MCP:

    wrist = 2 palm - ring_mcp

The hand is a left one in all images (`is_right` = 0).

Licence: MIT.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from scipy.spatial.transform import Rotation

from bmc_jax import geometry, skeleton
from bmc_jax.joint_files.units import check_unit

from . import annotations, base
from .records import Record, make_record, read_example

_CITATION = """\
@inproceedings{zhang2017stb,
  title={A Hand Pose Tracking Benchmark from Stereo Matching},
  author={Zhang, Jiawei and Jiao, Jianbo and Chen, Mingliang and Qu, Liangqiong and
    Xu, Xiaobin and Yang, Qingxiong},
  booktitle={IEEE International Conference on Image Processing},
  year={2017}
}
"""

SPLITS = {
  'train': tuple(f'B{i}{kind}' for i in range(2, 7) for kind in ('Counting', 'Random')),
  'test': ('B1Counting', 'B1Random'),
}


@dataclasses.dataclass(frozen=True)
class Camera:
  """A camera of the dataset: x_labels = rotation x_camera + translation.

  Attributes:
    image: prefix of its images.
    labels: suffix of the label files whose frame the other fields refer to.
    intrinsics: fx, fy, cx, cy in pixels.
    rotation: rotation vector, in radians.
    translation: in millimetres.
  """

  image: str
  labels: str
  intrinsics: tuple[float, float, float, float]
  rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
  translation: tuple[float, float, float] = (0.0, 0.0, 0.0)


_STEREO = (822.79041, 822.79041, 318.47345, 250.31296)
CAMERAS = {
  'bb_left': Camera('BB_left', 'BB', _STEREO),
  'bb_right': Camera('BB_right', 'BB', _STEREO, translation=(120.054, 0.0, 0.0)),
  'sk': Camera(
    'SK_color',
    'SK',
    (607.92271, 607.88192, 314.78337, 236.42484),
    rotation=(0.00531, -0.01196, 0.00301),
    translation=(-24.0381, -0.4563, -1.2326),
  ),
}


def read_records(
  source: Path,
  *,
  cameras: Sequence[str] = ('bb_left', 'bb_right'),
  partial: bool = False,
) -> dict[str, list[Record]]:
  """Reads and checks the labels of the folder.

  Args:
    source: the folder with `images` and `labels`.
    cameras: keys of `CAMERAS`.
    partial: whether frames and sequences may be missing.

  Returns:
    The records of `train` and `test`: sequence by sequence, camera by camera.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is not of the expected form, or images and labels do not match.
  """
  unknown = [name for name in cameras if name not in CAMERAS]
  if unknown or not cameras:
    raise ValueError(
      f'There is no camera {unknown[0] if unknown else ""!r}; choose from '
      f'{", ".join(CAMERAS)}.'
    )
  for name in ('images', 'labels'):
    if not (source / name).is_dir():
      raise FileNotFoundError(
        f'{source} has no folder {name}; it must be the folder of STB, with images '
        'and labels.'
      )
  splits = {
    split: [
      record
      for sequence in sequences
      for camera in cameras
      for record in _read_sequence(source, sequence, camera, partial)
    ]
    for split, sequences in SPLITS.items()
  }
  if not any(splits.values()):
    raise FileNotFoundError(
      f'{source} has no frame of the cameras {", ".join(cameras)} with both an image '
      'and a label; choose other cameras, or get a complete copy.'
    )
  return {name: records for name, records in splits.items() if records}


def _read_sequence(
  source: Path, sequence: str, camera_name: str, partial: bool
) -> list[Record]:
  """The records of one camera's images of a sequence."""
  camera = CAMERAS[camera_name]
  labels = source / 'labels' / f'{sequence}_{camera.labels}.mat'
  if partial and not labels.exists():
    return []
  hands = annotations.load_matlab(labels, ('handPara',))['handPara']
  hands = annotations.as_numbers(hands, (3, 21, None), f'{labels}: handPara')
  joints = to_camera(to_canonical(hands.transpose(2, 1, 0)), camera)
  check_unit(joints, str(labels), 'millimetres')
  joints = joints / 1000
  fx, fy, cx, cy = camera.intrinsics
  intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
  cameras = np.broadcast_to(intrinsics, (len(joints), 3, 3))
  keypoints = np.asarray(geometry.project(joints, cameras))
  return [
    make_record(
      image,
      f'{sequence}/{camera_name}/{frame:04d}',
      keypoints_2d=keypoints[frame],
      intrinsics=intrinsics,
      is_right=False,
      joints_3d=joints[frame],
    )
    for frame, image in _list_images(source, sequence, camera, len(joints), partial)
  ]


def to_canonical(hands: np.ndarray) -> np.ndarray:
  """Brings the labels' joints (N, 21, 3) to the canonical order, with a wrist."""
  joints = np.array(skeleton.reorder(hands, 'stb'))
  palm = joints[:, skeleton.WRIST]
  ring = skeleton.JOINT_NAMES.index('ring_mcp')
  joints[:, skeleton.WRIST] = 2 * palm - joints[:, ring]
  return joints


def to_camera(joints: np.ndarray, camera: Camera) -> np.ndarray:
  """Moves joints (N, 21, 3) in millimetres from the labels' frame to the camera's."""
  turn = Rotation.from_rotvec(camera.rotation).as_matrix()
  return (joints - camera.translation) @ turn  # row vectors: R^T x


def _list_images(
  source: Path, sequence: str, camera: Camera, frames: int, partial: bool
) -> list[tuple[int, Path]]:
  """The numbers of the frames that have an image, and the images."""
  folder = source / 'images' / sequence
  images = [(i, folder / f'{camera.image}_{i}.png') for i in range(frames)]
  found = {path.name for path in folder.glob(f'{camera.image}_*.png')}
  there = [(i, image) for i, image in images if image.name in found]
  if len(found) > len(there) or (len(there) < frames and not partial):
    raise ValueError(
      f'{folder} holds {len(found)} images {camera.image}_N.png, but '
      f'{sequence}_{camera.labels}.mat has the labels of frames 0 to {frames - 1}; get '
      'a complete copy (or build the frames that are there with --partial).'
    )
  return there


class Stb(base.LayoutBuilder):
  """Builder of the frames; the module's docstring says how to get and build them."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset'
  CITATION = _CITATION
  LICENSE = 'MIT.'
  IMAGE_SHAPE = (480, 640, 3)
  IMAGE_ENCODING = 'png'

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)
