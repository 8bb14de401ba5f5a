"""`bmc-jax build rehearsal`: writes the four datasets, each one once."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS
from bmc_jax.console.parsing import command_parser

from . import __doc__ as about
from . import layouts

# Images of each part of the real datasets; of FreiHAND's training, poses.
DATASETS = {
  'RHD_published_v2': (
    layouts.write_rhd,
    {'training': 41_258, 'evaluation': 2_728},
  ),
  'FreiHAND_pub_v2': (
    layouts.write_freihand,
    {'training': 32_560, 'evaluation': 3_960},
  ),
  'HO3D_v3': (layouts.write_ho3d, {'train': 83_325, 'evaluation': 20_137}),
  'dexter+object': (
    layouts.write_dexter,
    {
      **{'Grasp1': 356, 'Grasp2': 648, 'Occlusion': 354},
      **{'Pinch': 458, 'Rigid': 531, 'Rotate': 798},
    },
  ),
}
LEAST = 2  # images of a part at any scale
TILES = (16, 512)  # px


def write(out: str | Path, scale: float, *, tile: int = 96, only=()) -> list[Path]:
  """Writes the datasets that are not there.

  Args:
    out: the folder for them.
    scale: how many images, over those of the real datasets.
    tile: side in pixels with which a hand is drawn.
    only: keys of `DATASETS`; all of them without it.

  Returns:
    Their folders.

  Raises:
    ValueError: a number is out of its range, or there is no such dataset.
  """
  if not 0 < scale <= 1:
    raise ValueError(f'--scale is {scale}; it must be above 0 and at most 1.')
  if not TILES[0] <= tile <= TILES[1]:
    raise ValueError(f'--tile is {tile}; it must be from {TILES[0]} to {TILES[1]} px.')
  for name in only:
    if name not in DATASETS:
      raise ValueError(f'There is no {name!r}; there are {", ".join(DATASETS)}.')
  folders = []
  for name in only or DATASETS:
    function, counts = DATASETS[name]
    folder = Path(out).expanduser() / name
    folders.append(folder)
    if folder.exists():
      print(f'{folder} is already there; delete it to draw it anew.')
      continue
    unfinished = folder.with_name(f'incomplete.{name}')
    shutil.rmtree(unfinished, ignore_errors=True)
    scaled = {k: max(round(scale * count), LEAST) for k, count in counts.items()}
    function(unfinished, scaled, tile)
    unfinished.rename(folder)
  return folders


@interrupts.told('the same command, run again, draws what is not complete.')
def main(argv: Sequence[str]) -> int:
  """Runs the command line; returns the exit code, 2 for bad input."""
  parser = command_parser('build rehearsal', about)
  parser.add_argument('--out', required=True, help='folder for the four datasets')
  parser.add_argument('--scale', type=float, required=True, help='above 0, at most 1')
  parser.add_argument('--tile', type=int, default=96, help='px; 96 if not given')
  args = parser.parse_args(argv)
  compile_cache.enable()
  try:
    for folder in write(args.out, args.scale, tile=args.tile):
      print(folder)
  except USER_ERRORS as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0
