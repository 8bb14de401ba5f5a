"""The hosts of one run: processes that train together, on one machine or on many.

All run the same command and share a workdir. The first one writes files and decides
what is left to do; with one process all of this does nothing.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def connect() -> None:
  """Connects to the other processes of the run, if the environment tells of any.

  JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID name them; on Cloud TPU,
  under SLURM and under Open MPI JAX finds them by itself. To be called before anything
  else is asked of JAX.

  Raises:
    ValueError: one of the variables is missing or wrong.
  """
  address = os.environ.get('JAX_COORDINATOR_ADDRESS')
  if address:
    count, index = (_number(name) for name in ('JAX_NUM_PROCESSES', 'JAX_PROCESS_ID'))
    if not re.fullmatch(r'.+:[0-9]+', address):
      raise ValueError(
        f'JAX_COORDINATOR_ADDRESS is {address!r}; it must be HOST:PORT, such as '
        'localhost:12355.'
      )
    if not count:
      raise ValueError('JAX_NUM_PROCESSES is 0; it must be at least 1.')
    if not 0 <= index < count:
      raise ValueError(
        f'JAX_PROCESS_ID is {index}; it must be from 0 to {count - 1}, since '
        f'JAX_NUM_PROCESSES is {count}.'
      )
    print(
      f'process {index} of {count}: waiting for the others at {address}; JAX gives up, '
      'and aborts, after five minutes',
      file=sys.stderr,
    )
    # Not what a cluster says, too: all of this host's devices are this process's.
    jax.distributed.initialize(
      address, count, index, cluster_detection_method='deactivate'
    )
  elif _in_cluster():
    jax.distributed.initialize()


def _number(name: str) -> int:
  value = os.environ.get(name, '')
  if not value.isdecimal():
    raise ValueError(
      f'JAX_COORDINATOR_ADDRESS is set, but {name} is {value!r}: set it to a whole '
      'number (docs/training.md).'
    )
  return int(value)


def _in_cluster() -> bool:
  """Whether this is one of several processes that SLURM, Open MPI or a TPU started."""
  counts = ('SLURM_STEP_NUM_TASKS', 'OMPI_COMM_WORLD_SIZE')
  if any(os.environ.get(name, '1') not in ('', '1') for name in counts):
    return True
  # What a Cloud TPU's own machine has; JAX asks it for the others.
  is_tpu = any(os.path.exists(path) for path in ('/dev/accel0', '/dev/vfio/0'))
  return is_tpu and importlib.util.find_spec('libtpu') is not None


def is_first() -> bool:
  """Whether this process writes the files that all share."""
  return jax.process_index() == 0


def describe_devices() -> str:
  """All devices of all hosts, as '8 x NVIDIA H100 80GB HBM3'."""
  return f'{jax.device_count()} x {jax.devices()[0].device_kind}'


def from_first(values: Mapping[str, bool]) -> dict[str, bool]:
  """What the first process found, for all: files may appear late on other hosts."""
  if jax.process_count() == 1:
    return dict(values)
  found = multihost_utils.broadcast_one_to_all(np.array([*values.values()], np.int32))
  return dict(zip(values, np.asarray(found).astype(bool).tolist(), strict=True))


def wait(name: str) -> None:
  """Waits until all processes have come here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def gather(
  sharded: Mapping[str, Any], local: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """All hosts' parts of a batch on every host, in the order of the batch.

  Devices need not be sorted by process in a mesh (on a TPU pod they follow its torus),
  so that what comes from devices and what comes from hosts arrives in two orders. Both
  have a number for each row, by which they are sorted.

  Args:
    sharded: arrays split over the devices of all hosts, among them `row`.
    local: NumPy arrays, text among them, of this host's part; among them `row`, too.

  Returns:
    The arrays of both, without `row`.
  """
  whole = {}
  for part in (sharded, local):
    arrays = {name: _gather(value) for name, value in part.items()}
    order = np.argsort(arrays.pop('row'))
    whole |= {name: value[order] for name, value in arrays.items()}
  return whole


def _gather(value) -> np.ndarray:
  if jax.process_count() == 1:
    return np.asarray(value)
  if not isinstance(value, np.ndarray) or value.dtype.kind not in 'SU':
    return np.asarray(multihost_utils.process_allgather(value, tiled=True))
  encoded = np.char.encode(value, 'utf-8')
  width = np.max(multihost_utils.process_allgather(np.array(encoded.itemsize)))
  numbers = encoded.astype(f'S{width}').view(np.uint8).reshape(len(value), width)
  gathered = np.asarray(multihost_utils.process_allgather(numbers, tiled=True))
  return np.char.decode(gathered.view(f'S{width}')[:, 0], 'utf-8')
