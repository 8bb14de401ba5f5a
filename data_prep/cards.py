"""The card of a prepared dataset: what it is, whose it is, what was checked."""

from collections.abc import Iterator
from pathlib import Path

from data_prep import checks


def write(path: Path, builder) -> None:
  """Writes the card as Markdown.

  Args:
    path: of the file.
    builder: the TFDS builder of the prepared folder.
  """
  path.write_text('\n'.join(_lines(builder.info)) + '\n')


def _lines(info) -> Iterator[str]:
  metadata = info.metadata or {}
  yield f'# {info.name} {info.version}\n'
  yield 'Prepared by `python -m data_prep.build`, to be read by `bmc_jax`.\n'
  yield '| split | examples | files |\n| --- | ---: | ---: |'
  for name, split in sorted(info.splits.items()):
    yield f'| {name} | {split.num_examples} | {split.num_shards} |'
  yield f'\nLicence: {info.redistribution_info.license}'
  for url in info.as_proto.location.urls:  # info.homepage is never empty
    yield f'\nHomepage: {url}'
  settings = {k: v for k, v in metadata.items() if k not in ('checks', 'skipped')}
  yield f'\nSettings: `{settings}`'
  if 'checks' in metadata:
    yield from _check_lines(metadata['checks'], metadata['skipped'])
  yield f'\n## Source\n\n{info.description}'
  if info.citation:
    yield f'\n## Citation\n\n```bibtex\n{info.citation}\n```'


def _check_lines(measured, skipped: list[str]) -> Iterator[str]:
  yield (
    '\n## Checks passed\n\nEach image is whole, labels have the form of '
    '`bmc_jax.data.example`, labelled joints lie in front of the camera, are in metres '
    f'and project on the keypoints within {checks.MAX_REPROJECTION:g} px. The fingers '
    'of most hands bend to the palm of the hand that is named.\n'
  )
  if measured:
    yield '| measured | examples | least | median | largest |'
    yield '| --- | ---: | ---: | ---: | ---: |'
    for name, values in measured.items():
      numbers = (values[k] for k in ('examples', 'least', 'median', 'largest'))
      yield f'| {checks.MEASURES[name]} | {" | ".join(map(str, numbers))} |'
  yield f'\nExamples left out: {len(skipped)}'
  for message in skipped:
    yield f'- {message}'
