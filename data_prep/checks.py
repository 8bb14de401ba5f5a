"""What is checked of every example of every dataset, and of a dataset as a whole.

| check | limit |
| --- | --- |
| image whole, of an allowed and the expected size (`images.check`) | `MAX_PIXELS` |
| format, finite values, positive depth, unit | `example.validate_example` |
| the camera sees no wider than a pinhole can | `cameras.check_for_image` |
| labelled keypoints in the image | at least one; of most hands `MIN_INSIDE` |
| 3D joints project on the 2D labels | `MAX_REPROJECTION` |
| fingers bend to the palm of the hand that is named | most hands that tell |
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from bmc_jax import pose25d, skeleton
from bmc_jax.data import cameras
from bmc_jax.data import example as example_lib
from bmc_jax.limits.evidence import MIN_BEND, SideDoubt, palm_bend
from bmc_jax.skeleton import Array

MAX_REPROJECTION = 5.0  # px
MIN_HANDS = 10  # fewer cannot outvote a label

Measures = dict[str, list[float]]
"""By keys of `MEASURES`: the value of each example that has one."""

# Hands are cut off by the border of an image, but not most hands half of the time.
MIN_INSIDE = 60.0  # %
MIN_KEYPOINTS = 5  # of fewer the share says little

MEASURES = {
  'hand_percent': "longer side of the labelled keypoints' box, % of the image's",
  'inside_percent': 'labelled keypoints that lie in the image, %',
  'reprojection_px': 'distance of the projected 3D joints from keypoints_2d, px',
  'bone_mm': 'middle MCP->PIP bone, mm',
  'palm_right': 'right hands: bend to the palm, sine',
  'palm_left': 'left hands: bend to the palm, sine',
}


def check_example(example: Mapping[str, Any], image_shape: Sequence[int]) -> None:
  """Checks the labels of one example.

  Args:
    example: whose image, if it is there, is ignored.
    image_shape: (H, W, 3) of the image.

  Raises:
    ValueError: one sentence that names the example and the remedy.
  """
  example_lib.validate_fields({**example, 'image': None})
  where = f'Example {example["sample_id"]!r}'
  try:
    camera = cameras.Camera(example['intrinsics'])
    cameras.check_for_image(camera, image_shape[1], image_shape[0])
  except ValueError as error:
    raise ValueError(f'{where}: {error}') from None
  labelled = example['visibility'] > 0
  _check_inside(example['keypoints_2d'][labelled], image_shape, where)
  if not example['has_joints_3d'][0]:
    return
  # Before the unit, which another order of the joints changes, too.
  if (example['joints_3d'][labelled, 2] > 0).all():
    _check_projection(example, labelled, where)
  example_lib.validate_joints(example)


@np.errstate(all='ignore')  # what is not labelled is zero
def measure(examples: Sequence[Mapping[str, Any]]) -> Measures:
  """Measures examples that have passed `check_example`.

  Args:
    examples: with `image_shape`, (H, W, 3), in the place of the image.
  """
  labels = {
    name: np.stack([example[name] for example in examples])
    for name in example_lib.LABEL_SHAPES
  }
  joints, visible = labels['joints_3d'], labels['visibility'] > 0
  sizes = np.array([example['image_shape'][1::-1] for example in examples])
  inside = _is_inside(labels['keypoints_2d'], sizes[:, None]) & visible
  share = 100 * inside.sum(axis=-1) / np.maximum(visible.sum(axis=-1), 1)
  labelled = visible & (labels['has_joints_3d'] > 0)
  boxes = _box_sides(labels['keypoints_2d'], visible)
  distance = _reprojection(joints, labels['keypoints_2d'], labels['intrinsics'])
  a, b = pose25d.REFERENCE
  bone = np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) * 1000
  is_right = labels['is_right'][:, 0] > 0
  bend = np.where(is_right, 1, -1) * palm_bend(joints)
  tells = labelled.all(axis=-1) & (np.abs(bend) > MIN_BEND)
  many = visible.sum(axis=-1) >= MIN_KEYPOINTS
  measures = {
    'hand_percent': (100 * boxes.max(axis=-1) / sizes.max(axis=-1))[many],
    'inside_percent': share[many],
    'reprojection_px': np.max(distance, axis=-1, initial=0, where=labelled)[
      labelled.any(axis=-1)
    ],
    'bone_mm': bone[labelled[:, a] & labelled[:, b]],
    'palm_right': bend[tells & is_right],
    'palm_left': bend[tells & ~is_right],
  }
  return {name: values.tolist() for name, values in measures.items()}


def _check_inside(keypoints: np.ndarray, shape, where: str) -> None:
  """Raises a ValueError if all of the keypoints (n, 2) are outside of the image."""
  size = np.array([shape[1], shape[0]])
  if keypoints.size and not _is_inside(keypoints, size).any():
    raise ValueError(
      f'{where}: all keypoints lie outside of the image of {size[0]}x{size[1]} pixels; '
      'they belong to another size, crop or image.'
    )


def _is_inside(keypoints: np.ndarray, size: np.ndarray) -> np.ndarray:
  """Whether keypoints (*b, 2) lie in images of `size` (*b, 2), width and height."""
  return np.all((keypoints > -0.5) & (keypoints < size - 0.5), axis=-1)


def _box_sides(keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
  """Sides (*b, 2) of the boxes around the visible keypoints (*b, 21, 2)."""
  low = np.where(visible[..., None], keypoints, np.inf).min(axis=-2)
  high = np.where(visible[..., None], keypoints, -np.inf).max(axis=-2)
  return high - low


def _check_projection(example, labelled: np.ndarray, where: str) -> None:
  """Raises a ValueError if labelled joints do not project on their keypoints."""
  joints, keypoints = example['joints_3d'], example['keypoints_2d']
  error = _largest_error(joints, keypoints, example['intrinsics'], labelled)
  if error > MAX_REPROJECTION:
    raise ValueError(
      f'{where}: joints_3d project {error:.1f} px away from keypoints_2d, more than '
      f'{MAX_REPROJECTION:g} px; {_find_remedy(example, labelled)}.'
    )


@np.errstate(all='ignore')
def _find_remedy(example, labelled: np.ndarray) -> str:
  """What to do so that joints and keypoints agree."""
  for remedy, joints, keypoints in _remedies(example, labelled):
    error = _largest_error(joints, keypoints, example['intrinsics'], labelled)
    if error <= MAX_REPROJECTION:
      return remedy
  return 'check the axes, the joint order, the crop and the intrinsics'


def _project(joints: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
  """Pixels (*b, n, 2) of joints (*b, n, 3)."""
  points = joints @ intrinsics.swapaxes(-1, -2)
  return points[..., :2] / points[..., 2:]


def _reprojection(joints, keypoints, intrinsics) -> np.ndarray:
  """Distances (*b, n) of the keypoints from the projected joints."""
  return np.linalg.norm(_project(joints, intrinsics) - keypoints, axis=-1)


def _largest_error(joints, keypoints, intrinsics, labelled) -> float:
  distance = _reprojection(joints[labelled], keypoints[labelled], intrinsics)
  return float(np.max(distance, initial=0))


def _remedies(example, labelled) -> Iterator[tuple[str, Array, Array]]:
  """For simple mistakes: what to do, and the joints and keypoints after that."""
  joints, keypoints = example['joints_3d'], example['keypoints_2d']
  for axes, signs in (('x', (-1, 1)), ('y', (1, -1)), ('x and y', (-1, -1))):
    yield f'negate {axes} of the joints', joints * (*signs, 1), keypoints
  yield 'swap the two coordinates of the keypoints', joints, keypoints[:, ::-1]
  for order in skeleton.JOINT_ORDERS:
    reordered = skeleton.reorder(joints, order)
    yield f'the joints look to be in the order {order!r}', reordered, keypoints
    reordered = skeleton.reorder(keypoints, order)
    yield f'the keypoints look to be in the order {order!r}', joints, reordered
  projected = _project(joints, example['intrinsics'])
  scale, shift, fitted = _fit_crop(projected, keypoints, labelled)
  yield (
    f'they fit after u, v -> {scale[0]:.4g} u {shift[0]:+.4g}, {scale[1]:.4g} v '
    f'{shift[1]:+.4g} of the projection, so the intrinsics are of another size or crop',
    joints,
    fitted,
  )


def _fit_crop(projected, keypoints, labelled):
  """Scale (2,) and shift (2,) from projected to keypoints, which are undone."""
  p, k = projected[labelled], keypoints[labelled]
  spread = np.maximum(p.std(axis=0), 1e-6)
  covariance = np.mean((p - p.mean(axis=0)) * (k - k.mean(axis=0)), axis=0)
  scale = covariance / spread**2
  scale = np.where(np.abs(scale) > 1e-6, scale, 1)
  shift = k.mean(axis=0) - scale * p.mean(axis=0)
  return scale, shift, (keypoints - shift) / scale


def summarize(values: Sequence[float]) -> dict[str, float]:
  """The number of values, the least, the median and the largest, rounded."""
  low, middle, high = np.percentile(values, [0, 50, 100]).round(4).tolist()
  return {'examples': len(values), 'least': low, 'median': middle, 'largest': high}


def check_dataset(measures: Mapping[str, Sequence[float]], where: str) -> None:
  """Checks what only many examples can tell: left and right, and the camera.

  Args:
    measures: by name, those of all examples (`Measures`).
    where: names the dataset.

  Raises:
    ValueError: most hands of one side bend like those of the other (more than a tenth
      are warned of), or lie for the most part outside of their images.
  """
  share = float(np.median(measures['inside_percent'] or [100.0]))
  if share < MIN_INSIDE:
    raise ValueError(
      f'{where}: of the keypoints of most hands no more than {share:.0f} % lie in the '
      'image; the intrinsics or the keypoints are those of another size or crop.'
    )
  for side, other in (('right', 'left'), ('left', 'right')):
    bends = np.asarray(measures.get(f'palm_{side}', ()))
    doubt = SideDoubt(np.flatnonzero(bends < 0), len(bends))
    if not doubt.is_clear:
      continue
    told = (
      f'{where}: {len(doubt.hands)} of {len(bends)} {side} hands bend their fingers as '
      f'{other} hands do; negate the axis that is mirrored, or correct is_right.'
    )
    if doubt.is_of_most and len(bends) >= MIN_HANDS:
      raise ValueError(told)
    logging.warning('%s', told)
