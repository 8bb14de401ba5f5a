"""Predicted step time and efficiency of 1 to 512 chips, from a dry run.

    XLA_FLAGS=--xla_force_host_platform_device_count=32 JAX_PLATFORMS=cpu \
        PYTHONPATH=. python benchmarks/scaling.py

A prediction, not a measurement: operations and bytes are XLA's own figures for the step
of the paper's network (ResNet-50, 128 px) on 32 devices; what the chips can do stands
in `CHIPS`, from their vendors' data sheets. Each chip has 128 images, whatever the
number of chips. Computing takes the step's operations at a UTILISATION of the peak.
Gradients are reduced by rings, first within a node, then among nodes, at the stated
bandwidth of each chip and direction, plus LATENCY for each turn of a ring, and only
after everything has been computed; a compiler that overlaps both does better.
"""

import dataclasses

from bmc_jax.training import defaults, dry_run

IMAGES_PER_CHIP = 128
UTILISATION = 0.2
LATENCY = 5e-6
DEVICES = 32
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Chip:
  """What a data sheet says of a chip.

  Attributes:
    flops: bfloat16 operations in a second.
    node: chips that are joined by the faster links.
    inside, between: bytes in a second and direction, of one chip's links.
  """

  flops: float
  node: int
  inside: float
  between: float


CHIPS = {
  # NVLink 4: 900 GB/s in both directions; one port of 400 Gb/s for each GPU.
  'H100 SXM': Chip(flops=989e12, node=8, inside=450e9, between=50e9),
  # Four links of 400 Gb/s in both directions, of which a ring uses two.
  'TPU v5e': Chip(flops=197e12, node=256, inside=50e9, between=3e9),
}


def reduce_seconds(size: float, count: int, chip: Chip) -> float:
  """Time of an all-reduce of `size` bytes over `count` chips."""
  inside = min(count, chip.node)
  nodes = count // inside
  return ring_seconds(size, inside, chip.inside) + ring_seconds(
    size / inside, nodes, chip.between
  )


def ring_seconds(size: float, count: int, bandwidth: float) -> float:
  turns = 2 * (count - 1)
  return turns * (size / count / bandwidth + LATENCY)


def main() -> None:
  config = defaults.get_config()
  config.batch_size = DEVICES * IMAGES_PER_CHIP
  config.model.pose_network.dtype = 'bfloat16'
  needs = dry_run.measure(config)
  if needs.devices != DEVICES:
    raise SystemExit(f'JAX sees {needs.devices} devices; set XLA_FLAGS as said above.')
  print(
    f'{IMAGES_PER_CHIP} images a chip: {needs.flops / 1e9:.0f} GFLOP and '
    f'{needs.reduced_bytes / 2**20:.1f} MiB to reduce, at {UTILISATION:.0%} of the peak'
  )
  print(f'| chips | {" | ".join(f"{name}: step ms | efficiency" for name in CHIPS)} |')
  print('| --- ' * (1 + 2 * len(CHIPS)) + '|')
  for count in COUNTS:
    cells = []
    for chip in CHIPS.values():
      compute = needs.flops / (UTILISATION * chip.flops)
      step = compute + reduce_seconds(needs.reduced_bytes, count, chip)
      cells.append(f'{1e3 * step:.1f} | {compute / step:.0%}')
    print(f'| {count} | {" | ".join(cells)} |')


if __name__ == '__main__':
  main()
