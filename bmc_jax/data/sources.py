"""Random access sources of examples: prepared TFDS directories and pose files.

A source has `len`, gives single examples by index (right-handed, see
`bmc_jax.data.example`) and whole batches by `batch(indices)`, which is what the
pipeline reads. `open_source` makes one from a plain mapping, as configs hold it.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bmc_jax.data import crops, pose_files, prepared
from bmc_jax.data import example as example_lib
from bmc_jax.data import labels as labels_lib
from bmc_jax.data.drawn import ProceduralPosesSource
from bmc_jax.data.drawn_images import ProceduralImagesSource


class Source(Protocol):
  """What the pipeline needs of a source."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> example_lib.Example: ...

  def batch(self, indices: Sequence[int]) -> example_lib.Batch: ...


class ArraySource:
  """Examples without images, held in memory as one batch of all of them."""

  def __init__(self, arrays: example_lib.Batch):
    """Takes the fields of a batch (`stack_examples`), each with N rows."""
    self._arrays = arrays

  def __len__(self) -> int:
    return len(self._arrays['sample_id'])

  def __getitem__(self, index: int) -> example_lib.Example:
    return example_lib.row_of(self._arrays, index)

  def batch(self, indices: Sequence[int]) -> example_lib.Batch:
    index = np.asarray(indices)
    return {name: value[index] for name, value in self._arrays.items()}


class TfdsSource:
  """A split of a prepared TFDS directory, read without TensorFlow."""

  def __init__(
    self,
    directory: str,
    split: str,
    *,
    with_image: bool = True,
    image_size: int | None = None,
    labels: str = '3d',
    share_3d: float = 1.0,
    built: Mapping[str, Any] | None = None,
  ):
    """Opens the split and checks its first example.

    Args:
      directory: the folder with `dataset_info.json`, or one above it
        (`out/<name>/<version>`) that holds no other dataset.
      split: its name, a slice or a sum such as 'train[:100]' or 'train+test', or 'all'.
      with_image: False leaves the image out of the examples.
      image_size: side in pixels to which images are resized on the host, so that
        sources of different sizes can share a batch; None keeps them.
      labels: '3d', or '2d' to drop the 3D labels.
      share_3d: share of the examples that keep their 3D labels, see `labelled_in_3d`.
      built: settings that the folder must have been built with, as in
        {'crop_size': 224, 'hands': 'dominant'}.
    """
    if image_size is not None and (not isinstance(image_size, int) or image_size < 1):
      raise ValueError(
        f'image_size is {image_size!r}; it must be a whole number of pixels from 1 on, '
        'or None.'
      )
    if not isinstance(split, str):
      raise ValueError(
        f"The split of {directory} is {split!r}; it must be a text such as 'train'."
      )
    self._with_image = with_image
    self._image_size = image_size
    self._data, self._image_shape = prepared.open_split(directory, split, built)
    self._keep_3d = labels_lib.labelled_in_3d(len(self._data), labels, share_3d)
    self._where = f'{directory} ({split})'
    example_lib.validate_example(next(self._read([0]))[0])

  def __len__(self) -> int:
    return len(self._data)

  def __getitem__(self, index: int) -> example_lib.Example:
    example, width = next(self._read([index]))
    example = example_lib.to_right_hand(example, width)
    return example_lib.drop_joints_3d(example, self._keep_3d[index])

  def batch(self, indices: Sequence[int]) -> example_lib.Batch:
    widths: list[int] = []

    def examples() -> Iterator[example_lib.Example]:
      for example, width in self._read(indices):
        widths.append(width)
        yield example

    batch = example_lib.stack_examples(examples(), len(indices))
    example_lib.turn_to_right_hands(batch, np.array(widths))
    return example_lib.drop_joints_3d(batch, self._keep_3d[np.asarray(indices)])

  def _read(self, indices: Sequence[int]) -> Iterator[tuple[example_lib.Example, int]]:
    """Examples of hands as they are stored, and the widths of their images."""
    try:
      # Not all at once: for that ArrayRecord starts threads, which wait for each other.
      stored = [self._data[int(i)] for i in indices]
      records = [prepared.parse_record(record) for record in stored]
    except RuntimeError as error:
      raise prepared.damaged(f'{self._where} cannot be read', error) from error
    return (self._convert(record) for record in records)

  def _convert(self, record: Mapping[str, Any]) -> tuple[example_lib.Example, int]:
    """Decodes a stored record; the example and the width of its image."""
    labels = {name: record.get(name) for name in example_lib.LABEL_SHAPES}
    missing = [name for name, value in labels.items() if value is None]
    if missing:
      raise ValueError(
        f'{self._where}: the field {missing[0]!r} is missing; {prepared.BUILD_AGAIN}.'
      )
    sample_id = record['sample_id']
    sample_id = sample_id.decode() if isinstance(sample_id, bytes) else str(sample_id)
    example = labels | {'sample_id': sample_id}
    shape = self._image_shape
    if self._with_image or None in shape:
      example['image'] = self._decode(record['image'], sample_id)
      shape = example['image'].shape
    if self._image_size is not None:
      example |= crops.resize_example(example, shape, self._image_size)
      shape = (self._image_size, self._image_size, 3)
    if not self._with_image:
      example.pop('image', None)
    return example, shape[1]

  def _decode(self, encoded: bytes, sample_id: str) -> np.ndarray:
    image = example_lib.decode_image(encoded)
    if image is None:
      raise ValueError(
        f'The image of example {sample_id!r} in {self._where} cannot be decoded; '
        f'{prepared.BUILD_AGAIN}, from intact files.'
      )
    return image


class PoseSetSource(ArraySource):
  """Joint poses from a file, seen through a pinhole camera; no images."""

  def __init__(
    self,
    path: str,
    *,
    camera: Mapping[str, float],
    subjects: Sequence[int] | None = None,
    order: str | None = None,
    rows: Sequence[int] | None = None,
    every: int = 1,
    drop_outside: bool = True,
    labels: str = '3d',
    share_3d: float = 1.0,
  ):
    """Reads the poses (`bmc_jax.data.pose_files.load_poses`).

    Args:
      path: a `.npy` or `.npz` file.
      camera: fx, fy, cx, cy, width, height in pixels.
      subjects: keep only these numbers of the file's `subject` array.
      order: joint order of the file, a key of `skeleton.JOINT_ORDERS`.
      rows: (first, end) of the file's poses to keep, `end` not among them.
      every: keep each `every`-th pose (neighbouring frames of a video are alike).
      drop_outside: leave out poses with a joint outside the image or behind the
        camera; otherwise a joint behind the camera is an error.
      labels: '3d', or '2d' to drop the 3D labels.
      share_3d: share of the poses that keep their 3D labels, see `labelled_in_3d`.
    """
    poses = pose_files.load_poses(
      path,
      camera=camera,
      subjects=subjects,
      order=order,
      rows=rows,
      every=every,
      drop_outside=drop_outside,
    )
    super().__init__(poses)
    example_lib.validate_example(self[0])
    keep = labels_lib.labelled_in_3d(len(self), labels, share_3d)
    if not keep.all():
      super().__init__(example_lib.drop_joints_3d(poses, keep))


KINDS = {
  'tfds': TfdsSource,
  'poses': PoseSetSource,
  'procedural_poses': ProceduralPosesSource,
  'procedural_images': ProceduralImagesSource,
}


def open_source(spec: Mapping[str, Any]) -> Source:
  """Opens the source that a plain mapping describes.

  Args:
    spec: `kind` ('tfds', 'poses' or 'procedural_poses') and the arguments of
      `TfdsSource` (with `path` for its directory), `PoseSetSource` or
      `ProceduralPosesSource`. A tfds source without images is read into memory at once.

  Returns:
    The source.
  """
  spec = dict(spec)
  kind = spec.pop('kind', None)
  if kind not in KINDS:
    raise ValueError(f"A data source's kind is {kind!r}; choose one of {list(KINDS)}.")
  if kind == 'tfds' and 'path' in spec:
    spec['directory'] = spec.pop('path')
  opener = KINDS[kind]
  parameters = inspect.signature(opener).parameters
  known = ['path' if name == 'directory' else name for name in parameters]
  unknown = sorted(set(spec) - set(parameters))
  if unknown:
    raise ValueError(
      f'A data source of kind {kind!r} has no key {unknown[0]!r}; it has '
      f'{", ".join(known)}.'
    )
  needed = [n for n, p in parameters.items() if p.default is p.empty and n not in spec]
  if needed:
    raise ValueError(
      f'A data source of kind {kind!r} needs the key '
      f'{needed[0].replace("directory", "path")!r}.'
    )
  source = opener(**spec)
  if kind == 'tfds' and spec.get('with_image') is False:
    return ArraySource(source.batch(range(len(source))))
  return source
