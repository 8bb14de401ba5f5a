r"""Writes a trained network as a file that predicts without this library.

    bmc-jax export --checkpoint runs/quickstart --row '+ BMC' \
        --format stablehlo

Formats: `stablehlo` (any batch; CPUs, GPUs and TPUs; read back by `jax.export`),
`tflite` (phones; one hand at a time; extra `tflite`), `onnx` (any batch; extra `onnx`).
The file takes crops as they come, uint8, and their intrinsics; beside it a JSON file
says what goes in and comes out. It is read back and compared with the model on 100
crops before it gets its name: the differences are printed, relative to 1 + |value|.
"""

from collections.abc import Sequence
from pathlib import Path

from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.parsing import command_parser
from bmc_jax.export.writing import (
  FORMATS,
  check_export,
  description_of,
  export_row,
  suffix_of,
)
from bmc_jax.training.trained_row import open_row


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = command_parser('export', __doc__)
  parser.add_argument('--checkpoint', required=True, help='workdir of an experiment')
  parser.add_argument('--row', help='of its table; not needed if there is one only')
  parser.add_argument('--format', required=True, choices=FORMATS)
  parser.add_argument('--out', help='file to write; else in the folder of the row')
  flags = parser.parse_args(argv)
  compile_cache.enable()
  try:
    out = Path(flags.out).expanduser() if flags.out else None
    if out:
      check_export(out, flags.format)
    row = open_row(flags.checkpoint, flags.row)
    out = out or row.folder / f'model{suffix_of(flags.format)}'
    found = export_row(row, flags.format, out)
  except USER_ERRORS as error:
    fail(str(error))
  for name, gap in found.items():
    print(f'{name}: differs from the model by at most {gap:.1e}')
  print(f'{out} ({out.stat().st_size / 1e6:.1f} MB), {description_of(out).name}')


if __name__ == '__main__':
  main()
