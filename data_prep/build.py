r"""Prepares a dataset: reads its original files and writes ArrayRecord through TFDS.

    bmc-jax build freihand --source FreiHAND_pub_v2 --out ~/data
    bmc-jax build rhd --source RHD_v1-1.zip --out ~/data --workers 8
    bmc-jax build procedural_hands --out ~/data --image-size 80 \
        --examples studio_train=4000,studio_test=500
    bmc-jax build --module my_hands:MyHands --source DIR --out ~/data
    bmc-jax build rehearsal --out rehearsal --scale 0.01

The last one draws hands in the original layouts, for the others to read. The result
lies in OUT/<dataset>/<version>, with a contact sheet of some examples and a
card beside the data. What is already there is not built again. The folder gets its name
at the very end, so a build that was interrupted never looks complete; the next one goes
on with the files that it had finished. docs/data.md lists the datasets and the checks,
and says how a module of yours builds another one.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bmc_jax.console import compile_cache, interrupts, outputs
from bmc_jax.console.errors import USER_ERRORS
from bmc_jax.console.parsing import command_parser
from bmc_jax.data import prepared, sources

from . import archives, cards, checks, contact_sheet, folders, plugins
from .registry import DATASETS, FLAGS, Dataset, parse_names

EXIT_BAD_INPUT = 2
CONTACT_SHEET = 'contact_sheet.png'
CARD = 'README.md'
# Of every dataset with original files.
READING_FLAGS = ('crop_size', 'splits', 'max_bad', 'workers', 'beam')


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
    name: a key of `registry.DATASETS`, or MODULE:CLASS of a builder elsewhere.
    out: the folder that holds prepared datasets.
    source: the folder, or a .zip or .tar archive, of the dataset's original files.
    num_shards: files per split; None leaves it to the builder (TFDS's choice, one for
      at least 64 MB, unless it has its own, as `procedural_hands`).
    **options: for the builder's constructor: the dataset's `flags`, and for one with
      original files `READING_FLAGS` (`base.LayoutBuilder`).

  Returns:
    The prepared folder, OUT/<name>/<version>.

  Raises:
    FileNotFoundError: the original files are not there.
    ValueError: they are not of the expected form, or an option is wrong.
  """
  if num_shards is not None and num_shards < 1:
    raise ValueError(f'There are to be {num_shards} files per split; one is the least.')
  dataset = _find(name)
  if dataset.has_source:
    if source is None:
      raise ValueError(
        f'{name} is built from its original files; name their folder with --source '
        f'(`python -c "help(\'{dataset.module}\')"` says where to get them).'
      )
    options['source'] = source = Path(source).expanduser().resolve()
    if not (source.is_file() or source.is_dir() and any(source.iterdir())):
      raise FileNotFoundError(f'The source folder {source} does not exist or is empty.')
  elif source is not None:
    raise ValueError(f'{name} is made from nothing; leave --source out.')
  out = Path(out).expanduser().resolve()
  make = dataset.load()
  place = out / make.name
  if any(folder.is_file() for folder in (place, *place.parents)):
    wrong = place if place.is_file() else out
    raise ValueError(f'{wrong} cannot be a folder, since it is, or lies in, a file.')
  for info in sorted((out / make.name).glob('[0-9]*/dataset_info.json')):
    prepared.read_builder(info.parent)  # which the builder reads again, if it can
  builder = make(data_dir=str(out), file_format='array_record', **options)
  path = Path(builder.data_path)
  with folders.exclusive(path.parent, path.name):
    if path.exists():
      _refuse_others(path)
      prepared.check_complete(path)
      ignored = _not_applied(builder.info, num_shards, options.get('max_bad'))
      print(f'{path} is already complete{ignored}; delete it to build it anew.')
    else:
      _prepare(builder, source, num_shards)
    _write_extras(path)
  return path


def _find(name: str) -> Dataset:
  return DATASETS[name] if name in DATASETS else plugins.find(name)


def _refuse_others(path: Path) -> None:
  """Raises a ValueError for a folder that is not of a prepared dataset."""
  if not any((path / name).exists() for name in ('dataset_info.json', 'features.json')):
    raise ValueError(
      f'{path} is there, but holds no prepared dataset: choose another --out, or move '
      'the folder away.'
    )


def _not_applied(info, num_shards: int | None, max_bad: int | None) -> str:
  """Names the options that differ from those that a folder was made with."""
  differing = []
  if any(num_shards not in (None, split.num_shards) for split in info.splits.values()):
    differing.append('--num-shards')
  if max_bad not in (None, info.metadata.get('max_bad')):
    differing.append('--max-bad')
  if not differing:
    return ''
  return f', made with another {" and ".join(differing)} that stays as it is'


def _prepare(builder, source: Path | None, num_shards: int | None) -> None:
  """Lets TFDS build the dataset."""
  import tensorflow_datasets as tfds

  with contextlib.ExitStack() as stack:
    downloads = stack.enter_context(tempfile.TemporaryDirectory())
    if source and source.is_file():
      folder = folders.source_folder(Path(builder.data_path).parent)
      print(f'{source} is unpacked into {folder} while it is read.')
      source = stack.enter_context(archives.unpacked(source, folder))
    config = tfds.download.DownloadConfig(
      manual_dir=str(source) if source else None,
      num_shards=num_shards,
      try_download_gcs=False,
    )
    try:
      builder.download_and_prepare(download_dir=downloads, download_config=config)
    except AssertionError as error:  # TFDS's, of more files than examples
      raise ValueError(f'{error}; ask for fewer files per split.') from error


def _write_extras(path: Path) -> None:
  """Writes the contact sheet and the card of a prepared folder, where missing."""
  builder = prepared.read_builder(path)
  names = sorted(builder.info.splits)
  splits = {name: sources.TfdsSource(str(path), name) for name in names}
  _write_once(path / CONTACT_SHEET, lambda file: contact_sheet.write(file, splits))
  _write_once(path / CARD, lambda file: cards.write(file, builder))


def _write_once(path: Path, write: Callable[[Path], None]) -> None:
  """Writes a file that is not there, so that it is never found incomplete."""
  if not path.exists():
    # A build that was killed here could not tidy up.
    for left in path.parent.glob(f'{outputs.PARTIAL}*'):
      left.unlink()
    with outputs.replacing(path) as unfinished:
      write(unfinished)


def print_summary(path: Path, seconds: float) -> None:
  """Prints the examples per split, what the checks measured, the size and the time."""
  info = prepared.read_builder(path).info
  for name, split in sorted(info.splits.items()):
    print(f'{name:>16} {split.num_examples:8d} examples')
  for name, values in (info.metadata or {}).get('checks', {}).items():
    least, median, largest = (values[k] for k in ('least', 'median', 'largest'))
    print(f'{checks.MEASURES[name]}: median {median:.4g}, {least:.4g} to {largest:.4g}')
  size = sum(file.stat().st_size for file in path.rglob('*') if file.is_file())
  print(f'{path}: {size / 1e6:.1f} MB, {seconds:.1f} s')
  print(f'look at {path / CONTACT_SHEET}; the card is {path / CARD}')


def _parser() -> argparse.ArgumentParser:
  parser = command_parser(
    'build',
    __doc__,
    allow_abbrev=False,  # an abbreviation might be a flag of Beam
  )
  parser.add_argument(
    'dataset', nargs='?', choices=sorted(DATASETS), help='one of the library, or:'
  )
  parser.add_argument(
    '--module', metavar='MODULE:CLASS', help='the builder of one of yours'
  )
  parser.add_argument('--source', help='folder, .zip or .tar of the original files')
  parser.add_argument('--out', required=True, help='folder of prepared datasets')
  parser.add_argument('--num-shards', type=int, help='files per split')
  read = parser.add_argument_group('datasets read from original files')
  read.add_argument(
    '--crop-size', type=int, help='side in pixels of crops around the hand; else whole'
  )
  read.add_argument('--splits', type=parse_names, help='those to build: a,b; else all')
  read.add_argument(
    '--max-bad', type=int, help='so many wrong examples are left out; 0 if not given'
  )
  read.add_argument('--workers', type=int, help='number of processes; 1 if not given')
  read.add_argument(
    '--beam',
    action='store_const',
    const=(),
    help='write by a Beam pipeline, which gets all flags that are not known here',
  )
  own = parser.add_argument_group('flags of single datasets')
  for name, arguments in FLAGS.items():
    users = [key for key, dataset in DATASETS.items() if name in dataset.flags]
    help_text = f'{arguments["help"]} ({", ".join(users)})'
    own.add_argument(_flag(name), **{**arguments, 'help': help_text})
  return parser


def _flag(name: str) -> str:
  return '--' + name.replace('_', '-')


@interrupts.told('the same command, run again, goes on.')
def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command line; returns the exit code, 2 for bad input."""
  argv = sys.argv[1:] if argv is None else argv
  if list(argv[:1]) == ['rehearsal']:
    from .rehearsal import command

    return command.main(argv[1:])
  parser = _parser()
  known_args, unknown = parser.parse_known_args(argv)
  args = vars(known_args)
  if args['beam'] is not None:
    args['beam'] = unknown
  elif unknown:
    parser.error(f'unrecognized arguments: {" ".join(unknown)}')
  name, module = args.pop('dataset'), args.pop('module')
  if (name is None) == (module is None):
    parser.error('name a dataset, or --module MODULE:CLASS for one of yours.')
  try:
    dataset = _find(name or module)
  except ValueError as error:
    print(f'error: {error}', file=sys.stderr)
    return EXIT_BAD_INPUT
  fixed = {key: args.pop(key) for key in ('out', 'source', 'num_shards')}
  options = {key: value for key, value in args.items() if value is not None}
  known = dataset.flags + (READING_FLAGS if dataset.has_source else ())
  for key in options:
    if key not in known:
      parser.error(f'{name or module} has no flag {_flag(key)}.')
  compile_cache.enable()
  start = time.perf_counter()
  try:
    with interrupts.polite('what is under way is tidied up'):
      path = build(name or module, **fixed, **options)
  except USER_ERRORS as error:
    print(f'error: {error}', file=sys.stderr)
    return EXIT_BAD_INPUT
  print_summary(path, time.perf_counter() - start)
  return 0


if __name__ == '__main__':
  sys.exit(main())
