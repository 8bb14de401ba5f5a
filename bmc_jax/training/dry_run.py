"""What a training step needs, told without taking one: `--config.dry_run=True`.

The step of each row is compiled for all devices that JAX sees, and XLA's own analysis
is printed. Devices need not exist:

    XLA_FLAGS=--xla_force_host_platform_device_count=32 JAX_PLATFORMS=cpu \
        bmc-jax train --config=configs/quickstart.py --workdir=DIR --config.dry_run=True

No data are needed: images are taken to be stored at `image_size`, and limits to have
as many corners as fitted ones. But the command looks at what the rows would read, and
ends with the error of a run that can not read it (`bmc_jax.experiments.dry_rows`).
"""

import dataclasses
import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from bmc_jax import limits
from bmc_jax.console import tables
from bmc_jax.data import example
from bmc_jax.models import create_model
from bmc_jax.training import hosts, sharding
from bmc_jax.training.config import Config
from bmc_jax.training.loop import make_mesh, model_options
from bmc_jax.training.objective import uses_limits
from bmc_jax.training.optimizers import create_optimizer
from bmc_jax.training.step import create_train_state, make_train_step, state_sharding

REDUCTION = re.compile(r'= (.*?) (?:all-reduce|reduce-scatter)(?:-start)?\(')
GATHERING = re.compile(r'= (.*?) all-gather(?:-start)?\(')
_ARRAY = re.compile(r'(f64|f32|bf16|f16|s32|u32|pred)\[([\d,]*)\]')
_SIZES = {'f64': 8, 'f32': 4, 's32': 4, 'u32': 4, 'bf16': 2, 'f16': 2, 'pred': 1}


@dataclasses.dataclass(frozen=True)
class Needs:
  """What one training step needs, of each device.

  Attributes:
    devices: their number.
    parameters: numbers in the model, all devices hold them.
    state_bytes: of parameters, statistics and optimizer on one device.
    peak_bytes: of memory, state, batch and everything between included.
    flops: floating-point operations, as XLA counts them, of all parts of the batch.
    reduced_bytes: of arrays that are summed over the devices, for each part anew.
    gathered_bytes: of arrays that are put together from the devices.
  """

  devices: int
  parameters: int
  state_bytes: int
  peak_bytes: int
  flops: float
  reduced_bytes: int
  gathered_bytes: int


def run(rows: Mapping[str, Config]) -> None:
  """Prints a table of what the steps of these rows need."""
  sizes = ['parameters', 'state', 'peak memory', 'GFLOP', 'all-reduced', 'all-gathered']
  lines = [['row', *sizes]]
  for name, config in tqdm(rows.items(), unit='row', desc='compiling'):
    needs = measure(config)
    lines.append(
      [
        name,
        f'{needs.parameters:,}',
        *(f'{n / 2**20:.1f} MiB' for n in (needs.state_bytes, needs.peak_bytes)),
        f'{needs.flops / 1e9:.2f}',
        f'{needs.reduced_bytes / 2**20:.1f} MiB',
        f'{needs.gathered_bytes / 2**20:.1f} MiB',
      ]
    )
  print(f'One training step, per device, on {hosts.describe_devices()}:')
  print(tables.format_table(lines))


def measure(config: Config) -> Needs:
  """Compiles the step of one row.

  Raises:
    ValueError: a value is wrong, or the batch does not split over the devices.
  """
  mesh = make_mesh(config)
  model = create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, config.num_steps)
  state = jax.eval_shape(lambda: create_train_state(config, model, optimizer))
  shardings = state_sharding(config, state, mesh)
  state = jax.tree.map(_placed, state, shardings)
  bounds = limits.clinical_limits() if uses_limits(config) else None
  step = make_train_step(config, model, optimizer, bounds, shardings)
  compiled = step.lower(state, _batch(config, mesh)).compile()
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  return Needs(
    devices=mesh.size,
    parameters=sum(leaf.size for leaf in jax.tree.leaves(state.params)),
    state_bytes=sum(map(_bytes_here, jax.tree.leaves(state))),
    peak_bytes=memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    + memory.temp_size_in_bytes
    - memory.alias_size_in_bytes,
    # A program and its costs hold the loop over the parts of a batch once.
    flops=config.accumulate * float(cost.get('flops', 0.0)),
    reduced_bytes=config.accumulate * result_bytes(compiled.as_text(), REDUCTION),
    gathered_bytes=result_bytes(compiled.as_text(), GATHERING),
  )


def result_bytes(program: str, operation: re.Pattern) -> int:
  """Bytes of the results of all such operations in a compiled program."""
  return sum(
    _SIZES[kind] * int(np.prod([int(n) for n in shape.split(',') if n]))
    for result in operation.findall(program)
    for kind, shape in _ARRAY.findall(result)
  )


def _placed(leaf, place) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def _bytes_here(leaf: jax.ShapeDtypeStruct) -> int:
  """Bytes of one device's part of an array."""
  assert leaf.sharding is not None
  return int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize


def _batch(config: Config, mesh) -> dict[str, jax.ShapeDtypeStruct]:
  """The shapes of a batch, with images unless the model is a lifter."""
  shapes = {name: (shape, jnp.float32) for name, shape in example.LABEL_SHAPES.items()}
  shapes |= {name: ((), jnp.float32) for name in (*example.FLAGS, 'mask')}
  if config.model.name == 'pose_network':
    shapes['image'] = ((config.image_size, config.image_size, 3), jnp.uint8)
  return {
    name: _placed(
      jax.ShapeDtypeStruct((config.batch_size, *shape), dtype), sharding.split(mesh)
    )
    for name, (shape, dtype) in shapes.items()
  }
