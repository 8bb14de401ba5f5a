r"""RHD, the Rendered Hand Pose Dataset: synthetic persons, both hands with 3D joints.

Get it: https://lmb.informatik.uni-freiburg.de/resources/datasets has
RHD_v1-1.zip, which is unpacked as RHD_published_v2:

    training/color/NNNNN.png          41,258 images of 320 x 320
    training/mask/NNNNN.png           body parts: 2-17 left hand, 18-33 right hand
    training/anno_training.pickle     by number of the image: K (3, 3), xyz (42, 3) in
                                      metres, uv_vis (42, 3) in pixels and 1 or 0
    evaluation/...                    the same of 2,728 images

Either part may be missing, and so may the masks. The folders `depth` are not read.

Build it:

    bmc-jax build rhd --source RHD_published_v2 --out ~/data

Splits: `train` and `evaluation`. The option `hands` says which hands become examples:

- `each`: each hand of which more than half of the joints, 11 of 21, can be seen (the
  third column of uv_vis is 1), so that an image gives two examples, one, or none;
- `dominant`: one hand of each image, as in the code of the publication: the one with
  more pixels in the mask. Where there are no masks, it is the one with more joints that
  can be seen, and of equals the one whose joints cover the larger box.

A hand whose joints are all zero is not annotated and gives no example. `visibility` is
1 for all joints of the others: those that are hidden, too, are labelled exactly. Which
can be seen is not stored, so errors are means over all 21; some published ones are over
those that can be seen (docs/evaluation.md).

The rows of a hand (left first) are the wrist and then, from the thumb to the little
finger, each finger from tip to base. The first one is the wrist itself, unlike STB's,
which is the centre of the palm; papers that compare the two sets move it to the middle
between wrist and middle MCP.

Licence: research purposes only, no commercial use; see the web page.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from bmc_jax import skeleton
from bmc_jax.data import example as example_lib
from bmc_jax.data import images
from bmc_jax.joint_files.units import check_unit

from . import annotations, base, pickles, records
from .records import Record

HANDS = ('each', 'dominant')
MIN_VISIBLE = 11
IMAGE_SHAPE = (320, 320, 3)
SPLITS = {'train': 'training', 'evaluation': 'evaluation'}
SHAPES = {'K': (3, 3), 'xyz': (42, 3), 'uv_vis': (42, 3)}
SIDES = ('left', 'right')
MASK_VALUES = {'left': (2, 17), 'right': (18, 33)}  # first and last

_CITATION = """\
@inproceedings{zimmermann2017learning,
  title={Learning to Estimate 3D Hand Pose from Single RGB Images},
  author={Zimmermann, Christian and Brox, Thomas},
  booktitle={IEEE International Conference on Computer Vision},
  year={2017}
}
"""


class Hand(NamedTuple):
  """An annotated hand: its record and how many of its joints can be seen."""

  record: Record
  visible: int


@dataclasses.dataclass(frozen=True)
class BothHands:
  """The left and the right hand of an image whose mask tells the dominant one."""

  image: Path
  mask: Path
  left: Record
  right: Record


def read_records(
  source: Path, *, hands: str = 'each'
) -> dict[str, list[Record | BothHands]]:
  """Reads and checks the annotations of the folder.

  Args:
    source: the folder RHD_published_v2, or the one that holds it.
    hands: 'each' or 'dominant', see above.

  Returns:
    The records of each split, in the order of the images.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: the files disagree with each other, or with the expected form.
  """
  if hands not in HANDS:
    raise ValueError(f'hands is {hands!r}; it must be {" or ".join(HANDS)}.')
  if (source / 'RHD_published_v2').is_dir():
    source = source / 'RHD_published_v2'
  parts = {
    split: source / name for split, name in SPLITS.items() if (source / name).is_dir()
  }
  if not parts:
    raise FileNotFoundError(
      f'{source} has neither a folder training nor a folder evaluation; it must be the '
      'folder RHD_published_v2.'
    )
  return {split: _read_part(folder, hands) for split, folder in parts.items()}


def _read_part(folder: Path, hands: str) -> list[Record | BothHands]:
  """The records of `training` or `evaluation`."""
  path = folder / f'anno_{folder.name}.pickle'
  numbers, intrinsics, joints, keypoints = _load(path)
  photos = _list_images(folder / 'color', numbers, path)
  masks = []
  if hands == 'dominant' and (folder / 'mask').is_dir():
    masks = _list_images(folder / 'mask', numbers, path)
  chosen: list[Record | BothHands] = []
  for i, photo in enumerate(photos):
    found = _annotated_hands(photo, intrinsics[i], joints[i], keypoints[i])
    if hands == 'each':
      chosen += [hand.record for hand in found if hand.visible >= MIN_VISIBLE]
    elif len(found) == 2 and masks:
      chosen.append(BothHands(photo, masks[i], found[0].record, found[1].record))
    elif found:
      chosen.append(max(found, key=_prominence).record)
  return chosen


def _load(path: Path):
  """The images' numbers, K (N, 3, 3), xyz (N, 2, 21, 3) and uv_vis (N, 2, 21, 3).

  The hands are left and right, their joints in canonical order.
  """
  entries = pickles.load(path)
  if not (isinstance(entries, dict) and entries and all(map(_is_number, entries))):
    raise ValueError(f'{path} holds no annotations by number; get a complete copy.')
  numbers = sorted(entries)
  for number in numbers:
    for name in SHAPES:
      if not isinstance(entries[number], dict) or name not in entries[number]:
        raise ValueError(f'{path}: the entry {number} has no {name}.')
  intrinsics, *hands = (
    annotations.as_numbers(
      [entries[number][name] for number in numbers], (None, *shape), f'{path}: {name}'
    )
    for name, shape in SHAPES.items()
  )
  joints, keypoints = (
    skeleton.reorder(rows.reshape(-1, 2, 21, 3), 'rhd') for rows in hands
  )
  if not np.isin(keypoints[..., 2], (0, 1)).all():
    raise ValueError(f'{path}: the third column of uv_vis is not 1 or 0 everywhere.')
  annotated = joints[joints.any(axis=(2, 3))]
  if len(annotated):
    check_unit(annotated, str(path))
  return numbers, intrinsics, joints, keypoints


def _is_number(key) -> bool:
  return isinstance(key, int | np.integer)


def _list_images(folder: Path, numbers: Sequence[int], annotated: Path) -> list[Path]:
  """The PNG files of these numbers, which must be all that there are."""
  names = [f'{number:05d}.png' for number in numbers]
  unmatched = {path.name for path in folder.glob('*.png')} ^ set(names)
  if unmatched:
    raise ValueError(
      f'{folder} and the {len(names)} entries of {annotated.name} do not match one to '
      f'one ({len(unmatched)} differ, for example {min(unmatched)}); get a complete '
      'copy.'
    )
  return [folder / name for name in names]


def _annotated_hands(image: Path, intrinsics, joints, keypoints) -> list[Hand]:
  """The hands of an image that are not all zero, left before right."""
  found = []
  for side, xyz, uv_vis in zip(SIDES, joints, keypoints, strict=True):
    if xyz.any():
      record = records.make_record(
        image,
        f'{image.parent.parent.name}/{image.stem}_{side}',
        keypoints_2d=uv_vis[:, :2],
        intrinsics=intrinsics,
        is_right=side == 'right',
        joints_3d=xyz,
      )
      found.append(Hand(record, int(uv_vis[:, 2].sum())))
  return found


def _prominence(hand: Hand) -> tuple[int, float]:
  """Orders hands by the joints that can be seen, and by their box in the image."""
  return hand.visible, float(np.prod(np.ptp(hand.record['keypoints_2d'], axis=0)))


def read_example(record: Record | BothHands) -> example_lib.Example:
  """Makes the example of a record: of two hands, that of the dominant one."""
  if isinstance(record, BothHands):
    record = _dominant_hand(record)
  return records.read_example(record)


def _dominant_hand(pair: BothHands) -> Record:
  """The hand with more pixels in the mask; of equals the right one."""
  mask = images.decode(pair.mask.read_bytes(), str(pair.mask), IMAGE_SHAPE)
  left, right = (
    np.count_nonzero((mask[..., 0] >= first) & (mask[..., 0] <= last))
    for first, last in (MASK_VALUES[side] for side in SIDES)
  )
  return pair.left if left > right else pair.right


class Rhd(base.LayoutBuilder):
  """Builder of RHD; the module's docstring says how to get and build it."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = 'https://lmb.informatik.uni-freiburg.de/resources/datasets'
  CITATION = _CITATION
  LICENSE = 'Research purposes only, no commercial use.'
  IMAGE_SHAPE = IMAGE_SHAPE
  IMAGE_ENCODING = 'png'

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)
