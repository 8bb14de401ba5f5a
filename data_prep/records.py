"""Records: what a builder knows of an example before it reads the image.

A record is an example (`bmc_jax.data.example`) whose image is the path of its file.
"""

from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.data import example as example_lib

Record = dict[str, Any]


def make_record(
  image: Path,
  sample_id: str,
  *,
  keypoints_2d: np.ndarray,
  intrinsics: np.ndarray,
  is_right: bool,
  joints_3d: np.ndarray | None = None,
  visibility: np.ndarray | None = None,
) -> Record:
  """Makes the record of one hand.

  Args:
    image: its file.
    sample_id: names the example.
    keypoints_2d: (21, 2) pixels, pixel centres at integers.
    intrinsics: (3, 3) of the image.
    is_right: whether it is a right hand.
    joints_3d: (21, 3) metres; None if there are no 3D labels.
    visibility: (21,) which joints are annotated; None for all of them. The others
      become zeros.
  """
  labelled = np.ones(21, bool) if visibility is None else visibility > 0
  has_joints_3d = joints_3d is not None
  joints = joints_3d if has_joints_3d else np.zeros((21, 3))
  return {
    'image': image,
    'joints_3d': np.where(labelled[:, None], joints, 0).astype(np.float32),
    'keypoints_2d': np.where(labelled[:, None], keypoints_2d, 0).astype(np.float32),
    'visibility': labelled.astype(np.float32),
    'intrinsics': intrinsics.astype(np.float32),
    'is_right': np.full(1, is_right, np.float32),
    'has_joints_3d': np.full(1, has_joints_3d, np.float32),
    'sample_id': sample_id,
  }


def read_example(record: Record) -> example_lib.Example:
  """Reads the image of a record: its bytes, as they are in the file."""
  return record | {'image': record['image'].read_bytes()}
