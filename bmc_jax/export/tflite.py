"""TensorFlow Lite (LiteRT): for phones; one hand at a time.

Needs the extra `tflite`, best in an environment of its own (docs/export.md).
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from bmc_jax.export.signature import OUTPUTS, Signature

SUFFIX = '.tflite'
BATCH = 1
_THREADS = 2


def write(path: Path, function: Callable, signature: Signature) -> None:
  """Writes the function for a batch of one.

  Raises:
    ImportError: TensorFlow is not installed.
  """
  import tensorflow as tf  # pyright: ignore
  from jax.experimental import jax2tf

  def named(*inputs):
    return dict(zip(OUTPUTS, function(*inputs), strict=True))

  inputs = zip(
    signature.shape_of(BATCH), signature.dtypes, signature.names, strict=True
  )
  module = tf.Module()
  module.predict = tf.function(
    jax2tf.convert(named, with_gradient=False),
    input_signature=[tf.TensorSpec(*one) for one in inputs],
    autograph=False,
  )
  with tempfile.TemporaryDirectory() as folder:
    # By way of a saved model, so that inputs and outputs keep their names.
    tf.saved_model.save(
      module, folder, signatures=module.predict.get_concrete_function()
    )
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    path.write_bytes(converter.convert())


def read(path: Path, signature: Signature) -> Callable:
  """The function in a file, on two threads: two inputs to four outputs.

  Raises:
    ImportError: LiteRT is not installed.
  """
  from ai_edge_litert import interpreter  # pyright: ignore[reportMissingImports]

  loaded = interpreter.Interpreter(str(path), num_threads=_THREADS)
  runner = loaded.get_signature_runner()

  def predict(*inputs):
    found = runner(**dict(zip(signature.names, inputs, strict=True)))
    return [found[name] for name in OUTPUTS]

  return predict
