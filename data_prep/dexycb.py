r"""DexYCB: real hands that grasp objects, seen by eight cameras, with 3D joints.

Get it: https://dex-ycb.github.io; the ten parts of subjects and `calibration` unpacked
into one folder:

    2020MMDD-subject-NN/<sequence>/meta.yml           num_frames, serials, mano_sides
                                  /<serial>/color_NNNNNN.jpg    640 x 480
                                  /<serial>/labels_NNNNNN.npz   joint_3d (1, 21, 3) in
                                   metres, in the camera's frame; joint_2d (1, 21, 2)
    calibration/intrinsics/<serial>_640x480.yml       color: fx, fy, ppx, ppy

Build it:

    bmc-jax build dexycb --source DexYCB --setup s1 --out ~/data

Splits: `train`, `val` and `test` of the option `setup`: s0 (sequences), s1 (unseen
subjects), s2 (unseen cameras) or s3 (unseen objects), as the authors' toolkit has them.
Subjects may be missing; s0 and s3 need all 100 sequences of each that is there. Frames
without a hand, whose joints are all -1, are left out. Joints are in canonical order.

Poses without images become a pose file: `dexycb_meta`.

Licence: CC BY-NC 4.0. Tested on generated folders of this layout, no real sample was at
hand.
"""

import dataclasses
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tqdm import tqdm

from bmc_jax.data import cameras
from bmc_jax.data import example as example_lib

from . import annotations, base, records

_SERIALS = (
  *('836212060125', '839512060362', '840412060917', '841412060263'),
  *('932122060857', '932122060861', '932122061900', '932122062010'),
)
SEQUENCES = 100  # of a subject
_ALL = range(10), range(8), range(SEQUENCES)
_FIFTH = [i for i in _ALL[2] if i % 5 == 4]
_OBJECTS = {n: [i for i in _ALL[2] if i // 5 in n] for n in ((3, 19), (7, 11, 15))}
_KNOWN = [i for i in _ALL[2] if i // 5 not in (3, 7, 11, 15, 19)]
# Subjects, cameras and sequences of each split, counted from 0.
SETUPS: Mapping[str, Mapping[str, tuple]] = {
  's0': {
    'train': (_ALL[0], _ALL[1], [i for i in _ALL[2] if i % 5 != 4]),
    'val': (range(2), _ALL[1], _FIFTH),
    'test': (range(2, 10), _ALL[1], _FIFTH),
  },
  's1': {
    'train': ((0, 1, 2, 3, 4, 5, 9), *_ALL[1:]),
    'val': ((6,), *_ALL[1:]),
    'test': ((7, 8), *_ALL[1:]),
  },
  's2': {
    'train': (_ALL[0], range(6), _ALL[2]),
    'val': (_ALL[0], (6,), _ALL[2]),
    'test': (_ALL[0], (7,), _ALL[2]),
  },
  's3': {
    'train': (*_ALL[:2], _KNOWN),
    'val': (*_ALL[:2], _OBJECTS[3, 19]),
    'test': (*_ALL[:2], _OBJECTS[7, 11, 15]),
  },
}
_FOLDER = re.compile(r'\d{8}-subject-(\d\d)')


@dataclasses.dataclass(frozen=True)
class Frame:
  """An image, the file of its labels, its camera and its side."""

  image: Path
  labels: Path
  sample_id: str
  intrinsics: np.ndarray
  is_right: bool


def read_records(source: Path, *, setup: str = 's0') -> dict[str, list[Frame]]:
  """The frames with a hand of each split that is there.

  Args:
    source: the folder of the subjects and of `calibration`.
    setup: a key of `SETUPS`.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: one is not of the expected form, or sequences are missing.
  """
  if setup not in SETUPS:
    raise ValueError(f'setup is {setup!r}; it must be {", ".join(SETUPS)}.')
  subjects = {}
  for folder in sorted(source.iterdir()):
    if match := _FOLDER.fullmatch(folder.name):
      sequences = sorted(path for path in folder.iterdir() if path.is_dir())
      subjects[int(match[1]) - 1] = sequences
      if setup in ('s0', 's3') and len(sequences) != SEQUENCES:
        raise ValueError(
          f'{folder} has {len(sequences)} sequences, but the splits of {setup} need '
          f'{SEQUENCES}: get a complete copy, or take --setup s1 or s2.'
        )
  if not subjects:
    raise FileNotFoundError(
      f'{source} has no folder such as 20200709-subject-01; it must be the folder of '
      'DexYCB.'
    )
  splits, empty = {}, 0
  matrices = {serial: _read_camera(source, serial) for serial in _SERIALS}
  for split, (people, views, numbers) in SETUPS[setup].items():
    there = [subjects[i] for i in people if i in subjects]
    sequences = [own[n] for own in there for n in numbers if n < len(own)]
    frames = [
      frame
      for sequence in sequences
      for serial in (_SERIALS[view] for view in views)
      for frame in _read_sequence(sequence, serial, matrices[serial])
    ]
    bar = tqdm(frames, f'labels of {split}', unit=' files', mininterval=0.5)
    found = [frame for frame in bar if _joints(frame, 'joint_3d') is not None]
    empty += len(frames) - len(found)
    if found:
      splits[split] = found
  if empty:
    logging.warning('%s: %d frames without a hand are left out.', source, empty)
  return splits


def _read_camera(source: Path, serial: str) -> np.ndarray:
  path = source / 'calibration' / 'intrinsics' / f'{serial}_640x480.yml'
  color = annotations.load_yaml(path).get('color')
  return cameras.read_camera(color, f'{path}: color').matrix


def _read_sequence(sequence: Path, serial: str, intrinsics: np.ndarray) -> list[Frame]:
  meta: Mapping[str, Any] = annotations.load_yaml(sequence / 'meta.yml')
  sides = meta.get('mano_sides')
  if sides not in (['right'], ['left']) or not isinstance(meta.get('num_frames'), int):
    raise ValueError(
      f'{sequence}/meta.yml has no num_frames, or mano_sides other than one of right '
      'and left; get a complete copy.'
    )
  folder = sequence / serial
  name = f'{sequence.parent.name}/{sequence.name}/{serial}'
  return [
    Frame(
      folder / f'color_{i:06d}.jpg',
      folder / f'labels_{i:06d}.npz',
      f'{name}/{i:06d}',
      intrinsics,
      sides == ['right'],
    )
    for i in range(meta['num_frames'])
  ]


def _joints(frame: Frame, name: str) -> np.ndarray | None:
  """Labels (21, 2 or 3) of a frame; None if it has no hand."""
  try:
    with np.load(frame.labels) as arrays:
      values = arrays[name]
  except FileNotFoundError:
    raise FileNotFoundError(
      f'{frame.labels} is missing; get a complete copy.'
    ) from None
  except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
    raise ValueError(
      f'{frame.labels} has no readable {name}; get a complete copy.'
    ) from error
  shape = (1, 21, 3 if name == 'joint_3d' else 2)
  joints = annotations.as_numbers(values, shape, f'{frame.labels}: {name}')[0]
  return None if np.all(joints == -1) else joints


def read_example(frame: Frame) -> example_lib.Example:
  """Reads the labels and the image of a frame."""
  joints, keypoints = (_joints(frame, name) for name in ('joint_3d', 'joint_2d'))
  if keypoints is None:
    raise ValueError(f'{frame.labels} has a joint_3d, but no joint_2d.')
  record = records.make_record(
    frame.image,
    frame.sample_id,
    keypoints_2d=keypoints,
    intrinsics=frame.intrinsics,
    is_right=frame.is_right,
    joints_3d=joints,
  )
  return records.read_example(record)


class Dexycb(base.LayoutBuilder):
  """Builder of DexYCB; the module's docstring says how to get and build it."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://dex-ycb.github.io'
  CITATION = """\
@inproceedings{chao2021dexycb,
  title={DexYCB: A Benchmark for Capturing Hand Grasping of Objects},
  author={Chao, Yu-Wei and Yang, Wei and Xiang, Yu and Molchanov, Pavlo and Handa, Ankur
    and Tremblay, Jonathan and Narang, Yashraj S. and Van Wyk, Karl and Iqbal, Umar and
    Birchfield, Stan and Kautz, Jan and Fox, Dieter},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition},
  year={2021}
}
"""
  LICENSE = 'CC BY-NC 4.0.'
  IMAGE_SHAPE = (480, 640, 3)

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)
