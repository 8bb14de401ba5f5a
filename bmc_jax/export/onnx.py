"""ONNX, for any batch: by jax2onnx, read by ONNX Runtime.

Needs the extra `onnx`, best in an environment of its own (docs/export.md).
"""

import types
from collections.abc import Callable
from pathlib import Path

from bmc_jax.export.signature import OUTPUTS, Signature

SUFFIX = '.onnx'
BATCH = 10  # of the comparison
_THREADS = 2


def write(path: Path, function: Callable, signature: Signature) -> None:
  """Writes the function with a batch of any size.

  Raises:
    ImportError: jax2onnx is not installed.
  """
  import jax2onnx  # pyright: ignore[reportMissingImports]

  inputs = [
    types.SimpleNamespace(shape=shape, dtype=dtype)
    for shape, dtype in zip(signature.shape_of('b'), signature.dtypes, strict=True)
  ]
  jax2onnx.to_onnx(
    function,
    inputs,
    model_name='bmc_jax',
    input_names=signature.names,
    output_names=tuple(OUTPUTS),
    return_mode='file',
    export_mode='web',  # all in one file
    output_path=path,
  )


def read(path: Path, signature: Signature) -> Callable:
  """The function in a file, on two threads: two inputs to four outputs.

  Raises:
    ImportError: ONNX Runtime is not installed.
  """
  import onnxruntime  # pyright: ignore[reportMissingImports]

  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = _THREADS
  session = onnxruntime.InferenceSession(
    str(path), options, providers=['CPUExecutionProvider']
  )

  def predict(*inputs):
    given = dict(zip(signature.names, inputs, strict=True))
    return session.run(list(OUTPUTS), given)

  return predict
