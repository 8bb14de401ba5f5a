r"""InterHand2.6M: real hands, single and interacting, of many cameras, with 3D joints.

Get it: https://mks0601.github.io/InterHand2.6M has the images and annotations of 5 and
of 30 frames a second, each of this layout:

    images/<split>/CaptureN/<sequence>/camNNNNNN/imageNNNNN.jpg
    annotations/<split>/InterHand2.6M_<split>_data.json     images, and annotations with
                            joint_valid (42, 1) and hand_type
      ..._camera.json       by capture: campos (3,) and camrot (3, 3), x_camera =
                            camrot (x - campos), focal and princpt (2,), by camera
      ..._joint_3d.json     by capture and frame: world_coord (42, 3) in millimetres

Those of the first release lie in `annotations/all`, `human_annot` or `machine_annot`,
of which the first that is there is read. Build it:

    bmc-jax build interhand --source InterHand2.6M_5fps_batch1 --out ~/data

Splits: `train`, `val` and `test`; each may be missing. Each hand whose wrist is valid
becomes an example, the right one before the left; `--hands single` takes images of one
hand alone (`hand_type`). `visibility` is `joint_valid`, keypoints_2d are the projected
joints. The rows of a hand, right before left, are the fingers from thumb to little,
each from tip to base, and the wrist.

Licence: CC-BY-NC 4.0. Tested on generated folders of this layout.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from bmc_jax import geometry, skeleton
from bmc_jax.joint_files.units import check_unit

from . import annotations, base, coco_export
from .records import Record, make_record, read_example

HANDS, SPLITS = ('each', 'single'), ('train', 'val', 'test')
_FOLDERS = ('all', 'human_annot', 'machine_annot')
_SIDES = 'right', 'left'
_CAMERA = {'camrot': (3, 3), 'campos': (3,), 'focal': (2,), 'princpt': (2,)}


def read_records(source: Path, *, hands: str = 'each') -> dict[str, list[Record]]:
  """The hands of each split that is there, in the order of the annotations.

  Args:
    source: the folder with `images` and `annotations`.
    hands: 'each' or 'single', see above.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: the files disagree with each other, or with the expected form.
  """
  if hands not in HANDS:
    raise ValueError(f'hands is {hands!r}; it must be {" or ".join(HANDS)}.')
  found = {}
  for split in SPLITS:
    folders = [source / 'annotations' / name for name in (split, *_FOLDERS)]
    files = [folder / f'InterHand2.6M_{split}_data.json' for folder in folders]
    path = next((file for file in files if file.is_file()), None)
    if path:
      found[split] = _read_split(path, source / 'images' / split, hands)
  if not found:
    raise FileNotFoundError(
      f'{source} has no annotations/*/InterHand2.6M_*_data.json; it must be the folder '
      'of InterHand2.6M, with images and annotations.'
    )
  return found


def _read_split(path: Path, images: Path, hands: str) -> list[Record]:
  data = annotations.load_json(path)
  cameras, joints = (
    annotations.load_json(path.with_name(path.name.replace('_data', f'_{kind}')))
    for kind in ('camera', 'joint_3d')
  )
  listed = coco_export.by_id(data.get('images', ()), f'{path}: images')
  rows = data.get('annotations', ())
  rows = [r for r in rows if hands == 'each' or r.get('hand_type') in _SIDES]
  found = [h for row in rows for h in _hands_of(row, listed, cameras, joints, path)]
  if not found:
    return []
  seen, matrices = (np.stack([hand[i] for hand in found]) for i in (2, 4))
  check_unit(seen, str(path), 'millimetres')
  keypoints = np.asarray(geometry.project(seen, matrices))
  return [
    make_record(
      images / name,
      f'{Path(name).with_suffix("")}_{side}',
      keypoints_2d=keypoints[i],
      intrinsics=intrinsics,
      is_right=side == 'right',
      joints_3d=hand / 1000,
      visibility=valid,
    )
    for i, (name, side, hand, valid, intrinsics) in enumerate(found)
  ]


def _hands_of(row: Mapping[str, Any], listed, cameras, joints, path: Path):
  """Of each hand whose wrist is valid: the image's name, the side, joints (21, 3) in
  the camera's frame, which of them are valid, and the intrinsics.
  """
  where = f'{path}: annotation {row.get("id")!r}'
  try:
    image = listed[row['image_id']]
    capture, name = str(image['capture']), str(image['camera'])
    world = joints[capture][str(image['frame_idx'])]['world_coord']
    camera = [cameras[capture][key][name] for key in _CAMERA]
  except KeyError as error:
    raise ValueError(
      f'{where} is of {error.args[0]!r}, which the files of images, cameras and joints '
      'do not all have; take the three of one release.'
    ) from None
  told, shapes = (world, row.get('joint_valid')), ((42, 3), (42, 1))
  world, valid, turn, place, (fx, fy), (cx, cy) = (
    annotations.as_numbers(value, shape, where)
    for value, shape in zip((*told, *camera), (*shapes, *_CAMERA.values()), strict=True)
  )
  seen = (world - place) @ turn.T
  for side, rows in zip(_SIDES, (slice(0, 21), slice(21, 42)), strict=True):
    hand, flags = (skeleton.reorder(v[rows], 'interhand') for v in (seen, valid))
    if flags[skeleton.WRIST, 0]:
      intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
      yield image['file_name'], side, hand, flags[:, 0], intrinsics


class Interhand(base.LayoutBuilder):
  """Builder of InterHand2.6M; the module's docstring says how to get and build it."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://mks0601.github.io/InterHand2.6M'
  CITATION = """\
@inproceedings{moon2020interhand,
  title={InterHand2.6M: A Dataset and Baseline for 3D Interacting Hand Pose Estimation
    from a Single RGB Image},
  author={Moon, Gyeongsik and Yu, Shoou-I and Wen, He and Shiratori, Takaaki and
    Lee, Kyoung Mu},
  booktitle={European Conference on Computer Vision},
  year={2020}
}
"""
  LICENSE = 'CC-BY-NC 4.0.'

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)
