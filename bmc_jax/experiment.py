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
from bmc_jax.data import sources
from bmc_jax.limits import HandLimits, fit_limits, load_limits, save_limits
from bmc_jax.models import create_model
from bmc_jax.train import model_options, source_spec, train, variables_of

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
  configs = {name: row_config(config, name) for name in config.run_rows}
  _claim(workdir, config)
  limits = {}
  results: dict[str, dict[str, float]] = {}
  chance: dict[str, dict[str, float]] = {}
  num_test = 0
  for number, (name, row) in enumerate(configs.items(), 1):
    row_dir = workdir / 'rows' / slug(name)
    group = config.rows[name].group
    needs_limits = any(row.bmc.weights.values()) or row.bmc.mirror > 0
    row_limits = None
    if needs_limits:
      key = json.dumps(row.limits.to_dict(), sort_keys=True)
      if key not in limits:
        limits[key] = open_limits(row, workdir / 'limits.json')
      row_limits = limits[key]
    label = f'[{number}/{len(configs)}] {name}'
    finished = row_dir / 'metrics.json'
    if not finished.exists():
      _run_row(row, row_dir, row_limits, label)
    record = json.loads(finished.read_text())
    results[name] = record['metrics']
    chance[group] = record['chance']
    num_test = record['num_test']
    _write_json(workdir / 'results.json', results)
    _write_json(
      workdir / 'experiment.json',
      {
        'title': config.title,
        'description': config.description,
        'command': shlex.join(['python', '-m', 'bmc_jax.main', *sys.argv[1:]]),
        'rows': list(configs),
        'groups': {row: config.rows[row].group for row in configs},
        'chance': chance,
        'test_set': _describe(config),
        'num_test': num_test,
        'device': f'{jax.device_count()} x {jax.devices()[0].device_kind}',
        'seed': config.seed,
      },
    )
    page = report.write_report(workdir)
  print(format_table(results, chance, {r: config.rows[r].group for r in configs}))
  print(f'Report: {page.resolve()}')
  return results


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
  except (KeyError, TypeError) as error:
    raise ValueError(f'The row {name!r} does not fit the config: {error}') from None
  if merged.eval_path:
    merged.data.test.path = merged.eval_path
    with merged.data.test.unlocked():
      merged.data.test.pop('subjects', None)
  return merged


def open_limits(config: ml_collections.ConfigDict, path: Path) -> HandLimits:
  """The limits of the constraints: a file, or fitted on a source's 3D labels.

  The paper computes them from the training set of the weakly labelled data. They are
  kept in `path` and read from there when the experiment goes on.
  """
  if config.limits.path:
    limits = load_limits(config.limits.path)
  elif path.exists():
    return load_limits(path)
  else:
    spec = config.limits.source.to_dict()
    if spec.get('kind') == 'tfds':
      spec['with_image'] = False
    source = sources.open_source(spec)
    joints = source.batch(range(len(source)))['joints_3d']
    limits = fit_limits(
      joints,
      num_vertices=config.limits.num_vertices,
      coverage=config.limits.coverage,
      reference=tuple(config.reference),
      source=f'{spec["path"]} {spec.get("split", "")}'.strip(),
    )
  save_limits(path, limits)
  return limits


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
    'chance': evaluate.chance(predictions),
    'num_test': len(test),
  }
  _write_json(row_dir / 'metrics.json', record)


def _save_samples(path, source, image_size) -> None:
  from bmc_jax.data.augment import center_crop_batch

  batch = source.batch(range(min(NUM_SAMPLES, len(source))))
  fields = ('image', 'keypoints_2d', 'intrinsics')
  crop = center_crop_batch({k: batch[k] for k in fields}, image_size)['image']
  np.savez_compressed(path, image=np.asarray(crop * 255 + 0.5).astype(np.uint8))


def _claim(workdir: Path, config) -> None:
  """Records the config in the workdir, or checks that it is the one recorded."""
  wanted = json.loads(config.to_json())
  path = workdir / 'config.json'
  if path.exists():
    recorded = json.loads(path.read_text())
    changed = sorted(
      key
      for key in _flatten(recorded).keys() | _flatten(wanted).keys()
      if _flatten(recorded).get(key) != _flatten(wanted).get(key)
    )
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
