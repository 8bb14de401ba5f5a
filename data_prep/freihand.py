r"""FreiHAND: real right hands with 3D joints, green-screen and outdoors.

Get it: https://lmb.informatik.uni-freiburg.de/projects/freihand has FreiHAND_pub_v2.zip
and, with the labels of the evaluation set, FreiHAND_pub_v2_eval.zip. Unpacked into one
folder they hold

    training/rgb/NNNNNNNN.jpg    k x N images of 224 x 224: each pose k = 4 times, with
                                 other backgrounds; image i shows pose i modulo N
    training_xyz.json            (N, 21, 3) joints in metres, canonical order
    training_K.json              (N, 3, 3) intrinsics
    training_scale.json          (N,) length of the middle MCP->PIP bone in metres
    evaluation/rgb/NNNNNNNN.jpg  M images
    evaluation_K.json            (M, 3, 3)
    evaluation_scale.json        (M,)
    evaluation_xyz.json          (M, 21, 3), of the second file

with N = 32,560 and M = 3,960. Either part may be missing.

Build it:

    bmc-jax build freihand --source FreiHAND_pub_v2 --out ~/data

Splits: `train`; `validation`, the last of the N poses with all their copies, so that
no pose is in both (option `validation_share`, 0.05 of them if it is not given);
`evaluation`, without labels (`has_joints_3d` and `visibility` are 0) where
evaluation_xyz.json is missing. Examples keep the order of the files, and their
`sample_id` is the name of the image: `evaluation/00000012` is entry 12 of
evaluation_K.json and of evaluation_scale.json. The scale is no field of an example:
scoring without alignment and submission files read it from the original folder.

All hands are right ones. keypoints_2d are the projected joints.

Licence: research purposes only; see the web page.
"""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from bmc_jax import geometry, pose25d
from bmc_jax.joint_files.units import check_unit

from . import annotations, base
from .records import Record, make_record, read_example

_CITATION = """\
@inproceedings{zimmermann2019freihand,
  title={FreiHAND: A Dataset for Markerless Capture of Hand Pose and Shape from Single
    RGB Images},
  author={Zimmermann, Christian and Ceylan, Duygu and Yang, Jimei and Russell, Bryan
    and Argus, Max and Brox, Thomas},
  booktitle={IEEE International Conference on Computer Vision},
  year={2019}
}
"""

VALIDATION_SHARE = 0.05
# The scale files hold the bone lengths of the joints, to rounding.
_SCALE_TOLERANCE = 0.01


def read_records(
  source: Path, *, validation_share: float = VALIDATION_SHARE
) -> dict[str, list[Record]]:
  """Reads and checks the annotations of the folder.

  Args:
    source: the folder with `training` or `evaluation`, or both.
    validation_share: which part of the training poses is for validation, from 0 on
      and below 1; 0 leaves the split out.

  Returns:
    The records of each split, in the order of the files.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: the files disagree with each other, or with the expected form.
  """
  if not 0 <= validation_share < 1:
    raise ValueError(
      f'The validation share is {validation_share}; it must be from 0 on and below 1.'
    )
  splits = {}
  if (source / 'training').is_dir():
    poses, records = _read_part(source, 'training', has_joints=True, copied=True)
    first = poses - round(validation_share * poses)
    splits['train'] = [r for i, r in enumerate(records) if i % poses < first]
    splits['validation'] = [r for i, r in enumerate(records) if i % poses >= first]
  if (source / 'evaluation').is_dir():
    published = (source / 'evaluation_xyz.json').exists()
    _, splits['evaluation'] = _read_part(source, 'evaluation', has_joints=published)
  if not splits:
    raise FileNotFoundError(
      f'{source} has neither a folder training nor a folder evaluation; it must be '
      'the folder into which FreiHAND_pub_v2.zip was unpacked.'
    )
  return {name: records for name, records in splits.items() if records}


def _read_part(
  source: Path, part: str, *, has_joints: bool, copied: bool = False
) -> tuple[int, list[Record]]:
  """The number of poses of 'training' or 'evaluation' and the records of its images."""

  def load(name, *shape):
    path = source / f'{part}_{name}.json'
    return annotations.as_numbers(annotations.load_json(path), shape, str(path))

  intrinsics = load('K', None, 3, 3)
  poses = len(intrinsics)
  scale = load('scale', poses)
  joints, keypoints = [None] * poses, np.zeros((poses, 21, 2))
  if has_joints:
    joints = load('xyz', poses, 21, 3)
    _check_scale(joints, scale, source / f'{part}_xyz.json')
    keypoints = np.asarray(geometry.project(joints, intrinsics))
  images = _list_images(source / part / 'rgb', poses, copied)
  records = [
    make_record(
      image,
      f'{part}/{image.stem}',
      keypoints_2d=keypoints[index % poses],
      intrinsics=intrinsics[index % poses],
      is_right=True,
      joints_3d=joints[index % poses],
      visibility=np.full(21, has_joints),
    )
    for index, image in enumerate(images)
  ]
  return poses, records


def _check_scale(joints: np.ndarray, scale: np.ndarray, path: Path) -> None:
  """Raises a ValueError unless joints (N, 21, 3) have the bone lengths `scale` (N,)."""
  check_unit(joints, str(path))
  a, b = pose25d.REFERENCE
  bones = np.linalg.norm(joints[:, b] - joints[:, a], axis=-1)
  wrong = np.flatnonzero(~(np.abs(bones - scale) <= _SCALE_TOLERANCE * scale))
  if wrong.size:
    first = wrong[0]
    raise ValueError(
      f'{path}: in {wrong.size} of {len(scale)} poses, first in entry {first}, the '
      f'middle MCP->PIP bone ({1000 * bones[first]:.1f} mm) has not the length in '
      f'{path.name.replace("xyz", "scale")} ({1000 * scale[first]:.1f} mm); take all '
      'files from one download, with their joints in the published order.'
    )


def _list_images(folder: Path, poses: int, copied: bool) -> list[Path]:
  """The images 00000000.jpg, 00000001.jpg..., one or several of each pose."""
  found = {path.name for path in folder.glob('*.jpg')}
  if not found or len(found) % poses or (len(found) > poses and not copied):
    needed = f'{poses} or a multiple of it' if copied else f'{poses}'
    raise ValueError(
      f'{folder} holds {len(found)} images (.jpg), but the annotations call for '
      f'{needed}; get a complete copy.'
    )
  names = [f'{index:08d}.jpg' for index in range(len(found))]
  for name in names:
    if name not in found:
      raise ValueError(
        f'{folder} has {len(found)} images, but not {name} (they are numbered from '
        '00000000.jpg on); get a complete copy.'
      )
  return [folder / name for name in names]


class Freihand(base.LayoutBuilder):
  """Builder of the images; the module's docstring says how to get and build them."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://lmb.informatik.uni-freiburg.de/projects/freihand'
  CITATION = _CITATION
  LICENSE = 'For research purposes only; see the web page.'
  IMAGE_SHAPE = (224, 224, 3)

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)
