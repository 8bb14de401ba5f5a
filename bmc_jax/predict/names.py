"""What files tell of inputs by their names."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from bmc_jax.console import warn
from bmc_jax.console.files import read_text
from bmc_jax.console.tables import counted, shorten
from bmc_jax.predict.media import Frame, Place

T = TypeVar('T')


class ByName(Generic[T]):
  """Values by the names of inputs: a file's name, path or stem, or `wave.mp4#12`."""

  def __init__(self, values: Mapping[str, T], files: Sequence[Path], where: str):
    """Finds the file of each name.

    Args:
      values: by name. A name is the end of a path (`photo.jpg`, `in/photo.jpg`), maybe
        without its ending (`photo`), and of a video's frame with its number.
      files: the inputs.
      where: what messages call the values.

    Raises:
      ValueError: a name fits two files, or two names one.
    """
    self._where, self._inputs = where, [file.name for file in files]
    self._values: dict[tuple[Path, str], T] = {}
    self._frames: dict[tuple[Path, str], str] = {}
    self._unknown: list[str] = []
    self._bare: dict[str, str] = {}
    taken: dict[tuple[Path, str], str] = {}
    paths = {file: PurePosixPath(os.path.abspath(file)) for file in files}
    self._by_end: dict[bool, dict[str, list]] = {False: {}, True: {}}
    for file, path in paths.items():
      for bare, whole in ((False, path), (True, path.with_suffix(''))):
        self._by_end[bare].setdefault(whole.name, []).append((file, whole.parts))
    for name, value in values.items():
      place = self._place(name, where)
      if place is None:
        self._unknown.append(name)
        continue
      if place in taken:
        raise ValueError(
          f'{where}: {taken[place]!r} and {name!r} are both of {place[0]}; keep one.'
        )
      taken[place] = name
      self._values[place] = value
      if place[1]:
        self._frames[place] = name

  def check_known(self, *, required: bool = False) -> None:
    """Tells names that no input has, and those that lack their ending.

    Args:
      required: that at least one name is that of an input.

    Raises:
      ValueError: it is required, and none is.
    """
    if self._unknown:
      told = (
        f'{self._where} names {counted(len(self._unknown), "file")} that no input is: '
        f'{shorten(self._unknown)}'
      )
      hint = f'the inputs are {shorten(self._inputs)}.'
      if required and not self._values:
        raise ValueError(f'{told}; {hint}')
      warn(f'{told}; {hint}')
    if self._bare:
      pairs = [f'{name} is taken for {file}' for name, file in self._bare.items()]
      warn(f'{self._where}: {shorten(pairs)}.')

  def values(self) -> list[T]:
    """What is told of inputs."""
    return list(self._values.values())

  def of(self, frame: Frame | Place) -> T | None:
    """What is told of a frame, else of its file; None if neither is named."""
    number = '' if frame.number is None else str(frame.number)
    self._frames.pop((frame.path, number), None)
    place = (frame.path, number)
    return self._values.get(place, self._values.get((frame.path, '')))

  def unseen(self) -> list[str]:
    """Names of frames that no video had."""
    return sorted(self._frames.values())

  def _place(self, name: str, where: str) -> tuple[Path, str] | None:
    """The file, and the frame, that a name is of."""
    base, mark, number = name.rpartition('#')
    asked = [(name, '')]
    if mark and number.isdigit():
      asked.append((base, str(int(number))))
    for text, frame in asked:
      parts = PurePosixPath(os.path.normpath(text.replace('\\', '/'))).parts
      for bare, ends in self._by_end.items():
        candidates = ends.get(parts[-1], ()) if parts else ()
        whole = PurePosixPath(os.path.abspath(text)).parts
        found = [file for file, path in candidates if path == whole] or [
          file for file, path in candidates if path[-len(parts) :] == parts
        ]
        if len(found) > 1:
          raise ValueError(
            f'{where}: {name!r} is the name of {len(found)} inputs, {found[0]} and '
            f'{found[1]}; name them by their paths.'
          )
        if found:
          if bare:
            self._bare[name] = found[0].name
          return found[0], frame
    return None


def read_json(path: str) -> Any:
  """The content of a JSON file.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is no JSON.
  """
  file = Path(path).expanduser()
  if not file.is_file():
    raise FileNotFoundError(f'There is no file {file}.')
  try:
    return json.loads(read_text(file))
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{file} is no valid JSON ({error}).') from None
