r"""DexYCB's poses from annotations in the form of HO-3D: a pose file.

DexYCB (Chao et al., CVPR 2021) shows ten subjects that grasp objects. Its hand poses
are also passed on as one pickle per frame in the form of HO-3D's `meta` files, in any
folders, for example

    right/20200709-subject-01/20200709_141754/meta/0018.pkl

        handJoints3D  (21, 3) metres, in a camera's OpenCV axes (not HO-3D's)
        order         their order: HO3D, or mano, which here means the canonical order
        side          right or left
        seqName       ends with SUBJECT/SEQUENCE
        frame         number in the sequence
        handPose, handTrans   all zero while there is no hand yet

They have neither images nor cameras, so they become no prepared dataset but a pose
file (`bmc_jax.data.pose_files`), which the keypoint lifter reads and which names a
camera that fits:

    python -m bmc_jax.data_prep.dexycb_meta --source DIR --out dexycb.npz

It holds joints_canonical (N, 21, 3), side_is_right, subject, sequence and frame (N,),
in the order of the sequences. Frames without a hand are left out and counted. Frames of
a sequence look alike: split by `subject`.

Licence: CC BY-NC 4.0.
"""

import argparse
import itertools
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import auto as tqdm

from bmc_jax import skeleton
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.files import write_arrays
from bmc_jax.console.outputs import Kind, check_output
from bmc_jax.joint_files.units import check_every_unit

from . import annotations, pickles

ORDERS = {'ho3d': 'ho3d', 'mano': 'canonical'}
FIELDS = (
  'handJoints3D',
  'order',
  'side',
  'seqName',
  'frame',
  'handPose',
  'handTrans',
)
_SEQUENCE = re.compile(r'subject-([0-9]+)[/\\]([0-9]+_[0-9]+)$')


class Pose(NamedTuple):
  """The hand of one frame; joints (21, 3) in metres, canonical order, OpenCV axes."""

  subject: int
  sequence: str
  frame: int
  side_is_right: bool
  joints_canonical: np.ndarray


def read_poses(source: Path) -> tuple[list[Pose], int]:
  """Reads all annotations below a folder.

  Args:
    source: the folder.

  Returns:
    The poses, by subject, sequence and frame, and the number of frames without a hand.

  Raises:
    FileNotFoundError: there are none.
    ValueError: one of them is damaged, or not of the expected form.
  """
  paths = sorted(source.rglob('*.pkl'))
  if not paths:
    raise FileNotFoundError(f'{source} does not exist or holds no .pkl files.')
  with tqdm.tqdm(paths, unit=' files', mininterval=0.5) as progress:
    found = [_read_pose(path) for path in progress]
  poses = sorted((p for p in found if p is not None), key=lambda pose: pose[:3])
  if not poses:
    raise ValueError(f'None of the {len(paths)} frames in {source} has a hand.')
  for pose, following in itertools.pairwise(poses):
    if pose[:3] == following[:3]:
      raise ValueError(
        f'{source} holds the frame {pose.frame} of {pose.sequence} twice; name the '
        'folder of one copy.'
      )
  joints = np.stack([pose.joints_canonical for pose in poses])
  check_every_unit(joints, str(source))
  return poses, len(paths) - len(poses)


def _read_pose(path: Path) -> Pose | None:
  """The pose of a frame, or None if it has no hand."""
  meta = pickles.load(path)
  for name in FIELDS:
    if not isinstance(meta, dict) or name not in meta:
      raise ValueError(f'{path} has no {name}; it must be of the form of DexYCB.')
  order = ORDERS.get(str(meta['order']).lower())
  if order is None:
    raise ValueError(
      f'{path}: the joint order is {meta["order"]!r}; known are {", ".join(ORDERS)}.'
    )
  if meta['side'] not in ('left', 'right'):
    raise ValueError(f'{path}: side is {meta["side"]!r}; it must be left or right.')
  named = _SEQUENCE.search(str(meta['seqName']))
  if named is None:
    raise ValueError(
      f'{path}: seqName is {meta["seqName"]!r}; it must end with a subject and a '
      'sequence, as in 20200709-subject-01/20200709_141754.'
    )
  if not np.any(meta['handPose']) and not np.any(meta['handTrans']):
    return None
  joints = annotations.as_numbers(
    meta['handJoints3D'], (21, 3), f'{path}: handJoints3D'
  )
  if np.any(joints[:, 2] <= 0):
    raise ValueError(
      f'{path}: a joint has depth {joints[:, 2].min():.4g}; joints must lie in front '
      'of the camera (z > 0, OpenCV axes).'
    )
  return Pose(
    subject=int(named[1]),
    sequence=named[2],
    frame=int(annotations.as_numbers(meta['frame'], (), f'{path}: frame')),
    side_is_right=meta['side'] == 'right',
    joints_canonical=skeleton.reorder(joints, order),
  )


def write(path: Path, poses: Sequence[Pose]) -> None:
  """Writes a pose file (.npz); what was there stays until it is complete."""
  columns = zip(*poses, strict=True)
  arrays: dict[str, Any] = dict(
    zip(Pose._fields, map(np.asarray, columns), strict=True)
  )
  arrays['joints_canonical'] = arrays['joints_canonical'].astype(np.float32)
  write_arrays(path, arrays, _POSES)


def _may_replace(path: Path) -> bool:
  """Whether a file holds poses, as `write` writes them."""
  try:
    with zipfile.ZipFile(path) as archive:
      return 'joints_canonical.npy' in archive.namelist()
  except zipfile.BadZipFile:
    return False


_POSES = Kind('poses', ('.npz',), _may_replace)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = argparse.ArgumentParser(
    prog='python -m bmc_jax.data_prep.dexycb_meta',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--source', required=True, type=Path, help='folder of .pkl files')
  parser.add_argument('--out', required=True, type=Path, help='pose file, .npz')
  args = parser.parse_args(argv)
  try:
    check_output(args.out, _POSES)
    poses, without = read_poses(args.source.expanduser())
    write(args.out, poses)
  except USER_ERRORS as error:
    fail(str(error))
  right = sum(pose.side_is_right for pose in poses)
  subjects = sorted({pose.subject for pose in poses})
  print(
    f'{args.out}: {len(poses)} poses ({right} of right hands, {len(poses) - right} of '
    f'left ones) of the subjects {", ".join(map(str, subjects))}; {without} frames '
    'without a hand are left out.'
  )


if __name__ == '__main__':
  main()
