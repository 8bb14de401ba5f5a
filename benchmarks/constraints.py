"""Speed of the constraints: value and gradient of bmc_loss over batches of hands.

    python benchmarks/constraints.py

Prints the median over repeats of one call, jitted, and for the smallest batch the same
call without jit beside it.
"""

import statistics
import time

import jax

from bmc_jax import constraints, limits, pose25d
from bmc_jax.data.procedural.domain import WILD
from bmc_jax.data.procedural.pose import sample_hand

REPEATS = 30
BATCHES = (64, 1024, 16384)


def median_ms(function, joints, repeats: int) -> float:
  jax.block_until_ready(function(joints))
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    jax.block_until_ready(function(joints))
    times.append(time.perf_counter() - start)
  return statistics.median(times) * 1e3


def main() -> None:
  keys = jax.random.split(jax.random.key(0), max(BATCHES))
  hands = jax.vmap(lambda key: sample_hand(key, WILD, 224).joints_3d)(keys)
  hands /= pose25d.scale_of(hands)[:, None, None]
  hand_limits = limits.fit_limits(hands[:2000])
  value_and_grad = jax.value_and_grad(
    lambda joints: constraints.bmc_loss(joints, hand_limits)[0].mean()
  )
  print(f'{jax.devices()[0].device_kind}, jax {jax.__version__}')
  print('| hands | ms | hands/s |\n| --- | --- | --- |')
  for batch in BATCHES:
    ms = median_ms(jax.jit(value_and_grad), hands[:batch], REPEATS)
    print(f'| {batch} | {ms:.2f} | {batch / ms * 1e3:,.0f} |')
  ms = median_ms(value_and_grad, hands[: BATCHES[0]], 3)
  print(f'| {BATCHES[0]}, not jitted | {ms:.2f} | {BATCHES[0] / ms * 1e3:,.0f} |')


if __name__ == '__main__':
  main()
