"""The common part of all builders that read a dataset's original files.

A dataset is a module `data_prep/<name>.py` with two functions and a small class:

    read_records(source, **options)   the splits: what the annotation files say of each
                                      example, checked, without opening an image
    read_example(record)              one example (`bmc_jax.data.example`) whose image
                                      is the bytes of its file; also `hand_box` (4,),
                                      left, top, right, bottom, where the dataset has
                                      it, so that crops need no labelled keypoints

    class MyHands(base.LayoutBuilder):
      VERSION = tfds.core.Version('1.0.0')
      RELEASE_NOTES = {'1.0.0': 'First release.'}
      HOMEPAGE, CITATION, LICENSE = 'https://...', '@inproceedings{...}', '...'
      read_records = staticmethod(read_records)
      read_example = staticmethod(read_example)

and an entry of `data_prep.registry.DATASETS`, or, outside of the library, the flag
`--module MODULE:CLASS` (`data_prep.plugins`). Both functions raise a ValueError or an
OSError of one sentence that names the file and the remedy. Whatever concerns every
dataset is done here: each example is checked (`data_prep.checks`), and the shards are
written one by one (`data_prep.shards`), in several processes if need be.
"""

import abc
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from bmc_jax.data import crops
from bmc_jax.data import example as example_lib

from . import beam as beam_lib
from . import checks, folders, origins
from . import shards as shards_lib
from . import workers as workers_lib

CROP_SIZES = (16, 4096)  # px, the least and the largest


class LayoutBuilder(tfds.core.dataset_builder.FileReaderBuilder):
  """A TFDS builder of a dataset in its original layout.

  The docstring of its module says how to get and build the dataset.

  Attributes:
    HOMEPAGE: of the dataset.
    CITATION: BibTeX.
    LICENSE: the terms of use, in a sentence.
    IMAGE_SHAPE: (H, W, 3) of every image; None where sizes differ.
    IMAGE_ENCODING: 'jpeg' or 'png'.
    BOX: around what crops are taken, for the card.
  """

  MANUAL_DOWNLOAD_INSTRUCTIONS = 'See the docstring of the module of the builder.'
  HOMEPAGE: str
  CITATION: str
  LICENSE: str
  IMAGE_SHAPE: tuple[int | None, int | None, int] = (None, None, 3)
  IMAGE_ENCODING = 'jpeg'
  BOX = 'the labelled keypoints'

  @staticmethod
  @abc.abstractmethod
  def read_records(
    source: Path, **options
  ) -> Mapping[str, Sequence[shards_lib.Record]]:
    """Reads the annotations: the records of each split, in the order to store them.

    Args:
      source: the folder of the original files.
      **options: each a parameter of its own with a default; they are arguments of the
        builder as well, and JSON can hold them.

    Returns:
      The splits. A record is a dataclass or a mapping, can be pickled, and holds the
      paths of the files that `read_example` reads.
    """

  @staticmethod
  @abc.abstractmethod
  def read_example(record: shards_lib.Record) -> example_lib.Example:
    """Reads one example; a function of a module, since other processes call it."""

  def __init__(
    self,
    *,
    source: str | Path | None = None,
    crop_size: int | None = None,
    splits: Sequence[str] | None = None,
    max_bad: int = 0,
    workers: int = 1,
    beam: Sequence[str] | None = None,
    **kwargs,
  ):
    """Takes the options of the dataset and those of every dataset.

    Args:
      source: the folder or archive of the original files, to tell whether `data_dir`
        holds the dataset made of it; None does not ask.
      crop_size: side in pixels of square crops around the hand, encoded anew; None
        stores the whole images, byte for byte.
      splits: those to build; None for all.
      max_bad: so many examples may be wrong; they are left out.
      workers: number of processes.
      beam: flags of a Beam pipeline that writes in place of them (`data_prep.beam`).
      **kwargs: the options of `read_records` and the arguments of
        `tfds.core.DatasetBuilder` (data_dir, file_format...).

    Raises:
      ValueError: a number is out of range, no split is named, or `data_dir` holds the
        dataset made with other settings or of another source.
    """
    low, high = CROP_SIZES
    if crop_size is not None and not low <= crop_size <= high:
      raise ValueError(
        f'crop_size is {crop_size}; it must be from {low} to {high} pixels.'
      )
    if max_bad < 0 or workers < 1:
      raise ValueError(
        f'max_bad is {max_bad} and workers {workers}; the least are 0 and 1.'
      )
    if splits is not None and not splits:
      raise ValueError('splits names none; name one or more, or leave it out for all.')
    parameters = list(inspect.signature(self.read_records).parameters.values())[1:]
    options = {p.name: kwargs.pop(p.name, p.default) for p in parameters}
    settings = {
      'crop_size': crop_size,
      'splits': sorted(splits) if splits else None,
      'options': options,
    }
    self._settings = json.loads(json.dumps(settings))  # tuples become lists
    self._converter = shards_lib.Converter(
      self.read_example, self.IMAGE_SHAPE, self.IMAGE_ENCODING, crop_size
    )
    self._origin = origins.describe(Path(source)) if source else None
    self._max_bad = max_bad
    self._workers = workers
    self._beam = beam
    super().__init__(**kwargs)
    check_settings(self, self._settings)
    self._check_origin()

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=sys.modules[type(self).__module__].__doc__,
      features=self._converter.features(),
      homepage=self.HOMEPAGE,
      citation=self.CITATION,
      license=self.LICENSE,
      metadata=tfds.core.MetadataDict(
        self._settings, source=self._origin, crops=self._describe_crops()
      ),
      disable_shuffling=True,  # the order of the records is part of the data
    )

  def _describe_crops(self) -> str:
    """What the images show, as a sentence of the card."""
    size = self._settings['crop_size']
    if not size:
      return 'Images are whole: no hand was cropped.'
    return (
      f'Images are squares of {size} px around a hand, {crops.SCALE:g} times as large '
      f'as the box around {self.BOX}.'
    )

  def _check_origin(self) -> None:
    """Raises a ValueError if the prepared folder was made of another source."""
    found = self.info.metadata.get('source')
    if not self._origin or not found:
      return
    if found['fingerprint'] != self._origin['fingerprint']:
      same = found['path'] == self._origin['path']
      what = 'has changed since' if same else f'is not {found["path"]}, of which'
      raise ValueError(
        f'The source {self._origin["path"]} {what} {self.data_path} was made; choose '
        'another --out, or delete that folder to build it anew.'
      )

  def _download_and_prepare(self, dl_manager, download_config) -> None:
    """Writes the shards of all splits and links them into the folder of TFDS.

    They are written beside it, since TFDS deletes its own when a build fails.
    """
    splits = self._read_splits(Path(dl_manager.manual_dir))
    shards_lib.check_files(splits.values(), self._max_bad)
    folder = folders.shards_folder(Path(self.data_path).parent, str(self.version))
    folder.mkdir(exist_ok=True)
    names = {split: self._get_filename_template(split) for split in splits}
    plans = {
      split: shards_lib.plan(
        records, download_config.num_shards, folder, names[split], self._converter
      )
      for split, records in splits.items()
    }
    shards = [shard for plan in plans.values() for shard in plan]
    if self._beam is None:
      reports = workers_lib.write_all(shards, self._max_bad, self._workers)
    else:
      reports = beam_lib.write_all(shards, self._max_bad, self._beam)
    self._check(reports)
    for shard in shards:
      folders.link(shard.path, Path(self.data_path) / shard.path.name)
    infos = []
    for split, plan in plans.items():
      own, reports = reports[: len(plan)], reports[len(plan) :]
      infos.append(
        tfds.core.SplitInfo(
          name=split,
          shard_lengths=[report.examples for report in own],
          num_bytes=sum(report.num_bytes for report in own),
          filename_template=names[split],
        )
      )
    self.info.set_splits(tfds.core.splits.SplitDict(infos))

  def _check(self, reports: Sequence[shards_lib.Report]) -> None:
    """Checks all examples together and keeps what was measured as metadata."""
    measures = {
      name: [value for report in reports for value in report.measures[name]]
      for name in checks.MEASURES
    }
    checks.check_dataset(measures, self.name)
    skipped = [message for report in reports for message in report.skipped]
    if self._origin:  # if it is an archive, where it is unpacked is gone soon
      unpacked = str(folders.source_folder(Path(self.data_path).parent))
      skipped = [message.replace(unpacked, self._origin['path']) for message in skipped]
    for message in skipped:
      print(f'left out: {message}')
    self.info.metadata['max_bad'] = self._max_bad
    self.info.metadata['skipped'] = skipped
    self.info.metadata['checks'] = {
      name: checks.summarize(values) for name, values in measures.items() if values
    }

  def _read_splits(self, source: Path) -> dict[str, Sequence[shards_lib.Record]]:
    """The records of the splits to build."""
    splits = dict(self.read_records(source, **self._settings['options']))
    wanted = self._settings['splits'] or splits
    if 'all' in wanted:
      raise ValueError(
        f"{source} has a split 'all', which is TFDS's name for all splits together; "
        'rename its file or folder, or leave it out with --splits.'
      )
    for name in wanted:
      if name not in splits:
        raise ValueError(
          f'{source} has no split {name!r}; it has {", ".join(sorted(splits))}.'
        )
      if not splits[name]:
        raise ValueError(f'The split {name!r} of {source} has no examples.')
    return {name: splits[name] for name in splits if name in wanted}


def check_settings(
  builder: tfds.core.DatasetBuilder, settings: Mapping[str, Any]
) -> None:
  """Raises a ValueError if a prepared folder was made with other settings.

  Args:
    builder: its metadata come from the files of the folder, if there is one.
    settings: that it should be made with.
  """
  for name, value in settings.items():
    found = builder.info.metadata.get(name)
    if found != value:
      raise ValueError(
        f'{builder.data_path} was made with other settings ({name}: {found}, now '
        f'{value}); delete the folder or choose another one.'
      )
