"""The folder OUT/<dataset> while something is built in it: one build at a time.

It holds the versions, and below names that begin with `incomplete.` what is no dataset
yet: TFDS's own folders, finished shards of an interrupted build, an unpacked archive.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bmc_jax.console import outputs


def shards_folder(folder: Path, version: str) -> Path:
  """Where finished shards wait until all of a version are."""
  return folder / f'incomplete.shards_{version}'


def source_folder(folder: Path) -> Path:
  """Where an archive is unpacked."""
  return folder / 'incomplete.source'


def link(source: Path, target: Path) -> None:
  """Gives a file a second name, or copies it where the disk knows no links."""
  try:
    os.link(source, target)
  except OSError:
    shutil.copyfile(source, target)


@contextlib.contextmanager
def exclusive(folder: Path, version: str) -> Iterator[None]:
  """Holds the folder for one build and tidies it up.

  What builds that were killed have left is removed, but for the finished shards of this
  version. Those go too when this build succeeds or its data turn out to be wrong; they
  stay when it is interrupted, or ended by the system: a full disk, a process killed.

  Args:
    folder: OUT/<dataset>; made if need be, and removed again if the build fails.
    version: to build.

  Raises:
    ValueError: another build is running there.
  """
  new = [path for path in (folder, folder.parent) if not path.exists()]
  folder.mkdir(parents=True, exist_ok=True)
  kept = shards_folder(folder, version)
  # The lock ends with the process, however that ends.
  handle = os.open(folder, os.O_RDONLY)
  try:
    _lock(handle, folder)
    _remove(path for path in folder.glob('incomplete.*') if path != kept)
    try:
      yield
    except Exception as error:  # an interruption is none
      if not _is_of_the_system(error):
        _remove([kept])
      for path in new:
        with contextlib.suppress(OSError):  # somebody's file has come in between
          path.rmdir()
      raise
    _remove([kept])
  finally:
    os.close(handle)


def _is_of_the_system(error: Exception) -> bool:
  """Whether an error says nothing about the data that were read."""
  missing = isinstance(error, FileNotFoundError)
  return outputs.is_full(error) or (isinstance(error, OSError) and not missing)


def _lock(handle: int, folder: Path) -> None:
  try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    raise ValueError(
      f'Another build is running in {folder}; wait for its end.'
    ) from None


def _remove(paths) -> None:
  for path in paths:
    shutil.rmtree(path, ignore_errors=True)
