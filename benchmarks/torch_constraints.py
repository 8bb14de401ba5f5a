"""The constraints in PyTorch, as one would write them there: to compare speeds with.

Batched tensors (b, 21, 3) and autograd; the hulls' edges and turns are axes of one
tensor. The result is that of `bmc_jax.constraints.bmc_loss` with its defaults.
"""

import math

import torch

from bmc_jax.constraints import WEIGHTS


def bmc_loss(joints, limits):
  """The mean loss over hands; `limits` are the four arrays of `HandLimits`."""
  bone_lengths, curvatures, root_angles, hulls = limits
  wrist = joints[:, :1].unsqueeze(1).expand(-1, 5, -1, -1)
  chain = torch.cat([wrist, joints[:, 1:].reshape(-1, 5, 4, 3)], dim=2)
  bones = chain[:, :, 1:] - chain[:, :, :-1]
  lengths = bones.norm(dim=-1)
  directions = bones / lengths.unsqueeze(-1)
  normals = _palm_normals(directions[:, :, 0])
  root = _outside(_curvatures(bones[:, :, 0], normals), curvatures)
  root = root + _outside(_root_angles(directions[:, :, 0]), root_angles)
  hull = _hull_distance(_joint_angles(directions, normals), hulls)
  terms = {
    'bone_length': _outside(lengths, bone_lengths),
    'root_bone': root,
    'joint_angle': hull,
  }
  return sum(weight * terms[name].mean() for name, weight in WEIGHTS.items())


def _outside(x, bounds):
  return torch.relu(bounds[0] - x) + torch.relu(x - bounds[1])


def _unit(x):
  return torch.nn.functional.normalize(x, dim=-1)


def _palm_normals(roots):
  return _unit(torch.linalg.cross(roots[:, 1:], roots[:, :-1]))


def _curvatures(roots, normals):
  between = _unit(normals[:, 1:] + normals[:, :-1])
  edges = torch.cat([normals[:, :1], between, normals[:, -1:]], dim=1)
  step = roots[:, 1:] - roots[:, :-1]
  return ((edges[:, 1:] - edges[:, :-1]) * step).sum(-1) / (step * step).sum(-1)


def _root_angles(roots):
  first, second = roots[:, :-1], roots[:, 1:]
  sine = torch.linalg.cross(first, second).norm(dim=-1)
  return torch.atan2(sine, (first * second).sum(-1))


def _joint_angles(directions, normals):
  between = _unit(normals[:, 2:] + normals[:, 1:-1])
  x = -torch.cat([normals[:, :2], between, normals[:, 3:]], dim=1)
  z = directions[:, :, 0]
  angles = []
  for bone in directions[:, :, 1:].unbind(dim=2):
    y = torch.linalg.cross(z, x)
    bx, by, bz = ((axis * bone).sum(-1) for axis in (x, y, z))
    radius = torch.hypot(bx, bz)
    angles.append(torch.stack([torch.atan2(bx, bz), torch.atan2(by, radius)], dim=-1))
    x = (bz.unsqueeze(-1) * x - bx.unsqueeze(-1) * z) / radius.unsqueeze(-1)
    z = bone
  return torch.stack(angles, dim=2)


def _hull_distance(angles, hulls):
  """(b, 5, 3) from angles (b, 5, 3, 2) and hulls (5, 3, v, 2)."""
  turns = torch.tensor([[-2 * math.pi, 0], [0, 0], [2 * math.pi, 0]])
  points = (angles.unsqueeze(-2) + turns).unsqueeze(-2)  # (b, 5, 3, turn, 1, 2)
  start = hulls.unsqueeze(2)
  edge = torch.roll(start, -1, dims=-2) - start
  offset = points - start
  side = edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0]
  inside = (side >= 0).all(dim=-1)
  length_squared = (edge * edge).sum(-1).clamp_min(1e-12)
  along = ((offset * edge).sum(-1) / length_squared).clamp(0, 1)
  distance = (offset - along.unsqueeze(-1) * edge).norm(dim=-1).amin(dim=-1)
  return torch.where(inside, 0, distance).amin(dim=-1)
