"""What each of the paper's tables and figures shows, and the paper's own figures.

Errors of the paper are in mm (2D errors in px of 224 px crops), its areas under the PCK
curve from 20 to 50 mm, as far as their size tells.
"""

import dataclasses
from collections.abc import Container, Mapping, Sequence
from typing import Any

from bmc_jax.configs.tables import paper, study  # pyright: ignore
from bmc_jax.configs.tables.rows import LABELLED, labelled  # pyright: ignore
from bmc_jax.console.parsing import did_you_mean

DATA = ('paper', 'procedural', 'dressed', 'poses', 'stb', 'photos', 'study')
"""The modules of `configs.tables`."""

_IMAGES = ('paper', 'procedural', 'dressed', 'photos')
_ALL = (*_IMAGES, 'poses', 'stb')
_ERRORS = ('epe_mm', 'epe_median_mm', 'auc_20_50', 'depth_mm')


_EMPTY: Any = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Benchmark:
  """A public test set on which the rows of a table are scored, too.

  Attributes:
    dataset: name of the prepared dataset, beside that of `data.full`.
    split: of it.
    protocol: a key of `protocols.PROTOCOLS`.
    submission: whether to write a file for the challenge.
    built: settings that the dataset must have been built with.
    metrics: of a table -> alignment and figure of the protocol that stand for it; where
      the test set has labels they replace those of the config's own test set.
  """

  dataset: str
  split: str
  protocol: str
  submission: bool
  built: Mapping[str, Any]
  metrics: Mapping[str, tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Table:
  """A table or figure of the paper.

  Attributes:
    title: what it is called.
    question: what it answers.
    rows: label -> the row of the config that is shown under it; a row that a config
      does not have is left out.
    metrics: that are shown; the first is the one that claims are about.
    data: the kinds of data for which it exists.
    paper: label -> metric -> the paper's figure.
    order: labels, from the worst to the best, as the paper finds them.
    gap: the labels of the row without help, of the one to judge, and of the upper
      bound: the middle one closes some share of the gap between the other two.
    curves: label -> (share of 3D labels, label) of the rows of each curve of a figure.
    benchmarks: row of the config -> test sets, beside the config's own.
  """

  title: str
  question: str
  rows: Mapping[str, str]
  metrics: tuple[str, ...] = _ERRORS
  data: tuple[str, ...] = _ALL
  paper: Mapping[str, Mapping[str, float]] = _EMPTY
  order: tuple[str, ...] = ()
  gap: tuple[str, ...] = ()
  curves: Mapping[str, tuple[tuple[float, str], ...]] = dataclasses.field(
    default_factory=dict
  )
  benchmarks: Mapping[str, tuple[Benchmark, ...]] = dataclasses.field(
    default_factory=dict
  )


def _errors(mean: float, median: float, area: float) -> dict[str, float]:
  return {'epe_mm': mean, 'epe_median_mm': median, 'auc_20_50': area}


def _table2(depth: float, epe: float, pixels: float) -> dict[str, float]:
  return {'depth_mm': depth, 'epe_mm': epe, 'keypoints_2d_px': pixels}


_CHALLENGE = {
  'epe_pa_mm': ('procrustes', 'epe_mm'),
  'auc_pa_0_50': ('procrustes', 'auc_0_50'),
  'epe_abs_mm': ('none', 'epe_mm'),
}
_CROPS = {'crop_size': paper.CROP_SIZE}
_FREIHAND = Benchmark('freihand', 'evaluation', 'freihand', True, _CROPS, _CHALLENGE)
_HO3D = Benchmark('ho3d_v3', 'evaluation', 'ho3d', True, _CROPS, _CHALLENGE)
_DEXTER = Benchmark(
  'dexter_object',
  'test',
  'dexter_object',
  False,
  _CROPS,
  {
    'auc_20_50': ('none', 'auc_20_50'),
    'epe_abs_mm': ('none', 'epe_mm'),
    'epe_pa_mm': ('procrustes', 'epe_mm'),
  },
)
_TARGETS = ('source only', '+ 2D', '+ 2D + BMC', 'full 3D')


def fit_to(table: Table, runs: Container[str]) -> Table:
  """The part of a table for which a config has rows.

  A lifter is given the 2D keypoints: without constraints they teach it nothing, so
  that its row 'source only' is the '+ 2D' of a network, and it has no 2D error.

  Args:
    table: of `TABLES`.
    runs: the rows of the config.
  """
  rows, metrics = dict(table.rows), table.metrics
  if '+ 2D' not in runs:
    metrics = tuple(name for name in metrics if name != 'keypoints_2d_px')
    if '+ 2D' in rows:
      rows.pop('source only', None)
      rows['+ 2D'] = 'source only'
  rows = {label: run for label, run in rows.items() if run in runs}
  gap = tuple(label for label in table.gap if label in rows)
  return dataclasses.replace(
    table,
    rows=rows,
    metrics=metrics,
    order=tuple(label for label in table.order if label in rows),
    gap=gap if len(gap) == 3 else (),
    curves={
      name: tuple((share, label) for share, label in points if label in rows)
      for name, points in table.curves.items()
    },
  )


def _same(*names: str) -> dict[str, str]:
  return {name: name for name in names}


def _figure5() -> Table:
  """Shares of 3D labels from none to all, each with and without the constraints."""
  ends = {'': ('+ 2D', 'full 3D'), ' + BMC': ('+ 2D + BMC', 'full 3D + BMC')}
  curves = {}
  for end, (none, full) in ends.items():
    points = [(1 / n, labelled(n) + end) for n in LABELLED]
    curves['with BMC' if end else 'without'] = ((0.0, none), *points, (1.0, full))
  names = [name for points in curves.values() for _, name in points]
  return Table(
    'Figure 5: fewer 3D labels',
    'How many 3D labels of the target do the constraints save?',
    _same('source only', *names),
    metrics=('auc_0_50', 'epe_mm', 'depth_mm', 'auc_20_50'),
    curves=curves,
  )


TABLES: dict[str, Table] = {
  'table2': Table(
    'Table 2: the effect of weak supervision',
    'What do 2D labels and the constraints teach about depth?',
    _same('full 3D', 'full 3D + BMC', *_TARGETS[:3]),
    metrics=('depth_mm', 'epe_mm', 'keypoints_2d_px', 'auc_0_50'),
    paper={
      'full 3D': _table2(5.69, 8.78, 3.72),
      'full 3D + BMC': _table2(5.44, 8.60, 3.70),
      'source only': _table2(20.02, 30.82, 12.35),
      '+ 2D': _table2(17.02, 20.92, 3.80),
      '+ 2D + BMC': _table2(9.97, 13.78, 3.79),
    },
    order=('source only', '+ 2D', '+ 2D + BMC', 'full 3D'),
    gap=('+ 2D', '+ 2D + BMC', 'full 3D'),
  ),
  'table3': Table(
    'Table 3: the refinement of the root depth',
    'Does the refiner help, where 3D labels are there?',
    {'without refinement': 'full 3D, no refiner', 'with refinement': 'full 3D'},
    metrics=('epe_abs_mm', *_ERRORS),
    paper={
      'without refinement': _errors(11.20, 8.62, 0.95),
      'with refinement': _errors(9.76, 8.14, 0.97),
    },
    order=('without refinement', 'with refinement'),
  ),
  'table4': Table(
    'Table 4: the three constraints',
    'Does each of the three terms add something? (The hands on the page are those of '
    "the paper's figure 4: the same ones under more and more terms.)",
    {
      '+ 2D': '+ 2D',
      '+ BL': '+ 2D + BL',
      '+ RB': '+ 2D + BL + RB',
      '+ A': '+ 2D + BMC',
      'full 3D': 'full 3D',
    },
    paper={
      '+ 2D': _errors(20.92, 16.93, 0.81),
      '+ BL': _errors(17.58, 14.81, 0.88),
      '+ RB': _errors(15.48, 13.49, 0.91),
      '+ A': _errors(13.78, 11.61, 0.92),
      'full 3D': _errors(8.78, 7.25, 0.98),
    },
    order=('+ 2D', '+ BL', '+ RB', '+ A', 'full 3D'),
  ),
  'table5': Table(
    'Table 5: hulls or boxes',
    'Is it worth it to bound flexion and abduction together?',
    {'independent': '+ 2D + BMC, boxes', 'dependent': '+ 2D + BMC'},
    paper={
      'independent': _errors(15.57, 13.45, 0.91),
      'dependent': _errors(13.78, 11.61, 0.92),
    },
    order=('independent', 'dependent'),
  ),
  'table6': Table(
    'Table 6: where the limits are from',
    'May the limits come from another dataset than the target?',
    {'approximated': '+ 2D + BMC, source limits', 'computed': '+ 2D + BMC'},
    paper={
      'approximated': _errors(16.14, 13.93, 0.90),
      'computed': _errors(13.78, 11.61, 0.92),
    },
    order=('approximated', 'computed'),
  ),
  'table7': Table(
    'Table 7: the challenges',
    'What do the test sets of FreiHAND and HO-3D say? (The test set of HO-3D has no '
    'public labels: the last tenth of its training set stands for it, and rows come '
    'with files for the challenge. There the paper has, EXTRAP and INTERP in mm: full '
    '3D 18.22 and 5.02, source only 20.84 and 33.57, + 2D 19.57 and 25.16, + 2D + BMC '
    '18.42 and 10.31.)',
    _same(*_TARGETS, *(f'HO-3D: {name}' for name in _TARGETS)),
    metrics=('epe_pa_mm', 'auc_pa_0_50', 'epe_abs_mm'),
    data=('paper',),
    paper={
      'full 3D': {'epe_pa_mm': 9.0, 'auc_pa_0_50': 0.82},
      'source only': {'epe_pa_mm': 16.0, 'auc_pa_0_50': 0.69},
      '+ 2D': {'epe_pa_mm': 12.6, 'auc_pa_0_50': 0.75},
      '+ 2D + BMC': {'epe_pa_mm': 11.3, 'auc_pa_0_50': 0.78},
    },
    order=_TARGETS,
    benchmarks={
      **dict.fromkeys(_TARGETS, (_FREIHAND,)),
      **{f'HO-3D: {name}': (_HO3D,) for name in _TARGETS},
    },
  ),
  'table8': Table(
    'Table 8: another dataset',
    'How good is it on Dexter+Object, of which it has seen nothing?',
    _same('source only', '+ 2D + BMC'),
    metrics=('auc_20_50', 'epe_abs_mm', 'epe_pa_mm'),
    data=('paper',),
    paper={'+ 2D + BMC': {'auc_20_50': 0.82}},
    order=('source only', '+ 2D + BMC'),
    benchmarks={name: (_DEXTER,) for name in ('source only', '+ 2D + BMC')},
  ),
  'figure5': _figure5(),
  'study': Table(
    'The search for the defaults',
    'Which weights, ramp and other options of the constraints work?',
    _same(*study.names()),
    metrics=('depth_mm', 'epe_mm', 'auc_0_50'),
    data=('study',),
  ),
}


def select(names: Sequence[str], data: str) -> list[str]:
  """The experiments that are asked for, in the order of `TABLES`.

  Args:
    names: of experiments, or 'all' for those that exist for these data.
    data: one of `DATA`.

  Raises:
    ValueError: there is no such experiment, or not for these data.
  """
  for name in names:
    if name != 'all' and name not in TABLES:
      raise ValueError(
        f'There is no experiment {name!r}; there are {", ".join(TABLES)}, and all.'
        + did_you_mean(name, TABLES)
      )
    if name != 'all' and data not in TABLES[name].data:
      raise ValueError(
        f'{name} does not exist for --data {data}, but for '
        f'{", ".join(TABLES[name].data)}.'
      )
  exist = [name for name, table in TABLES.items() if data in table.data]
  return exist if 'all' in names else [name for name in exist if name in names]
