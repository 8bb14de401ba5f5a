"""A dataset whose layout holds all fields, so that tests can spoil each of them.

<split>/NNN.png, <split>/NNN.npz   an image and its labels
"""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from data_prep import base, registry
from tests.fixtures_data import encode_png, make_example

ENTRY = registry.Dataset('tests.toy_dataset', 'ToyHands')


@dataclasses.dataclass(frozen=True)
class Record:
  image: Path
  labels: Path


def read_records(source: Path) -> dict[str, list[Record]]:
  splits = sorted(path.name for path in source.iterdir())
  return {
    split: [
      Record(path, path.with_suffix('.npz'))
      for path in sorted((source / split).glob('*.png'))
    ]
    for split in splits
  }


def read_example(record: Record):
  with np.load(record.labels) as labels:
    example = {name: labels[name] for name in labels}
  sample_id = str(example.pop('sample_id'))
  return {**example, 'sample_id': sample_id, 'image': record.image.read_bytes()}


class ToyHands(base.LayoutBuilder):
  """Made-up hands."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'First release.'}
  HOMEPAGE = ''
  CITATION = '@misc{toy}'
  LICENSE = 'None.'
  IMAGE_ENCODING = 'png'

  read_records = staticmethod(read_records)
  read_example = staticmethod(read_example)


def make_right_hand(index: int) -> dict:
  """An example of a right hand, seen from its back, so that tips bend away."""
  example = make_example(index, size=160)
  joints = example['joints_3d']
  joints[4::4, 2] += 0.04
  points = joints @ example['intrinsics'].T
  example['keypoints_2d'] = points[:, :2] / points[:, 2:]
  return example


def write_example(path: Path, example: dict) -> None:
  """Writes NNN.png and NNN.npz; the example's image is an array or bytes."""
  path.parent.mkdir(parents=True, exist_ok=True)
  image = example['image']
  encoded = image if isinstance(image, bytes) else encode_png(image)
  path.with_suffix('.png').write_bytes(encoded)
  labels = {name: value for name, value in example.items() if name != 'image'}
  np.savez(path.with_suffix('.npz'), **labels)


def write(source: Path, train: int = 12, test: int = 4) -> Path:
  """A folder in the layout."""
  for split, start, count in (('train', 0, train), ('test', train, test)):
    for index in range(start, start + count):
      write_example(source / split / f'{index:03d}', make_right_hand(index))
  return source
