"""The card of a prepared dataset: what it is, whose it is, what was checked."""

from collections.abc import Iterator
from pathlib import Path

from . import checks


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
  yield 'Prepared by `bmc-jax build`, to be read by `bmc_jax`.\n'
  yield '| split | examples | files |\n| --- | ---: | ---: |'
  for name, split in sorted(info.splits.items()):
    yield f'| {name} | {split.num_examples} | {split.num_shards} |'
  yield f'\nLicence: {info.redistribution_info.license}'
  for url in info.as_proto.location.urls:  # info.homepage is never empty
    yield f'\nHomepage: {url}'
  if 'crops' in metadata:
    yield f'\n{metadata["crops"]}'
  told = ('checks', 'crops', 'skipped')
  settings = {k: v for k, v in metadata.items() if k not in told}
  yield f'\nSettings: `{settings}`'
  if 'checks' in metadata:
    examples = sum(split.num_examples for split in info.splits.values())
    yield from _check_lines(metadata, examples)
  yield f'\n## Source\n\n{info.description}'
  if info.citation:
    yield f'\n## Citation\n\n```bibtex\n{info.citation}\n```'


def _check_lines(metadata, examples: int) -> Iterator[str]:
  measured, skipped = metadata['checks'], metadata['skipped']
  yield '\n## Checks passed\n\n| check | examples |\n| --- | ---: |'
  for check, count in _checks_run(measured, examples):
    yield f'| {check} | {count} |'
  if measured:
    yield '\n| measured | examples | least | median | largest |'
    yield '| --- | ---: | ---: | ---: | ---: |'
    for name, values in measured.items():
      numbers = (values[k] for k in ('examples', 'least', 'median', 'largest'))
      yield f'| {checks.MEASURES[name]} | {" | ".join(map(str, numbers))} |'
  yield f'\nExamples left out: {len(skipped)}'
  for message in skipped:
    yield f'- {message}'


def _checks_run(measured, examples: int) -> Iterator[tuple[str, int]]:
  """The checks that decided something, and of how many examples."""
  counts = {name: values['examples'] for name, values in measured.items()}
  yield (
    'the image is whole, the labels have the form of `bmc_jax.data.example`',
    examples,
  )
  if count := counts.get('inside_percent'):
    yield (
      f'half of the hands have {checks.MIN_INSIDE:g} % of their labelled keypoints in '
      'the image',
      count,
    )
  if count := counts.get('reprojection_px'):
    yield 'labelled 3D joints lie in front of the camera', count
    yield (
      f'labelled 3D joints project on the keypoints within {checks.MAX_REPROJECTION:g} '
      'px',
      count,
    )
  if count := counts.get('bone_mm'):
    yield 'the middle MCP->PIP bone is as long as a hand has it in metres', count
  for side in ('right', 'left'):
    if (count := counts.get(f'palm_{side}', 0)) >= checks.MIN_HANDS:
      yield f'the fingers of most {side} hands bend to the palm', count
