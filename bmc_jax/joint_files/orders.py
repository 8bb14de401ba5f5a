"""Whether joints are in the order that they are said to be in, by their bones."""

import math

import numpy as np

from bmc_jax import kinematics, skeleton

_ORDER_MARGIN, _FEW_POSES_MARGIN = 0.95, 0.8
_ORDER_POSES = 10
_SHORT_THUMB = 0.9


def check_order(path, joints: np.ndarray, order: str, remedy: str) -> None:
  """Raises a ValueError if the joints are probably in another order.

  Args:
    path: named in the message.
    joints: (N, 21, 3) in the given order.
    order: the given order.
    remedy: what to do, the end of the message.
  """
  if doubt := doubt_order(joints, order):
    raise ValueError(f'{path}: {doubt}; {remedy}.')


def doubt_order(joints: np.ndarray, order: str) -> str | None:
  """Says why joints are probably in another order: their bones are shorter in it.

  A wrong order draws bones between joints that are no neighbours. A fist can hide that,
  so the ninth decile of the poses' summed bones counts: where public poses were given
  in a wrong order, the right one was shorter by 9% and more; where they were given
  in the right one, no other was shorter by more than 3%. Of fewer than `_ORDER_POSES`
  poses, other orders have to be shorter by 20%: for no single public pose in its right
  order they were by more than 17%. `canonical` and `stb` have the same bones, but their
  thumb is the other's little finger, which is shorter (public poses: by 21% and more).

  Args:
    joints: (N, 21, 3) in the given order.
    order: the given order.

  Returns:
    The message, or None.
  """
  if not len(joints):
    return None
  sample = joints[:: math.ceil(len(joints) / 1000)]  # plenty
  lengths = {}
  for name in skeleton.JOINT_ORDERS:
    bones = kinematics.bone_lengths(skeleton.reorder(sample, name))
    lengths[name] = float(np.quantile(np.sum(bones, axis=(1, 2)), 0.9))
  shortest = min(lengths.values())
  margin = _ORDER_MARGIN if len(joints) >= _ORDER_POSES else _FEW_POSES_MARGIN
  if shortest < margin * lengths[order]:
    return (
      f'in the joint order {order!r} the bones are '
      f'{lengths[order] / shortest - 1:.0%} longer than in the order '
      f'{_alike(lengths, shortest)}, which is probably the right one'
    )
  own = skeleton.JOINT_ORDERS[order]
  others = {n: lengths[n] for n, o in skeleton.JOINT_ORDERS.items() if o != own}
  likely = _alike(others, lengths[order])
  bones = np.asarray(kinematics.bone_lengths(skeleton.reorder(sample, order)))
  thumb, *_, little = np.moveaxis(bones[..., 1:].sum(axis=-1), -1, 0)
  if likely and np.median(thumb) < _SHORT_THUMB * np.median(little):
    return (
      f'in the joint order {order!r} the thumb is shorter than the little finger, so '
      f'that {likely} is probably the right one'
    )
  return None


def _alike(lengths: dict[str, float], length: float) -> str:
  """The orders of the same summed bones."""
  names = [
    n for n, other in lengths.items() if math.isclose(other, length, rel_tol=1e-5)
  ]
  return ' or '.join(names)
