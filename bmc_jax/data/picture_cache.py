"""Pictures that were drawn once, kept in a file for the next epoch and the next run."""

from pathlib import Path

import numpy as np

from bmc_jax.console import files


class PictureCache:
  """Pictures in a file of fixed size, and which of them are there."""

  def __init__(self, folder: Path, about: dict, count: int, size: int):
    """Opens the folder, or makes it.

    Args:
      folder: of the files.
      about: what the pictures depend on, JSON; it is kept and compared.
      count: how many pictures fit.
      size: their side in pixels.

    Raises:
      ValueError: the folder holds other pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'about.json'
    if not path.exists():
      files.write_json(path, about)
    elif files.read_json(path) != about:
      raise ValueError(
        f'{folder} holds pictures that were drawn with other settings; name another '
        'folder as the cache.'
      )
    self._images = _open(folder / 'images.npy', (count, size, size, 3))
    self._known = _open(folder / 'known.npy', (count,))

  def read(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, and which of them are known."""
    return self._images[numbers], self._known[numbers] == 1

  def write(self, numbers: np.ndarray, images: np.ndarray) -> None:
    """Keeps pictures; only then are they known."""
    self._images[numbers] = images
    self._known[numbers] = 1


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray:
  """A file of bytes of that shape, which is made where it is missing."""
  if not path.exists():
    return np.lib.format.open_memmap(path, 'w+', np.uint8, shape)
  array = np.lib.format.open_memmap(path, 'r+')
  if array.shape != shape:
    raise ValueError(
      f'{path} holds {len(array)} pictures instead of {shape[0]}; name another folder '
      'as the cache.'
    )
  return array
