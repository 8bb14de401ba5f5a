"""An experiment: the rows of a table, trained and tested one after the other.

A row is the base config with some values changed. Rows that are finished are not run
again, a row that was interrupted goes on from its checkpoint, and a workdir refuses a
config other than the one that it was begun with.
"""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from bmc_jax import evaluate, report, weights
from bmc_jax.data import augment, sources
from bmc_jax.limits import HandLimits, fit_limits, load_limits, save_limits
from bmc_jax.models import create_model
from bmc_jax.objective import uses_limits
from bmc_jax.train import check_config, model_options, source_spec, train, variables_of

NUM_SAMPLES = 16


def run_experiment(
  config: ml_collections.ConfigDict, workdir: str | Path
) -> dict[str, dict[str, float]]:
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
  configs = row_configs(config)
  limits_paths = _limits_paths(configs, workdir)
  _claim(workdir, config)
  records: dict[str, dict[str, Any]] = {}
  for number, (name, row) in enumerate(configs.items(), 1):
    row_dir = workdir / 'rows' / slug(name)
    finished = row_dir / 'metrics.json'
    if not finished.exists():
      limits = open_limits(row, limits_paths[name]) if uses_limits(row) else None
      _run_row(row, row_dir, limits, f'[{number}/{len(configs)}] {name}')
    records[name] = json.loads(finished.read_text())
    _write_results(workdir, config, list(configs), records)
    report.write_report(workdir)
  results = {name: record['metrics'] for name, record in records.items()}
  groups = {name: config.rows[name].group for name in configs}
  chance = {groups[name]: record['chance'] for name, record in records.items()}
  print(format_table(results, chance, groups))
  print(f'Report: {(workdir / "report.html").resolve()}')
  return results


def row_configs(
  config: ml_collections.ConfigDict,
) -> dict[str, ml_collections.ConfigDict]:
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


def row_config(
  config: ml_collections.ConfigDict, name: str
) -> ml_collections.ConfigDict:
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
  if merged.eval_path:
    merged.data.test.path = merged.eval_path
    if 'subjects' in merged.data.test:
      with merged.data.test.unlocked():
        del merged.data.test['subjects']
  return merged


def open_limits(config: ml_collections.ConfigDict, path: Path) -> HandLimits:
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
  }
  _write_json(row_dir / 'metrics.json', record)


def _save_samples(path, source, image_size) -> None:
  batch = source.batch(range(min(NUM_SAMPLES, len(source))))
  fields = ('image', 'keypoints_2d', 'intrinsics')
  crop = augment.center_crop_batch({k: batch[k] for k in fields}, image_size)['image']
  np.savez_compressed(path, image=np.asarray(crop * 255 + 0.5).astype(np.uint8))


def _write_results(workdir: Path, config, rows, records) -> None:
  """What is known so far: `results.json` and `experiment.json`."""
  groups = {name: config.rows[name].group for name in rows}
  results = {name: record['metrics'] for name, record in records.items()}
  about = {
    'title': config.title,
    'description': config.description,
    'command': shlex.join(['python', '-m', 'bmc_jax.main', *sys.argv[1:]]),
    'rows': rows,
    'groups': groups,
    'chance': {groups[name]: record['chance'] for name, record in records.items()},
    'test_set': _describe(config),
    'num_test': max(record['num_test'] for record in records.values()),
    'device': f'{jax.device_count()} x {jax.devices()[0].device_kind}',
    'seed': config.seed,
  }
  _write_json(workdir / 'results.json', results)
  _write_json(workdir / 'experiment.json', about)


def _claim(workdir: Path, config) -> None:
  """Records the config in the workdir, or checks that it is the one recorded.

  A workdir in which nothing has been made yet, say because a path in the config was
  wrong, takes any config.
  """
  wanted = json.loads(config.to_json())
  path = workdir / 'config.json'
  begun = (workdir / 'rows').exists() or (workdir / 'limits.json').exists()
  if path.exists() and begun:
    old, new = _flatten(json.loads(path.read_text())), _flatten(wanted)
    changed = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    if changed:
      raise ValueError(
        f'{workdir} was begun with another config (different: {", ".join(changed)}): '
        'choose a new --workdir, or delete this one.'
      )
  workdir.mkdir(parents=True, exist_ok=True)
  _write_json(path, wanted)


def _flatten(tree, prefix='') -> dict[str, Any]:
  if not isinstance(tree, dict):
    return {prefix: tree}
  flat = {}
  for key, value in tree.items():
    flat |= _flatten(value, f'{prefix}.{key}' if prefix else key)
  return flat


def _describe(config) -> str:
  test = config.data.test
  path = config.eval_path or test.path
  detail = test.get('split') or ''
  subjects = test.get('subjects')
  if subjects and not config.eval_path:
    detail = f'subjects {", ".join(map(str, subjects))}'
  return f'{Path(path).name} {detail}'.strip()


def slug(name: str) -> str:
  """A row's name as a folder's name."""
  return re.sub(r'[^a-z0-9]', '_', name.lower())


COLUMNS = {
  '2D px': ('keypoints_2d_px', '.2f'),
  '2D %': ('keypoints_2d_percent', '.1f'),
  'depth mm': ('depth_mm', '.2f'),
  'EPE mm': ('epe_mm', '.2f'),
  'median': ('epe_median_mm', '.2f'),
  'PA-EPE': ('epe_pa_mm', '.2f'),
  'AUC 0-50': ('auc_0_50', '.3f'),
}


def format_table(results, chance, groups) -> str:
  """The rows as a Markdown table, a line of chance under each group."""
  lines = [['row', *COLUMNS], ['---'] * (len(COLUMNS) + 1)]
  for group in dict.fromkeys(groups.values()):
    shown = {row: results[row] for row in results if groups[row] == group}
    shown[f'chance ({group})'] = chance[group]
    for row, values in shown.items():
      cells = [
        format(values[key], spec) if key in values else ''
        for key, spec in COLUMNS.values()
      ]
      lines.append([row, *cells])
  widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
  return '\n'.join(
    '| ' + ' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + ' |'
    for line in lines
  )


def _write_json(path: Path, content) -> None:
  partial = path.with_suffix('.partial')
  partial.write_text(json.dumps(content, indent=1) + '\n')
  partial.replace(path)
