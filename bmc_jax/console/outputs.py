"""Files that are written as a whole or not at all: beside their place, then renamed.

Every output of every command goes through `replacing`, so that a full disk, Ctrl-C or a
mistake never leaves half a file where a good one was.
"""

import contextlib
import dataclasses
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

# Of a full disk, quota or file.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (
  *(errno.EACCES, errno.EPERM, errno.EROFS),
  *(errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG),
)

PARTIAL = '.partial_'
"""How the names of files begin that are being written."""

_unfinished: set[Path] = set()


@dataclasses.dataclass(frozen=True)
class Kind:
  """A kind of file: the check before computing and the writing after it share it.

  Attributes:
    what: is written, in the plural, for messages.
    endings: with a dot, in lower case; a path with another one is refused. None: any.
    may_replace: whether a file that is there is of the kind that is written; others,
      but for empty ones, are not written over. None: any is.
  """

  what: str = 'such files'
  endings: tuple[str, ...] = ()
  may_replace: Callable[[Path], bool] | None = None


ANY = Kind()


@contextlib.contextmanager
def replacing(path: str | os.PathLike, kind: Kind = ANY) -> Iterator[Path]:
  """Gives a `with` block a file to write, which then takes the place of another.

  The file lies beside the target and ends like it. It gets the target's name when the
  block ends; after any error it is removed, and the target is as it was. Where the
  target is a link, what it points to is replaced.

  Args:
    path: of the target; missing folders are made.
    kind: what is written.

  Yields:
    The path to write to; nothing is there yet.

  Raises:
    ValueError: the ending does not fit, or the target is a folder, write-protected or
      of another kind.
    OSError: the disk is full, or the folder can not be written.
  """
  check_ending(path, kind)
  target = _target(path)
  _check_replaceable(path, target, kind)
  partial = target.with_name(f'{PARTIAL}{secrets.token_hex(6)}{target.suffix}')
  _unfinished.add(partial)
  try:
    with _told(path, target.parent, partial):
      target.parent.mkdir(parents=True, exist_ok=True)
      yield partial
      _flush(partial)
      if target.exists():
        shutil.copymode(target, partial)
      partial.replace(target)
  finally:
    with contextlib.suppress(OSError):
      partial.unlink(missing_ok=True)
    _unfinished.discard(partial)


def discard() -> None:
  """Removes what is being written, for a process that ends at once."""
  for partial in list(_unfinished):
    with contextlib.suppress(OSError):
      partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str, kind: Kind = ANY) -> None:
  """Writes a file of UTF-8 text; arguments and errors are those of `replacing`."""
  with replacing(path, kind) as partial:
    partial.write_text(text, encoding='utf-8')


def check_output(
  path: str | os.PathLike, kind: Kind = ANY, *inputs: str | os.PathLike | None
) -> None:
  """Checks what `replacing` needs before anything is computed; makes nothing.

  Args:
    path: to write.
    kind: what will be written.
    *inputs: files that are read; none of them may be written over. None is no file.

  Raises:
    ValueError: the file can not be written, or is read.
  """
  target = _target(path)
  if target.exists() and any(file and _target(file) == target for file in inputs):
    raise ValueError(f'{path} is read, so it cannot be written: give another name.')
  check_ending(path, kind)
  _check_replaceable(path, target, kind)
  folder = next(parent for parent in target.parents if parent.exists())
  if not folder.is_dir() or not os.access(folder, os.W_OK):
    raise ValueError(f'{path} cannot be written: name a file in a folder of yours.')


def check_ending(path: str | os.PathLike, kind: Kind) -> None:
  """Raises a ValueError if a path ends otherwise than its kind does."""
  if kind.endings and Path(path).suffix.lower() not in kind.endings:
    *others, last = kind.endings
    fitting = f'{", ".join(others)} or {last}' if others else last
    raise ValueError(f'{path}: {kind.what} are written as {fitting}; name such a file.')


def is_full(error: BaseException) -> bool:
  """Whether an error is that of a full disk, quota or file.

  Libraries in C++ tell it in the text of their errors alone.
  """
  if isinstance(error, OSError) and error.errno in _FULL:
    return True
  text = str(error)
  return any(
    os.strerror(number) in text or f"os_error_code='{number}'" in text
    for number in _FULL
  )


def _target(path: str | os.PathLike) -> Path:
  return Path(os.path.realpath(Path(path).expanduser()))


def _check_replaceable(path: str | os.PathLike, target: Path, kind: Kind) -> None:
  """Raises a ValueError for what a file must not, or can not, take the place of."""
  if not target.exists():
    return
  if target.is_dir():
    raise ValueError(f'{path} is a folder: name a file in it.')
  if not target.is_file():
    raise ValueError(f'{path} is no ordinary file: name another one.')
  if not os.access(target, os.W_OK):
    raise ValueError(f'{path} is write-protected: name another file.')
  may_replace = kind.may_replace
  if may_replace and target.stat().st_size and not may_replace(target):
    raise ValueError(
      f'{path} is there and holds something else than {kind.what}: name another file.'
    )


@contextlib.contextmanager
def _told(path: str | os.PathLike, folder: Path, partial: Path) -> Iterator[None]:
  """Puts into one sentence why a file can not be written."""
  try:
    yield
  except Exception as error:
    if is_full(error):
      raise OSError(
        f'There is no room to write {path}: make room and run the same command again; '
        'what was there before is as it was.'
      ) from error
    if _is_denied(error, folder, partial):
      raise OSError(
        f'{path} cannot be written ({error.strerror}): name a file in a folder of '
        'yours.'
      ) from error
    raise


def _is_denied(error: Exception, folder: Path, partial: Path) -> bool:
  """Whether the system refused this file, and not another one that was in use."""
  if not isinstance(error, OSError) or error.errno not in _DENIED:
    return False
  named = Path(os.fsdecode(error.filename)) if error.filename else partial
  return named == partial or named == folder or named in folder.parents


def _flush(partial: Path) -> None:
  """Waits for the disk, which tells some errors only then."""
  with partial.open('rb') as file:
    os.fsync(file.fileno())
