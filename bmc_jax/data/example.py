"""The one example format that every dataset is prepared in.

| field | shape, type | meaning |
| --- | --- | --- |
| image | (H, W, 3) uint8 | RGB; stored as encoded bytes; absent in pose sets |
| joints_3d | (21, 3) float32 | metres; camera axes: x right, y down, z forward |
| keypoints_2d | (21, 2) float32 | pixels; the centre of the first pixel is (0, 0) |
| visibility | (21,) float32 | 1 where the joint is annotated, 0 where it is not |
| intrinsics | (3, 3) float32 | pinhole camera of this very image |
| is_right | (1,) float32 | 1 for a right hand, 0 for a left hand |
| has_joints_3d | (1,) float32 | 1 if joints_3d is a label, 0 if it is to be ignored |
| sample_id | text | names the example in messages, reports and predictions |

Joints are in the canonical order (wrist, then thumb to little finger, base to tip).
A prepared dataset stores hands as they are; `to_right_hand` mirrors left ones on
reading.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bmc_jax import pose25d, skeleton
from bmc_jax.joint_files.units import check_unit

LABEL_SHAPES = {
  'joints_3d': (21, 3),
  'keypoints_2d': (21, 2),
  'visibility': (21,),
  'intrinsics': (3, 3),
  'is_right': (1,),
  'has_joints_3d': (1,),
}
FLAGS = ('is_right', 'has_joints_3d')  # (1,) in an example, (B,) in a batch


Example = dict[str, Any]
Batch = dict[str, np.ndarray]


def features(image_shape=(None, None, 3), encoding: str = 'jpeg'):
  """TFDS features of the format, for the builders in `data_prep`.

  Args:
    image_shape: (H, W, 3); None where the size differs between examples.
    encoding: 'jpeg' or 'png', the form of the bytes handed to the writer.

  Returns:
    A `tfds.features.FeaturesDict`.
  """
  import tensorflow_datasets as tfds

  fields = {
    name: tfds.features.Tensor(shape=shape, dtype=np.float32)
    for name, shape in LABEL_SHAPES.items()
  }
  fields['image'] = tfds.features.Image(shape=image_shape, encoding_format=encoding)
  fields['sample_id'] = tfds.features.Text()
  return tfds.features.FeaturesDict(fields)


def decode_image(encoded: bytes) -> np.ndarray | None:
  """Decodes a JPEG or PNG; (H, W, 3) uint8 RGB, or None if it is damaged."""
  import cv2

  data = np.frombuffer(encoded, np.uint8)
  return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None


def validate_example(example: Mapping[str, Any]) -> None:
  """Raises a ValueError of one sentence if an example breaks the format.

  Checked are the fields' presence, shapes, types and finiteness, the flags' values, the
  camera, and for labelled joints a positive depth and a length in metres. The image
  may be absent (pose sets) or encoded (bytes, which are decoded to see that they can).

  Args:
    example: the fields named at the top of this module.
  """
  validate_fields(example)
  validate_joints(example)


def validate_fields(example: Mapping[str, Any]) -> None:
  """The first part of `validate_example`: all but where the joints are."""
  sample_id = example.get('sample_id')
  if not isinstance(sample_id, str | bytes) or not sample_id:
    raise ValueError(f'sample_id is {sample_id!r}; it must be a non-empty text.')
  if isinstance(sample_id, str) and not sample_id.isascii():
    _check_utf8(sample_id)
  where = _where(example)
  for name, shape in LABEL_SHAPES.items():
    if name not in example:
      raise ValueError(f'{where}: the field {name!r} is missing.')
    value = np.asarray(example[name])
    if value.shape != shape:
      raise ValueError(f'{where}: {name} has shape {value.shape}, expected {shape}.')
    if value.dtype != np.float32:
      raise ValueError(f'{where}: {name} is of type {value.dtype}, expected float32.')
    if not np.isfinite(value).all():
      raise ValueError(f'{where}: {name} holds a value that is not finite.')
  for name in ('visibility', *FLAGS):
    if not set(example[name].tolist()) <= {0, 1}:
      raise ValueError(f'{where}: {name} holds a value other than 0 and 1.')
  _validate_camera(np.asarray(example['intrinsics']), where)
  _validate_image(example.get('image'), where)


def _check_utf8(sample_id: str) -> None:
  try:
    sample_id.encode()
  except UnicodeEncodeError:  # names of files may hold any bytes
    raise ValueError(
      f'sample_id is {sample_id!r}, which is no UTF-8; rename the file.'
    ) from None


def _where(example: Mapping[str, Any]) -> str:
  """How messages name an example."""
  sample_id = example['sample_id']
  return f'Example {sample_id if isinstance(sample_id, str) else sample_id.decode()!r}'


def _validate_camera(intrinsics: np.ndarray, where: str) -> None:
  focal = np.diagonal(intrinsics)[:2]
  if np.any(focal <= 0) or not np.array_equal(intrinsics[2], (0, 0, 1)):
    raise ValueError(
      f'{where}: intrinsics must be [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with '
      f'positive focal lengths, got {intrinsics.tolist()}.'
    )


def _validate_image(image, where: str) -> None:
  if image is None:
    return
  if isinstance(image, bytes):
    image = decode_image(image)
    if image is None:
      raise ValueError(f'{where}: the image cannot be decoded; get an intact copy.')
  if not isinstance(image, np.ndarray):
    raise ValueError(
      f"{where}: image is {image!r}; it must be an array, or the bytes of the image's "
      'file.'
    )
  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
    raise ValueError(
      f'{where}: image has shape {image.shape} and type {image.dtype}, expected '
      '(H, W, 3) uint8.'
    )


def validate_joints(example: Mapping[str, Any]) -> None:
  """The last part of `validate_example`: depth and unit of labelled joints."""
  where = _where(example)
  if not example['has_joints_3d'][0]:
    return
  labelled = np.asarray(example['visibility']) > 0
  joints = np.asarray(example['joints_3d'])
  depth = joints[labelled, 2]
  if np.any(depth <= 0):
    remedy = '; negate y and z if these are OpenGL axes' if np.all(depth < 0) else ''
    raise ValueError(
      f'{where}: a joint has depth {depth.min():.4g}; joints must lie in front of the '
      f'camera (z > 0, OpenCV axes){remedy}.'
    )
  if labelled[list(pose25d.REFERENCE)].all():
    check_unit(joints, where)


def to_right_hand(example: Mapping[str, Any], width: int | None = None) -> Example:
  """Mirrors a left hand into a right one; a right hand comes back as it is.

  x -> -x for joints_3d, u -> W-1-u for keypoints_2d, cx -> W-1-cx (and a skew changes
  its sign); the image is flipped. `is_right` keeps the original chirality.

  Args:
    example: an example; its image (H, W, 3), if it has one, is decoded.
    width: W of an image that the example does not hold.

  Returns:
    A new example; the arrays of a right hand are shared with the input.
  """
  example = dict(example)
  if example['is_right'][0]:
    return example
  if 'image' in example:
    import cv2

    width = example['image'].shape[1]
    example['image'] = cv2.flip(example['image'], 1)  # some 10 times NumPy's speed
  if width is None:
    raise ValueError('A left hand without an image needs the width to be mirrored.')
  return example | mirror_labels(example, width)


def turn_to_right_hands(batch: Batch, widths: np.ndarray) -> None:
  """Mirrors the left hands of a batch in place, as `to_right_hand` does.

  Args:
    batch: of `stack_examples`.
    widths: (B,) of the images, which the batch need not hold.
  """
  (left,) = np.nonzero(batch['is_right'] == 0)
  mirrored = mirror_labels(
    {name: batch[name][left] for name in ('joints_3d', 'keypoints_2d', 'intrinsics')},
    widths[left],
  )
  for name, values in mirrored.items():
    batch[name][left] = values
  if 'image' in batch:
    import cv2

    for index in left:
      cv2.flip(batch['image'][index], 1, batch['image'][index])


def mirror_labels(
  labels: Mapping[str, Any], width: int | np.ndarray
) -> dict[str, np.ndarray]:
  """The mirrored joints_3d, keypoints_2d and intrinsics of an image `width` px wide.

  Args:
    labels: with leading batch dims: joints_3d (*b, 21, 3), keypoints_2d (*b, 21, 2),
      intrinsics (*b, 3, 3).
    width: of the image, in pixels; one for all or (*b,).

  Returns:
    The three fields, so that the mirrored camera projects the mirrored joints onto the
    mirrored keypoints.
  """
  flip = np.zeros((*np.shape(width), 3, 3), np.float32)
  flip[..., [0, 1, 2], [0, 1, 2]] = -1, 1, 1
  flip[..., 0, 2] = np.asarray(width) - 1
  mirror = np.diag([-1, 1, 1]).astype(np.float32)
  shift = flip[..., None, :2, 2]
  return {
    'joints_3d': np.asarray(skeleton.mirror(labels['joints_3d'])),
    'keypoints_2d': labels['keypoints_2d'] * np.float32([-1, 1]) + shift,
    'intrinsics': flip @ labels['intrinsics'] @ mirror,
  }


def drop_joints_3d(
  labels: Mapping[str, Any], keep: bool | np.ndarray = False
) -> dict[str, Any]:
  """Turns an example or a batch into a weakly labelled one: only 2D labels stay.

  Args:
    labels: of an example, or of a batch of B.
    keep: whether the 3D labels stay all the same; of a batch (B,), for each.
  """
  keep = np.asarray(keep)
  joints, has_joints = labels['joints_3d'], labels['has_joints_3d']
  return dict(labels) | {
    'joints_3d': np.where(keep[..., None, None], joints, np.zeros_like(joints)),
    'has_joints_3d': np.where(keep, has_joints, np.zeros_like(has_joints)),
  }


def row_of(batch: Batch, index: int) -> Example:
  """One example of a batch (the fields of `stack_examples`)."""
  row = {name: value[index] for name, value in batch.items()}
  row |= {name: row[name][None] for name in FLAGS}
  return row | {'sample_id': str(row['sample_id'])}


def stack_examples(examples: Iterable[Mapping[str, Any]], count: int) -> Batch:
  """Stacks examples into a batch: flags become (B,), sample_id an array of text.

  Args:
    examples: all with or all without images of one size. Of an iterator that decodes
      them no more than one image is alive beside the batch, which is much faster.
    count: of the examples, at least one.

  Returns:
    The batch, float32 but for `image` (uint8) and `sample_id`.

  Raises:
    ValueError: the images differ in size.
  """
  labels, images = [], None
  for row, example in enumerate(examples):
    labels.append({k: value for k, value in example.items() if k != 'image'})
    if 'image' in example:
      image = example['image']
      if images is None:
        images = np.empty((count, *image.shape), np.uint8)
      if image.shape != images.shape[1:]:
        raise ValueError(
          f'The images of one batch differ in size ({images.shape[1:]} and '
          f'{image.shape}); set image_size in the specification of each source.'
        )
      images[row] = image
  batch = {name: np.stack([e[name] for e in labels]) for name in LABEL_SHAPES}
  batch |= {name: batch[name][:, 0] for name in FLAGS}
  if images is not None:
    batch['image'] = images
  batch['sample_id'] = np.array([e['sample_id'] for e in labels])
  return batch
