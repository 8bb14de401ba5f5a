"""StableHLO: one file for CPUs, GPUs and TPUs, any batch, read back by `jax.export`."""

from collections.abc import Callable
from pathlib import Path

import jax
from jax import export

from bmc_jax.export.signature import Signature

SUFFIX = '.stablehlo'
BATCH = 50  # of the comparison
_PLATFORMS = ('cpu', 'cuda', 'tpu')


def write(path: Path, function: Callable, signature: Signature) -> None:
  """Writes the function with a symbolic batch."""
  (batch,) = export.symbolic_shape('b')
  arguments = [
    jax.ShapeDtypeStruct(shape, dtype)
    for shape, dtype in zip(signature.shape_of(batch), signature.dtypes, strict=True)
  ]
  exported = export.export(jax.jit(function), platforms=_PLATFORMS)(*arguments)
  path.write_bytes(exported.serialize())


def read(path: Path, signature: Signature) -> Callable:
  """The function in a file: two inputs to four outputs."""
  del signature  # the file knows it
  return jax.jit(export.deserialize(bytearray(path.read_bytes())).call)
