"""Ctrl-C ends a process in one sentence, whatever it is doing."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bmc_jax.console import interrupts
from tests.fixtures.session import ROOT

# Programs that say 'ready' and then do what they may be interrupted in.
SWALLOWS = """
@interrupts.told()
def main():
  with outputs.replacing('x.json') as partial:
    partial.write_text('half')
    print('ready', flush=True)
    while True:
      try:
        time.sleep(60)
      except BaseException:
        pass
main()
"""
STUCK = """
import ctypes
lock, library = ctypes.create_string_buffer(64), ctypes.CDLL(None)
with interrupts.told('go on so.'):
  print('ready', flush=True)
  for _ in range(2):  # for ever, in C, without a look at signals
    library.pthread_mutex_lock(lock)
"""
SAVES = """
with interrupts.told('go on so.'), interrupts.polite('all is saved'):
  try:
    print('ready', flush=True)
    time.sleep(60)
  except KeyboardInterrupt:
    raise KeyboardInterrupt('step 7 is saved')
"""
SLOW_TO_SAVE = """
with interrupts.told('go on so.'), interrupts.polite('all is saved'):
  while True:
    try:
      print('ready', flush=True)
      time.sleep(60)
    except KeyboardInterrupt:
      pass
"""
NOTE = 'Ctrl-C: all is saved; once more ends at once.'


def _start(*arguments, cwd=ROOT, ignoring=False, **options):
  """Starts Python, which finds Ctrl-C as a terminal sets it, or ignored."""
  handler = signal.SIG_IGN if ignoring else signal.SIG_DFL
  before = signal.signal(signal.SIGINT, handler)
  try:
    return subprocess.Popen(
      [sys.executable, *arguments],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      cwd=cwd,
      env=os.environ | {'PYTHONPATH': str(ROOT)} | options,
    )
  finally:
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
  ('program', 'times', 'told'),
  [
    (SWALLOWS, 1, [f'interrupted; {interrupts.AGAIN}']),
    (STUCK, 1, ['interrupted; go on so.']),
    (SAVES, 1, [NOTE, 'interrupted; step 7 is saved; go on so.']),
    (SLOW_TO_SAVE, 2, [NOTE, 'interrupted; go on so.']),
  ],
)
def test_a_program_ends_in_one_sentence(tmp_path, program, times, told):
  text = f'import time\nfrom bmc_jax.console import interrupts, outputs\n{program}'
  process = _start('-c', text, cwd=tmp_path)
  for _ in range(times):
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(signal.SIGINT)
  _, errors = process.communicate(timeout=20)
  assert process.returncode == interrupts.EXIT_INTERRUPTED
  lines = [line for line in errors.split('\n') if line]
  assert (
    lines[-1:] == told[-1:] and set(lines) <= set(told) and 'Traceback' not in errors
  )
  assert not list(tmp_path.iterdir())


def test_a_command_ends_in_one_sentence_while_it_is_imported():
  process = _start('-m', 'bmc_jax.main', PYTHONPROFILEIMPORTTIME='1')
  for line in process.stderr:
    if 'bmc_jax.console.interrupts' in line:
      time.sleep(0.1)
      process.send_signal(signal.SIGINT)
      break
  _, errors = process.communicate(timeout=60)
  assert process.returncode == interrupts.EXIT_INTERRUPTED
  assert 'Traceback' not in errors and f'interrupted; {interrupts.AGAIN}' in errors


COMMANDS = [['-m', 'bmc_jax.main'], [Path(sys.executable).with_name('bmc-jax'), 'lift']]


@pytest.mark.parametrize('command', COMMANDS)
def test_a_command_has_no_traceback_from_its_first_import_on(command):
  process = _start(*command, PYTHONPROFILEIMPORTTIME='1')
  for line in process.stderr:
    if line.endswith(' bmc_jax.console\n'):  # before any other module of it
      process.send_signal(signal.SIGINT)
      break
  _, errors = process.communicate(timeout=60)
  assert process.returncode in (interrupts.EXIT_INTERRUPTED, -signal.SIGINT)
  assert 'Traceback' not in errors


def test_who_had_ctrl_c_before_has_it_again():
  before = signal.getsignal(signal.SIGINT)
  threads = threading.active_count()
  with pytest.raises(SystemExit) as end, interrupts.told():
    assert signal.getsignal(signal.SIGINT) is not before
    raise KeyboardInterrupt
  assert end.value.code == 130
  assert signal.getsignal(signal.SIGINT) is before and signal.set_wakeup_fd(-1) == -1
  deadline = time.monotonic() + 5
  while threading.active_count() > threads and time.monotonic() < deadline:
    time.sleep(0.01)
  assert threading.active_count() == threads


def test_a_background_job_goes_on_to_ignore_it():
  text = f'import time\nfrom bmc_jax.console import interrupts\n{SAVES}'
  process = _start('-c', text.replace('60', '0.2'), ignoring=True)
  assert process.stdout.readline() == 'ready\n'
  process.send_signal(signal.SIGINT)
  assert process.wait(timeout=20) == 0
