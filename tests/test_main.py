"""The command: it survives being killed, and tells mistakes in one sentence."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import jax
import ml_collections
import numpy as np
import orbax.checkpoint as ocp
import pytest

from bmc_jax import main, skeleton
from bmc_jax.data import sources
from bmc_jax.experiments.row_configs import row_config
from bmc_jax.training import config_files, preemption
from tests.fixtures import examples, tiny_config
from tests.fixtures.session import ROOT, TINY


@pytest.fixture(scope='module')
def poses(tmp_path_factory):
  return tiny_config.write_poses(tmp_path_factory.mktemp('poses') / 'poses.npy')


def _start(*arguments):
  return subprocess.Popen(
    [sys.executable, '-m', 'bmc_jax.main', *map(str, arguments)],
    cwd=ROOT,
    env=os.environ | {'PYTHONPATH': str(ROOT)},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _kill_at_random(process, row_dir, seed):
  """Kills a run some time after the first checkpoint of a row."""
  deadline = time.monotonic() + 600
  folder = row_dir / 'checkpoints'
  while not (folder.is_dir() and any(p.name.isdigit() for p in folder.iterdir())):
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < deadline, 'no checkpoint'
    time.sleep(0.01)
  time.sleep(random.Random(seed).uniform(0, 0.3))
  assert process.poll() is None, 'the run ended before it could be killed'
  process.kill()
  process.communicate()


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_never_stopped(poses, tmp_path):
  def arguments(name):
    return (
      f'--config={TINY}:{poses}',
      '--config.num_steps=100',
      '--config.checkpoint.every=7',  # falls between the rows of the log
      '--config.eval.every=50',
      '--noreport',
      f'--workdir={tmp_path / name}',
    )

  killed = _start(*arguments('killed'))
  _kill_at_random(killed, tmp_path / 'killed' / 'rows' / 'plus_bmc', seed=1)
  first = tmp_path / 'killed' / 'rows' / 'source_only' / 'metrics.json'
  written = first.stat().st_mtime_ns
  last = _start(*arguments('killed'))
  straight = _start(*arguments('straight'))
  for process in (last, straight):
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
  assert first.stat().st_mtime_ns == written  # not run again

  for name in ('results.json', 'limits.json'):
    whole, resumed = ((tmp_path / n / name).read_text() for n in ('straight', 'killed'))
    assert whole == resumed, name
  for row in ('source_only', 'plus_bmc'):
    whole, resumed = (tmp_path / n / 'rows' / row for n in ('straight', 'killed'))
    assert (whole / 'metrics.csv').read_text() == (resumed / 'metrics.csv').read_text()
    states = [
      ocp.StandardCheckpointer().restore(folder / 'checkpoints' / '100' / 'state')
      for folder in (whole, resumed)
    ]
    jax.tree.map(np.testing.assert_array_equal, *states)
    with (
      np.load(whole / 'predictions.npz') as a,
      np.load(resumed / 'predictions.npz') as b,
    ):
      for name in a.files:
        np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--config=CONFIG', '--workdir=W', '--config.nope=1'], "has no key 'nope'"),
    (['--config=CONFIG'], '--workdir=DIR'),
    (['--config=CONFIG', '--workdir='], '--workdir=DIR'),
    (['--workdir=W'], '--config=configs/NAME.py'),
    (['--config=CONFIG', '--workdir=W', '--nope'], "flag 'nope'"),
    (['--config=CONFIG', '--workdir=W', 'stray'], "unknown argument 'stray'"),
  ],
)
def test_a_wrong_flag_is_told_in_one_sentence(arguments, message):
  process = _start(*(one.replace('CONFIG', 'quickstart') for one in arguments))
  output, errors = process.communicate(timeout=100)
  assert process.returncode == 2
  assert output == ''
  assert errors.startswith('error: ') and message in errors
  assert errors.count('\n') == 1


@pytest.mark.parametrize(
  'arguments, message',
  [
    (
      ['--config=CONFIG', '--config.optimiser.name=sgd'],
      "no key 'optimiser.name': did you mean optimizer or",
    ),
    (
      ['--config', 'CONFIG', '--config.data.tset.path=x'],
      r"no key 'data.tset.path': did you mean data.test\?",
    ),
    (['--config=CONFIG', '--config.batch_size=many'], 'batch_size=many'),
    (['--config=CONFIG', '--config.optimizer=adamw'], 'a group of'),
    (['--config=configs/nope.py'], "no config file 'configs/nope.py'"),
  ],
)
def test_a_wrong_key_or_value_of_the_config_is_named(poses, arguments, message):
  config = f'{TINY}:{poses}'
  with pytest.raises(ValueError, match=message) as error:
    config_files.config_from_flags([one.replace('CONFIG', config) for one in arguments])
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('name', 'question'),
  [('quickstrat', 'Did you mean quickstart?'), ('tables/phtos', 'mean tables/photos')],
)
def test_a_config_that_is_almost_named_is_asked_for(name, question):
  shipped = ROOT / 'configs'
  with pytest.raises(ValueError, match=f'nor does one of that name ship.*{question}'):
    config_files.with_shipped(['main', f'--config={name}'], shipped)


def _parse(poses, *arguments):
  """The config that a command line gives."""
  return config_files.config_from_flags([f'--config={TINY}:{poses}', *arguments])


def test_the_command_line_wins_over_the_overrides_of_rows(poses):
  config = _parse(
    poses, '--config.bmc.weights.root_bone=0.25', '--config.data.use_weak=true'
  )
  bmc = row_config(config, '+ BMC').bmc.weights
  assert bmc.to_dict() == tiny_config.WEIGHTS | {'root_bone': 0.25}
  assert row_config(config, 'source only').data.use_weak


def test_the_command_line_sets_keys_of_sources_that_the_file_leaves_out(
  poses, tmp_path
):
  joints, path = np.load(poses), tmp_path / 'poses.npy'
  np.save(path, skeleton.reorder(joints, 'canonical', 'mano'))
  config = _parse(path, '--config.data.test.order=mano', '--config.data.test.every=10')
  source = sources.open_source(config.data.test.to_dict())
  assert len(source) == 4
  np.testing.assert_allclose(source[1]['joints_3d'], joints[10])


BASE = (
  'from bmc_jax.training import defaults\ndef get_config():\n'
  '  c = defaults.get_config()\n'
)
FILES = {
  'x = (': "line 1, fails: SyntaxError: '\\(' was never closed",
  '\nimport nope': "line 2, fails: ModuleNotFoundError: No module named 'nope'",
  'a = 1': "has no attribute 'get_config'",
  'def get_config():\n  return {}': 'get_config of .* returned a dict; it must',
  'def get_config():\n  pass': 'get_config of .* returned a NoneType; it must',
  'def get_config():\n  open("/nope/x")': "line 2, fails: FileNotFoundError.*'/nope/x'",
  BASE + '  defaults.add_row(c, "a.b", {})': "line 4, fails: .*row 'a.b' holds a dot",
  BASE + '  c.num_steps = "many"': "line 4, fails: TypeError: .*'num_steps'",
  BASE + '  c.num_step = 5\n  return c': "no key 'num_step': did you mean num_steps?",
  BASE
  + '  c.optimizer.lr = 3\n  return c': "no key 'optimizer.lr': optimizer has clip",
  BASE
  + '  c.data.tset = {}\n  c.data.tset.a = 1\n  return c': 'did you mean data.test',
  BASE + '  c.loss = type(c)()\n  return c': "lacks the key 'loss.depth_likelihood'",
}


@pytest.mark.parametrize('text', FILES)
def test_a_wrong_config_file_is_told_in_one_sentence(tmp_path, text):
  file = tmp_path / 'c.py'
  file.write_text(text)
  config_files.load_config(
    str(ROOT / 'configs' / 'quickstart.py')
  )  # leaves nothing behind
  with pytest.raises(ValueError, match=FILES[text]) as error:
    config_files.load_config(str(file))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('path', sorted((ROOT / 'configs').glob('[!_]*.py')))
def test_every_config_has_the_keys_of_the_base_config(path):
  assert config_files.load_config(str(path)).num_steps >= 1


def _images_with_a_broken_one(path):
  rows = [examples.make_example(i, size=40) for i in range(8)]
  rows[5]['image'] = b'these bytes are no image'
  return examples.prepare(path, {'train': rows, 'test': rows[:2]})


def _flat_hands(path):
  np.save(path, np.zeros((5, 21, 2), np.float32))
  return str(path)


MISTAKES = {
  'missing data folder': (
    lambda c, tmp: tiny_config.get_config(str(tmp / 'nowhere')),
    'The data directory .*nowhere does not exist',
  ),
  'missing pose file': (
    lambda c, tmp: tiny_config.get_config(str(tmp / 'nowhere.npy')),
    'The pose file .*nowhere.npy does not exist',
  ),
  'missing weights': (
    lambda c, tmp: c.update(init_from='nowhere.npz'),
    'There are no weights nowhere.npz',
  ),
  'joints of a wrong shape': (
    lambda c, tmp: tiny_config.get_config(_flat_hands(tmp / 'flat.npy')),
    r'joints have shape \(5, 21, 2\), expected \(N, 21, 3\)',
  ),
  'an image that is none': (
    lambda c, tmp: tiny_config.get_config(_images_with_a_broken_one(tmp)),
    "The image of example 'hand_0005' .* cannot be decoded",
  ),
  'optimizer': (
    lambda c, tmp: c.optimizer.update(name='adam'),
    "optimizer.name is 'adam'; it must be",
  ),
  'batch for two sources': (lambda c, tmp: c.update(batch_size=9), 'batch_size is 9'),
  'joints for the constraints': (
    lambda c, tmp: c.bmc.update(joints='true'),
    "bmc.joints is 'true'; choose one of",
  ),
  'a divergence': (
    lambda c, tmp: c.optimizer.update(learning_rate=1e38),
    'not finite at step',
  ),
  'workdir that is a file': (
    lambda c, tmp: (tmp / 'run').write_text(''),
    'The workdir .*run is a file; name a folder',
  ),
  'an empty source': (
    lambda c, tmp: c.data.__setitem__('full', ml_collections.ConfigDict()),
    'data.full has no kind: set it to one of tfds, poses, procedural_poses',
  ),
}


@pytest.mark.slow
@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_mistake_is_told_in_one_sentence(
  poses, tmp_path, monkeypatch, capfd, mistake
):
  make, message = MISTAKES[mistake]
  config = tiny_config.get_config(poses)
  config.run_rows = ('+ BMC',)
  made = make(config, tmp_path)
  config = made if type(made) is type(config) else config
  monkeypatch.setattr(main, '_CONFIG', SimpleNamespace(value=config))
  monkeypatch.setattr(main, '_WORKDIR', SimpleNamespace(value=str(tmp_path / 'run')))
  monkeypatch.setattr(main, '_REPORT', SimpleNamespace(value=True))
  capfd.readouterr()
  with pytest.raises(SystemExit) as exit_status:
    main.run(['main'])
  assert exit_status.value.code == 2
  errors = capfd.readouterr().err
  assert 'Traceback' not in errors
  lines = errors[errors.index('error: ') :].strip().splitlines()
  assert re.search(message, lines[0])
  kept = tmp_path / 'run' / 'traceback.txt'
  assert lines[1:] == ([f'(Where it happened: {kept})'] if kept.exists() else [])


def _run_in_place_of_the_experiment(function, workdir, monkeypatch):
  """Calls the command with a function that stands for what it runs."""
  monkeypatch.setattr('bmc_jax.experiments.rows.run_experiment', function)
  config = SimpleNamespace(value=SimpleNamespace(dry_run=False))
  monkeypatch.setattr(main, '_CONFIG', config)
  monkeypatch.setattr(main, '_WORKDIR', SimpleNamespace(value=str(workdir)))
  monkeypatch.setattr(main, '_REPORT', SimpleNamespace(value=True))
  main.run(['main'])


def test_the_traceback_of_a_failure_goes_with_the_next_success(tmp_path, monkeypatch):
  (tmp_path / 'traceback.txt').write_text('of an earlier run')
  _run_in_place_of_the_experiment(lambda *_, **__: None, tmp_path, monkeypatch)
  assert not (tmp_path / 'traceback.txt').exists()


def test_a_run_that_gets_sigterm_says_how_it_goes_on(tmp_path, monkeypatch, capfd):
  def terminated(*_, **__):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)

  with pytest.raises(SystemExit) as exit_status:
    _run_in_place_of_the_experiment(terminated, tmp_path, monkeypatch)
  assert exit_status.value.code == preemption.EXIT_PREEMPTED
  told = 'stopped by SIGTERM; the same command, run again, goes on.\n'
  assert capfd.readouterr().err.endswith(told)
