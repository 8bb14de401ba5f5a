"""A trained pose network on any image: crop, predict, crop again, bring to metres.

    from bmc_jax.predict import HandPosePredictor

    predictor = HandPosePredictor.pretrained()  # or from_run('runs/mine', '+ BMC')
    hand = predictor(image, intrinsics=intrinsics, box=(120, 80, 260, 240))
    hand.keypoints_2d, hand.joints_3d

The network sees square crops of right hands. The first crop is around the given box, or
the whole image; each further pass crops around the joints that the pass before it
predicted, as wide as the crops that the network was tested on. Left hands are mirrored
before and after. A crop is an image with a camera of its own, so the joints are in the
frame of the camera of the whole image.
"""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import pose25d, skeleton
from bmc_jax.data import crops
from bmc_jax.data import example as example_lib
from bmc_jax.joint_files.units import REFERENCE_BONE_RANGE
from bmc_jax.predict import pretrained
from bmc_jax.predict.framing import Framing
from bmc_jax.predict.views import HandPrediction, View
from bmc_jax.training.trained_row import TrainedRow, open_row

BATCH_SIZE = 32
PASSES = 2


class HandPosePredictor:
  """Predicts hands with a trained pose network."""

  def __init__(
    self, row: TrainedRow, framing: Framing, *, bone_length: float | None = None
  ):
    """Takes a trained row.

    Args:
      row: of a pose network.
      framing: how its test images were cropped, and how large the hands were.
      bone_length: metres, of the bone from the middle MCP to PIP, at which hands are
        told; None takes that of `framing`.

    Raises:
      ValueError: the row's model needs keypoints in place of an image, or the bone
        length is not that of a hand or not known.
    """
    if row.config.model.name != 'pose_network':
      raise ValueError(
        f'The row in {row.folder} is a {row.config.model.name}, which sees no images: '
        'choose a row of a pose_network.'
      )
    low, high = REFERENCE_BONE_RANGE
    if bone_length is not None and not low <= bone_length <= high:
      raise ValueError(
        f'A middle MCP->PIP bone of {bone_length} m is no hand: give metres, '
        f'{low} to {high}.'
      )
    bone_length = bone_length or framing.bone_length
    if bone_length is None:
      raise ValueError(
        'No hand of the test set has 3D labels, so that it is not known how large '
        'hands are: give --bone-length, the middle MCP->PIP bone in metres (0.029 to '
        '0.049 in public datasets).'
      )
    self.row = row
    self.framing = framing
    self.bone_length = bone_length
    self._size = row.config.image_size

  @classmethod
  def from_run(
    cls, run: str | Path, row: str | None = None, *, bone_length: float | None = None
  ) -> 'HandPosePredictor':
    """Reads a trained row (`trained_row.open_row`).

    Args:
      run: workdir of an experiment, or the folder of one row in it.
      row: its name; None takes the only one.
      bone_length: metres; see `HandPosePredictor`.

    Raises:
      ValueError, OSError: there is no such row, or it is not trained and tested.
    """
    trained = open_row(run, row)
    return cls(trained, Framing.of(trained), bone_length=bone_length)

  @classmethod
  def pretrained(cls, *, bone_length: float | None = None) -> 'HandPosePredictor':
    """The network that ships with the package, trained on drawn hands alone.

    Args:
      bone_length: metres; see `HandPosePredictor`.
    """
    return cls(
      pretrained.open_pretrained(), pretrained.FRAMING, bone_length=bone_length
    )

  def __call__(
    self,
    image: np.ndarray,
    *,
    intrinsics: np.ndarray | None = None,
    box: Sequence[float] | None = None,
    is_right: bool = True,
  ) -> HandPrediction:
    """Predicts one hand; the arguments are those of `View`."""
    return self.predict([View(image, intrinsics, box, is_right)])[0]

  def predict(
    self, views: Iterable[View], *, batch_size: int = BATCH_SIZE, passes: int = PASSES
  ) -> list[HandPrediction]:
    """Predicts hands, in batches.

    Args:
      views: what to predict.
      batch_size: of the network; the last batch is filled up, so that it compiles once.
      passes: 1 predicts on the first crop alone.

    Returns:
      As many predictions, in the same order.

    Raises:
      ValueError: a view has the wrong form.
    """
    if batch_size < 1 or passes < 1:
      raise ValueError(
        f'batch_size is {batch_size} and passes {passes}; the least are 1 and 1.'
      )
    views = list(views)
    for view in views:
      view.check()
    hands: list[HandPrediction] = []
    for start in range(0, len(views), batch_size):
      part = views[start : start + batch_size]
      found = self._predict(part, [None] * len(part), batch_size)
      for _ in range(passes - 1):
        found = self._predict(part, [_extent(hand) for hand in found], batch_size)
      hands += found
    return hands

  def _predict(self, views, boxes, batch_size) -> list[HandPrediction]:
    """One pass; a box of None takes that of the view."""
    crop_boxes, examples = [], []
    for view, box in zip(views, boxes, strict=True):
      crop = self._crop(view, box)
      crop_boxes.append(_box_of(crop['intrinsics'], view.camera, self._size))
      examples.append(example_lib.to_right_hand(crop))
    images, cameras = (
      _filled(np.stack([example[name] for example in examples]), batch_size)
      for name in ('image', 'intrinsics')
    )
    found = jax.tree.map(
      np.asarray,
      predict_crops(self.row.variables, images, cameras, model=self.row.model),
    )
    return [
      self._to_prediction(view, box, *(values[i] for values in found))
      for i, (view, box) in enumerate(zip(views, crop_boxes, strict=True))
    ]

  def _crop(self, view: View, box: np.ndarray | None) -> example_lib.Example:
    scale = self.framing.crop_scale
    if box is None and view.box is None:
      height, width = view.image.shape[:2]
      box, scale = np.array([0, 0, width - 1, height - 1]), 1.0
    elif box is None:
      box = np.asarray(view.box, np.float64)
    example = {
      'sample_id': 'hand',
      'image': view.image,
      'keypoints_2d': np.zeros((21, 2), np.float32),
      'joints_3d': np.zeros((21, 3), np.float32),
      'visibility': np.ones(21, np.float32),
      'intrinsics': view.camera,
      'is_right': np.array([view.is_right], np.float32),
    }
    return crops.crop_to_hand(example, self._size, box, scale=scale)

  def _to_prediction(self, view, box, joints, conditioning, replaced) -> HandPrediction:
    if tuple(self.row.config.reference) != pose25d.REFERENCE:
      joints = joints / pose25d.scale_of(joints)
    joints = joints * self.bone_length
    if not view.is_right:
      joints = skeleton.mirror(joints)
    projected = joints @ view.camera.T
    return HandPrediction(
      joints_3d=np.asarray(joints),
      keypoints_2d=np.asarray(projected[:, :2] / projected[:, 2:]),
      conditioning=float(conditioning),
      root_depth_from='calculated' if replaced else 'refined',
      bone_length=self.bone_length,
      is_right=view.is_right,
      intrinsics=view.camera,
      box=box,
    )


# At the module's level, so that a second predictor of the same model compiles nothing.
@functools.partial(jax.jit, static_argnames='model')
def predict_crops(
  variables, images: jax.Array, intrinsics: jax.Array, *, model: nn.Module
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Right hands on crops.

  Args:
    variables: of the model.
    images: (b, S, S, 3) uint8 RGB.
    intrinsics: (b, 3, 3) of the crops.
    model: a pose network.

  Returns:
    (b, 21, 3) joints in reference bones, in the camera's frame; the conditioning (b,)
    of their root depth; and where it is the calculated one, since the refined one puts
    a joint at or behind the camera, (b,) bool.
  """
  batch = {'image': images.astype(jnp.float32) / 255, 'intrinsics': intrinsics}
  output = model.apply(variables, batch, train=False)
  return output.joints_3d, output.conditioning, output.root_depth_replaced


def _filled(values: np.ndarray, count: int) -> np.ndarray:
  """(n, ...) repeated from its last row to (count, ...)."""
  return np.concatenate([values, values[-1:].repeat(count - len(values), axis=0)])


def _extent(hand: HandPrediction) -> np.ndarray:
  """The box (4,) around predicted joints, within twice the crop that they are from."""
  low, high = hand.box[:2], hand.box[2:]
  half = (high - low) / 2
  points = np.nan_to_num(hand.keypoints_2d, nan=0.0, posinf=0.0, neginf=0.0)
  points = np.clip(points, low - half, high + half)
  return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _box_of(crop_camera: np.ndarray, camera: np.ndarray, size: int) -> np.ndarray:
  """Where a crop lies in its image, from both cameras: (4,) pixels."""
  to_image = camera @ np.linalg.inv(crop_camera)
  corners = to_image @ np.array([[-0.5, size - 0.5], [-0.5, size - 0.5], [1, 1]])
  return corners[:2].T.ravel()
