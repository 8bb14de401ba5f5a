"""Speed of the constraints against PyTorch, and their share of a training step.

    pip install torch
    python benchmarks/constraints.py
    python benchmarks/constraints.py --training-step

The first command measures value and gradient of the mean `bmc_loss` in turns with the
same loss in PyTorch (`torch_constraints.py`), after a check that both agree, and prints
the medians. The second, which needs the extra `train`, measures training steps of the
paper's network (ResNet-50, 128 px, batches of 64) with and without constraints.
"""

import argparse
import statistics
import time

import jax
import numpy as np

from bmc_jax import constraints, limits, pose25d
from bmc_jax.data.procedural.domain import WILD
from bmc_jax.data.procedural.pose import sample_hand

BATCHES = (64, 1024, 16384)


def noisy_hands(count: int) -> tuple[np.ndarray, limits.HandLimits]:
  """Hands (count, 21, 3) as a network predicts them, and the limits of plausible ones.

  Noise of a tenth of the reference bone, 3 to 4 mm, breaks most of the limits.
  """
  keys = jax.random.split(jax.random.key(0), count)
  hands = jax.jit(jax.vmap(lambda key: sample_hand(key, WILD, 224).joints_3d))(keys)
  hands = np.asarray(pose25d.in_reference_bones(hands))
  noise = np.random.default_rng(0).normal(0, 0.1, hands.shape)
  return (hands + noise).astype(np.float32), limits.fit_limits(hands[:2000])


def medians_ms(functions, repeats: int) -> list[float]:
  """The median time of each function; they are called in turns."""
  times = [[] for _ in functions]
  for _ in range(repeats + 2):
    for function, measured in zip(functions, times, strict=True):
      start = time.perf_counter()
      function()
      measured.append(time.perf_counter() - start)
  return [statistics.median(measured[2:]) * 1e3 for measured in times]


def compare_with_torch(repeats: int) -> None:
  import torch
  import torch_constraints

  hands, hand_limits = noisy_hands(max(BATCHES))
  value_and_grad = jax.jit(
    jax.value_and_grad(
      lambda joints: constraints.bmc_loss(joints, hand_limits)[0].mean()
    )
  )
  torch_limits = [
    torch.tensor(np.asarray(leaf, np.float32)) for leaf in jax.tree.leaves(hand_limits)
  ]

  def torch_value_and_grad(joints):
    joints = joints.detach().requires_grad_()
    value = torch_constraints.bmc_loss(joints, torch_limits)
    return value.detach(), torch.autograd.grad(value, joints)[0]

  # In the gradient of each hand, which is the mean's times the batch.
  count = 1024
  value, gradient = value_and_grad(jax.numpy.array(hands[:count]))
  torch_value, torch_gradient = torch_value_and_grad(torch.tensor(hands[:count]))
  np.testing.assert_allclose(value, torch_value, rtol=1e-4)
  np.testing.assert_allclose(
    count * gradient, count * torch_gradient, rtol=1e-4, atol=1e-4
  )

  print(
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}, torch {torch.__version__} '
    f'with {torch.get_num_threads()} threads, {repeats} repeats'
  )
  print('| hands | JAX ms | PyTorch ms | ratio |\n| --- | --- | --- | --- |')
  for batch in BATCHES:
    joints, torch_joints = jax.numpy.array(hands[:batch]), torch.tensor(hands[:batch])
    ours, theirs = medians_ms(
      (
        lambda joints=joints: jax.block_until_ready(value_and_grad(joints)),
        lambda joints=torch_joints: torch_value_and_grad(joints),
      ),
      repeats,
    )
    print(f'| {batch:,} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} |')


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--repeats', type=int, default=30)
  arguments = parser.parse_args()
  compare_with_torch(arguments.repeats)


if __name__ == '__main__':
  main()
