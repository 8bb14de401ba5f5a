"""What a checkpoint says of itself, and why one can not be read.

A checkpoint that can not be read is damaged only if its bytes are wrong. Permissions,
too many open files, another structure of the state and another version are no damage:
who has the right permission or version can go on with it.
"""

import errno
import importlib.metadata
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from bmc_jax import __version__

_LIBRARIES = ('jax', 'optax', 'orbax-checkpoint')
_SHOWN = 3  # differences between two structures
_PARTS = ('about', 'data', 'log', 'state')
# What orbax raises for wrong bytes and missing files; more tell of a fault of ours.
_OF_BYTES = (ValueError, OSError, LookupError, EOFError)

_REMEDIES = {
  errno.EACCES: 'read it as the user whose run it is, or ask for permission',
  errno.EPERM: 'read it as the user whose run it is, or ask for permission',
  errno.EMFILE: 'allow more open files (ulimit -n), then run the same command again',
  errno.ENFILE: 'close other programs, then run the same command again',
  errno.ENOMEM: 'free some memory, then run the same command again',
}


class UnreadableError(Exception):
  """The bytes of a checkpoint are no checkpoint."""


class About(NamedTuple):
  """What stands in a checkpoint about itself.

  Attributes:
    versions: library -> version that wrote it.
    state: name of an array -> its type and shape, as 'float32[3,4]'.
  """

  versions: dict[str, str]
  state: dict[str, str]

  @classmethod
  def of(cls, state: Any) -> 'About':
    """What is written into a checkpoint of a state, here and now."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return cls(
      {'bmc_jax': __version__} | versions,
      {
        jax.tree_util.keystr(path): f'{leaf.dtype}[{",".join(map(str, leaf.shape))}]'
        for path, leaf in leaves
      },
    )


def check_about(folder: Path, found: Mapping[str, Any], here: About) -> None:
  """Compares what a checkpoint says of itself with what is to be read.

  Another version of this library is warned of.

  Args:
    folder: of the checkpoint.
    found: of `About`, as JSON gives it back.
    here: of the state to read.

  Raises:
    ValueError: its state has another structure.
  """
  written = found['versions']
  if differing := list(_differences(found['state'], here.state)):
    more = len(differing) - _SHOWN
    shown = '; '.join(differing[:_SHOWN]) + (f'; and {more} more' if more > 0 else '')
    if written == here.versions:
      cause = 'The versions are the same, so the code was another one: go on with that'
    else:
      cause = (
        f'It was written with {_say(written)}; here are {_say(here.versions)}: go on '
        'with those versions'
      )
    raise ValueError(
      f'The checkpoint {folder} holds a state of another structure ({shown}). {cause}, '
      'or train anew in a new --workdir.'
    )
  if written['bmc_jax'] != __version__:
    logging.warning(
      'The checkpoint %s was written by bmc_jax %s; this is %s, which may go on in '
      'another way.',
      folder,
      written['bmc_jax'],
      __version__,
    )


def _differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
  for name in [*found, *(name for name in wanted if name not in found)]:
    have, need = found.get(name, 'missing'), wanted.get(name, 'missing')
    if have != need:
      yield f'{name} is {have} there and {need} here'


def _say(versions: Mapping[str, str]) -> str:
  return ', '.join(f'{name} {version}' for name, version in versions.items())


def explain(folder: Path, error: Exception) -> Exception:
  """Why reading a checkpoint failed.

  Args:
    folder: of the checkpoint.
    error: that was raised.

  Returns:
    `UnreadableError` on evidence of damage alone: nothing of the system is in the way,
    and its arrays cannot be read as plain ones either. Otherwise an OSError or
    ValueError that says what is in the way.
  """
  number = _system_error(error) or _probe(folder)
  if number:
    return _refusal(folder, number)
  if not (folder / 'about').is_dir():
    return ValueError(
      f'The checkpoint {folder} does not say which state it holds, so another version '
      f'of bmc_jax than {__version__} has written it: go on with that one, or train '
      'anew in a new --workdir.'
    )
  damage = _damage(folder)
  if damage is None:
    return ValueError(
      f'The checkpoint {folder} is whole, but does not fit here ({_first_line(error)}).'
    )
  number = _system_error(damage)
  if number:
    return _refusal(folder, number)
  if isinstance(damage, _OF_BYTES):
    return UnreadableError(_first_line(damage))
  return ValueError(
    f'The checkpoint {folder} cannot be read ({_first_line(damage)}); whether it is '
    'damaged is not clear: give it another name to go on from the one before.'
  )


def _refusal(folder: Path, number: int) -> OSError:
  remedy = _REMEDIES.get(number, 'look after the disk, then run the same command again')
  return OSError(
    f'The checkpoint {folder} cannot be read ({os.strerror(number)}), which says '
    f'nothing against it: {remedy}.'
  )


def _system_error(error: BaseException | None) -> int | None:
  """The number of a system's error behind an exception, if it tells of no damage."""
  numbers = [*_REMEDIES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOSPC]
  while error is not None:
    if isinstance(error, OSError) and error.errno in numbers:
      return error.errno
    coded = re.search(r"os_error_code='(\d+)'", str(error))
    if coded and int(coded[1]) in numbers:
      return int(coded[1])
    for number in numbers:  # tensorstore does not always give the number
      if os.strerror(number) in str(error):
        return number
    error = error.__cause__ or error.__context__
  return None


def _probe(folder: Path) -> int | None:
  """The number of the error that a file or folder cannot be opened for, if one is."""

  def fail(error: OSError) -> None:
    raise error

  try:
    for parent, _, names in os.walk(folder, onerror=fail):
      for name in names:
        with open(Path(parent, name), 'rb') as file:
          file.read(1)
  except OSError as error:
    return error.errno
  return None


def _damage(folder: Path) -> Exception | None:
  """What is raised where a checkpoint is read as plain arrays and JSON."""
  try:
    for name in _PARTS:
      if not (folder / name).is_dir():
        raise FileNotFoundError(f'its part {name!r} is missing')
    for name in _PARTS[:-1]:
      ocp.JsonCheckpointHandler().restore(folder / name)
    handler = ocp.PyTreeCheckpointHandler()
    saved = handler.metadata(folder / _PARTS[-1])
    plain = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), saved.tree)
    handler.restore(
      folder / _PARTS[-1], args=ocp.args.PyTreeRestore(restore_args=plain)
    )
  except (MemoryError, jax.errors.JaxRuntimeError):
    raise
  except Exception as error:  # orbax has no type of its own for damage
    return error
  return None


def _first_line(error: Exception) -> str:
  lines = str(error).splitlines()
  return f'{lines[0]:.200}' if lines else type(error).__name__
