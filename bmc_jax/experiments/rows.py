"""An experiment: the rows of a table, trained and tested one after the other.

A row is the base config with some values changed. Rows that are finished are not run
again, a row that was interrupted goes on from its checkpoint, and a workdir refuses a
config other than the one that it was begun with.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax import report
from bmc_jax.console.files import read_json, slug_of, write_arrays, write_json
from bmc_jax.console.outputs import replacing
from bmc_jax.data import augment, sources
from bmc_jax.experiments import dry_rows
from bmc_jax.experiments.inputs import (
  check_inputs,
  fingerprint,
  limits_of_rows,
  with_eval_path,
)
from bmc_jax.experiments.row_configs import row_configs
from bmc_jax.experiments.workdir import (
  claim_rows,
  format_results,
  locked,
  record_config,
  write_results,
)
from bmc_jax.models import create_model
from bmc_jax.training import hosts, weights
from bmc_jax.training.config import Config
from bmc_jax.training.loop import (
  is_trained,
  model_options,
  source_spec,
  train,
  variables_of,
)
from bmc_jax.training.validation import chance, evaluate

NUM_SAMPLES = 16


def run_experiment(
  config: Config, workdir: str | Path, *, write_page: bool = True
) -> dict[str, dict[str, float]]:
  """Runs every row, writes `results.json` and the report, prints the table.

  Args:
    config: of `configs/`; `rows` holds {row: {group, overrides}} and `run_rows` their
      order.
    workdir: everything is written below it. Several processes may run different rows
      in it at the same time.
    write_page: whether to write the report.

  Returns:
    {row: {metric: value}} of all rows that are finished, in the config's order; those
    that were run before count, too. Nothing on other hosts than the first, and in a
    dry run.

  Raises:
    ValueError: a config value is wrong, the workdir belongs to another config, or
      another process is running one of the rows.
    FileNotFoundError: data or weights are missing.
  """
  if config.dry_run:
    rows = row_configs(config)
    dry_rows.run({name: rows[name] for name in config.run_rows})
    return {}
  workdir = Path(workdir)
  if hosts.is_first():
    print(f'Running on {hosts.describe_devices()}.')
  tested = with_eval_path(config, workdir)
  records = run_rows(config, workdir, tested=tested, write_page=write_page)
  if not hosts.is_first():
    return {}
  results = {name: record['metrics'] for name, record in records.items()}
  if config.eval_path:  # the table of this call, whichever test set it was for
    write_json(workdir / 'results.json', results)
  print(format_results(records, {name: config.rows[name].group for name in records}))
  if write_page:
    print(f'Report: {(_results_dir(tested, workdir) / "report.html").resolve()}')
  return results


def run_rows(
  config: Config,
  workdir: Path,
  *,
  tested: Config | None = None,
  write_page: bool = True,
) -> dict[str, dict[str, Any]]:
  """Runs the rows that are not finished.

  Args:
    config: of the experiment.
    workdir: of the experiment.
    tested: the same with another test set (`with_eval_path`).
    write_page: write the report anew after each row.

  Returns:
    {row: record} of all that are finished, in order, also those that were run before;
    a record is what `metrics.json` holds. Only the first host has records.
  """
  recorded, config = config, tested or config
  rows = row_configs(config)
  out = _results_dir(config, workdir)
  trained_in, tested_in = (
    {name: folder / 'rows' / slug_of(name) for name in rows}
    for folder in (workdir, out)
  )
  with locked(workdir):
    if hosts.is_first():
      record_config(workdir, recorded)
    hosts.wait('the config is recorded')
  with claim_rows(workdir, (slug_of(name) for name in config.run_rows)):
    done = {name: bool(_finished(rows[name], tested_in[name])) for name in rows}
    done = hosts.from_first(done)
    todo = [name for name in config.run_rows if not done[name]]
    begun = {name: is_trained(rows[name], trained_in[name]) for name in rows}
    trained = {name for name, value in hosts.from_first(begun).items() if value}
    judged = check_inputs({name: rows[name] for name in todo}, trained)
    with locked(workdir):
      limits = limits_of_rows(rows, workdir, todo, judged)
    records: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(config.run_rows, 1):
      last = number == len(config.run_rows)
      if name in todo:
        label = f'[{number}/{len(config.run_rows)}] {name}'
        row_limits = limits.get(name)
        _run_row(rows[name], trained_in[name], tested_in[name], row_limits, label)
      elif not last:
        continue  # the tables need not be written yet
      if hosts.is_first():
        with locked(out):
          _copy_if_new(workdir / 'limits.json', out)
          records = _write_records(out, config, rows, tested_in)
          if write_page:
            report.write_report(out)
  return records


def finished_rows(config: Config, workdir: Path) -> dict[str, dict[str, Any]]:
  """What is finished in a workdir: {row: record}, in the config's order.

  Args:
    config: of the experiment.
    workdir: of the experiment; it need not exist.
  """
  rows = row_configs(config)
  tested_in = {name: workdir / 'rows' / slug_of(name) for name in rows}
  return _records(rows, tested_in)


def _records(rows, tested_in) -> dict[str, dict[str, Any]]:
  found = {name: _finished(row, tested_in[name]) for name, row in rows.items()}
  return {name: record for name, record in found.items() if record}


def _write_records(out, config, rows, tested_in) -> dict[str, dict[str, Any]]:
  """Writes the results of all rows that are finished; their records, in order."""
  records = _records(rows, tested_in)
  shown = [name for name in rows if name in records or name in config.run_rows]
  write_results(out, config, shown, records)
  return records


def _results_dir(config, workdir) -> Path:
  """Where results go: those of `eval_path` stand beside those of the own test set."""
  if not config.eval_path:
    return workdir
  name = slug_of(Path(config.eval_path).name)
  return workdir / 'eval' / f'{name}_{fingerprint(Path(config.data.test.path))}'


def _copy_if_new(path, folder) -> None:
  """Copies a file that the report shows to where the results are."""
  if path.exists() and path.parent != folder:
    with replacing(folder / path.name) as partial:
      shutil.copy(path, partial)


def _own_values(config) -> dict[str, Any]:
  """The values that a row runs with, without the other rows."""
  values = json.loads(config.to_json())
  return {key: values[key] for key in values if key not in ('rows', 'run_rows')}


def _finished(config, row_dir) -> dict[str, Any] | None:
  """The record of a row that has been trained, and tested on this very test set."""
  path = row_dir / 'metrics.json'
  whole = path.exists() and (row_dir / 'predictions.npz').exists()
  record = read_json(path) if whole else {}
  return record if record and record.get('test') == _test_set(config) else None


def _test_set(config) -> dict[str, Any]:
  """What a row is tested on: the specification, and what its files were then."""
  spec = source_spec(config, 'test')
  files = fingerprint(Path(spec.get('path', '')).expanduser())
  return json.loads(json.dumps({'spec': spec, 'files': files}))


def _run_row(config, row_dir, out, limits, label) -> None:
  """Trains a row in `row_dir` and tests it in `out`."""
  if hosts.is_first():
    write_json(row_dir / 'config.json', _own_values(config))
  test = sources.open_source(source_spec(config, 'test'))
  state = train(config, row_dir, limits, label=label)
  model = create_model(model_options(config))
  metrics, predictions = evaluate(config, model, variables_of(state), test, limits)
  if hosts.is_first():
    if config.save_weights:
      weights.save_weights(config.save_weights, variables_of(state))
    _copy_if_new(row_dir / 'metrics.csv', out)
    _write_row(config, out, test, metrics, predictions)
  hosts.wait('the row is written')


def _write_row(config, out, test, metrics, predictions) -> None:
  """Writes what a row is shown by, `metrics.json` last: with it the row is finished."""
  write_arrays(out / 'predictions.npz', predictions)
  if config.model.name == 'pose_network':
    _save_samples(out / 'samples.npz', test, config.image_size)
  record = {
    'metrics': metrics,
    'chance': chance(predictions, reference=tuple(config.reference)),
    'num_test': len(test),
    'num_test_3d': int(np.sum(predictions['has_joints_3d'] > 0)),
    'test': _test_set(config),
  }
  write_json(out / 'metrics.json', record)


def _save_samples(path, source, image_size) -> None:
  batch = source.batch(range(min(NUM_SAMPLES, len(source))))
  fields = ('image', 'keypoints_2d', 'intrinsics')
  crop = augment.center_crop_batch({k: batch[k] for k in fields}, image_size)
  image = np.asarray(crop['image'] * 255 + 0.5).astype(np.uint8)
  write_arrays(path, {'image': image, 'intrinsics': np.asarray(crop['intrinsics'])})
