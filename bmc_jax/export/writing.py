"""Writes a trained row as a file, and compares the file with the model."""

import importlib
from pathlib import Path

from bmc_jax import __version__
from bmc_jax.console.files import has_keys, write_json
from bmc_jax.console.installation import how_to_add
from bmc_jax.console.outputs import Kind, check_output, replacing
from bmc_jax.export import parity, signature
from bmc_jax.training.trained_row import TrainedRow

FORMATS = ('stablehlo', 'tflite', 'onnx')


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
  try:
    with replacing(out, _kind_of(form)) as partial:
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
          f'The {form} file gives another {worst} than the model (by '
          f'{found[worst]:.1e}, more than {parity.TOLERANCE:g}), so it is not kept.'
        )
      about = signature.describe(row, inputs)
      about |= {'format': form, 'bmc_jax': __version__, 'differences': found}
      write_json(description_of(out), about, _DESCRIPTIONS)
  except ImportError as error:
    raise ValueError(
      f'The format {form} needs a library that is missing ({error}): '
      f'{how_to_add(form)}, best in an environment of its own (docs/export.md).'
    ) from None
  return found


def description_of(out: Path) -> Path:
  """The JSON file beside an exported one."""
  return out.with_name(f'{out.name}.json')


def check_export(out: Path, form: str) -> None:
  """Raises a ValueError if a model cannot be exported there; makes nothing.

  Exports take the place of exports alone.
  """
  check_output(out, _kind_of(form))
  check_output(description_of(out), _DESCRIPTIONS)


def _kind_of(form: str) -> Kind:
  return Kind(
    f'{form} files of this command',
    (suffix_of(form),),
    lambda path: _is_description(description_of(path)),
  )


def _is_description(path: Path) -> bool:
  return has_keys(path, 'format', 'bmc_jax', 'differences')


_DESCRIPTIONS = Kind('descriptions of exported files', ('.json',), _is_description)


def suffix_of(form: str) -> str:
  """How the names of files of a format end."""
  return _module(form).SUFFIX


def _module(form: str):
  return importlib.import_module(f'bmc_jax.export.{form}')
