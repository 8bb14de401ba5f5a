r"""HO-3D: real right hands that hold objects, versions 2 and 3.

Get it: https://www.tugraz.at/index.php?id=40231 links to HO3D_v2.zip and HO3D_v3.zip.
Unpacked they hold

    train/SEQUENCE/rgb/NNNN.jpg         640 x 480 (.png in version 2)
    train/SEQUENCE/meta/NNNN.pkl        camMat (3, 3), handJoints3D (21, 3) in metres
    evaluation/SEQUENCE/rgb/NNNN.jpg
    evaluation/SEQUENCE/meta/NNNN.pkl   camMat, handJoints3D (3,): the wrist alone,
                                        handBoundingBox (4,): left, top, right, bottom
    train.txt, evaluation.txt           lines SEQUENCE/NNNN, 66,034 and 11,524 of them
                                        in version 2; in version 3, 103,462 in all, of
                                        which 20,137 are for evaluation

Either list may be missing. Frames that are not listed are not annotated, and other
folders and entries are not read.

Build it:

    bmc-jax build ho3d_v2 --source HO3D_v2 --out ~/data
    bmc-jax build ho3d_v3 --source HO3D_v3 --out ~/data

Splits: `train` and `evaluation`, both in the order of the lists, which submissions of
predictions follow. Frames in a row look alike. Of the labels of `evaluation` only the
wrist was published: its examples have `has_joints_3d` = 0, the wrist in row 0 of
joints_3d, and at most the wrist is visible (where it lies in the image). Crops
(`--crop-size`) are taken around the published box there.

Joints come from OpenGL's axes (x right, y up, z backward) to OpenCV's and from the
order of the dataset (the joints of MANO, then the tips) to the canonical one.
keypoints_2d are the projected joints. All hands are right ones.

Licence: academic research only, not to be redistributed, modified or used
commercially.
"""

import dataclasses
import re
from pathlib import Path

import jax
import numpy as np
import tensorflow_datasets as tfds

from bmc_jax import geometry, skeleton
from bmc_jax.data import example as example_lib

from . import annotations, base, pickles, records

SPLITS = ('train', 'evaluation')
IMAGE_SHAPE = (480, 640, 3)
_project = jax.jit(geometry.project)  # each frame by itself: op by op it is slow
_FRAME = re.compile(r'[A-Za-z0-9_]+/[0-9]+')

_CITATION = """\
@inproceedings{hampali2020honnotate,
  title={HOnnotate: A Method for 3D Annotation of Hand and Object Poses},
  author={Hampali, Shreyas and Rad, Mahdi and Oberweger, Markus and Lepetit, Vincent},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition},
  year={2020}
}
"""


@dataclasses.dataclass(frozen=True)
class Frame:
  """One frame: the files of its image and of its annotations, and its name."""

  image: Path
  meta: Path
  sample_id: str


def read_records_v2(source: Path) -> dict[str, list[Frame]]:
  """The frames of version 2; see `_read_records`."""
  return _read_records(source, 'HO3D_v2', '.png')


def read_records_v3(source: Path) -> dict[str, list[Frame]]:
  """The frames of version 3; see `_read_records`."""
  return _read_records(source, 'HO3D_v3', '.jpg')


def _read_records(source: Path, version: str, ending: str) -> dict[str, list[Frame]]:
  """Reads the lists of frames, and checks that the files of each frame are there.

  Args:
    source: the folder with train.txt or evaluation.txt, or both, or the one that holds
      it.
    version: the folder's usual name.
    ending: of the images.

  Returns:
    The frames of each split, in the order of its list.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a list is not of the expected form.
  """
  if (source / version).is_dir():
    source = source / version
  lists = {split: source / f'{split}.txt' for split in SPLITS}
  lists = {split: path for split, path in lists.items() if path.is_file()}
  if not lists:
    raise FileNotFoundError(
      f'{source} has neither train.txt nor evaluation.txt; it must be the folder '
      f'{version}.'
    )
  return {split: _read_list(path, ending) for split, path in lists.items()}


def _read_list(path: Path, ending: str) -> list[Frame]:
  """The frames of train.txt or evaluation.txt."""
  names = annotations.load_text(path).split()
  if not names:
    raise ValueError(f'{path} lists no frames; get a complete copy.')
  frames = []
  for name in names:
    if not _FRAME.fullmatch(name):
      raise ValueError(f'{path}: {name!r} is not of the form SEQUENCE/NNNN.')
    sequence, number = name.split('/')
    folder = path.with_suffix('') / sequence
    frames.append(
      Frame(
        folder / 'rgb' / f'{number}{ending}',
        folder / 'meta' / f'{number}.pkl',
        f'{path.stem}/{name}',
      )
    )
  if len(set(names)) < len(names):
    raise ValueError(f'{path} names a frame twice; get a complete copy.')
  _check_files(path, frames)
  return frames


def _check_files(path: Path, frames: list[Frame]) -> None:
  """Raises a FileNotFoundError if none of the images is there."""
  if not any(frame.image.is_file() for frame in frames):
    raise FileNotFoundError(
      f'{path} lists {len(frames)} frames, but none of their images is there, such as '
      f'{frames[0].image}; the images of version 2 are .png files, those of version 3 '
      '.jpg files.'
    )


def read_example(frame: Frame) -> example_lib.Example:
  """Makes the example of a frame, whose image is the bytes of the file."""
  meta = pickles.load(frame.meta)

  def read(name, *shape):
    if not isinstance(meta, dict) or meta.get(name) is None:
      raise ValueError(f'{frame.meta} has no {name}; get a complete copy.')
    return annotations.as_numbers(meta[name], shape, f'{frame.meta}: {name}')

  intrinsics = read('camMat', 3, 3)
  if np.shape(meta.get('handJoints3D')) == (3,):
    wrist, box = read('handJoints3D', 3), read('handBoundingBox', 4)
    _check_box(box, frame.meta)
    record = _wrist_record(frame, intrinsics, wrist) | {'hand_box': box}
  else:
    record = _hand_record(frame, intrinsics, read('handJoints3D', 21, 3))
  return records.read_example(record)


def _check_box(box: np.ndarray, path: Path) -> None:
  """Raises a ValueError unless a box has a size and touches the image."""
  low, high = np.maximum(box[:2], 0), np.minimum(box[2:], IMAGE_SHAPE[1::-1])
  if np.any(high - low < 1):
    raise ValueError(
      f'{path}: handBoundingBox is {box.tolist()}, no left, top, right and bottom in '
      f'an image of {IMAGE_SHAPE[1]}x{IMAGE_SHAPE[0]}; get a complete copy.'
    )


def _hand_record(frame: Frame, intrinsics, joints) -> records.Record:
  """The record of a frame with joints (21, 3) as they are in the file."""
  joints = skeleton.reorder(skeleton.change_axes(joints, 'opengl'), 'ho3d')
  return records.make_record(
    frame.image,
    frame.sample_id,
    keypoints_2d=np.asarray(_project(joints, intrinsics)),
    intrinsics=intrinsics,
    is_right=True,
    joints_3d=joints,
  )


def _wrist_record(frame: Frame, intrinsics, wrist) -> records.Record:
  """The record of a frame with the wrist (3,) alone, as it is in the file."""
  joints = np.zeros((21, 3), np.float32)
  joints[0] = skeleton.change_axes(wrist[None], 'opengl')[0]
  keypoints = np.asarray(_project(joints, intrinsics))
  if joints[0, 2] <= 0:
    raise ValueError(
      f'{frame.meta}: the wrist lies behind the camera (depth {joints[0, 2]:.4g} m); '
      "the file must have HO-3D's axes, y up and z backward."
    )
  limit = np.array(IMAGE_SHAPE[1::-1]) - 0.5
  in_image = np.all((keypoints[0] > -0.5) & (keypoints[0] < limit))
  record = records.make_record(
    frame.image,
    frame.sample_id,
    keypoints_2d=keypoints,
    intrinsics=intrinsics,
    is_right=True,
    visibility=np.arange(21) < int(in_image),
  )
  return record | {'joints_3d': joints}


class Ho3dV2(base.LayoutBuilder):
  """Builder of version 2; the module's docstring says how to get and build it."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://www.tugraz.at/index.php?id=40231'
  CITATION = _CITATION
  LICENSE = (
    'Academic research only, not to be redistributed, modified or used commercially.'
  )
  IMAGE_SHAPE = IMAGE_SHAPE
  IMAGE_ENCODING = 'png'
  BOX = 'the labelled keypoints, in `evaluation` as the published box'

  read_records = staticmethod(read_records_v2)
  read_example = staticmethod(read_example)


class Ho3dV3(Ho3dV2):
  """Builder of version 3, in which images are JPEGs."""

  IMAGE_ENCODING = 'jpeg'
  read_records = staticmethod(read_records_v3)
