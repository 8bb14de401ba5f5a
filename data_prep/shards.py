"""Shards: the files of a split, each written by itself from a range of records.

A shard is written under another name and renamed, and then a report is written beside
it. A shard with a report of the same fingerprint is finished, so a build that was
interrupted goes on where it stopped, with the same files as if it had run through.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorflow_datasets.core import example_serializer
from tensorflow_datasets.core.utils import shard_utils

from bmc_jax.console.outputs import replacing, write_text
from bmc_jax.data import crops, images
from bmc_jax.data import example as example_lib

from . import checks, pickles

Record = Any
"""What annotation files say of one example: a dataclass or a mapping; picklable."""


@dataclasses.dataclass(frozen=True)
class Converter:
  """Makes checked examples of records.

  Attributes:
    read_example: of the dataset.
    image_shape: (H, W, 3) that the images must have; None where sizes differ.
    encoding: 'jpeg' or 'png'.
    crop_size: side in pixels of a crop around the hand; None stores the whole image.
  """

  read_example: Callable[[Record], example_lib.Example]
  image_shape: tuple[int | None, int | None, int]
  encoding: str
  crop_size: int | None

  def features(self):
    """The TFDS features of the examples."""
    size = self.crop_size
    return example_lib.features(
      (size, size, 3) if size else self.image_shape, self.encoding
    )

  def serializer(self) -> Callable[[example_lib.Example], bytes]:
    """Makes a function that encodes examples as TFDS does.

    But the fields are always in one order, which TFDS leaves to chance. A checked
    example is what the features would encode it as.
    """
    info = self.features().get_serialized_info()
    serializer = example_serializer.ExampleSerializer(info)

    def serialize(example: example_lib.Example) -> bytes:
      return serializer.get_tf_example(example).SerializeToString(deterministic=True)

    return serialize

  def __call__(self, record: Record) -> tuple[example_lib.Example, Sequence[int]]:
    """The checked example of a record, its image encoded, and (H, W, 3) of the image.

    Raises:
      ValueError: a check failed.
      OSError: a file cannot be read.
    """
    try:
      example = dict(self.read_example(record))
    except FileNotFoundError:
      for file in _files(record):
        if not file.is_file():
          raise FileNotFoundError(
            f'The file {file} is missing; {images.REMEDY} with --max-bad.'
          ) from None
      raise
    box = example.pop('hand_box', None)
    where = str(next(iter(_files(record)), example['sample_id']))
    if not self.crop_size:
      shape = images.check(example['image'], where, self.image_shape)
      _check_labels(example, shape, where)
      return example, shape
    image = images.decode(example['image'], where, self.image_shape)
    _check_labels(example, image.shape, where)
    example = crops.crop_to_hand({**example, 'image': image}, self.crop_size, box)
    encoded = images.encode(example['image'], self.encoding)
    return example | {'image': encoded}, example['image'].shape


def _check_labels(example: example_lib.Example, shape, where: str) -> None:
  """Checks the labels of an image; the error names its file as well."""
  try:
    checks.check_example(example, shape)
  except ValueError as error:
    raise ValueError(f'{where}: {error}') from error


@dataclasses.dataclass(frozen=True)
class Shard:
  """One file to write: where, from which records, and how."""

  path: Path
  records: Sequence[Record]
  converter: Converter

  @property
  def report_path(self) -> Path:
    """Of the report that says that the shard is finished."""
    return self.path.with_name(self.path.name + '.json')

  def fingerprint(self) -> str:
    """Changes with the records, their files, the settings and this package."""
    files = list(_stats(self.records))
    content = (
      pickle.dumps((self.records, self.converter)),
      json.dumps([(file.st_size, file.st_mtime_ns) for file in files]).encode(),
      *(path.read_bytes() for path in sorted(Path(__file__).parent.glob('*.py'))),
    )
    return hashlib.sha256(b''.join(content)).hexdigest()


@dataclasses.dataclass(frozen=True)
class Report:
  """What a finished shard holds.

  Attributes:
    fingerprint: of the shard.
    examples: their number.
    num_bytes: of all of them.
    skipped: for each example that was left out, what is wrong with it.
    measures: `checks.measure` of them.
  """

  fingerprint: str
  examples: int
  num_bytes: int
  skipped: list[str]
  measures: checks.Measures

  @classmethod
  def read(cls, path: Path) -> 'Report':
    """Reads the report of a finished shard."""
    return cls(**json.loads(path.read_text()))


def check_skipped(reports: Sequence[Report], max_bad: int) -> None:
  """Raises a ValueError if more than `max_bad` examples were left out of all shards."""
  skipped = [message for report in reports for message in report.skipped]
  if len(skipped) > max_bad:
    raise ValueError(skipped[max_bad])


def plan(
  records: Sequence[Record], num_shards: int | None, folder: Path, names, converter
) -> list[Shard]:
  """Divides the records of a split among shards.

  Args:
    records: of one split, in order.
    num_shards: None for one per 64 MB of files, roughly (TFDS's rule).
    folder: where the shards are written.
    names: TFDS's template of their names.
    converter: of the dataset.

  Raises:
    ValueError: there are fewer records than shards.
  """
  size = sum(stat.st_size for stat in _stats(records))
  number = shard_utils.ShardConfig(num_shards).get_number_shards(size, len(records))
  if number > len(records):
    raise ValueError(
      f'The split {names.split!r} has {len(records)} examples, fewer than the {number} '
      'files per split that are asked for; ask for fewer.'
    )
  ends = [0, *shard_utils.get_shard_boundaries(len(records), number)]
  return [
    Shard(
      folder / names.sharded_filepath(shard_index=i, num_shards=number).name,
      records[ends[i] : ends[i + 1]],
      converter,
    )
    for i in range(number)
  ]


def write(shard: Shard, max_bad: int, advance: Callable[[], None]) -> Report:
  """Writes a shard, unless it is finished.

  Args:
    shard: to write.
    max_bad: so many examples may be wrong; they are left out.
    advance: called after each example.

  Raises:
    ValueError, OSError: what is wrong with the first example too many.
  """
  from array_record.python import array_record_module

  fingerprint = shard.fingerprint()
  if report := _finished(shard, fingerprint):
    for _ in shard.records:
      advance()
    return report
  serialize = shard.converter.serializer()
  skipped: list[str] = []
  labels: list[example_lib.Example] = []
  num_bytes = 0
  # Images do not shrink any further, but the attempt takes time, as do threads for it.
  options = 'group_size:1,uncompressed,max_parallelism:1'
  with replacing(shard.path) as unfinished:
    writer = array_record_module.ArrayRecordWriter(str(unfinished), options)
    for record in shard.records:
      try:
        example, shape = shard.converter(record)
      except (ValueError, OSError) as error:
        if len(skipped) >= max_bad or isinstance(error, pickles.HostileFileError):
          raise
        skipped.append(str(error))
      else:
        serialized = serialize(example)
        writer.write(serialized)
        num_bytes += len(serialized)
        labels.append(example | {'image': None, 'image_shape': shape})
      advance()
    writer.close()
    if not labels:
      raise ValueError(
        f'All {len(skipped)} examples of {shard.path.name} are wrong: {skipped[0]}'
      )
  report = Report(fingerprint, len(labels), num_bytes, skipped, checks.measure(labels))
  write_text(shard.report_path, json.dumps(dataclasses.asdict(report)))
  return report


def _finished(shard: Shard, fingerprint: str) -> Report | None:
  """The report of a shard that is finished and up to date."""
  if not (shard.path.is_file() and shard.report_path.is_file()):
    return None
  report = Report.read(shard.report_path)
  return report if report.fingerprint == fingerprint else None


def check_files(splits: Iterable[Sequence[Record]], max_bad: int) -> None:
  """Raises a FileNotFoundError if more than `max_bad` files of records are missing."""
  files = {file for records in splits for record in records for file in _files(record)}
  missing = sorted(file for file in files if not file.is_file())
  if len(missing) > max_bad:
    raise FileNotFoundError(
      f'{len(missing)} of the {len(files)} files that the annotations name are '
      f'missing, the first of them {missing[0]}; get a complete copy.'
    )


def _stats(records: Sequence[Record]) -> Iterator[os.stat_result]:
  """What the system knows of the files of records, but of those that are missing."""
  for record in records:
    for file in _files(record):
      with contextlib.suppress(FileNotFoundError):
        yield file.stat()


def _files(record: Record) -> list[Path]:
  """The files that a record names."""
  fields = record if isinstance(record, Mapping) else vars(record)
  return [value for value in fields.values() if isinstance(value, Path)]
