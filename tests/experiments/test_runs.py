"""The paper's experiments start, are scored, and stop in good order."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from bmc_jax.experiments import __main__ as command
from bmc_jax.experiments import benchmark, catalogue, schedule
from tests.fixtures import tiny_config
from tests.fixtures.examples import make_example, prepare
from tests.fixtures.session import ROOT

TABLES = catalogue.TABLES
SMALL = (
  *('--config.num_steps=2', '--config.batch_size=4', '--config.eval.batch_size=4'),
  *('--config.image_size=32', '--config.model.pose_network.depth=10'),
  *('--config.model.pose_network.width=4', '--config.data.num_threads=0'),
  *('--config.bmc.ramp_start=0.0', '--config.bmc.ramp_end=0.0'),
)


def _only(example, joints):
  """An example in which some joints alone are labelled."""
  labelled = np.isin(np.arange(21), joints)
  return example | {
    'joints_3d': np.where(labelled[:, None], example['joints_3d'], 0).astype(
      np.float32
    ),
    'visibility': labelled.astype(np.float32),
  }


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """The datasets of the paper, with a few made-up examples each."""
  folder = tmp_path_factory.mktemp('prepared')

  def examples(first, count):
    return [make_example(first + i, size=40) for i in range(count)]

  splits = {
    'rhd': {'train': examples(0, 8)},
    'freihand': {
      'train': examples(10, 6),
      'validation': examples(20, 2),
      'evaluation': examples(30, 5),
    },
    'ho3d_v3': {
      'train': examples(40, 20),
      'evaluation': [_only(example, [0]) for example in examples(70, 3)],
    },
    'dexter_object': {
      'test': [_only(example, [4, 8, 12, 16, 20]) for example in examples(80, 4)]
    },
  }
  for name, parts in splits.items():
    options = {'hands': 'dominant'} if name == 'rhd' else {}
    prepare(folder / name, parts, crop_size=224, options=options)
  return folder


@pytest.fixture(scope='module')
def table8(prepared, tmp_path_factory):
  """The arguments and the folder of table 8, after two steps of each row."""
  folder = tmp_path_factory.mktemp('experiments')
  arguments = [
    *('table8', '--data', 'paper', '--data-dir', str(prepared), '--seeds', '3'),
    *('--jobs', '2', '--workdir', str(folder), *SMALL),
  ]
  command.main(arguments)
  return arguments, folder


@pytest.mark.slow
def test_the_papers_experiments_start_and_are_scored(table8, capsys):
  arguments, folder = table8
  found = json.loads((folder / 'paper' / 'table8' / 'results.json').read_text())
  assert found['seeds'] == [3] and set(found['rows']) == {'source only', '+ 2D + BMC'}
  ((heading, *scores),) = found['benchmarks']
  assert heading[:2] == ['row', 'seed'] and 'AUC 20-50' in heading
  assert {line[0] for line in scores} == {'source only', '+ 2D + BMC'}
  assert 'all hands have the median bone of freihand' in scores[0][-1]
  (shown,) = [
    line for line in scores if line[0] == '+ 2D + BMC' and 'submitted' in line[3]
  ]
  mean = found['statistics']['+ 2D + BMC']['auc_20_50']['mean']
  assert float(shown[heading.index('AUC 20-50')]) == pytest.approx(mean, abs=1e-4)
  ran = folder / 'paper' / 'seed_3' / 'rows' / 'plus_2d_plus_bmc' / 'config.json'
  assert json.loads(ran.read_text())['seed'] == 3
  html = (folder / 'index.html').read_text()
  assert 'Table 8: another dataset' in html and 'http' not in html.split('<body')[1]
  assert (folder / 'paper' / 'table8' / 'epe_abs_mm.svg').read_text().startswith('<svg')
  logs = sorted((folder / 'paper' / 'seed_3' / 'logs').iterdir())
  before = {path: path.stat().st_mtime_ns for path in logs}
  command.main(arguments)  # nothing is run again
  assert {path: path.stat().st_mtime_ns for path in logs} == before
  text = (folder / 'paper' / 'table8' / 'table.md').read_text()
  assert text.strip() in capsys.readouterr().out


@pytest.mark.slow
def test_depths_of_a_workdir_descend_the_constraints(table8, monkeypatch, capsys):
  monkeypatch.syspath_prepend(ROOT / 'benchmarks')
  basins = importlib.import_module('depth_basins')
  monkeypatch.setattr(basins, 'STEPS', 2)
  workdir = table8[1] / 'paper' / 'seed_3'
  monkeypatch.setattr(sys, 'argv', ['depth_basins', str(workdir)])
  basins.main()
  _, _, *rows = capsys.readouterr().out.splitlines()
  assert len(rows) == 5 and rows[0].split()[1:4] == ['labels', '|', '0.0']


@pytest.mark.slow
def test_challenges_get_their_files(table8, prepared):
  row_dir = table8[1] / 'paper' / 'seed_3' / 'rows' / 'plus_2d_plus_bmc'
  for row in ('+ 2D', 'HO-3D: + 2D'):
    for each in TABLES['table7'].benchmarks[row]:
      scores = benchmark.score(row_dir, each, prepared)
      assert scores['submission'].endswith(f'{each.dataset}.zip')
      assert bool(scores['text']) == (each.dataset == 'freihand')
      assert scores['scale'] == 'from the labels'
      assert benchmark.score(row_dir, each, prepared) == scores


def _job(tmp_path, row, code):
  return schedule.Job(tmp_path / 'seed_0', row, (sys.executable, '-c', code))


def test_a_failed_row_ends_the_others_and_says_why(tmp_path):
  endless = _job(tmp_path, 'endless', 'import time; time.sleep(600)')
  bad = _job(tmp_path, 'bad', 'print("error: no such file"); raise SystemExit(2)')
  began = time.monotonic()
  with pytest.raises(ValueError, match="'bad' of .*seed_0 failed: no such file"):
    schedule.run([endless, bad, _job(tmp_path, 'never', '')], 3, at_once=2)
  assert time.monotonic() - began < 60
  assert not (tmp_path / 'seed_0' / 'logs' / 'never.txt').exists()
  assert schedule.seconds_of(tmp_path / 'seed_0', 'endless') > 0


@pytest.mark.parametrize(
  ('code', 'reason'),
  [
    ('import os; os.kill(os.getpid(), 9)', r'SIGKILL ended it \(was the memory short'),
    ('raise SystemExit(3)', 'exit status 3'),
  ],
)
def test_a_failure_is_not_explained_by_an_earlier_run(tmp_path, code, reason):
  before = _job(tmp_path, 'a', 'print("error: old"); raise SystemExit(2)')
  for job, wanted in ((before, 'failed: old'), (_job(tmp_path, 'a', code), reason)):
    with pytest.raises(ValueError, match=wanted):
      schedule.run([job], 1, at_once=1)


def test_the_time_of_a_row_adds_up(tmp_path):
  for _ in range(2):
    schedule.run([_job(tmp_path, 'a', 'import time; time.sleep(0.3)')], 1, at_once=1)
  assert schedule.seconds_of(tmp_path / 'seed_0', 'a') > 0.6
  assert schedule.seconds_of(tmp_path / 'seed_0', 'b') == 0


# Training; and a process that ends as training does, but starts at once.
TRAINING = """
command = (sys.executable, '-m', 'bmc_jax.main',
  '--config=tests/fixtures/tiny_config.py:{poses}', '--config.num_steps=100000',
  '--workdir={folder}/run', '--noreport')
"""
STAND_IN = """
command = ('bash', '-c', 'trap "echo stopped by SIGTERM; exit 143" TERM; '
  'mkdir -p {folder}/run/rows/source_only; : > {folder}/run/rows/source_only/'
  'metrics.csv; while :; do sleep 0.1; done', 'workdir={folder}')
"""


@pytest.mark.slow
@pytest.mark.parametrize(
  ('number', 'job'), [(signal.SIGINT, TRAINING), (signal.SIGTERM, STAND_IN)]
)
def test_a_run_that_is_stopped_saves_its_rows_and_leaves_no_process(
  tmp_path, number, job
):
  poses = tiny_config.write_poses(tmp_path / 'poses.npy')
  text = f"""
import signal
import sys
from pathlib import Path
from bmc_jax.training import preemption
from bmc_jax.experiments import schedule
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
{job.format(folder=tmp_path, poses=poses)}
with preemption.raised():
  schedule.run([schedule.Job(Path('{tmp_path}/run'), 'long', command)], 1, 1)
"""
  process = subprocess.Popen(
    [sys.executable, '-c', text],
    cwd=ROOT,
    env=os.environ | {'PYTHONPATH': str(ROOT)},
    stderr=subprocess.PIPE,
    text=True,
    process_group=0,
  )
  row = tmp_path / 'run' / 'rows' / 'source_only' / 'metrics.csv'
  deadline = time.monotonic() + 300
  while not row.exists():
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < deadline
    time.sleep(0.1)
  os.killpg(process.pid, number)  # as a terminal does
  process.communicate(timeout=120)
  log = (tmp_path / 'run' / 'logs' / 'long.txt').read_text()
  assert 'stopped by SIGTERM' in log  # and its lock is free
  left = subprocess.run(['pgrep', '-f', f'workdir={tmp_path}'], capture_output=True)
  assert not left.stdout
