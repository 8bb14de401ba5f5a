"""The cameras that `--intrinsics` gives to inputs."""

import os
from collections.abc import Mapping, Sequence

from bmc_jax.console import warn
from bmc_jax.console.tables import counted, shorten
from bmc_jax.data.cameras import Camera, is_camera, read_camera
from bmc_jax.predict.boxes import parse_numbers
from bmc_jax.predict.media import Frame, Place
from bmc_jax.predict.names import ByName, read_json


class Cameras:
  """Intrinsics: the same for all pictures, by name, or in the order of the pictures."""

  def __init__(self, given: str | None, places: Sequence[Place]):
    """Reads what `--intrinsics` says.

    Args:
      given: 'fx,fy,cx,cy'; or a JSON file with one camera, a list in the order of
        `places` (as FreiHAND's evaluation_K.json) or {name: camera}, with the names of
        `ByName`; the forms of a camera are those of `data.cameras`. None knows none.
      places: the files that are predicted, or the pictures of which hands are lifted.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it has another form, or another number of cameras.
    """
    self._one: Camera | None = None
    self._by_name: ByName[Camera] | None = None
    if given is None:
      return
    if not given.endswith('.json'):
      numbers = parse_numbers(given, '--intrinsics', 'fx,fy,cx,cy')
      self._one = read_camera(numbers, f'--intrinsics {given}')
      return
    content = read_json(given)
    files = list(dict.fromkeys(place.path for place in places))
    if is_camera(content):
      self._one = read_camera(content, given)
    elif isinstance(content, Mapping) and content:
      found = {k: read_camera(v, f'{given}: {k!r}') for k, v in content.items()}
      self._by_name = ByName(found, files, given)
      self._by_name.check_known()
    elif isinstance(content, list) and len(content) == len(places):
      found = {
        _name(place, os.path.abspath(place.path)): read_camera(
          value, f'{given}: entry {i}'
        )
        for i, (place, value) in enumerate(zip(places, content, strict=True))
      }
      self._by_name = ByName(found, files, given)
      pairs = [
        f'{i}: {_name(place, place.path.name)}' for i, place in enumerate(places)
      ]
      print(f'{given}: cameras in their order, {shorten(pairs)}.')
    else:
      number = len(content) if isinstance(content, list) else 0
      told = counted(number, 'camera') if number else 'no camera'
      raise ValueError(
        f'{given} holds {told} for {counted(len(places), "picture")}: give one, as '
        'many as pictures in their order, or an object of cameras by their names.'
      )
    self._tell_unused(given)

  def of(self, frame: Frame | Place) -> Camera | None:
    """The camera of a frame; None if it is not known."""
    return (self._by_name and self._by_name.of(frame)) or self._one

  def unseen(self) -> list[str]:
    """Names of frames that no video had."""
    return self._by_name.unseen() if self._by_name else []

  def _tell_unused(self, given: str) -> None:
    told = [self._one] if self._one else []
    told += self._by_name.values() if self._by_name else []
    if unused := sorted({key for camera in told for key in camera.unused}):
      warn(f'{given}: not used of the cameras are {shorten(unused)}.')


def _name(place: Place, file: str) -> str:
  """What `ByName` calls a place of a file."""
  return file if place.number is None else f'{file}#{place.number}'
