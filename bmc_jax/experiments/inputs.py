"""What the rows of an experiment read, opened before the first of them is trained."""

import functools
import hashlib
import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging

from bmc_jax.console.errors import warn
from bmc_jax.console.files import slug_of
from bmc_jax.console.outputs import check_output
from bmc_jax.data import sources
from bmc_jax.limits import (
  HandLimits,
  fit_limits,
  load_limits,
  open_limits,
  save_limits,
)
from bmc_jax.models import create_model
from bmc_jax.training import hosts
from bmc_jax.training.config import Config
from bmc_jax.training.initial_values import check_weights
from bmc_jax.training.loop import model_options, open_train_batches, source_spec
from bmc_jax.training.objective import uses_limits
from bmc_jax.training.weights import WEIGHTS

# What these sources are read for needs 3D labels.
_LABELLED = ('data.full', 'limits.source')


def with_eval_path(config: Config, workdir: Path) -> Config:
  """The config with its test set replaced by `eval_path`, if that is set.

  A folder of original files is first prepared by the builder in `eval_prepare`, with
  such crops as `data.test.built` asks for; all of it is the test set then.
  """
  if not config.eval_path:
    return config
  config = config.copy_and_resolve_references()
  path = Path(config.eval_path).expanduser()
  test = config.data.test
  if config.eval_prepare and path.is_dir() and not any(path.rglob('dataset_info.json')):
    # The one place that asks data_prep: all else in bmc_jax reads prepared data.
    from bmc_jax.data_prep.build import build  # pyright: ignore

    out = workdir / 'eval_data' / fingerprint(path.resolve())
    asked = test.get('built') or {}
    crops = {key: asked[key] for key in ('crop_size',) if key in asked}
    for turn in (True, False):  # the others find it complete
      if hosts.is_first() == turn:
        path = build(config.eval_prepare, out, source=path, **crops)
      hosts.wait(f'prepared {turn}')
    test.split = 'all'
  test.path = str(path)
  if test.get('subjects'):
    logging.warning('All subjects in %s are tested, whatever data.test says.', path)
    test.subjects = None
  return config


def fingerprint(path: Path) -> str:
  """Eight hex digits that change with a path, and with the file or folder behind it.

  Of every file there name, size and time of change count, not the content.
  """
  files = (
    [path] if path.is_file() else sorted(p for p in path.rglob('*') if p.is_file())
  )
  stamps = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
  return hashlib.sha256(json.dumps([str(path), stamps]).encode()).hexdigest()[:8]


def check_inputs(rows: Mapping[str, Config], trained: Container[str]) -> set[str]:
  """Opens everything that rows read, and tries where they write weights.

  Args:
    rows: {row: config} of the rows that are not finished.
    trained: those that only have to be tested: their training data are not opened.

  Returns:
    The rows that are tested or validated on examples of which the first can not be
    measured in 3D.

  Raises:
    ValueError: a source, a weights file or a label is not what it should be.
    FileNotFoundError: a file is missing.
  """

  @functools.cache
  def opened(spec: str) -> sources.Source:
    return sources.open_source(json.loads(spec))

  def open_source(spec: Mapping[str, Any]) -> sources.Source:
    return opened(json.dumps(spec, sort_keys=True))

  @functools.cache
  def check_start(path: str, options: str, size: int) -> None:
    check_weights(create_model(json.loads(options)), size, path)

  without_3d = set()
  for name, config in rows.items():
    _check_labels(config)
    tested = ['test', 'val'] if config.data.val and name not in trained else ['test']
    for key in tested:
      if not _is_measured(open_source(source_spec(config, key))[0], config):
        without_3d.add(name)
    if config.save_weights:
      _check_save_weights(config)
    if name not in trained:
      batch = next(open_train_batches(config, open_source, num_threads=0))
      # Of a batch that is mixed the fully labelled source has half.
      if not np.any(batch['has_joints_3d']) and hosts.is_first():
        warn(
          f'row {name!r}: no example of its first batch has 3D labels, from which '
          'depth is learned: look at data.full.'
        )
      if config.init_from:
        options = json.dumps(model_options(config))
        check_start(config.init_from, options, config.image_size)
  return without_3d


def _is_measured(example: Mapping[str, Any], config) -> bool:
  """Whether root joint and reference bone have 3D labels, as evaluation needs them."""
  needed = example['visibility'][[config.root, *config.reference]]
  return bool(example['has_joints_3d'][0] > 0 and (needed > 0).all())


def _check_labels(config) -> None:
  for key in _LABELLED:
    parent, name = key.split('.')
    if config[parent][name].get('labels') == '2d':
      raise ValueError(f"{key}.labels is '2d', but its 3D labels are needed: '3d'.")


def _check_save_weights(config) -> None:
  read = [config.init_from, config.limits.path]
  read += [spec.get('path') for spec in config.data.values() if hasattr(spec, 'get')]
  try:
    check_output(config.save_weights, WEIGHTS, *read)
  except ValueError as error:
    raise ValueError(f'save_weights: {error}') from None


def limits_of_rows(
  rows: Mapping[str, Config],
  workdir: Path,
  names: Container[str],
  judged: Container[str] = (),
) -> dict[str, HandLimits]:
  """The limits of the rows with constraints, and of those that are judged by them: a
  file, or fitted on a source's 3D labels.

  The paper computes them from the training set of the weakly labelled data. They are
  kept in the workdir and read from there when the experiment goes on.

  Args:
    rows: {row: config} of all rows.
    workdir: of the experiment.
    names: the rows whose limits are needed.
    judged: rows without constraints whose limits are needed, too, if they name some.

  Returns:
    {row: limits}, without the other rows that have no constraints.

  Raises:
    ValueError: there are none, or they are in another unit than the network.
    FileNotFoundError: a file is missing.
  """
  paths = _limits_paths(rows, workdir, judged)
  paths = {name: path for name, path in paths.items() if name in names}
  made = {}
  for name, path in paths.items():
    if path not in made:
      if path.exists():
        made[path] = load_limits(path)
        _compare_with_named(made[path], path, rows[name].limits.path)
      else:
        made[path] = _make_limits(rows[name])
      _check_unit(made[path], rows[name])
  # Kept only when all could be made: from now on the workdir belongs to the config.
  for path, limits in made.items():
    if hosts.is_first() and not path.exists():
      save_limits(path, limits)
  hosts.wait('limits are kept')
  # Read back even when just fitted: the same digits whether or not the run was stopped.
  return {name: load_limits(path) for name, path in paths.items()}


def _check_unit(limits: HandLimits, config) -> None:
  limits.metadata.check_fits_canonical_right_hands()
  limits.metadata.check_reference(tuple(config.reference))


def _compare_with_named(kept: HandLimits, path: Path, named: str) -> None:
  """Warns if the limits that a config names are others than those of the workdir."""
  try:
    now = open_limits(named) if named else kept
  except FileNotFoundError:
    return
  old, new = (jax.tree.leaves(limits) for limits in (kept, now))
  same = all(
    np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-4, atol=1e-5)
    for a, b in zip(old, new, strict=True)
  )
  if not same and hosts.is_first():
    warn(
      f'{named} has changed since {path} was made of it, which goes on to count: for '
      'the new limits choose a new --workdir.'
    )


def _make_limits(config) -> HandLimits:
  if config.limits.path:
    return open_limits(config.limits.path)
  spec = config.limits.source.to_dict()
  if not spec:
    raise ValueError(
      'The constraints need limits: set limits.source to a source with 3D labels, or '
      "limits.path to a file or to 'mano', 'surface' or 'clinical'."
    )
  if spec.get('kind') in ('tfds', 'procedural_images'):
    spec['with_image'] = False
  path = spec.get('path') or (spec.get('poses') or {}).get('path') or spec.get('kind')
  name = f'{path} {spec.get("split", "")}'.strip()
  return fit_limits(
    _whole_hands(sources.open_source(spec), name),
    num_vertices=config.limits.num_vertices,
    coverage=config.limits.coverage,
    reference=tuple(config.reference),
    source=name,
  )


def _whole_hands(source: sources.Source, name: str) -> np.ndarray:
  """The hands (N, 21, 3) of a source of which every joint has a 3D label."""
  labels = source.batch(range(len(source)))
  whole = (labels['has_joints_3d'] > 0) & (labels['visibility'] > 0).all(axis=1)
  if not whole.any():
    raise ValueError(
      f'limits.source, {name}, has no hand with a 3D label of every joint to fit '
      'limits on: name another source, or set limits.path to a file or '
      "to 'mano', 'surface' or 'clinical'."
    )
  if not whole.all() and hosts.is_first():
    warn(
      f'limits are fitted on {whole.sum()} of the {len(whole)} hands of {name}; the '
      'others have no 3D label of every joint.'
    )
  return labels['joints_3d'][whole]


def _limits_paths(rows, workdir: Path, judged: Container[str]) -> dict[str, Path]:
  """The limits file of each row with constraints, or judged; equal limits share one.

  The names of the former do not depend on the latter.
  """
  files: dict[Any, Path] = {}
  paths = {}
  constrained = [name for name in rows if uses_limits(rows[name])]
  others = [
    k for k in rows if k in judged and (rows[k].limits.path or rows[k].limits.source)
  ]
  for name in dict.fromkeys(constrained + others):
    row = rows[name]
    key = (row.limits.to_json(sort_keys=True), tuple(row.reference))
    own = f'limits_{slug_of(name)}.json'
    default = 'limits.json' if name in constrained and not files else own
    paths[name] = files.setdefault(key, workdir / default)
  return paths
