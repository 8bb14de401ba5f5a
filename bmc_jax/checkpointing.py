"""Checkpoints of a training run: state, data iterator and log, kept by orbax."""

import pathlib
from typing import Any

import grain
import orbax.checkpoint as ocp


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
    self._manager.save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state),
        data=ocp.args.JsonSave(data.get_state()),  # the same on every host
        log=ocp.args.JsonSave(log),
      ),
    )

  def restore(
    self, state: Any, data: grain.DatasetIterator
  ) -> tuple[Any, dict[str, Any]]:
    """Restores the newest checkpoint.

    Args:
      state: a tree like the saved one; shapes, types and shardings are taken from it.
      data: the iterator, set back to where it was.

    Returns:
      The restored state and log.

    Raises:
      ValueError: the checkpoint is damaged.
    """
    restored = self._restore(
      state=ocp.args.StandardRestore(state),
      data=ocp.args.JsonRestore(),
      log=ocp.args.JsonRestore(),
    )
    data.set_state(restored['data'])
    return restored['state'], restored['log']

  def restore_state(self, state: Any) -> Any:
    """Restores the state alone, for a run that needs no data any more."""
    return self._restore(state=ocp.args.StandardRestore(state))['state']

  def _restore(self, **parts: Any) -> Any:
    step = self._manager.latest_step()
    try:
      return self._manager.restore(step, args=ocp.args.Composite(**parts))
    except Exception as error:  # orbax has no type of its own for a damaged checkpoint
      raise ValueError(
        f'The checkpoint {self._manager.directory / str(step)} is damaged: delete this '
        'folder, and the run goes on from the one before.'
      ) from error

  def close(self) -> None:
    """Waits until everything is written."""
    self._manager.wait_until_finished()
    self._manager.close()
