"""Unpacks the archive of a dataset, trusting nothing that it says.

Only regular files and folders are written, below one folder, and no more than an honest
archive of images and annotations can hold. What macOS adds (`__MACOSX`, `.DS_Store`,
`._*`) is left out.
"""

import contextlib
import dataclasses
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

MAX_RATIO = 200
"""An archive that unpacks to more than this many times its size is refused: images
hardly shrink, text some 10 times, but zeros 1,000 times."""

# What its readers raise; RuntimeError of encrypted or unknown compression.
_DAMAGE = (
  zipfile.BadZipFile,
  tarfile.TarError,
  zlib.error,
  lzma.LZMAError,
  EOFError,
  RuntimeError,
)
_SMALL = 2**20  # bytes; the ratio says nothing of archives that hold so little


@dataclasses.dataclass(frozen=True)
class _Member:
  """A file of an archive; `open` is None if it is neither file nor folder."""

  name: str
  size: int
  is_folder: bool
  open: Callable[[], IO[bytes]] | None


@contextlib.contextmanager
def unpacked(archive: Path, folder: Path) -> Iterator[Path]:
  """Unpacks an archive for the length of a with block.

  Args:
    archive: a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz file.
    folder: to unpack into; it is removed at the end.

  Yields:
    The folder, or the one folder that is all that it holds.

  Raises:
    ValueError: the archive is damaged, holds a file twice, one that would be written
      elsewhere, a link, or far more than its size lets one expect. Messages of errors
      in the block name the archive in the place of the folder, which is gone by then.
  """
  try:
    folder.mkdir(parents=True)
    _unpack(archive, folder)
    entries = list(folder.iterdir())
    yield entries[0] if len(entries) == 1 and entries[0].is_dir() else folder
  except (ValueError, OSError) as error:
    error.args = tuple(
      arg.replace(str(folder), str(archive)) if isinstance(arg, str) else arg
      for arg in error.args
    )
    raise
  finally:
    shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: Path, folder: Path) -> None:
  size = archive.stat().st_size
  left = max(MAX_RATIO * size, _SMALL)
  if zipfile.is_zipfile(archive):
    read = _zip_members
  elif tarfile.is_tarfile(archive):
    read = _tar_members
  else:
    raise ValueError(
      f'{archive} is no folder and no .zip or .tar archive; get a complete copy.'
    )
  try:
    for member in read(archive):
      left -= member.size
      if left < 0:
        raise ValueError(
          f'{archive} unpacks to more than {MAX_RATIO} times its size, as no dataset '
          'does; unpack it yourself if you trust it, and name its folder.'
        )
      _write(member, archive, folder)
  except _DAMAGE as error:
    raise ValueError(
      f'{archive} cannot be unpacked ({error}); get a complete copy.'
    ) from error


def _write(member: _Member, archive: Path, folder: Path) -> None:
  path = PurePosixPath(member.name.replace('\\', '/'))
  drive = PureWindowsPath(member.name).drive
  if path.is_absolute() or '..' in path.parts or drive:
    raise ValueError(
      f'{archive} holds {member.name!r}, which lies outside of its folder; get it from '
      'its official source.'
    )
  if '__MACOSX' in path.parts or path.name == '.DS_Store' or path.name[:2] == '._':
    return
  if member.is_folder:
    _make_room(folder / path, member, archive)
    return
  if member.open is None:
    raise ValueError(
      f'{archive} holds {member.name!r}, which is a link or a device; unpack it '
      'yourself if you trust it, and name its folder.'
    )
  _make_room((folder / path).parent, member, archive)
  if (folder / path).exists():
    raise _doubled(member, archive)
  with member.open() as source, open(folder / path, 'xb') as target:
    shutil.copyfileobj(source, target, 2**20)


def _make_room(folder: Path, member: _Member, archive: Path) -> None:
  """Makes the folder of a member."""
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except (FileExistsError, NotADirectoryError):  # a file has its name
    raise _doubled(member, archive) from None


def _doubled(member: _Member, archive: Path) -> ValueError:
  return ValueError(
    f'{archive} holds {member.name!r} twice, or a file and a folder of that name; '
    'unpack it yourself, see which one is right, and name its folder.'
  )


def _zip_members(archive: Path) -> Iterator[_Member]:
  with zipfile.ZipFile(archive) as content:
    for info in content.infolist():
      # The upper half of the attributes is the mode of Unix; 0xA... is a link.
      is_link = info.external_attr >> 28 == 0xA
      opener = None if is_link else lambda info=info: content.open(info)
      yield _Member(info.filename, info.file_size, info.is_dir(), opener)


def _tar_members(archive: Path) -> Iterator[_Member]:
  with tarfile.open(archive) as content:
    for info in content:
      opener = (lambda info=info: content.extractfile(info)) if info.isfile() else None
      yield _Member(info.name, info.size, info.isdir(), opener)
