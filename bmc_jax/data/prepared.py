"""Prepared TFDS directories: opening a split, and finding what is damaged in it."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.console.tables import counted
from bmc_jax.data.example import LABEL_SHAPES

BUILD_AGAIN = 'delete the folder and build it again with `bmc-jax build`'


def open_split(directory: str, split: str, built: Mapping[str, Any] | None = None):
  """Opens a split and all of its files.

  Args:
    directory: the folder with `dataset_info.json`, or one above it that holds no other
      dataset.
    split: a name, a slice or a sum, as TFDS reads it.
    built: settings that it must have been built with: `crop_size`, and options of the
      dataset's builder, such as `hands`.

  Returns:
    The TFDS data source, of records for `parse_record`, and the image shape of its
    features.

  Raises:
    FileNotFoundError: there is no prepared dataset, or not just one.
    ValueError: the split is not one of it, a file is missing or damaged, or it was
      built in another way.
  """
  import tensorflow_datasets as tfds

  folder = _find_folder(directory)
  builder = read_builder(folder)
  _check_settings(builder, built or {})
  for part in split.split('+'):
    name = part.split('[')[0].strip()
    if name not in (*builder.info.splits, 'all'):
      known = ', '.join(sorted(builder.info.splits))
      raise ValueError(f'{directory} has no split {name!r}; it has {known}.')
  try:
    info = builder.info.splits[split]
    count = info.num_examples
  except ValueError as error:
    raise ValueError(
      f'The split {split!r} of {directory} cannot be read; write it as in '
      "'train[:100]', within the examples that there are."
    ) from error
  if count < 1:
    raise ValueError(f'The split {split!r} of {directory} is empty.')
  _check_files(folder, info.file_instructions)
  raw = tfds.decode.DeserializeMethod.RAW_BYTES
  # TFDS's decorator hides the signature.
  data = builder.as_data_source(split, deserialize_method=raw)  # pyright: ignore
  return data, builder.info.features['image'].shape


def _check_settings(builder, built: Mapping[str, Any]) -> None:
  """Raises a ValueError unless the metadata of a dataset have these settings."""
  metadata = dict(builder.info.metadata or {})
  found = {**(metadata.get('options') or {}), 'crop_size': metadata.get('crop_size')}
  for name, wanted in built.items():
    if found.get(name) != wanted:
      flags = ' '.join(f'--{k.replace("_", "-")} {v}' for k, v in built.items())
      raise ValueError(
        f'{builder.data_path} was built with {_told(name, found.get(name))}, where '
        f'{_told(name, wanted)} is needed: delete the folder and build it again with '
        f'`bmc-jax build {builder.name} {flags} --source SOURCE --out '
        f'{Path(builder.data_path).parents[1]}`.'
      )


def _told(name: str, value: Any) -> str:
  """A setting as a sentence has it."""
  if name == 'crop_size':
    return f'crops of {value} px around hands' if value else 'whole images'
  return f'{name} = {value!r}'


def parse_record(serialized: bytes) -> dict[str, Any]:
  """The fields of a stored example that it has; the image stays encoded.

  TFDS's own parser, which knows all kinds of features, takes several times as long.
  """
  from tensorflow_datasets.proto import tf_example_pb2

  fields = tf_example_pb2.Example.FromString(serialized).features.feature
  record: dict[str, Any] = {}
  for name, field in fields.items():
    if name in LABEL_SHAPES:
      value = np.array(field.float_list.value, np.float32)
      shape = LABEL_SHAPES[name]
      record[name] = value.reshape(shape) if value.size == math.prod(shape) else value
    else:
      record[name] = field.bytes_list.value[0] if field.bytes_list.value else b''
  return record


def read_builder(folder: Path):
  """The TFDS builder of a prepared folder, from its metadata.

  Raises:
    ValueError: they are missing or damaged, or the data are no ArrayRecord.
  """
  import tensorflow_datasets as tfds

  if not (folder / 'features.json').is_file():
    raise ValueError(f'{folder}: the file features.json is missing; {BUILD_AGAIN}.')
  try:
    builder = tfds.builder_from_directory(folder)
  except Exception as error:  # damaged metadata make TFDS raise almost anything
    what = f'{folder}: dataset_info.json or features.json is damaged'
    raise damaged(what, error) from error
  if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
    raise ValueError(
      f'{folder} is stored as {builder.info.file_format.value}; build it with '
      "file_format='array_record'."
    )
  return builder


def damaged(what: str, error: Exception) -> ValueError:
  """The error of one sentence for data that cannot be read.

  Args:
    what: names the file or folder, and what is wrong.
    error: of the library that read it.
  """
  reason = ' '.join(str(error).split()).rstrip('.')
  return ValueError(f'{what} ({reason}); {BUILD_AGAIN}.')


def _find_folder(directory: str) -> Path:
  root = Path(directory).expanduser()
  if root.is_file():
    raise ValueError(f'The data directory {directory} is a file; a folder is needed.')
  if not root.is_dir():
    raise FileNotFoundError(
      f'The data directory {directory} does not exist; prepare it with `bmc-jax build`.'
    )
  found = find_folders(root)
  if len(found) != 1:
    what = 'no prepared dataset' if not found else f'{len(found)} prepared datasets'
    raise FileNotFoundError(
      f'The data directory {directory} holds {what}; name the one folder with a '
      'dataset_info.json.'
    )
  return found[0]


def find_folders(root: Path) -> list[Path]:
  """The prepared datasets in a folder and down to three folders below it."""
  return [
    path.parent
    for pattern in ('', '*/', '*/*/', '*/*/*/')
    for path in sorted(root.glob(f'{pattern}dataset_info.json'))
    if not path.parent.name.startswith('incomplete.')
  ]


def check_complete(folder: Path):
  """Opens all files of a prepared folder; its TFDS builder.

  Raises:
    ValueError: a file, or what describes them, is missing or damaged.
  """
  builder = read_builder(folder)
  for split in builder.info.splits.values():
    _check_files(folder, split.file_instructions)
  return builder


def _check_files(folder: Path, instructions: Iterable) -> None:
  """Opens each file: its index lies at the end, so one that is cut off has none."""
  from array_record.python import array_record_data_source

  for instruction in instructions:
    path, wanted = Path(instruction.filename), instruction.examples_in_shard
    if not path.is_file():
      raise ValueError(f'{folder}: the file {path.name} is missing; {BUILD_AGAIN}.')
    try:
      with array_record_data_source.ArrayRecordDataSource(str(path)) as records:
        found = len(records)
    except RuntimeError as error:
      what = f'{folder}: the file {path.name} is damaged'
      raise damaged(what, error) from error
    if found != wanted:
      raise ValueError(
        f'{folder}: the file {path.name} holds {counted(found, "example")} instead of '
        f'{wanted}; '
        f'{BUILD_AGAIN}.'
      )
