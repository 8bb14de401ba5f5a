"""Writes shards by an Apache Beam pipeline: on this machine, Dataflow, Flink, Spark.

Needs the extra `beam`. The same function writes a shard as without Beam
(`data_prep.shards.write`), one shard per element, so the files are the same.
Other machines must have bmc_jax installed and must see the source and the output under
the same paths, as on a shared disk.
"""

from collections.abc import Sequence
from pathlib import Path

from bmc_jax.console.installation import how_to_add

from . import shards as shards_lib


def write_all(
  shards: Sequence[shards_lib.Shard], max_bad: int, flags: Sequence[str]
) -> list[shards_lib.Report]:
  """Writes the shards; those that are finished already are left alone.

  Args:
    shards: of all splits.
    max_bad: so many examples may be wrong in all shards together.
    flags: of Beam, such as `--runner=FlinkRunner`; none runs it on this machine.

  Returns:
    The report of each shard.

  Raises:
    ValueError: what is wrong with an example too many, or Beam is not installed.
  """
  try:
    import apache_beam as beam  # pyright: ignore[reportMissingImports]
    from apache_beam.options import (  # pyright: ignore[reportMissingImports]
      pipeline_options,
    )
  except ImportError as error:
    raise ValueError(
      f'Apache Beam is not installed ({error}): {how_to_add("beam")}.'
    ) from error
  with beam.Pipeline(options=pipeline_options.PipelineOptions(list(flags))) as pipeline:
    elements = pipeline | 'Shards' >> beam.Create(shards)
    # Without a reshuffle one worker would get them all.
    spread = elements | 'Spread' >> beam.Reshuffle()
    _ = spread | 'Write' >> beam.Map(_write, max_bad)
  reports = [_read_report(shard) for shard in shards]
  shards_lib.check_skipped(reports, max_bad)
  return reports


def _error_path(shard: shards_lib.Shard) -> Path:
  return shard.path.with_name(shard.path.name + '.error')


def _write(shard: shards_lib.Shard, max_bad: int) -> None:
  """Writes a shard, or a file that says what is wrong with it."""
  _error_path(shard).unlink(missing_ok=True)
  try:
    shards_lib.write(shard, max_bad, lambda: None)
  except (ValueError, OSError) as error:
    _error_path(shard).write_text(str(error))


def _read_report(shard: shards_lib.Shard) -> shards_lib.Report:
  if _error_path(shard).exists():
    raise ValueError(_error_path(shard).read_text())
  return shards_lib.Report.read(shard.report_path)
