"""How a network's images were framed: the width of its crops, and the hands' size."""

import dataclasses

import numpy as np

from bmc_jax import pose25d
from bmc_jax.training.trained_row import TrainedRow


@dataclasses.dataclass(frozen=True)
class Framing:
  """Medians over the hands that a row was tested on.

  Attributes:
    crop_scale: side of the crop, in sizes of the box around the joints.
    bone_length: metres, of the bone from the middle MCP to PIP; None if none of those
      hands has 3D labels.
    count: of the hands with 3D labels.
    depth_error: mean error of the relative depth of their joints, over that bone; None
      like `bone_length`.
  """

  crop_scale: float
  bone_length: float | None
  count: int
  depth_error: float | None = None

  @classmethod
  def of(cls, row: TrainedRow) -> 'Framing':
    """Measures the framing of a row.

    Raises:
      FileNotFoundError: the row has not been tested.
      ValueError: no tested hand is labelled whole.
    """
    path = row.folder / 'predictions.npz'
    if not path.is_file():
      raise FileNotFoundError(
        f'{path} is missing: run the experiment to its end, which tests the row.'
      )
    with np.load(path, allow_pickle=False) as saved:
      whole = saved['visibility'].min(axis=1) > 0
      keypoints = saved['keypoints_2d_true'][whole]
      labelled = whole & (saved['has_joints_3d'] > 0)
      joints, found = saved['joints_3d_true'][labelled], saved['joints_3d'][labelled]
    if not len(keypoints):
      raise ValueError(f'No hand in {path} has all joints labelled.')
    extent = np.ptp(keypoints, axis=1).max(axis=1)
    bone = error = None
    if len(joints):
      bones = np.asarray(pose25d.scale_of(joints))
      bone = float(np.median(bones)) / 1e3  # from millimetres
      depth = (found - found[:, :1] - joints + joints[:, :1])[..., 2]
      error = float(np.mean(np.abs(depth) / bones[:, None]))
    scale = row.config.image_size / np.median(extent)
    return cls(float(max(scale, 1.0)), bone, len(joints), error)
