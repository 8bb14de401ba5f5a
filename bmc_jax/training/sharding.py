"""Data parallelism over a mesh of all devices, on any number of hosts.

Parameters are replicated, batches are split over the axis 'data'. Under plain jit the
compiler sees the global batch: losses and BatchNorm statistics are global.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = 'data'


def make_mesh(batch_size: int, *, name: str = 'batch_size') -> Mesh:
  """A one-dimensional mesh over all devices of all hosts.

  Args:
    batch_size: the global batch, which has to split evenly.
    name: of that config value, for the message.

  Raises:
    ValueError: it does not.
  """
  count = jax.device_count()
  if batch_size % count:
    raise ValueError(
      f'{name} is {batch_size}, which does not split over {count} devices: choose a '
      f'multiple of {count}.'
    )
  return jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
  """Sharding of a tree that every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def split(mesh: Mesh) -> NamedSharding:
  """Sharding of a batch over its first axis."""
  return NamedSharding(mesh, PartitionSpec(AXIS))


def split_largest(shape: Sequence[int], mesh: Mesh) -> NamedSharding:
  """Sharding of an array over its largest axis that divides among the devices."""
  axes = [axis for axis, size in enumerate(shape) if size and size % mesh.size == 0]
  spec: list[str | None] = [None] * len(shape)
  if axes:
    spec[max(axes, key=lambda axis: shape[axis])] = AXIS
  return NamedSharding(mesh, PartitionSpec(*spec))


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
  """Moves this host's part of a batch to its devices; text stays on the host."""
  sharding = split(mesh)
  return {
    name: jax.make_array_from_process_local_data(sharding, value)
    for name, value in batch.items()
    if value.dtype.kind not in 'OSU'
  }
