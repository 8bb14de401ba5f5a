"""The training step of the paper's network in PyTorch: to compare speeds with.

ResNet-50, 2.5D regression, root depth by the quadratic, refiner, supervised losses and
constraints, augmentation by `grid_sample`, SGD: what `bmc_jax.training.defaults` asks
of `bmc_jax`, written as one would in PyTorch. `load` takes over the parameters of a
train state, so that both can be seen to compute the same.
"""

import math

import numpy as np
import torch
import torch_constraints
from torch import nn
from torch.nn import functional as F

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Bottleneck(nn.Module):
  def __init__(self, inputs: int, features: int, stride: int):
    super().__init__()
    outputs = 4 * features
    self.conv1 = nn.Conv2d(inputs, features, 1, bias=False)
    self.bn1 = nn.BatchNorm2d(features)
    self.conv2 = nn.Conv2d(features, features, 3, stride, 1, bias=False)
    self.bn2 = nn.BatchNorm2d(features)
    self.conv3 = nn.Conv2d(features, outputs, 1, bias=False)
    self.bn3 = nn.BatchNorm2d(outputs)
    if inputs != outputs or stride != 1:
      self.downsample_conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
      self.downsample_bn = nn.BatchNorm2d(outputs)
    else:
      self.downsample_conv = None

  def forward(self, x):
    y = F.relu_(self.bn1(self.conv1(x)))
    y = F.relu_(self.bn2(self.conv2(y)))
    y = self.bn3(self.conv3(y))
    if self.downsample_conv is not None:
      x = self.downsample_bn(self.downsample_conv(x))
    return F.relu_(y + x)


class PoseNetwork(nn.Module):
  """Submodules are called as those of `bmc_jax.models.PoseNetwork`."""

  def __init__(self):
    super().__init__()
    self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    self.bn1 = nn.BatchNorm2d(64)
    self.blocks, inputs = [], 64
    for stage, count in enumerate((3, 4, 6, 3)):
      for block in range(count):
        stride = 2 if stage and not block else 1
        name = f'layer{stage + 1}_{block}'
        self.add_module(name, Bottleneck(inputs, 64 * 2**stage, stride))
        self.blocks.append(name)
        inputs = 256 * 2**stage
    self.dense = nn.Linear(inputs, 63)
    self.dense0, self.norm0 = nn.Linear(64, 128), nn.LayerNorm(128, eps=1e-6)
    self.dense1, self.norm1 = nn.Linear(128, 128), nn.LayerNorm(128, eps=1e-6)
    self.residual = nn.Linear(128, 1)

  def forward(self, image, intrinsics):
    x = (image - image.new_tensor(_MEAN)) / image.new_tensor(_STD)
    x = F.relu_(self.bn1(self.conv1(x.permute(0, 3, 1, 2))))
    x = F.max_pool2d(x, 3, 2, 1)
    for name in self.blocks:
      x = getattr(self, name)(x)
    with torch.autocast(x.device.type, enabled=False):
      x = self.dense(x.float().mean((2, 3))).view(-1, 21, 3)
      keypoints = (1 + x[..., :2]) * (image.shape[1] / 2) - 0.5
      depth = 2 * (x[..., 2] - x[:, :1, 2])
      return keypoints, depth, *self._lift(keypoints, depth, intrinsics)

  def _lift(self, keypoints, depth, intrinsics):
    """The refined root depth, and the hand in 3D."""
    focal = intrinsics[:, None, (0, 1), (0, 1)]
    skew, center = intrinsics[:, None, 0, 1], intrinsics[:, None, :2, 2]
    y = (keypoints[..., 1] - center[..., 1]) / focal[..., 1]
    x = (keypoints[..., 0] - center[..., 0] - skew * y) / focal[..., 0]
    rays = torch.stack([x, y], -1)
    calculated = root_depth(rays.detach(), depth.detach())
    log_depth = torch.log(calculated.clamp_min(1e-3) / 15)
    x = torch.cat(
      [depth.detach() / 2, rays.detach().flatten(1) / 0.2, log_depth[:, None]], 1
    )
    x = F.leaky_relu(self.norm0(self.dense0(x)), 0.01)
    x = F.leaky_relu(self.norm1(self.dense1(x)), 0.01)
    root = calculated + self.residual(x)[:, 0]
    ones = torch.ones_like(rays[..., :1])
    return root, (depth + root[:, None])[..., None] * torch.cat([rays, ones], -1)


def root_depth(rays, depth):
  """The larger root of the reference bone's quadratic, between 3 and 100."""
  r_n, r_m, z_n, z_m = rays[:, 9], rays[:, 10], depth[:, 9:10], depth[:, 10:11]
  d, w = r_n - r_m, r_n * z_n - r_m * z_m
  a, b = (d * d).sum(-1), 2 * (d * w).sum(-1)
  c = (w * w).sum(-1) + (z_n - z_m)[:, 0] ** 2 - 1
  root = (-b + (b * b - 4 * a * c).clamp_min(0).sqrt()) / (2 * a)
  return root.clamp(3, 100)


def augment(batch, rotation: float, scale: float, shift: float):
  """Random crops: images, keypoints, joints and cameras move together."""
  image = batch['image']
  count, size, device = len(image), image.shape[1], image.device
  uniform = lambda *shape: 2 * torch.rand(*shape, device=device) - 1  # noqa: E731
  angle = math.radians(rotation) * uniform(count)
  zoom = torch.exp(math.log1p(scale) * uniform(count))
  cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
  turn = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1], -1)
  turn = turn.view(-1, 3, 3)
  affine = turn.clone()
  affine[:, :2, :2] *= zoom[:, None, None]
  center = torch.full((2,), (size - 1) / 2, device=device)
  offset = center + size * shift * uniform(count, 2)
  affine[:, :2, 2] = offset - affine[:, :2, :2] @ center
  steps = torch.arange(size, device=device, dtype=torch.float32)
  v, u = torch.meshgrid(steps, steps, indexing='ij')
  pixels = torch.stack([u, v, torch.ones_like(u)], -1).view(-1, 3)
  grid = (pixels @ torch.linalg.inv(affine)[:, :2].mT).view(count, size, size, 2)
  image = F.grid_sample(
    image.permute(0, 3, 1, 2).float() / 255,
    (2 * grid + 1) / size - 1,
    padding_mode='border',
    align_corners=False,
  )
  keypoints = batch['keypoints_2d'] @ affine[:, :2, :2].mT + affine[:, None, :2, 2]
  return batch | {
    'image': image.permute(0, 2, 3, 1),
    'keypoints_2d': keypoints,
    'joints_3d': batch['joints_3d'] @ turn.mT,
    'intrinsics': affine @ batch['intrinsics'] @ turn.mT,
  }


def losses(output, batch, limits):
  """The weighted terms, as by the names in `bmc_jax.training.objective`."""
  keypoints, depth, root, joints = output
  target, labelled = batch['joints_3d'], batch['has_joints_3d']
  scale = (target[:, 10] - target[:, 9]).norm(dim=-1)
  z = (target[..., 2] - target[:, :1, 2]) / scale[:, None]

  def mean_of_labelled(x):
    return (x * labelled).sum() / labelled.sum()

  weak = labelled == 0
  return {
    'keypoints_2d': (keypoints - batch['keypoints_2d']).abs().mean()
    * (2 / batch['image'].shape[1]),
    'relative_depth': 5 * mean_of_labelled((depth - z).abs().mean(-1)),
    'root_depth': mean_of_labelled((root - target[:, 0, 2] / scale).abs()),
    'bmc': torch_constraints.bmc_loss(joints[weak], limits),
  }


class Trainer:
  """Network, optimizer and the step."""

  def __init__(self, config, limits, device: str, *, bf16: bool, compiled: bool):
    self.device, self.bf16 = device, bf16
    self.limits = [torch.tensor(np.asarray(x), device=device) for x in limits]
    self.network = PoseNetwork().to(device, memory_format=torch.channels_last)
    kernels = [p for p in self.network.parameters() if p.ndim > 1]
    others = [p for p in self.network.parameters() if p.ndim == 1]
    rule = config.optimizer
    self.optimizer = torch.optim.SGD(
      [
        {'params': kernels, 'weight_decay': rule.weight_decay},
        {'params': others, 'weight_decay': 0.0},
      ],
      lr=rule.learning_rate,
      momentum=rule.momentum,
    )
    self.clip_norm = rule.clip_norm
    self.placement = {k: config.augment[k] for k in ('rotation', 'scale', 'shift')}
    self.objective = torch.compile(self._objective) if compiled else self._objective

  def load(self, params) -> None:
    """Takes over the parameters of a train state."""
    modules = dict(self.network.named_modules())
    groups = {
      **params['backbone'],
      **params['pose_head'],
      **params['refiner'],
    }
    for name, group in flatten(groups).items():
      module = modules[name]
      for leaf, value in group.items():
        value = torch.tensor(np.asarray(value))
        if leaf == 'kernel':
          value = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T
        with torch.no_grad():
          getattr(module, 'bias' if leaf == 'bias' else 'weight').copy_(value)

  def _objective(self, batch):
    batch = augment(batch, **self.placement)
    with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
      output = self.network(batch['image'], batch['intrinsics'])
    return losses(output, batch, self.limits)

  def step(self, batch) -> dict[str, torch.Tensor]:
    """One update; the weighted terms and the norm of the gradient."""
    batch = {k: torch.from_numpy(v).to(self.device) for k, v in batch.items()}
    self.optimizer.zero_grad(set_to_none=True)
    terms = self.objective(batch)
    sum(terms.values()).backward()
    norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
    self.optimizer.step()
    return {k: v.detach() for k, v in terms.items()} | {'gradient_norm': norm}


def flatten(tree, prefix: str = '') -> dict[str, dict]:
  """{'layer1_0.conv1': {'kernel': ...}} from nested dicts."""
  flat = {}
  for name, node in tree.items():
    if isinstance(next(iter(node.values())), dict):
      flat |= flatten(node, f'{prefix}{name}.')
    else:
      flat[f'{prefix}{name}'] = node
  return flat
