"""The datasets that `bmc-jax build` can build, and their own flags."""

import argparse
import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A dataset that can be built.

  Attributes:
    module: of its builder; its docstring says where to get the original files.
    builder: the builder's class.
    has_source: whether it is read from original files, or made from nothing.
    flags: keys of `FLAGS`; arguments of the builder of the same names.
  """

  module: str
  builder: str
  has_source: bool = True
  flags: tuple[str, ...] = ()

  def load(self) -> type:
    """The builder's class; imports its module."""
    return getattr(importlib.import_module(self.module), self.builder)


def parse_names(text: str) -> list[str]:
  """Reads 'a,b' into a list."""
  names = [name.strip() for name in text.split(',') if name.strip()]
  if not names:
    raise argparse.ArgumentTypeError(f'{text!r} names nothing; name one or more: a,b')
  return names


def parse_examples(text: str) -> dict[str, int]:
  """Reads 'studio_train=4000,studio_test=500' into a mapping."""
  try:
    pairs = [part.split('=') for part in text.split(',')]
    examples = {name.strip(): int(count) for name, count in pairs}
  except ValueError:
    raise argparse.ArgumentTypeError(
      f'{text!r} is not of the form split=number,split=number'
    ) from None
  if len(examples) < len(pairs):
    raise argparse.ArgumentTypeError(f'{text!r} names a split twice')
  return examples


# The arguments of `ArgumentParser.add_argument` for the flags of single datasets.
FLAGS: Mapping[str, Mapping[str, Any]] = {
  'image_size': {'type': int, 'help': 'side of the images in pixels'},
  'examples': {'type': parse_examples, 'help': 'split=number,...'},
  'seed': {'type': int, 'help': 'of the random numbers'},
  'backgrounds': {'metavar': 'DIR', 'help': 'folder of photos to put behind the hands'},
  'hands': {
    'choices': ('each', 'dominant', 'single'),
    'help': 'which ones become examples',
  },
  'validation_share': {'type': float, 'help': 'part of the training poses'},
  'cameras': {'type': parse_names, 'help': 'whose images are taken: a,b'},
  'partial': {
    'action': 'store_true',
    'default': None,
    'help': 'take what is there of an incomplete copy',
  },
  'setup': {'choices': ('s0', 's1', 's2', 's3'), 'help': 'whose splits are taken'},
  'hand': {'choices': ('left', 'right'), 'help': 'where the export does not say it'},
  'pixel_center': {
    'type': float,
    'help': "coordinate of the first pixel's centre in the export",
  },
}


def _dataset(module: str, builder: str, **options) -> Dataset:
  """One whose module stands beside this one."""
  return Dataset(f'{__package__}.{module}', builder, **options)


_COCO_FLAGS = ('hand', 'pixel_center')

DATASETS: Mapping[str, Dataset] = {
  'coco_hands': _dataset('coco_hands', 'CocoHands', flags=_COCO_FLAGS),
  'coco_wholebody': _dataset('coco_public', 'CocoWholebody', flags=_COCO_FLAGS),
  'dexter_object': _dataset('dexter_object', 'DexterObject'),
  'dexycb': _dataset('dexycb', 'Dexycb', flags=('setup',)),
  'freihand': _dataset('freihand', 'Freihand', flags=('validation_share',)),
  'hand_graph_cnn_real': _dataset('hand_graph_cnn_real', 'HandGraphCnnReal'),
  'halpe': _dataset('coco_public', 'Halpe', flags=_COCO_FLAGS),
  'ho3d_v2': _dataset('ho3d', 'Ho3dV2'),
  'ho3d_v3': _dataset('ho3d', 'Ho3dV3'),
  'interhand': _dataset('interhand', 'Interhand', flags=('hands',)),
  'onehand10k': _dataset('coco_public', 'Onehand10k', flags=_COCO_FLAGS),
  'panoptic2d': _dataset('coco_public', 'Panoptic2d', flags=_COCO_FLAGS),
  'procedural_hands': _dataset(
    'procedural_hands',
    'ProceduralHands',
    has_source=False,
    flags=('image_size', 'examples', 'seed', 'backgrounds'),
  ),
  'rhd': _dataset('rhd', 'Rhd', flags=('hands',)),
  'stb': _dataset('stb', 'Stb', flags=('cameras', 'partial')),
}
