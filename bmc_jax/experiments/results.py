"""Runs tables, and writes what they show: results, pictures and the page over all."""

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bmc_jax import configs  # pyright: ignore
from bmc_jax.console.errors import warn
from bmc_jax.console.files import read_json, slug_of, write_json
from bmc_jax.console.outputs import write_text
from bmc_jax.console.tables import counted, format_markdown
from bmc_jax.experiments import benchmark, catalogue, figures, page, schedule, summary
from bmc_jax.experiments.catalogue import Table
from bmc_jax.experiments.row_configs import row_configs
from bmc_jax.experiments.rows import finished_rows
from bmc_jax.experiments.workdir import check_recorded
from bmc_jax.training.config import Config
from bmc_jax.training.config_files import config_from_flags

_NOT_HERE = ('seed', 'rows', 'run_rows', 'eval_path', 'dry_run', 'save_weights')


@dataclasses.dataclass(frozen=True)
class Request:
  """What is asked for on the command line.

  Attributes:
    data: a module of `configs.tables`.
    data_dir: the folder of its prepared datasets, or '' for the config's own.
    folder: where everything goes.
    seeds: of the runs.
    overrides: flags `--config.KEY=VALUE`.
    command: that was given, for the captions.
  """

  data: str
  data_dir: str
  folder: Path
  seeds: tuple[int, ...]
  overrides: tuple[str, ...]
  command: str

  @property
  def flags(self) -> tuple[str, ...]:
    """The flags of `bmc_jax.main` that make the config."""
    path = Path(configs.__file__).parent / 'tables' / f'{self.data}.py'
    given = f':{self.data_dir}' if self.data_dir else ''
    return f'--config={path}{given}', *self.overrides

  def configs(self) -> dict[int, Config]:
    """The config of each seed."""
    return {
      seed: config_from_flags((*self.flags, f'--config.seed={seed}'))
      for seed in self.seeds
    }


def run(request: Request, names: Iterable[str], *, at_once: int) -> None:
  """Runs what is not finished, and writes and prints the tables.

  Args:
    request: what to run.
    names: of tables.
    at_once: number of rows that run at the same time.

  Raises:
    ValueError: a value is wrong, or a row failed.
    FileNotFoundError: data are missing.
  """
  if at_once < 1:
    raise ValueError(f'--jobs is {at_once}; it must be at least 1.')
  _check(request)
  by_seed = request.configs()
  rows = row_configs(by_seed[request.seeds[0]])
  tables = {name: catalogue.fit_to(catalogue.TABLES[name], rows) for name in names}
  folder = request.folder / request.data
  for seed, config in by_seed.items():
    check_recorded(schedule.seed_dir(folder, seed), config)
  wanted = list(
    dict.fromkeys(k for table in tables.values() for k in table.rows.values())
  )
  jobs = list(schedule.unfinished(by_seed, folder, wanted, request.flags))
  for each in _benchmarks(tables.values()):
    benchmark.check(each, _prepared(by_seed[request.seeds[0]]))
  failure = None
  try:
    schedule.run(jobs, len(wanted) * len(by_seed), at_once)
  except ValueError as error:  # a row failed: other tables may be complete
    failure = error
  left = {job.row for job in schedule.unfinished(by_seed, folder, wanted, ())}
  for name, table in tables.items():
    if not left & set(table.rows.values()):
      print(f'\n{_write_table(request, by_seed, name, table)}')
  found = [
    (catalogue.fit_to(catalogue.TABLES[each['table']], each['known_rows']), each)
    for each in _read_all(request.folder)
  ]
  print(f'\nAll experiments: {page.write_page(request.folder, found).resolve()}')
  if failure:
    raise failure


def _check(request: Request) -> None:
  """Raises ValueError for flags that this command can not follow."""
  if request.data_dir and request.data != 'paper':
    raise ValueError(
      '--data-dir is for --data paper alone; other paths go as --config.data.full.path '
      'and the like.'
    )
  for flag in request.overrides:
    key = flag.removeprefix('--config.').split('=')[0].split('.')[0]
    if key in _NOT_HERE:
      raise ValueError(
        f'--config.{key} has no meaning for many rows and seeds: run bmc_jax.main with '
        f'--config=configs/tables/{request.data}.py for it.'
      )


def _benchmarks(tables: Iterable[Table]) -> list[catalogue.Benchmark]:
  """The public test sets of some tables, each one once."""
  every = [each for t in tables for group in t.benchmarks.values() for each in group]
  return [each for index, each in enumerate(every) if each not in every[:index]]


def _prepared(config: Config) -> Path:
  """The folder of the prepared datasets."""
  return Path(config.data.full.path).parent


def _write_table(request: Request, by_seed, name: str, table: Table) -> str:
  """Writes the folder of one table; its text."""
  folder = request.folder / request.data
  values: summary.Values = {label: {} for label in table.rows}
  seconds = 0.0
  for seed, config in by_seed.items():
    workdir = schedule.seed_dir(folder, seed)
    records = finished_rows(config, workdir)
    for label, run_name in table.rows.items():
      values[label][seed] = records[run_name]['metrics']
      seconds += schedule.seconds_of(workdir, run_name)
  scored = _score_benchmarks(request, table, by_seed, values)
  shown = summary.measured(table, values)
  first = schedule.seed_dir(folder, request.seeds[0])
  about = read_json(first / 'experiment.json')
  found = {
    'table': name,
    'data': request.data,
    'known_rows': list(row_configs(by_seed[request.seeds[0]])),
    'description': about['description'],
    'test_set': f'{about["test_set"]}, {counted(about["num_test"], "hand")}',
    'seeds': list(request.seeds),
    'device': about['device'],
    'seconds': seconds,
    'date': time.strftime('%Y-%m-%d'),
    'command': request.command,
    'rows': {
      label: {'row': run_name, 'seeds': values[label]}
      for label, run_name in table.rows.items()
    },
    'missing': about['missing'],
    'statistics': summary.statistics(values, shown.metrics),
    'paper': {label: dict(row) for label, row in table.paper.items()},
    'claims': [str(claim) for claim in summary.claims(table, values)],
    'benchmarks': scored,
  }
  out = folder / name
  _tell_of_other_seeds(out / 'results.json', request.seeds)
  write_json(out / 'results.json', found)
  for metric, element in page.draw(shown, values, found['statistics'], name).items():
    write_text(out / f'{metric}.svg', figures.as_file(element))
  text = _as_markdown(shown, found)
  write_text(out / 'table.md', text + '\n')
  return text


def _tell_of_other_seeds(path: Path, seeds: Sequence[int]) -> None:
  """Warns where a table of more seeds is replaced by one of fewer or others."""
  try:
    before = read_json(path)['seeds'] if path.exists() else []
  except (OSError, ValueError, KeyError):  # damaged: nothing is lost with it
    return
  if set(before) - set(seeds):
    whole = ','.join(map(str, sorted({*before, *seeds})))
    warn(
      f'{path.parent} held the table of seeds {before} and now holds that of '
      f'{list(seeds)}; their rows are all kept, --seeds {whole} makes a table of them.'
    )


def _score_benchmarks(
  request: Request, table: Table, by_seed, values: summary.Values
) -> list[list[list[str]]]:
  """The figures of the public test sets, as tables of text; puts them into `values`."""
  tables: dict[str, list[list[str]]] = {}
  for row, benchmarks in table.benchmarks.items():
    for seed, config in by_seed.items():
      workdir = schedule.seed_dir(request.folder / request.data, seed)
      for each in benchmarks:
        row_dir = workdir / 'rows' / slug_of(row)
        scores = benchmark.score(row_dir, each, _prepared(config))
        values[row][seed] = scores['metrics'] or values[row][seed]
        head, *lines = scores['text'] or [['images']]
        lines = lines or [[f'no public labels, only {scores["submission"]}']]
        heading = ['row', 'seed', *head, 'size of hands']
        known = tables.setdefault(each.dataset, [heading])
        known += [[row, str(seed), *line, scores['scale']] for line in lines]
  return list(tables.values())


def _as_markdown(table: Table, found: Mapping[str, Any]) -> str:
  parts = [
    f'### {table.title} ({found["data"]})',
    f'{table.question} {_count_seeds(found["seeds"])}; '
    f'{found["seconds"] / 60:.0f} minutes of runs on {found["device"]}.',
    f'`{found["command"]}`',
    format_markdown(summary.cells(table, found['statistics'])),
    found['missing'],
    '\n'.join(f'- {claim}.' for claim in found['claims']),
    *(format_markdown(rows) for rows in found['benchmarks']),
  ]
  return '\n\n'.join(part for part in parts if part)


def _count_seeds(seeds: Sequence[int]) -> str:
  if len(seeds) == 1:
    return f'Seed {seeds[0]}'
  return f'{counted(len(seeds), "seed")}, mean +- standard deviation'


def _read_all(folder: Path) -> list[dict[str, Any]]:
  """The results of all tables in a folder, in the catalogue's order."""
  found = []
  for path in sorted(folder.glob('*/*/results.json')):
    try:
      found.append(read_json(path))
    except (OSError, ValueError) as error:
      warn(f'a table is left out of the page over all: {error}')
  found = [each for each in found if each.get('table') in catalogue.TABLES]
  names, kinds = list(catalogue.TABLES), catalogue.DATA
  return sorted(
    found,
    key=lambda each: (names.index(each['table']), kinds.index(each['data'])),
  )
