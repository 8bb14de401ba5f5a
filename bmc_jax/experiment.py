"""An experiment: the rows of a table, trained and tested one after the other.

A row is the base config with some values changed. Rows that are finished are not run
again, a row that was interrupted goes on from its checkpoint, and a workdir refuses a
config other than the one that it was begun with.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from bmc_jax import evaluate, report, weights
from bmc_jax.config import Config
from bmc_jax.data import augment, sources
from bmc_jax.limits import HandLimits, fit_limits, load_limits, save_limits
from bmc_jax.models import create_model
from bmc_jax.objective import uses_limits
from bmc_jax.results import claim, format_table, slug, write_json, write_results
from bmc_jax.train import check_config, model_options, source_spec, train, variables_of

NUM_SAMPLES = 16


def run_experiment(config: Config, workdir: str | Path) -> dict[str, dict[str, float]]:
  """Runs every row, writes `results.json` and the report, prints the table.

  Args:
    config: of `configs/`; `rows` holds {row: {group, overrides}} and `run_rows` their
      order.
    workdir: everything is written below it.

  Returns:
    {row: {metric: value}}.

  Raises:
    ValueError: a config value is wrong, or the workdir belongs to another config.
    FileNotFoundError: data or weights are missing.
  """
  workdir = Path(workdir)
  configs = row_configs(with_eval_path(config, workdir))
  limits_paths = _limits_paths(configs, workdir)
  claim(workdir, config)
  records: dict[str, dict[str, Any]] = {}
  for number, (name, row) in enumerate(configs.items(), 1):
    row_dir = workdir / 'rows' / slug(name)
    if not _is_finished(row, row_dir):
      limits = open_limits(row, limits_paths[name]) if uses_limits(row) else None
      _run_row(row, row_dir, limits, f'[{number}/{len(configs)}] {name}')
    records[name] = json.loads((row_dir / 'metrics.json').read_text())
    write_results(workdir, config, list(configs), records)
    report.write_report(workdir)
  results = {name: record['metrics'] for name, record in records.items()}
  groups = {name: config.rows[name].group for name in configs}
  chance = {groups[name]: record['chance'] for name, record in records.items()}
  print(format_table(results, chance, groups))
  print(f'Report: {(workdir / "report.html").resolve()}')
  return results


def row_configs(
  config: Config,
) -> dict[str, Config]:
  """The config of every row to run, in order, checked as far as it can be beforehand.

  Raises:
    ValueError: there is no row, two would share a folder, or a value is wrong.
  """
  if not config.run_rows:
    raise ValueError(
      'The config has no rows to run: configs.base.add_row adds one, and run_rows says '
      'which ones to run.'
    )
  configs = {name: row_config(config, name) for name in config.run_rows}
  folders: dict[str, str] = {}
  for name, row in configs.items():
    if slug(name) in folders:
      raise ValueError(
        f'The rows {folders[slug(name)]!r} and {name!r} would share the folder '
        f'{slug(name)!r}: rename one.'
      )
    folders[slug(name)] = name
    try:
      check_config(row)
    except ValueError as error:
      raise ValueError(f'Row {name!r}: {error}') from None
  return configs


def row_config(config: Config, name: str) -> Config:
  """The config of one row: the base with the row's overrides.

  Raises:
    ValueError: there is no such row, or it overrides a key that does not exist.
  """
  if name not in config.rows:
    raise ValueError(f'There is no row {name!r}; the rows are {sorted(config.rows)}.')
  merged = ml_collections.ConfigDict(config.to_dict()).lock()
  try:
    merged.update(config.rows[name].overrides.to_dict())
  except (KeyError, TypeError, AttributeError, ValueError) as error:
    raise ValueError(
      f'The overrides of the row {name!r} do not fit the config: {error.args[0]}'
    ) from None
  return merged


def with_eval_path(config: Config, workdir: Path) -> Config:
  """The config with its test set replaced by `eval_path`, if that is set.

  A folder of original files is first prepared by the builder in `eval_prepare`; all of
  it is the test set then.
  """
  if not config.eval_path:
    return config
  config = config.copy_and_resolve_references()
  path = Path(config.eval_path).expanduser()
  test = config.data.test
  if config.eval_prepare and path.is_dir() and not any(path.rglob('dataset_info.json')):
    # The one place that asks data_prep: all else in bmc_jax reads prepared data.
    from data_prep.build import build

    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    path = build(config.eval_prepare, workdir / 'eval_data' / digest, source=path)
    test.split = 'all'
  test.path = str(path)
  if 'subjects' in test:
    with test.unlocked():
      del test['subjects']
  return config


def open_limits(config: Config, path: Path) -> HandLimits:
  """The limits of the constraints: a file, or fitted on a source's 3D labels.

  The paper computes them from the training set of the weakly labelled data. They are
  kept in `path` and read from there when the experiment goes on.
  """
  if not path.exists():
    limits = load_limits(config.limits.path) if config.limits.path else _fit(config)
    partial = path.with_suffix('.partial')
    partial.parent.mkdir(parents=True, exist_ok=True)
    save_limits(partial, limits)
    partial.replace(path)
  # Read back even when just fitted: the same digits whether or not the run was stopped.
  limits = load_limits(path)
  metadata = limits.metadata
  if metadata.unit != 'reference bone' or metadata.reference != tuple(config.reference):
    raise ValueError(
      f'The limits are in the unit {metadata.unit!r} with the reference bone '
      f'{metadata.reference}, but the network predicts hands in reference bones '
      f'{tuple(config.reference)}: fit them anew.'
    )
  return limits


def _fit(config) -> HandLimits:
  spec = config.limits.source.to_dict()
  if not spec:
    raise ValueError(
      'The constraints need limits: set limits.path to a file, or limits.source to a '
      'source with 3D labels.'
    )
  if spec.get('kind') == 'tfds':
    spec['with_image'] = False
  source = sources.open_source(spec)
  return fit_limits(
    source.batch(range(len(source)))['joints_3d'],
    num_vertices=config.limits.num_vertices,
    coverage=config.limits.coverage,
    reference=tuple(config.reference),
    source=f'{spec["path"]} {spec.get("split", "")}'.strip(),
  )


def _limits_paths(configs, workdir: Path) -> dict[str, Path]:
  """The limits file of each row with constraints; equal limits share one."""
  files: dict[Any, Path] = {}
  paths = {}
  for name, row in configs.items():
    if uses_limits(row):
      key = (row.limits.to_json(sort_keys=True), tuple(row.reference))
      default = f'limits_{slug(name)}.json' if files else 'limits.json'
      paths[name] = files.setdefault(key, workdir / default)
  return paths


def _is_finished(config, row_dir) -> bool:
  """Whether a row has been trained, and tested on this very test set."""
  path = row_dir / 'metrics.json'
  test = source_spec(config, 'test')
  return path.exists() and json.loads(path.read_text())['test'] == _as_json(test)


def _as_json(value) -> Any:
  return json.loads(json.dumps(value))


def _run_row(config, row_dir, limits, label) -> None:
  """Trains and tests one row; its `metrics.json` is written last."""
  test = sources.open_source(source_spec(config, 'test'))
  state = train(config, row_dir, limits, label=label)
  model = create_model(model_options(config))
  metrics, predictions = evaluate.evaluate(config, model, variables_of(state), test)
  np.savez_compressed(row_dir / 'predictions.npz', **predictions)
  if config.model.name == 'pose_network':
    _save_samples(row_dir / 'samples.npz', test, config.image_size)
  if config.save_weights:
    weights.save_weights(config.save_weights, variables_of(state))
  record = {
    'metrics': metrics,
    'chance': evaluate.chance(predictions, reference=tuple(config.reference)),
    'num_test': len(test),
    'test': _as_json(source_spec(config, 'test')),
  }
  write_json(row_dir / 'metrics.json', record)


def _save_samples(path, source, image_size) -> None:
  batch = source.batch(range(min(NUM_SAMPLES, len(source))))
  fields = ('image', 'keypoints_2d', 'intrinsics')
  crop = augment.center_crop_batch({k: batch[k] for k in fields}, image_size)['image']
  np.savez_compressed(path, image=np.asarray(crop * 255 + 0.5).astype(np.uint8))
