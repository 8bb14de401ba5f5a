"""Checkpoints of a training run: state, data iterator and log, kept by orbax.

`Checkpointer` is for training, `read_checkpoint` for whatever else reads a run: it
changes nothing there.
"""

import contextlib
import dataclasses
import functools
import logging as std_logging
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import grain
import jax
import orbax.checkpoint as ocp
from absl import logging

from bmc_jax.console.outputs import is_full
from bmc_jax.training import hosts
from bmc_jax.training.checkpoint_checks import (
  About,
  UnreadableError,
  check_about,
  explain,
)

_ASIDE = 'damaged_'


@dataclasses.dataclass(frozen=True)
class Saved:
  """What a checkpoint holds.

  Attributes:
    step: its number.
    state: a tree of arrays.
    data: where the data iterator stood (`get_state`).
    log: what was given to `save`.
  """

  step: int
  state: Any
  data: Any
  log: dict[str, Any]


class Checkpointer:
  """Saves and restores (train state, data iterator, log) together.

  Saving is asynchronous, and a checkpoint counts only once it is complete: a process
  killed while it writes leaves the one before as the newest.
  """

  def __init__(self, directory: pathlib.Path, *, keep: int):
    """Opens a directory of checkpoints.

    Args:
      directory: is made if it does not exist.
      keep: how many of the newest checkpoints stay.
    """
    _tell_once()
    self._manager = ocp.CheckpointManager(
      directory.resolve(),
      options=ocp.CheckpointManagerOptions(
        max_to_keep=keep, enable_async_checkpointing=True
      ),
    )

  @property
  def latest_step(self) -> int | None:
    """The step of the newest complete checkpoint."""
    return self._manager.latest_step()

  def save(
    self, step: int, state: Any, data: grain.DatasetIterator, log: dict[str, Any]
  ) -> None:
    """Starts to write a checkpoint; waits only for the one before.

    Args:
      step: its number.
      state: a tree of arrays.
      data: the iterator; where it stands is saved.
      log: what can be written as JSON.
    """
    with self._told_if_full():
      self._manager.save(
        step,
        args=ocp.args.Composite(
          about=ocp.args.JsonSave(About.of(state)._asdict()),
          state=ocp.args.StandardSave(state),
          data=ocp.args.JsonSave(data.get_state()),  # the same on every host
          log=ocp.args.JsonSave(log),
        ),
      )

  def restore(self, like: Any) -> Saved | None:
    """Restores the newest checkpoint that is whole.

    A damaged one is set aside, under another name, with a warning. What says nothing
    about its bytes is no damage (see `checkpoint_checks`).

    Args:
      like: a tree like the saved one; shapes, types and shardings are taken from it.

    Returns:
      What it holds; None if nothing was ever saved.

    Raises:
      ValueError: all checkpoints are damaged, or one holds another state.
      OSError: the system lets nobody read one, now or here.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    for step in steps:
      try:
        return _restore(self._manager, step, like)
      except UnreadableError as error:
        self._set_aside(step, error)
    if steps or any(self._manager.directory.glob(f'{_ASIDE}*')):
      raise ValueError(
        f'All checkpoints in {self._manager.directory} are damaged (they are called '
        'damaged_STEP now): delete this folder to train anew.'
      )
    return None

  def _set_aside(self, step: int, reason: UnreadableError) -> None:
    folder = _folder(self._manager, step)
    name, number = folder.with_name(f'{_ASIDE}{step}'), 1
    while name.exists():
      number += 1
      name = folder.with_name(f'{_ASIDE}{step}_{number}')
    logging.warning(
      'The checkpoint %s is damaged and is skipped (%s); it is called %s now.',
      folder,
      reason,
      name.name,
    )
    hosts.wait(f'damaged {step}')
    if hosts.is_first():
      folder.rename(name)
    hosts.wait(f'set aside {step}')
    self._manager.reload()

  @contextlib.contextmanager
  def _told_if_full(self) -> Iterator[None]:
    """Puts into words what a full disk makes orbax raise, if only one step later."""
    try:
      yield
    except Exception as error:
      if is_full(error):
        raise OSError(
          f'There is no room for a checkpoint in {self._manager.directory}; those '
          'before are whole, so make room and run the same command again.'
        ) from error
      raise

  def close(self) -> None:
    """Waits until everything is written."""
    with self._told_if_full():
      self._manager.wait_until_finished()
    self._manager.close()


def read_checkpoint(directory: pathlib.Path, step: int, like: Any) -> Saved:
  """Reads a checkpoint, and changes nothing in its run.

  Args:
    directory: of the checkpoints.
    step: of the checkpoint.
    like: see `Checkpointer.restore`.

  Raises:
    ValueError: it is damaged, or holds another state.
    OSError: the system lets nobody read it, now or here.
  """
  options = ocp.CheckpointManagerOptions(
    read_only=True, create=False, save_interval_steps=0
  )
  _tell_once()
  with _quiet(), ocp.CheckpointManager(directory.resolve(), options=options) as manager:
    try:
      return _restore(manager, step, like)
    except UnreadableError as error:
      raise ValueError(
        f'The checkpoint {_folder(manager, step)} is damaged ({error}): delete '
        f'metrics.json in {directory.parent}, if it is there, and run the training '
        'again, which goes on from the checkpoint before.'
      ) from error


def _restore(manager: ocp.CheckpointManager, step: int, like: Any) -> Saved:
  """Restores a checkpoint; raises what `explain` says, or `check_about`."""
  folder, here = _folder(manager, step), About.of(like)
  json = ocp.args.JsonRestore
  with _explained(folder):
    about = manager.restore(step, args=ocp.args.Composite(about=json()))['about']
  check_about(folder, about, here)
  state = ocp.args.StandardRestore(like)
  with _explained(folder):
    found = manager.restore(
      step, args=ocp.args.Composite(state=state, data=json(), log=json())
    )
  return Saved(step, found['state'], found['data'], found['log'])


@contextlib.contextmanager
def _explained(folder: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except (MemoryError, jax.errors.JaxRuntimeError):
    raise
  except Exception as error:  # orbax has no type of its own for damage
    raise explain(folder, error) from error


def _folder(manager: ocp.CheckpointManager, step: int) -> pathlib.Path:
  return manager.directory / str(step)  # pyright: ignore[reportReturnType]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Drops what orbax logs, as its warning that what it only reads is read only."""

  def is_ours(record: std_logging.LogRecord) -> bool:
    return 'orbax' not in record.pathname

  logging.get_absl_logger().addFilter(is_ours)
  try:
    yield
  finally:
    logging.get_absl_logger().removeFilter(is_ours)


def _is_told_once(record: std_logging.LogRecord) -> bool:
  """Drops tracebacks that orbax's threads log: `save` and `close` raise them, too."""
  source = f'{record.pathname} {record.getMessage()}'
  return not (record.exc_info and 'orbax' in source)


@functools.cache
def _tell_once() -> None:
  """Lets errors of orbax's threads be told by our sentence alone, also at the exit."""
  for logger in (logging.get_absl_logger(), std_logging.getLogger('asyncio')):
    logger.addFilter(_is_told_once)
  hook = sys.unraisablehook

  def tell(unraisable) -> None:
    # Of reads and writes that were given up, and event loops that could not start.
    if not re.search('Event loop is closed|_ssock', str(unraisable.exc_value)):
      hook(unraisable)

  sys.unraisablehook = tell
