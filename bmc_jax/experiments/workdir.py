"""What an experiment leaves in its workdir: results, what was run, the table."""

import contextlib
import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bmc_jax.console.files import has_keys, read_json, write_json
from bmc_jax.console.tables import format_markdown
from bmc_jax.metrics import PCK_PX
from bmc_jax.training import hosts
from bmc_jax.training.config import Config, flatten

Records = Mapping[str, Mapping[str, Any]]

_OF_CONFIGS = ('rows', 'num_steps', 'data', 'limits')
# Values that may change between two runs in one workdir: what was trained stays true.
_MAY_CHANGE = (
  *('title', 'description', 'run_rows', 'eval_path', 'eval_prepare'),
  *('data.num_threads', 'nonfinite', 'shard_optimizer', 'profile'),
  *('log_every', 'log_gradients', 'eval.every', 'checkpoint.every', 'checkpoint.keep'),
)


def write_results(
  workdir: Path, config: Config, rows: list[str], records: Records
) -> None:
  """Writes what is known so far: `results.json` and `experiment.json`.

  Args:
    workdir: of the experiment.
    config: with the test set that was used in place.
    rows: all that the report shows, in order.
    records: of those that are finished.
  """
  groups = {name: config.rows[name].group for name in rows}
  results = {name: record['metrics'] for name, record in records.items()}
  about = {
    'title': config.title,
    'description': _replaced_test_set(config) + config.description,
    'command': shlex.join(['bmc-jax', 'train', *sys.argv[1:]]),
    'rows': rows,
    'groups': groups,
    'chance': {groups[name]: record['chance'] for name, record in records.items()},
    'test_set': _describe(config),
    'num_test': max(record['num_test'] for record in records.values()),
    'missing': describe_missing(records.values()),
    'device': hosts.describe_devices(),
    'seed': config.seed,
  }
  write_json(workdir / 'results.json', results)
  write_json(workdir / 'experiment.json', about)


def describe_missing(records: Iterable[Mapping[str, Any]]) -> str:
  """What the labels of the test set did not let rows measure; '' if nothing is missing.

  Args:
    records: of rows (`metrics.json`).
  """
  partly = [each for each in records if each['num_test_3d'] < each['num_test']]
  if not partly:
    return ''
  counts = {f'{each["num_test_3d"]} of {each["num_test"]}' for each in partly}
  told = f'{" and ".join(sorted(counts))} test hands have 3D labels of root joint and '
  if any(each['num_test_3d'] for each in partly):
    return f'{told}reference bone: errors in 3D are those of these hands.'
  told += 'reference bone: errors in 3D and chance can not be measured.'
  if any('hands_within_limits' not in each['metrics'] for each in partly):
    told += (
      ' Broken limits are counted for rows that name limits (limits.source or '
      'limits.path).'
    )
  return told


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
  """Lets one process at a time write what the rows of a workdir share.

  Raises:
    ValueError: the workdir is a file.
  """
  if workdir.exists() and not workdir.is_dir():
    raise ValueError(f'The workdir {workdir} is a file; name a folder.')
  if not hosts.is_first():
    yield
    return
  workdir.mkdir(parents=True, exist_ok=True)
  with (workdir / '.lock').open('a') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    yield


@contextlib.contextmanager
def claim_rows(workdir: Path, slugs: Iterable[str]) -> Iterator[None]:
  """Keeps other processes from running these rows, for a `with` block.

  The system releases the locks when a process ends, also when it is killed.

  Raises:
    ValueError: another process is running one of them.
  """
  with contextlib.ExitStack() as stack:
    for slug in slugs if hosts.is_first() else ():
      file = stack.enter_context((workdir / f'.lock_{slug}').open('a+'))
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        file.seek(0)
        raise ValueError(
          f'{workdir} is used by another process ({file.read().strip()}), which runs '
          f'the row {slug}: wait until it has ended, or choose a new --workdir.'
        ) from None
      file.truncate(0)
      file.write(f'{os.getpid()}\n')
      file.flush()
    hosts.wait('the rows are claimed')
    yield


def record_config(workdir: Path, config: Config) -> None:
  """Records the config in the workdir, or checks that it is the one recorded.

  Raises:
    ValueError: the workdir holds results of another config.
  """
  check_recorded(workdir, config)
  write_json(workdir / 'config.json', json.loads(config.to_json()))


def check_recorded(workdir: Path, config: Config) -> None:
  """Checks that what a workdir holds was made with a config.

  A workdir in which nothing has been made yet, say because a path in the config was
  wrong, takes any config. The test set and the choice of rows may always change, and
  rows may be added after those that are there.

  Raises:
    ValueError: the workdir holds results of another config, or files of others.
  """
  wanted = json.loads(config.to_json())
  path = workdir / 'config.json'
  begun = (workdir / 'rows').exists() or (workdir / 'limits.json').exists()
  if not begun:
    _refuse_others(workdir)
  if begun and not path.exists():
    raise ValueError(
      f'{workdir} holds results but no config.json that tells of which config: choose '
      'a new --workdir.'
    )
  if begun:
    recorded = read_json(path)
    old, new = flatten(recorded), flatten(_without_added_rows(wanted, recorded))
    changed = sorted(
      key
      for key in old.keys() | new.keys()
      if old.get(key) != new.get(key)
      and key not in _MAY_CHANGE
      and not key.startswith('data.test')
    )
    if changed:
      raise ValueError(
        f'{workdir} was begun with another config (different: {", ".join(changed)}): '
        'choose a new --workdir, or delete this one.'
      )


def _refuse_others(workdir: Path) -> None:
  """Raises a ValueError for files of others that an experiment would write over."""
  config = workdir / 'config.json'
  others = [config] if config.exists() and not has_keys(config, *_OF_CONFIGS) else []
  others += [workdir / name for name in ('results.json', 'experiment.json')]
  for path in (*others, workdir / 'report.html'):
    if path.exists():
      raise ValueError(
        f'{path} is there, but of no experiment that was begun in this folder, and '
        'would be written over: choose a new --workdir.'
      )


def _without_added_rows(wanted, recorded) -> dict[str, Any]:
  """A config without the rows that come after all those of the recorded one."""
  count = len(recorded.get('rows', {}))
  return wanted | {'rows': dict(list(wanted['rows'].items())[:count])}


def _replaced_test_set(config) -> str:
  if not config.eval_path:
    return ''
  return f'Tested on {_describe(config)}, not on the test set of the config.\n\n'


def _describe(config) -> str:
  test = config.data.test
  path = config.eval_path or test.get('path', '')
  if not path:  # of a kind that is drawn
    return f'{test.get("count", "")} drawn hands'.strip()
  detail = test.get('split') or ''
  subjects = test.get('subjects')
  if subjects:
    detail = f'subjects {", ".join(map(str, subjects))}'
  elif 'subjects' in test:
    detail = 'all subjects'
  elif test.get('rows'):
    detail = f'{detail} poses {test.rows[0]} to {test.rows[1] - 1}'.strip()
  return f'{Path(path).name} {detail}'.strip()


COLUMNS = {
  '2D px': ('keypoints_2d_px', '.2f'),
  '2D %': ('keypoints_2d_percent', '.1f'),
  **{f'PCK {px} px %': (f'pck_2d_{px}px', '.1f') for px in PCK_PX},
  'depth mm': ('depth_mm', '.2f'),
  'EPE mm': ('epe_mm', '.2f'),
  'median': ('epe_median_mm', '.2f'),
  'PA-EPE': ('epe_pa_mm', '.2f'),
  'AUC 0-50': ('auc_0_50', '.3f'),
  'in limits %': ('hands_within_limits', '.1f'),
  'broken limits': ('broken_limits', '.2f'),
}


def format_results(records: Records, groups: Mapping[str, str]) -> str:
  """The rows as a Markdown table, a line of chance under each group that has one.

  Columns of figures that no row has are left out, and below it stands why.

  Args:
    records: of the rows that are finished.
    groups: of each row.
  """
  results = {name: record['metrics'] for name, record in records.items()}
  chance = {groups[name]: record['chance'] for name, record in records.items()}
  columns = {
    heading: (key, spec)
    for heading, (key, spec) in COLUMNS.items()
    if any(key in row for row in results.values())
  }
  lines = [['row', *columns]]
  for group in dict.fromkeys(groups.values()):
    shown = {row: results[row] for row in results if groups[row] == group}
    if chance[group]:
      shown[f'chance ({group})'] = chance[group]
    for row, values in shown.items():
      cells = [
        '' if values.get(key) is None else format(values[key], spec)
        for key, spec in columns.values()
      ]
      lines.append([row, *cells])
  missing = describe_missing(records.values())
  return format_markdown(lines) + (f'\n\n{missing}' if missing else '')
