"""Traces of training steps, and compiled programs that outlive the process."""

import jax
import pytest

from bmc_jax.console import compile_cache
from bmc_jax.training.loop import train
from tests.fixtures import tiny_config


@pytest.fixture
def config(tmp_path):
  config = tiny_config.get_config(tiny_config.write_poses(tmp_path / 'poses.npy', 8))
  config.profile = True
  config.data.val = type(config.data.val)()
  return config


def _traced_steps(folder) -> list[int]:
  (path,) = folder.glob('**/*.xplane.pb')
  return sorted(
    dict(event.stats)['step_num']
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes
    for line in plane.lines
    for event in line.events
    if event.name == 'train'
  )


@pytest.mark.slow
def test_a_profile_holds_ten_steps_after_the_first_ones(config, tmp_path, capsys):
  train(config, tmp_path, None)
  assert _traced_steps(tmp_path / 'profile') == list(range(6, 16))
  assert list((tmp_path / 'profile').glob('**/perfetto_trace.json.gz'))
  assert f'A trace of 10 steps is in {tmp_path / "profile"}' in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_ends_early_still_writes_its_profile(config, tmp_path):
  config.num_steps = 8
  train(config, tmp_path, None)
  assert _traced_steps(tmp_path / 'profile') == [6, 7, 8]


def test_a_run_that_is_too_short_for_a_profile_says_so(config, tmp_path, capsys):
  config.num_steps = 5
  train(config, tmp_path, None)
  assert 'No step was traced' in capsys.readouterr().err


def test_without_a_home_there_is_no_cache_but_a_warning(monkeypatch, capsys):
  def no_home():
    raise RuntimeError('Could not determine home directory.')

  for name in ('JAX_COMPILATION_CACHE_DIR', 'XDG_CACHE_HOME'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(compile_cache.Path, 'home', no_home)
  before = jax.config.jax_compilation_cache_dir
  compile_cache.enable()
  assert jax.config.jax_compilation_cache_dir == before
  assert 'JAX_COMPILATION_CACHE_DIR' in capsys.readouterr().err


@pytest.mark.parametrize('own', [False, True])
def test_programs_are_kept_where_the_user_says_or_in_the_cache(
  tmp_path, monkeypatch, own
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'own'))
  if not own:
    monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  before = jax.config.jax_compilation_cache_dir
  compile_cache.enable()
  after = jax.config.jax_compilation_cache_dir
  jax.config.update('jax_compilation_cache_dir', before)
  # JAX has read the variable when it was imported.
  assert after == (before if own else str(tmp_path / 'bmc_jax' / 'jax'))
