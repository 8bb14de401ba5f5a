r"""Prepares a dataset: reads its original files and writes ArrayRecord through TFDS.

    python -m data_prep.build hand_graph_cnn_real --source DIR --out ~/data
    python -m data_prep.build procedural_hands --out ~/data --image-size 80 \
        --examples studio_train=4000,studio_test=500

The result lies in OUT/<dataset>/<version>, with a contact sheet of its first examples
beside the data. What is already there is not built again. The data are written to a
folder `incomplete...` that gets its name at the very end, so a build that was
interrupted never looks complete.
"""

import argparse
import dataclasses
import importlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bmc_jax.data import prepared, sources
from data_prep import contact_sheet

EXIT_BAD_INPUT = 2


@dataclasses.dataclass(frozen=True)
class Dataset:
  """A dataset that can be built.

  Attributes:
    module: of its builder.
    builder: the builder's class.
    has_source: whether it is read from original files, or made from nothing.
    flags: of the command line that are passed on to the builder's constructor.
  """

  module: str
  builder: str
  has_source: bool = True
  flags: tuple[str, ...] = ()


DATASETS = {
  'hand_graph_cnn_real': Dataset('data_prep.hand_graph_cnn_real', 'HandGraphCnnReal'),
  'procedural_hands': Dataset(
    'data_prep.procedural_hands',
    'ProceduralHands',
    has_source=False,
    flags=('image_size', 'examples', 'seed'),
  ),
}


def build(
  name: str,
  out: str | Path,
  *,
  source: str | Path | None = None,
  num_shards: int | None = None,
  **options,
) -> Path:
  """Builds one dataset, unless it is already there.

  Args:
    name: a key of `DATASETS`.
    out: the folder that holds prepared datasets.
    source: the folder of the dataset's original files.
    num_shards: files per split; None leaves it to the builder (TFDS's choice, one for
      at least 64 MB, unless it has its own, as `procedural_hands`).
    **options: for the builder's constructor (the dataset's `flags`).

  Returns:
    The prepared folder, OUT/<name>/<version>.

  Raises:
    FileNotFoundError: the original files are not there.
    ValueError: they are not of the expected form, or an option is wrong.
  """
  import tensorflow_datasets as tfds

  if num_shards is not None and num_shards < 1:
    raise ValueError(f'There are to be {num_shards} files per split; one is the least.')
  dataset = DATASETS[name]
  if dataset.has_source:
    if source is None:
      raise ValueError(
        f'{name} is built from its original files; name their folder with --source '
        f'(`python -c "help(\'{dataset.module}\')"` says where to get them).'
      )
    source = Path(source).expanduser().resolve()
    if not source.is_dir() or not any(source.iterdir()):
      raise FileNotFoundError(f'The source folder {source} does not exist or is empty.')
  elif source is not None:
    raise ValueError(f'{name} is made from nothing; leave --source out.')
  make_builder = getattr(importlib.import_module(dataset.module), dataset.builder)
  out = Path(out).expanduser().resolve()
  if any(folder.is_file() for folder in (out, *out.parents)):
    raise ValueError(f'{out} cannot be a folder, since it is, or lies in, a file.')
  for info in sorted((out / name).glob('[0-9]*/dataset_info.json')):
    prepared.read_builder(info.parent)  # which the builder reads again, if it can
  builder = make_builder(data_dir=str(out), file_format='array_record', **options)
  path = Path(builder.data_path)
  for folder in sorted(path.parent.glob('incomplete.*')):
    print(f'{folder} is of a build that was interrupted (delete it) or still runs.')
  if path.exists():
    print(f'{path} is already complete; delete it to build it anew.')
  else:
    config = tfds.download.DownloadConfig(
      manual_dir=str(source) if source else None,
      num_shards=num_shards,
      try_download_gcs=False,
    )
    with tempfile.TemporaryDirectory() as downloads:
      try:
        builder.download_and_prepare(download_dir=downloads, download_config=config)
      except AssertionError as error:  # TFDS's, of more files than examples
        raise ValueError(f'{error}; ask for fewer files per split.') from error
  sheet = path / 'contact_sheet.png'
  if not sheet.exists():
    contact_sheet.write(
      sheet, {split: sources.TfdsSource(str(path), split) for split in _splits(path)}
    )
  return path


def _splits(path: Path) -> dict[str, int]:
  """The splits of a prepared folder and their numbers of examples."""
  splits = prepared.read_builder(path).info.splits
  return {name: split.num_examples for name, split in sorted(splits.items())}


def print_summary(path: Path, seconds: float) -> None:
  """Prints the examples per split, the size, the time and the contact sheet's place."""
  for name, count in _splits(path).items():
    print(f'{name:>16} {count:8d} examples')
  size = sum(file.stat().st_size for file in path.rglob('*') if file.is_file())
  print(f'{path}: {size / 1e6:.1f} MB, {seconds:.1f} s')
  print(f'contact sheet: {path / "contact_sheet.png"}')


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


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m data_prep.build',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('dataset', choices=sorted(DATASETS))
  parser.add_argument('--source', help='folder of the original files')
  parser.add_argument('--out', required=True, help='folder of prepared datasets')
  parser.add_argument('--num-shards', type=int, help='files per split')
  made = parser.add_argument_group('datasets made from nothing')
  made.add_argument('--image-size', type=int, help='side of the images in pixels')
  made.add_argument('--examples', type=parse_examples, help='split=number,...')
  made.add_argument('--seed', type=int, help='of the random numbers')
  return parser


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code, 2 for bad input."""
  parser = _parser()
  args = vars(parser.parse_args(argv))
  name = args.pop('dataset')
  fixed = {key: args.pop(key) for key in ('out', 'source', 'num_shards')}
  options = {key: value for key, value in args.items() if value is not None}
  for key in options:
    if key not in DATASETS[name].flags:
      parser.error(f'{name} has no flag --{key.replace("_", "-")}.')
  start = time.perf_counter()
  try:
    path = build(name, **fixed, **options)
  except (ValueError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return EXIT_BAD_INPUT
  print_summary(path, time.perf_counter() - start)
  return 0


if __name__ == '__main__':
  sys.exit(main())
