"""Files that name the images of a subset, such as those of INTERP and EXTRAP."""

import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ALL = 'all'


def read_subsets(given: Sequence[str], names: np.ndarray) -> dict[str, np.ndarray]:
  """Indices of the images of each subset.

  Args:
    given: 'NAME=FILE' each; the file names images, separated by white space.
    names: (N,) of all images; what is before the first slash, such as the split of a
      prepared dataset, may be left out where that makes no two alike.

  Raises:
    ValueError: another form, a subset given twice, or a file names an image that there
      is not, or one twice.
    FileNotFoundError: a file is missing.
  """
  names = [str(name) for name in names]
  short = [name.partition('/')[2] for name in names]
  count = collections.Counter(short)
  index = {name: number for number, name in enumerate(short) if count[name] == 1}
  index |= {name: number for number, name in enumerate(names)}
  subsets = {}
  for text in given:
    title, equals, file = text.partition('=')
    if not (title and equals and file) or title == ALL:
      raise ValueError(f'--subset is {text!r}; write NAME=FILE, such as INTERP=in.txt.')
    if title in subsets:
      raise ValueError(f'--subset {title} is given twice; choose another name.')
    path = Path(file).expanduser()
    if not path.is_file():
      raise FileNotFoundError(f'There is no file {file} for the subset {title}.')
    wanted = path.read_text(errors='replace').split()
    unknown = [name for name in wanted if name not in index]
    if unknown or not wanted:
      known = (
        f'{unknown[0]!r} is none of the images' if unknown else 'it names no image'
      )
      raise ValueError(f'{file}: {known}; names are such as {names[0]!r}.')
    chosen = [index[name] for name in wanted]
    (number, times), *_ = collections.Counter(chosen).most_common(1)
    if times > 1:
      raise ValueError(
        f'{file}: the image {names[number]!r} is named {times} times; name each image '
        'once.'
      )
    subsets[title] = np.array(chosen)
  return subsets
