"""Where a prepared dataset comes from: tells one source from another, or a changed one.

Kept in the metadata of the dataset, so that another source is not taken for it.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

# Of annotation files.
_SUFFIXES = ('.json', '.mat', '.pickle', '.pkl', '.txt', '.xml', '.yaml')
_DEPTH = 2  # folders of single examples lie deeper, and listing them takes long
_TAIL = 2**16  # bytes; the ends of archives have checksums of what they hold


def describe(source: Path) -> dict[str, str]:
  """The absolute path of a source and the fingerprint of its content.

  Args:
    source: an archive, or a folder, of which the annotation files down to
      `annotations/*.json` count; a folder without any is told by its path.
  """
  source = source.resolve()
  digest = hashlib.sha256()
  if source.is_file():
    size = source.stat().st_size
    with open(source, 'rb') as file:
      file.seek(max(size - _TAIL, 0))
      digest.update(b'%d:' % size + file.read())
  else:
    files = sorted(_annotation_files(source, _DEPTH))
    for path in files:
      with open(path, 'rb') as file:
        content = hashlib.file_digest(file, 'sha256').hexdigest()
      digest.update(f'{path.relative_to(source)}:{content}\n'.encode())
    if not files:
      digest.update(str(source).encode())
  return {'path': str(source), 'fingerprint': digest.hexdigest()}


def _annotation_files(folder: Path, depth: int) -> Iterator[Path]:
  with os.scandir(folder) as entries:
    for entry in entries:
      if entry.name.startswith('.'):
        continue
      if entry.is_dir():
        if depth > 1:
          yield from _annotation_files(Path(entry.path), depth - 1)
      elif entry.is_file() and entry.name.lower().endswith(_SUFFIXES):
        yield Path(entry.path)
