r"""Writes a trained network as a file that predicts without this library.

    python -m bmc_jax.export --checkpoint runs/quickstart --row '+ BMC' \
        --format stablehlo

Formats: `stablehlo` (any batch; CPUs, GPUs and TPUs; read back by `jax.export`),
`tflite` (phones; one hand at a time; extra `tflite`), `onnx` (any batch; extra `onnx`).
The file takes crops as they come, uint8, and their intrinsics; beside it a JSON file
says what goes in and comes out. It is read back and compared with the model on 100
crops before it gets its name: the differences are printed, relative to 1 + |value|.
"""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

from bmc_jax import __version__, compile_cache
from bmc_jax.errors import USER_ERRORS, fail
from bmc_jax.exporting import parity, signature
from bmc_jax.results import write_json
from bmc_jax.trained_row import TrainedRow, open_row

FORMATS = ('stablehlo', 'tflite', 'onnx')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = argparse.ArgumentParser(
    prog='python -m bmc_jax.export',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--checkpoint', required=True, help='workdir of an experiment')
  parser.add_argument('--row', help='of its table; not needed if there is one only')
  parser.add_argument('--format', required=True, choices=FORMATS)
  parser.add_argument('--out', help='file to write; else in the folder of the row')
  flags = parser.parse_args(argv)
  compile_cache.enable()
  try:
    row = open_row(flags.checkpoint, flags.row)
    suffix = _module(flags.format).SUFFIX
    out = Path(flags.out).expanduser() if flags.out else row.folder / f'model{suffix}'
    if out.suffix != suffix:
      raise ValueError(f'--out is {flags.out!r}; its name must end in {suffix}.')
    found = export_row(row, flags.format, out)
  except USER_ERRORS as error:
    fail(str(error))
  for name, gap in found.items():
    print(f'{name}: differs from the model by at most {gap:.1e}')
  print(f'{out} ({out.stat().st_size / 1e6:.1f} MB), {description_of(out).name}')


def export_row(row: TrainedRow, form: str, out: Path) -> dict[str, float]:
  """Writes a row to a file, compared with the model before it gets its name.

  Args:
    row: trained.
    form: one of `FORMATS`.
    out: the file to write; `description_of` it comes beside it.

  Returns:
    The largest difference of each output, relative to 1 + |value|.

  Raises:
    ValueError: a library is missing, or the file does not give what the model gives.
    OSError: the file cannot be written.
  """
  module = _module(form)
  inputs = signature.Signature.of(row)
  function = signature.crop_function(row.model, row.variables, inputs)
  out.parent.mkdir(parents=True, exist_ok=True)
  partial = out.with_name(f'partial_{out.name}')
  try:
    module.write(partial, function, inputs)
    found = parity.differences(
      function,
      module.read(partial, inputs),
      signature.sample_inputs(inputs, parity.CROPS),
      batch=module.BATCH,
    )
    worst = max(found, key=lambda name: found[name])
    if found[worst] > parity.TOLERANCE:
      raise ValueError(
        f'The {form} file gives another {worst} than the model (by {found[worst]:.1e}, '
        f'more than {parity.TOLERANCE:g}), so it is not kept.'
      )
    partial.replace(out)
  except ImportError as error:
    raise ValueError(
      f'The format {form} needs a library that is missing ({error}): pip install '
      f"'bmc_jax[{form}]', best in an environment of its own (docs/export.md)."
    ) from None
  finally:
    partial.unlink(missing_ok=True)
  about = signature.describe(row, inputs)
  about |= {'format': form, 'bmc_jax': __version__, 'differences': found}
  write_json(description_of(out), about)
  return found


def description_of(out: Path) -> Path:
  """The JSON file beside an exported one."""
  return out.with_name(f'{out.name}.json')


def _module(form: str):
  return importlib.import_module(f'bmc_jax.exporting.{form}')


if __name__ == '__main__':
  main()
