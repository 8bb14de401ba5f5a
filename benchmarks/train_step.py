"""Images per second of the whole training step, beside the same in PyTorch.

    pip install torch
    export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
    python benchmarks/train_step.py
    python benchmarks/train_step.py --batch 256 --bf16 --compile      # on a GPU

The step is that of the paper's network and schedule (`bmc_jax.training.defaults`:
ResNet-50, 128 px, SGD) with random crops and with constraints: augmentation, network,
losses, gradient, update. In PyTorch (`torch_train_step.py`) it uses channels_last, on a
GPU with --compile torch.compile, and with --bf16 autocast where ours has `dtype`. Both
start from the same parameters, and losses and gradients without random crops are seen
to agree before both are measured by turns.

GLIBC_TUNABLES lets Linux give out memory in large pages, on CPUs, to both. The first
step of each turn does not count: PyTorch's threads still hold the cores.
"""

import argparse
import os

import jax
import numpy as np

from bmc_jax.constraints import WEIGHTS

os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')  # leaves some to torch

CROPS = {'rotation': 30.0, 'scale': 0.2, 'shift': 0.05}


def make_config(bf16: bool, crops: dict[str, float], batch_size: int):
  from bmc_jax.training import defaults

  config = defaults.get_config()
  config.batch_size = batch_size
  config.model.pose_network.dtype = 'bfloat16' if bf16 else 'float32'
  config.optimizer.learning_rate = 1e-3
  config.augment.update(crops)
  config.bmc.update({'ramp_start': 0.0, 'ramp_end': 0.0})
  config.bmc.weights.update(dict(WEIGHTS))
  return config


class Ours:
  """The step of `bmc_jax`, and its state."""

  def __init__(self, config, limits, batch):
    from bmc_jax import models
    from bmc_jax.training.loop import model_options
    from bmc_jax.training.optimizers import create_optimizer
    from bmc_jax.training.step import create_train_state, make_train_step

    model = models.create_model(model_options(config))
    optimizer = create_optimizer(config.optimizer, config.num_steps)
    state = create_train_state(config, model, optimizer)
    self.params = jax.device_get(state.params)
    # The constraints have no weight at step 0.
    self.state = state.replace(step=state.step + 1)
    step = make_train_step(config, model, optimizer, limits)
    self.compiled = step.lower(self.state, batch).compile()

  @property
  def flops(self) -> float:
    return self.compiled.cost_analysis()['flops']

  def step(self, batch) -> dict[str, jax.Array]:
    self.state, terms = self.compiled(self.state, batch)
    return jax.block_until_ready(terms)


def weighted(terms, config) -> dict[str, float]:
  """Our terms as PyTorch's are: weighted, and the constraints as one."""
  bmc = sum(float(terms[f'bmc_{k}']) * v for k, v in config.bmc.weights.items())
  supervised = {k: float(terms[k]) * v for k, v in config.loss.items() if k in terms}
  return supervised | {'bmc': bmc, 'gradient_norm': float(terms['gradient_norm'])}


def check_agreement(limits, batch, device: str) -> None:
  """Raises AssertionError unless losses and gradients without random crops agree.

  At the first step; at the next ones less, since their gradients have kinks.
  """
  import torch_train_step

  config = make_config(False, dict.fromkeys(CROPS, 0.0), len(batch['image']))
  ours = Ours(config, limits, batch)
  theirs = torch_train_step.Trainer(
    config, jax.tree.leaves(limits), device, bf16=False, compiled=False
  )
  theirs.load(ours.params)
  for tolerance in (1e-3, 2e-2, 2e-2):
    found = {k: float(v) for k, v in theirs.step(batch).items()}
    wanted = weighted(ours.step(batch), config)
    for name, value in wanted.items():
      np.testing.assert_allclose(found[name], value, rtol=tolerance, err_msg=name)


def main() -> None:
  parser = argparse.ArgumentParser(description='Speed of the training step.')
  parser.add_argument('--batch', type=int, default=32)
  parser.add_argument('--bf16', action='store_true')
  parser.add_argument('--compile', action='store_true')
  parser.add_argument('--repeats', type=int, default=5)
  arguments = parser.parse_args()

  import torch
  import torch_train_step
  from constraints import images, medians_ms, noisy_hands

  config = make_config(arguments.bf16, CROPS, arguments.batch)
  hands, limits = noisy_hands(arguments.batch)
  batch = {name: value.copy() for name, value in images(config, hands).items()}
  device = 'cuda' if jax.default_backend() == 'gpu' else 'cpu'
  check_agreement(limits, batch, device)
  ours = Ours(config, limits, batch)
  theirs = torch_train_step.Trainer(
    config,
    jax.tree.leaves(limits),
    device,
    bf16=arguments.bf16,
    compiled=arguments.compile,
  )
  theirs.load(ours.params)

  def run_theirs():
    theirs.step(batch)
    if device == 'cuda':
      torch.cuda.synchronize()

  ours_ms, theirs_ms = medians_ms(
    (lambda: ours.step(batch), run_theirs),
    arguments.repeats,
    in_a_row=4,
    warm_up=1,
  )
  print(
    f'{jax.devices()[0].device_kind}, jax {jax.__version__}, torch {torch.__version__},'
    f' batch {arguments.batch}, {config.model.pose_network.dtype}, GLIBC_TUNABLES='
    f'{os.environ.get("GLIBC_TUNABLES", "")}, {arguments.repeats} turns of 3 steps'
  )
  print('| | step ms | images/s | TFLOP/s |')
  print('| --- | --- | --- | --- |')
  for name, ms in (('bmc_jax', ours_ms), ('PyTorch', theirs_ms)):
    rates = f'{1e3 * arguments.batch / ms:.1f} | {ours.flops / ms / 1e9:.3f}'
    print(f'| {name} | {ms:.0f} | {rates} |')
  print(f'bmc_jax reaches {theirs_ms / ours_ms:.2f} of the rate of PyTorch.')


if __name__ == '__main__':
  main()
