"""Speed of the constraints against PyTorch, and their share of a training step.

    pip install torch
    python benchmarks/constraints.py
    python benchmarks/constraints.py --public-port Hand-BMC-pytorch
    python benchmarks/constraints.py --training-step --repeats 5

The first command measures value and gradient of the mean `bmc_loss` in turns with the
same loss in PyTorch (`torch_constraints.py`), after a check that both agree, and prints
the medians. The second adds the public PyTorch implementation (`public_port.py`). The
third, which needs the extra `train`, measures training steps of the paper's network
(ResNet-50, 128 px, batches of 64) with and without constraints.
"""

import argparse
import functools
import statistics
import time
from pathlib import Path

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


def medians_ms(
  functions, repeats: int, *, in_a_row: int = 1, warm_up: int = 0
) -> list[float]:
  """The median time of each function.

  They take turns of so many calls in a row, of which the first ones may not count.
  """
  times = [[] for _ in functions]
  for turn in range(repeats + 2):
    for function, measured in zip(functions, times, strict=True):
      for call in range(in_a_row):
        start = time.perf_counter()
        function()
        if turn >= 2 and call >= warm_up:
          measured.append(time.perf_counter() - start)
  return [statistics.median(measured) * 1e3 for measured in times]


def _value_and_grad(hand_limits):
  return jax.jit(
    jax.value_and_grad(
      lambda joints: constraints.bmc_loss(joints, hand_limits)[0].mean()
    )
  )


def _torch_loss(hand_limits, dtype):
  import torch
  import torch_constraints

  bounds = [
    torch.tensor(np.asarray(leaf), dtype=dtype) for leaf in jax.tree.leaves(hand_limits)
  ]
  return lambda joints: torch_constraints.bmc_loss(joints, bounds)


def _torch_value_and_grad(loss, joints):
  import torch

  joints = joints.detach().requires_grad_()
  value = loss(joints)
  return value.detach(), torch.autograd.grad(value, joints)[0]


def _check_agreement(hands, hand_limits):
  """In float64: float32 rounds gradients of nearly straight bones differently."""
  import torch

  with jax.enable_x64(True):
    value, gradient = _value_and_grad(hand_limits)(hands)
  loss = _torch_loss(hand_limits, torch.float64)
  wanted = _torch_value_and_grad(loss, torch.tensor(hands))
  np.testing.assert_allclose(value, wanted[0], rtol=1e-4)
  # Of the single hands, of which the mean's gradient is a share.
  count = len(hands)
  np.testing.assert_allclose(count * gradient, count * wanted[1], rtol=1e-4, atol=1e-4)


def compare_with_torch(repeats: int, public_port: Path | None) -> None:
  import torch

  hands, hand_limits = noisy_hands(max(BATCHES))
  value_and_grad = _value_and_grad(hand_limits)
  _check_agreement(hands[:1024].astype(np.float64), hand_limits)
  losses = {'PyTorch': _torch_loss(hand_limits, torch.float32)}
  if public_port:
    import public_port as port

    loss = port.load(public_port, hand_limits)
    port.check_agreement(loss, hands[:1024], hand_limits)
    losses['public port'] = lambda joints: loss(joints)[0].sum()
  print(
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}, torch {torch.__version__} '
    f'with {torch.get_num_threads()} threads, {repeats} turns of 5 calls'
  )
  columns = [column for name in losses for column in (f'{name} ms', 'ratio')]
  print(f'| hands | JAX ms | {" | ".join(columns)} |')
  print('| --- ' * (len(columns) + 2) + '|')
  for batch in BATCHES:
    joints, torch_joints = jax.numpy.array(hands[:batch]), torch.tensor(hands[:batch])
    ours, *theirs = medians_ms(
      [
        lambda joints=joints: jax.block_until_ready(value_and_grad(joints)),
        *(
          functools.partial(_torch_value_and_grad, loss, torch_joints)
          for loss in losses.values()
        ),
      ],
      repeats,
      in_a_row=5,  # after PyTorch, its threads keep the cores busy for a while
    )
    cells = ''.join(f' {time:.2f} | {time / ours:.1f} |' for time in theirs)
    print(f'| {batch:,} | {ours:.2f} |{cells}')


def share_of_training_step(repeats: int) -> None:
  from bmc_jax import models
  from bmc_jax.training import defaults
  from bmc_jax.training.loop import model_options
  from bmc_jax.training.optimizers import create_optimizer
  from bmc_jax.training.step import create_train_state, make_train_step

  config = defaults.get_config()
  hands, hand_limits = noisy_hands(config.batch_size)
  batch = images(config, hands)
  model = models.create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, config.num_steps)
  steps, states = [], []
  for bounds in (None, hand_limits):
    steps.append(make_train_step(config, model, optimizer, bounds))
    states.append(create_train_state(config, model, optimizer))

  def run(index):
    states[index], terms = steps[index](states[index], batch)
    jax.block_until_ready(terms)

  value_and_grad = _value_and_grad(hand_limits)
  plain, constrained, alone = medians_ms(
    (
      lambda: run(0),
      lambda: run(1),
      lambda: jax.block_until_ready(value_and_grad(hands)),
    ),
    repeats,
  )
  print('| step without | with constraints | constraints alone | their share |')
  print('| --- | --- | --- | --- |')
  print(
    f'| {plain:.0f} ms | {constrained:.0f} ms | {alone:.2f} ms '
    f'| {alone / (plain + alone):.3%} |'
  )


def images(config, hands):
  """A batch of noise with labels, half of it with 2D labels alone."""
  count, size = config.batch_size, config.image_size
  rng = np.random.default_rng(0)
  intrinsics = np.array([[150, 0, size / 2], [0, 150, size / 2], [0, 0, 1]], np.float32)
  return {
    'image': rng.integers(0, 256, (count, size, size, 3), np.uint8),
    'joints_3d': hands + np.float32([0, 0, 15]),
    'keypoints_2d': rng.uniform(0, size, (count, 21, 2)).astype(np.float32),
    'visibility': np.ones((count, 21), np.float32),
    'intrinsics': np.broadcast_to(intrinsics, (count, 3, 3)),
    'has_joints_3d': (np.arange(count) % 2).astype(np.float32),
    'mask': np.ones(count, np.float32),
  }


def main() -> None:
  parser = argparse.ArgumentParser(description='Speed of the constraints.')
  parser.add_argument('--repeats', type=int, default=30)
  parser.add_argument('--public-port', type=Path, metavar='CLONE')
  parser.add_argument('--training-step', action='store_true')
  arguments = parser.parse_args()
  if arguments.training_step:
    share_of_training_step(arguments.repeats)
  else:
    compare_with_torch(arguments.repeats, arguments.public_port)


if __name__ == '__main__':
  main()
