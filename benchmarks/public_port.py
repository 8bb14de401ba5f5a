"""The public PyTorch implementation of the constraints, to compare speeds with.

    git clone https://github.com/MengHao666/Hand-BMC-pytorch
    python benchmarks/constraints.py --public-port Hand-BMC-pytorch

It is imported from that clone: none of its code is here. Its angles follow the shortest
arc, its distance to a hull is the chordal L1 one and it knows no turns of 2 pi, so only
the bone lengths and the palm can be compared in value.
"""

import contextlib
import importlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from bmc_jax import constraints
from bmc_jax.limits import HandLimits

_LOSS = 'weakloss'


def load(directory: Path, limits: HandLimits, weights=constraints.WEIGHTS):
  """Its loss: joints (b, 21, 3) -> the weighted sum (1,) and a dict of the terms (1,).

  Raises:
    SystemExit: the directory is no clone of it.
  """
  import torch

  if not (directory / f'{_LOSS}.py').is_file():
    raise SystemExit(
      f'{directory} has no {_LOSS}.py: clone the public port as the docstring of '
      f'{__name__} says.'
    )
  if not torch.cuda.is_available():
    torch.Tensor.cuda = lambda tensor: tensor  # It moves all that it makes to a GPU.
  sys.path.insert(0, str(directory.resolve()))
  module = importlib.import_module(_LOSS)
  with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    _write_limits(limits)
    loss = module.BMCLoss(
      lambda_bl=weights['bone_length'],
      lambda_rb=weights['root_bone'],
      lambda_a=weights['joint_angle'],
    )
  return loss.compute_loss


def _write_limits(limits):
  """In the files that it reads, finger by finger; its hulls go bone by bone."""
  os.mkdir('BMC')
  ranges = {
    'bone_len': limits.bone_lengths,
    'curvatures': limits.curvatures,
    'PHI': limits.root_angles,
  }
  for name, (lower, upper) in ranges.items():
    np.save(f'BMC/{name}_min.npy', np.ravel(lower))
    np.save(f'BMC/{name}_max.npy', np.ravel(upper))
  hulls = np.swapaxes(limits.hulls, 0, 1)
  np.save('BMC/CONVEX_HULLS.npy', hulls.reshape(15, *hulls.shape[2:]))


def check_agreement(loss, hands, limits) -> None:
  """Raises AssertionError if its bone lengths or palms do not cost what ours do."""
  import torch

  _, theirs = loss(torch.tensor(hands))
  _, ours = constraints.bmc_loss(hands, limits)
  for name, theirs_name in (('bone_length', 'bmc_bl'), ('root_bone', 'bmc_rb')):
    np.testing.assert_allclose(theirs[theirs_name], [ours[name].mean()], rtol=1e-3)
