"""Checkpoints that can not be read or written: why, and that none is harmed by it."""

import contextlib
import gc
import grp  # noqa: F401, which nobody could import while denied
import os
import resource
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.training import checkpointing
from tests.training.test_checkpointing import _cut_off, _data, _save, _state

NOBODY = 65534


@pytest.fixture
def folder(tmp_path):
  _save(tmp_path / 'run', 10, 20)
  return tmp_path / 'run'


def _content(folder):
  """Names and times of change of all that is in a folder."""
  return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob('*'))}


@contextlib.contextmanager
def _denied(path):
  """Takes the permission to read a path away, also from root."""
  mode, user = path.stat().st_mode, os.geteuid()
  for parent in path.parents:
    if parent.stat().st_uid == user and 'pytest' in str(parent):
      parent.chmod(0o755)
  path.chmod(0)
  if not user:
    os.seteuid(NOBODY)
  try:
    yield
  finally:
    os.seteuid(user)
    path.chmod(mode)


@contextlib.contextmanager
def _limited(kind, value):
  limits = resource.getrlimit(kind)
  resource.setrlimit(kind, (value, limits[1]))
  try:
    yield
  finally:
    resource.setrlimit(kind, limits)


def _read(folder, like):
  return checkpointing.read_checkpoint(folder, 20, like)


def _resume(folder, like):
  checkpoints = checkpointing.Checkpointer(folder, keep=9)
  try:
    return checkpoints.restore(like)
  finally:
    checkpoints.close()


@pytest.mark.parametrize('restore', [_read, _resume])
@pytest.mark.parametrize('part', ['', 'state', 'state/manifest.ocdbt', 'log/metadata'])
def test_a_file_that_may_not_be_read_is_not_damaged(folder, restore, part):
  before = _content(folder)
  with _denied(folder / '20' / part), pytest.raises(OSError) as error:
    restore(folder, _state(0))
  assert 'cannot be read (Permission denied), which says nothing against' in str(
    error.value
  )
  assert _content(folder).keys() == before.keys()
  assert restore(folder, _state(0)).step == 20


@pytest.mark.parametrize('restore', [_read, _resume])
def test_too_many_open_files_are_no_damage(folder, restore):
  before = _content(folder)
  gc.collect()
  told = ''
  taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
  with _limited(resource.RLIMIT_NOFILE, max(taken) + 200):
    for _ in range(3):  # what other tests left open may come free on the way
      with contextlib.suppress(OSError):
        while True:
          taken.append(os.open(os.devnull, os.O_RDONLY))
      for _ in range(5):  # so few that the event loop starts, and no more
        os.close(taken.pop())
      try:
        restore(folder, _state(0))
      except OSError as error:
        told = str(error)
        break
    for handle in taken:
      os.close(handle)
  with warnings.catch_warnings():  # of coroutines that could not start
    warnings.simplefilter('ignore')
    gc.collect()
  assert 'Too many open files' in told
  assert _content(folder).keys() == before.keys()
  assert restore(folder, _state(0)).step == 20


@pytest.mark.parametrize('restore', [_read, _resume])
@pytest.mark.parametrize(
  'change, message',
  [
    (
      {'count': jnp.zeros((), jnp.int32)},
      r"'count'\] is missing there and int32\[\] h",
    ),
    (
      {'a': jnp.zeros((4, 2))},
      r"'a'\] is int32\[3,2\] there and float32\[4,2\] here",
    ),
    ({'step': jnp.zeros(())}, r"'step'\] is int32\[\] there and float32\[\] here"),
  ],
)
def test_a_state_of_another_structure_is_no_damage(
  folder, restore, change, message, monkeypatch
):
  before = _content(folder)
  with pytest.raises(ValueError, match=message) as error:
    restore(folder, _state(0) | change)
  assert 'The versions are the same' in str(error.value)
  monkeypatch.setattr('bmc_jax.training.checkpoint_checks.__version__', '9.9')
  with pytest.raises(
    ValueError, match='written with bmc_jax 0.*; here are bmc_jax 9.9'
  ):
    restore(folder, _state(0) | change)
  assert _content(folder).keys() == before.keys()


@pytest.mark.parametrize('restore', [_read, _resume])
def test_another_version_is_told_and_no_damage(folder, restore, caplog, monkeypatch):
  monkeypatch.setattr('bmc_jax.training.checkpoint_checks.__version__', '9.9')
  assert restore(folder, _state(0)).step == 20
  assert 'was written by bmc_jax 0' in caplog.text and 'this is 9.9' in caplog.text
  for path in (folder / '20' / 'about').iterdir():
    path.unlink()
  (folder / '20' / 'about').rmdir()  # as if written before checkpoints said it
  before = _content(folder)
  with pytest.raises(ValueError, match='does not say which state it holds'):
    restore(folder, _state(0))
  assert _content(folder).keys() == before.keys()


def test_what_only_reads_changes_nothing_even_where_a_checkpoint_is_damaged(folder):
  assert _read(folder, _state(0)).state['a'][0, 0] == 20
  _cut_off(folder / '20')
  before = _content(folder)
  with pytest.raises(ValueError, match='20 is damaged .*run the training again'):
    _read(folder, _state(0))
  assert _content(folder) == before


def test_a_whole_checkpoint_that_does_not_fit_is_not_set_aside(folder, monkeypatch):
  def refuse(*_, **__):
    raise ValueError('of a mesh that is not here')

  monkeypatch.setattr('orbax.checkpoint.CheckpointManager.restore', refuse)
  with pytest.raises(
    ValueError, match=r'20 is whole, but does not fit here \(of a mesh'
  ):
    _resume(folder, _state(0))
  assert (folder / '20').is_dir() and not (folder / 'damaged_20').exists()


def test_a_full_disk_is_told_and_earlier_checkpoints_stay_whole(tmp_path, capfd):
  names = 'abcdefghijklmnopqrstuvwxyz'  # many writes fail at the same time
  state = {name: jax.random.normal(jax.random.key(0), (64, 1024)) for name in names}
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=9)
  checkpoints.save(1, state, _data(), {})
  checkpoints.close()
  checkpoints = checkpointing.Checkpointer(tmp_path, keep=9)
  capfd.readouterr()
  with _limited(resource.RLIMIT_FSIZE, 100_000):
    with pytest.raises(OSError, match='no room for a checkpoint in .* make room'):
      checkpoints.save(2, state, _data(), {})
      checkpoints.close()
  assert not capfd.readouterr().err  # orbax's threads keep their tracebacks
  saved = checkpointing.Checkpointer(tmp_path, keep=9).restore(state)
  assert saved.step == 1
  np.testing.assert_array_equal(saved.state['a'], state['a'])
