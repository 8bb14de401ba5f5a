r"""Real photos of one left hand with 3D joints (Ge et al., CVPR 2019).

The real-world test set that was published with "3D Hand Shape and Pose Estimation from
a Single RGB Image": 256 x 256 crops of a 1280 x 720 colour camera.

Get it: clone https://github.com/3d-hand-shape/hand-graph-cnn and take the folder
`data/real_world_testset`, which holds

    images/NNNNN.jpg   the crops
    params.mat         image_path; cam_param (N, 4): fx, fy, u0, v0 of the whole frame;
                       bbox (N, 4): x, y, width, height of the crop in the frame
    pose_gt.mat        pose_gt (N, 21, 3): joints in centimetres, canonical order

Build it (a few seconds, 14.5 MB):

    bmc-jax build hand_graph_cnn_real \
        --source real_world_testset --out ~/data

Splits: the frames, in the order of the files, are cut into blocks of 20 neighbours;
every fourth block is `test`, the others are `train`. Frames in a row look alike, so a
random choice would test on training images. The TFDS split name `all` reads both.

Images are stored byte for byte. The hand is stored as it is, a left one
(`is_right` = 0); `bmc_jax.data.sources` mirrors it on reading. keypoints_2d are the
projected joints.

Licence: Snap Inc., non-commercial research and educational purposes only; see the
LICENSE file of that repository.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from bmc_jax import geometry
from bmc_jax.joint_files.units import check_unit

from . import annotations, base, records

CROP_SIZE = 256
BLOCK = 20
TEST_EVERY = 4

_CITATION = """\
@inproceedings{ge2019handshapepose,
  title={3D Hand Shape and Pose Estimation from a Single RGB Image},
  author={Ge, Liuhao and Ren, Zhou and Li, Yuncheng and Xue, Zehao and Wang, Yingying
    and Cai, Jianfei and Yuan, Junsong},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition},
  year={2019}
}
"""


def read_records(source: Path) -> dict[str, list[records.Record]]:
  """Reads and checks the annotations of the folder.

  Args:
    source: the folder `real_world_testset`, or the one that holds it.

  Returns:
    The photos of `train` and `test`; fewer than 61 have no `test`.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: the files disagree with each other, or with the expected form.
  """
  if (source / 'real_world_testset').is_dir():
    source = source / 'real_world_testset'
  for name in ('images', 'params.mat', 'pose_gt.mat'):
    if not (source / name).exists():
      raise FileNotFoundError(
        f'{source} has no {name}; it must be the folder real_world_testset of '
        'hand-graph-cnn, with images, params.mat and pose_gt.mat.'
      )
  params = annotations.load_matlab(
    source / 'params.mat', ('image_path', 'cam_param', 'bbox')
  )
  joints = annotations.load_matlab(source / 'pose_gt.mat', ('pose_gt',))['pose_gt']
  names = [str(name).strip() for name in params['image_path'].ravel()]
  _check_names(source, names)
  for name, value, shape in (
    ('cam_param', params['cam_param'], (len(names), 4)),
    ('bbox', params['bbox'], (len(names), 4)),
    ('pose_gt', joints, (len(names), 21, 3)),
  ):
    if value.shape != shape:
      raise ValueError(
        f'{source}: {name} has shape {value.shape}, expected {shape} for the '
        f'{len(names)} entries of image_path.'
      )
    if value.dtype.kind not in 'iuf' or not np.all(np.isfinite(value)):
      raise ValueError(f'{source}: {name} holds something other than finite numbers.')
  if np.any(params['bbox'][:, 2:] <= 0):
    raise ValueError(f'{source}: bbox holds a crop without width or height.')
  check_unit(joints, str(source / 'pose_gt.mat'), 'centimetres')
  joints = joints.astype(np.float32) / 100
  intrinsics = crop_intrinsics(params['cam_param'], params['bbox'])
  keypoints = np.asarray(geometry.project(joints, intrinsics))
  splits: dict[str, list[records.Record]] = {}
  for index, name in enumerate(names):
    record = records.make_record(
      source / name,
      Path(name).stem,
      keypoints_2d=keypoints[index],
      intrinsics=intrinsics[index],
      is_right=False,
      joints_3d=joints[index],
    )
    is_test = index // BLOCK % TEST_EVERY == TEST_EVERY - 1
    splits.setdefault('test' if is_test else 'train', []).append(record)
  return splits


def _check_names(source: Path, names: Sequence[str]) -> None:
  """Raises a ValueError unless the names are those of images/*.jpg, each one once."""
  stored = [f'images/{path.name}' for path in (source / 'images').glob('*.jpg')]
  if sorted(stored) != sorted(names):
    surplus = Counter(stored)
    surplus.subtract(names)
    example = min(name for name, count in surplus.items() if count)
    raise ValueError(
      f'{source}: {len(stored)} images and the {len(names)} entries of image_path do '
      f'not match one to one (for example {example!r}); get a complete copy.'
    )


def crop_intrinsics(camera: np.ndarray, bbox: np.ndarray) -> np.ndarray:
  """Intrinsics (N, 3, 3) of the crops from those of the frames.

  Args:
    camera: (N, 4) fx, fy, u0, v0 of each frame, in pixels.
    bbox: (N, 4) x, y, width, height of the crop in the frame.
  """
  scale = CROP_SIZE / bbox[:, 2:]
  intrinsics = np.tile(np.eye(3, dtype=np.float32), (len(camera), 1, 1))
  intrinsics[:, [0, 1], [0, 1]] = camera[:, :2] * scale
  intrinsics[:, :2, 2] = (camera[:, 2:] - bbox[:, :2]) * scale
  return intrinsics


class HandGraphCnnReal(base.LayoutBuilder):
  """Builder of the photos; the module's docstring says how to get and build them."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://github.com/3d-hand-shape/hand-graph-cnn'
  CITATION = _CITATION
  LICENSE = 'Snap Inc., non-commercial research and educational purposes only.'
  IMAGE_SHAPE = (CROP_SIZE, CROP_SIZE, 3)

  read_records = staticmethod(read_records)
  read_example = staticmethod(records.read_example)
