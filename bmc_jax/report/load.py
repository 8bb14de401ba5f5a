"""Reads what an experiment left in its working directory.

Everything but `results.json` may be missing: a row that has not finished has no
metrics, an early page has no limits. Such parts are None (or empty) here and are
shown as 'not run yet'.
"""

import collections
import csv
import dataclasses
import functools
import logging
import math
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from bmc_jax import limits as limits_lib
from bmc_jax import metrics
from bmc_jax.console.files import read_json, slug_of

_REQUIRED = ('joints_3d', 'joints_3d_true', 'keypoints_2d', 'keypoints_2d_true')


@dataclasses.dataclass(frozen=True)
class Row:
  """One trained model of an experiment.

  Attributes:
    name: as the experiment calls it; any text.
    color: index of its colour, the position in its group.
    metrics: name -> value; None if the row has not finished.
    log: column -> (steps, values), two arrays of one length; empty without a log.
    predictions: arrays over the test set, see `bmc_jax.experiments.rows`; or None.
    images: (M, S, S, 3) uint8, the first M test images; None for pose lifters.
    cameras: (M, 3, 3) intrinsics of these; None if they were not kept.
  """

  name: str
  color: int
  metrics: dict[str, float] | None
  log: dict[str, tuple[np.ndarray, np.ndarray]]
  predictions: dict[str, np.ndarray] | None
  images: np.ndarray | None
  cameras: np.ndarray | None = None

  @functools.cached_property
  def errors(self) -> np.ndarray:
    """Root-relative distance of every joint to its true place, (N, 21) mm."""
    assert self.predictions is not None
    predicted, true = (self.predictions[f'joints_3d{end}'] for end in ('', '_true'))
    return np.asarray(metrics.epe(jnp.asarray(predicted), jnp.asarray(true)))

  @functools.cached_property
  def aligned_errors(self) -> np.ndarray:
    """The same after Procrustes alignment of every hand, (N, 21) mm."""
    assert self.predictions is not None
    predicted = jnp.asarray(self.predictions['joints_3d'])
    true = jnp.asarray(self.predictions['joints_3d_true'])
    visibility = jnp.asarray(self.visible, predicted.dtype)
    aligned = metrics.procrustes_align(predicted, true, visibility=visibility)
    return np.asarray(metrics.epe(aligned, true))

  @functools.cached_property
  def pixel_errors(self) -> np.ndarray:
    """Distance of every keypoint to its true place in the image, (N, 21) px."""
    assert self.predictions is not None
    predicted, true = (self.predictions[f'keypoints_2d{end}'] for end in ('', '_true'))
    return np.asarray(
      metrics.keypoint_error_2d(jnp.asarray(predicted), jnp.asarray(true))
    )

  @property
  def labelled_3d(self) -> np.ndarray:
    """Which hands have 3D labels, (N,) bool."""
    assert self.predictions is not None
    every = np.ones(len(self.predictions['joints_3d']))
    return self.predictions.get('has_joints_3d', every) > 0

  @property
  def visible_3d(self) -> np.ndarray:
    """Which joints count in 3D, (N, 21) bool."""
    return self.visible & self.labelled_3d[:, None]

  @property
  def visible(self) -> np.ndarray:
    """Which joints are labelled and count, (N, 21) bool."""
    assert self.predictions is not None
    if 'visibility' not in self.predictions:
      return np.ones(self.predictions['joints_3d'].shape[:2], bool)
    return self.predictions['visibility'] > 0

  def truth(self, name: str, index: int) -> np.ndarray:
    """True (21, ...) joints of one sample, nan where they are not labelled."""
    assert self.predictions is not None
    points = self.predictions[f'{name}_true'][index]
    return np.where(self.visible[index][:, None], points, np.nan)


@dataclasses.dataclass(frozen=True)
class Group:
  """Rows that can be compared: same input, same test set, same chance row."""

  name: str
  slug: str
  rows: list[Row]
  chance: dict[str, float]

  @property
  def predicted(self) -> list[Row]:
    """The rows that have predictions."""
    return [row for row in self.rows if row.predictions is not None]

  @property
  def measured_3d(self) -> bool:
    """Whether any tested hand has 3D labels; otherwise errors are in pixels."""
    return any(row.labelled_3d.any() for row in self.predicted)

  @property
  def unit(self) -> str:
    """Of the errors that samples are chosen by."""
    return 'mm' if self.measured_3d else 'px'

  def errors_of(self, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Errors (N, 21) of a row in `unit`, and which of them count, (N, 21) bool."""
    if self.measured_3d:
      return row.errors, row.visible_3d
    return row.pixel_errors, row.visible


@dataclasses.dataclass(frozen=True)
class Experiment:
  """All of an experiment; `about` holds `experiment.json` as it is."""

  about: dict[str, Any]
  groups: list[Group]
  limits: limits_lib.HandLimits | None


def _check_types(path: pathlib.Path, tree: Mapping, types: Mapping[str, type]) -> None:
  """Raises ValueError if an entry that is there (and not null) has another type."""
  for key, wanted in types.items():
    value = tree.get(key)
    if value is not None and not isinstance(value, wanted):
      name = {dict: 'an object', list: 'a list'}[wanted]
      raise ValueError(f'{path}: {key!r} must hold {name}, not {value!r}.')


def load_experiment(workdir: pathlib.Path) -> Experiment:
  """Reads an experiment.

  Args:
    workdir: directory with `results.json`, and as far as they exist
      `experiment.json`, `limits.json` and `rows/<slug>/`.

  Raises:
    FileNotFoundError: if there is no directory or no `results.json` in it.
    ValueError: if one of the JSON files cannot be read.
  """
  if not workdir.is_dir():
    raise FileNotFoundError(
      f'there is no directory {workdir}; pass the workdir of an experiment'
    )
  if not (workdir / 'results.json').is_file():
    raise FileNotFoundError(
      f'there is no results.json in {workdir}; run the experiment first'
    )
  path = workdir / 'results.json'
  results = read_json(path)
  _check_types(path, results, dict.fromkeys(results, dict))
  about: dict[str, Any] = {'title': workdir.resolve().name}
  path = workdir / 'experiment.json'
  if path.is_file():
    about |= read_json(path)
    _check_types(path, about, {'rows': list, 'groups': dict, 'chance': dict})
    chance = about.get('chance') or {}
    _check_types(path, chance, dict.fromkeys(chance, dict))
    if not all(isinstance(name, str) for name in about.get('rows') or ()):
      raise ValueError(f"{path}: 'rows' must hold names.")
  # Rows that only the results know come last, in a group of their own.
  names = list(dict.fromkeys([*(about.get('rows') or []), *results]))
  group_of = about.get('groups') or {}
  members = collections.defaultdict(list)
  for name in names:
    members[str(group_of.get(name, 'rows'))].append(name)
  chance = about.get('chance') or {}
  groups = [
    Group(
      name=group,
      slug=f'g{i}',
      rows=[
        _load_row(workdir, name, color, results.get(name))
        for color, name in enumerate(rows)
      ],
      chance=_numbers(chance.get(group) or {}),
    )
    for i, (group, rows) in enumerate(members.items())
  ]
  path = workdir / 'limits.json'
  return Experiment(
    about=about,
    groups=groups,
    limits=limits_lib.load_limits(path) if path.is_file() else None,
  )


def _load_row(workdir: pathlib.Path, name: str, color: int, metrics: Any) -> Row:
  directory = workdir / 'rows' / slug_of(name)
  predictions = _read_arrays(directory / 'predictions.npz')
  if predictions is not None and any(key not in predictions for key in _REQUIRED):
    logging.warning('%s: predictions.npz lacks arrays; left out', name)
    predictions = None
  samples = _read_arrays(directory / 'samples.npz') or {}
  return Row(
    name=str(name),
    color=color,
    metrics=_numbers(metrics) if metrics else None,
    log=_read_log(directory / 'metrics.csv'),
    predictions=predictions,
    images=samples.get('image'),
    cameras=samples.get('intrinsics'),
  )


def _numbers(values: dict[str, Any]) -> dict[str, float]:
  """The entries that are numbers; None counts as not a number (nan)."""
  numbers = {}
  for name, value in values.items():
    if value is None:
      numbers[name] = math.nan
    elif isinstance(value, int | float) and not isinstance(value, bool):
      numbers[name] = float(value)
  return numbers


def _read_arrays(path: pathlib.Path) -> dict[str, np.ndarray] | None:
  """The arrays of an .npz file; None if it is missing or was cut short."""
  if not path.is_file():
    return None
  try:
    with np.load(path) as arrays:
      return dict(arrays)
  except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
    logging.warning('%s cannot be read and is left out: %s', path, error)
    return None


def _read_log(path: pathlib.Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Columns of a training log, without the empty cells and ordered by step."""
  if not path.is_file():
    return {}
  points = collections.defaultdict(dict)
  with path.open(newline='') as file:
    for record in csv.DictReader(file):
      for name, cell in record.items():
        try:
          # A resumed run writes some steps again; the later value counts.
          points[name][float(record['step'])] = float(cell)
        except (KeyError, TypeError, ValueError):
          continue  # an empty cell, or the last line of a run that was stopped
  points.pop('step', None)
  log = {}
  for name, values in points.items():
    if not values:
      continue
    steps = np.array(sorted(values))
    log[name] = (steps, np.array([values[step] for step in steps]))
  return log
