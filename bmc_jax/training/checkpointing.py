"""Checkpoints of a training run: state, data iterator and log, kept by orbax."""

import contextlib
import dataclasses
import errno
import pathlib
from collections.abc import Iterator
from typing import Any

import grain
import jax
import orbax.checkpoint as ocp
from absl import logging

from bmc_jax.training import hosts

# Of a full disk, quota or file; tensorstore tells them in the text of its error.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
          state=ocp.args.StandardSave(state),
          data=ocp.args.JsonSave(data.get_state()),  # the same on every host
          log=ocp.args.JsonSave(log),
        ),
      )

  def restore(self, like: Any) -> Saved | None:
    """Restores the newest checkpoint that is whole.

    A damaged one is set aside, under another name, with a warning.

    Args:
      like: a tree like the saved one; shapes, types and shardings are taken from it.

    Returns:
      What it holds; None if nothing was ever saved.

    Raises:
      ValueError: there are checkpoints, but all are damaged.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    for step in steps:
      try:
        restored = self._manager.restore(
          step,
          args=ocp.args.Composite(
            state=ocp.args.StandardRestore(like),
            data=ocp.args.JsonRestore(),
            log=ocp.args.JsonRestore(),
          ),
        )
      except (MemoryError, jax.errors.JaxRuntimeError):
        raise
      except Exception as error:  # orbax has no type of its own for damage
        self._set_aside(step, error)
      else:
        return Saved(step, restored['state'], restored['data'], restored['log'])
    if steps:
      raise ValueError(
        f'All checkpoints in {self._manager.directory} are damaged (they are called '
        'damaged_STEP now): delete this folder to train anew.'
      )
    return None

  def _set_aside(self, step: int, error: Exception) -> None:
    folder = pathlib.Path(self._manager.directory) / str(step)
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    logging.warning(
      'The checkpoint %s is damaged and is skipped (%s); it is called damaged_%d now.',
      folder,
      reason,
      step,
    )
    hosts.wait(f'damaged {step}')
    if hosts.is_first():
      folder.rename(folder.with_name(f'damaged_{step}'))
    hosts.wait(f'set aside {step}')
    self._manager.reload()

  @contextlib.contextmanager
  def _told_if_full(self) -> Iterator[None]:
    """Puts into words what a full disk makes orbax raise, if only one step later."""
    try:
      yield
    except Exception as error:
      if getattr(error, 'errno', None) in _FULL or any(
        f"os_error_code='{number}'" in str(error) for number in _FULL
      ):
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
