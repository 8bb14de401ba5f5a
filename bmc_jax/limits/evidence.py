"""What hands themselves tell of their joint order and their sides; see `depths`, too.

Whoever is told these things about hands can be told wrong ones, and nothing in a file
of numbers contradicts it but the hands. The functions give sentences without a full
stop, or None where nothing speaks against what is told. They look at many hands where
there are many: a single hand may be odd.
"""

import math
from typing import NamedTuple

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.tables import counted

# From how many poses on which part of their bones' length another order may save.
_ORDER_MARGINS = ((50, 0.95), (10, 0.9), (0, 0.8))
_SHORT_THUMB = 0.9
_PLENTY = 1000
_FEW = 10
_SHIFTED = (
  'it is an order that is not known here, or joints are missing or one too many, so '
  'that those behind them are shifted'
)

# Of 50,646 hands of DexYCB, 15,000 of STB, 2,728 of RHD and 443 photos 79 to 97 % have
# their fingertips further off the palm's plane than this, all on the palm's side. So
# had 5 of FreiHAND's hands (one was at -0.12), but 5 of 501 hands of MediaPipe not.
MIN_BEND = 0.15
WRONG_SHARE = 0.1


def doubt_order(joints: np.ndarray, order: str) -> str | None:
  """Says why joints are probably in another order: their bones are shorter in it.

  A wrong order draws bones between joints that are no neighbours. A fist can hide that,
  so the ninth decile of the poses' summed bones counts: where public poses were given
  in a wrong order, the right one was shorter by 9% and more; where they were given
  in the right one, no other was shorter by more than 3%, were it in 50 frames of a
  video. Of fewer poses, other orders have to be shorter by more: in no 10 frames of a
  video in their right order they were by more than 10%, for no single pose by more than
  17%. `canonical` and `stb` have the same bones, but their
  thumb is the other's little finger, which is shorter (public poses: by 21% and more).

  Args:
    joints: (N, 21, 3) in the given order.
    order: the given order.

  Returns:
    The message, or None.
  """
  some = sample(joints)
  if not len(some):
    return None
  lengths = {
    name: float(np.quantile(bones.sum(axis=(1, 2)), 0.9))
    for name in skeleton.JOINT_ORDERS
    for bones in [bones_of(skeleton.reorder(some, name))]
  }
  shortest = min(lengths.values())
  likely = _alike(lengths, shortest)
  margin = next(m for count, m in _ORDER_MARGINS if len(joints) >= count)
  if shortest < margin * lengths[order]:
    longer = (
      f'in the joint order {order!r} the bones are '
      f'{lengths[order] / shortest - 1:.0%} longer than in the order {likely}'
    )
    if any(_are_fingers(skeleton.reorder(some, n)) for n in likely.split(' or ')):
      return f'{longer}, which is probably the right one'
    return f'{longer}, and that is not the right one either: {_SHIFTED}'
  own = skeleton.JOINT_ORDERS[order]
  others = {n: lengths[n] for n, o in skeleton.JOINT_ORDERS.items() if o != own}
  likely = _alike(others, lengths[order])
  fingers = bones_of(skeleton.reorder(some, order))[..., 1:].sum(axis=-1)
  thumb, *_, little = np.moveaxis(fingers, -1, 0)
  if likely and np.median(thumb) < _SHORT_THUMB * np.median(little):
    return (
      f'in the joint order {order!r} the thumb is shorter than the little finger, so '
      f'that {likely} is probably the right one'
    )
  if len(joints) >= _FEW and not _are_fingers(skeleton.reorder(some, order)):
    return (
      f'in the joint order {order!r} a finger has a bone that is longer than the one '
      f'from the wrist: {_SHIFTED}'
    )
  return None


def _are_fingers(joints: np.ndarray) -> bool:
  """Whether the bones from the wrist are the longest of index to little finger.

  In the median over public sets they were by 60 % and more, in any ten hands by 20 %.
  Hands without a size tell nothing.
  """
  root, *others = np.moveaxis(np.median(bones_of(joints), axis=0)[1:], -1, 0)
  return not root.any() or bool((root >= np.max(others, axis=0)).all())


def _alike(lengths: dict[str, float], length: float) -> str:
  """The orders of the same summed bones."""
  names = [
    n for n, other in lengths.items() if math.isclose(other, length, rel_tol=1e-5)
  ]
  return ' or '.join(names)


class SideDoubt(NamedTuple):
  """Hands that contradict the side that they are said to be of.

  Attributes:
    hands: their numbers.
    telling: how many hands tell their side at all.
  """

  hands: np.ndarray
  telling: int

  @property
  def is_clear(self) -> bool:
    """Whether a set is wrong, and not only some odd hands in it."""
    return len(self.hands) > max(1, WRONG_SHARE * self.telling)

  @property
  def is_of_most(self) -> bool:
    """Whether sides are swapped, and not only mixed."""
    return 2 * len(self.hands) > self.telling

  def __str__(self) -> str:
    count = len(self.hands)
    named = ', '.join(map(str, self.hands[:5])) + ', ...' * (count > 5)
    return (
      f'{count} of the {self.telling} hands whose fingers tell their side bend them as '
      f'hands of the other side do (hand{"s" * (count > 1)} {named})'
    )


def doubt_sides(joints: np.ndarray, is_right: np.ndarray | bool) -> SideDoubt | None:
  """Compares the sides of hands with the way in which their fingers bend.

  Args:
    joints: (N, 21, 3) canonical joints in any unit; hands with NaN tell nothing.
    is_right: (N,) or one for all.

  Returns:
    None if no hand clearly bends the other way.
  """
  bend = np.where(is_right, 1, -1) * palm_bend(joints)
  (hands,) = np.nonzero(bend < -MIN_BEND)
  return SideDoubt(hands, int(np.sum(np.abs(bend) > MIN_BEND))) if len(hands) else None


def palm_bend(joints: np.ndarray) -> np.ndarray:
  """Which way the fingers bend: positive for a right hand, negative for a left one.

  The fingertips lie on the palm's side of the plane through the wrist and the MCPs of
  index and little finger, and only chirality says which side of the plane that is.

  Args:
    joints: (*b, 21, 3) in camera axes, canonical order, any unit.

  Returns:
    (*b,) sine of the angle between that plane and the line from the wrist to the middle
    of the tips.
  """
  wrist, index, little = joints[..., 0, :], joints[..., 5, :], joints[..., 17, :]
  normal = np.cross(index - wrist, little - wrist)
  tips = joints[..., 4::4, :].mean(axis=-2) - wrist
  length = np.linalg.norm(normal, axis=-1) * np.linalg.norm(tips, axis=-1)
  return np.sum(normal * tips, axis=-1) / np.maximum(length, 1e-12)


def doubt_bones(joints: np.ndarray) -> str | None:
  """Names bones of no length, as of joints that were filled in with another's place.

  Of joints (N, 21, 3) in any unit; hands with NaN or of no size tell nothing.
  """
  whole = np.isfinite(joints).all(axis=(1, 2)) & np.ptp(joints, axis=1).any(axis=-1)
  lengths = np.zeros((len(joints), 5, 4)) + np.inf
  lengths[whole] = bones_of(joints[whole])
  most = np.max(lengths, axis=(1, 2), initial=0, where=whole[:, None, None])
  zero = np.argwhere(lengths <= 1e-6 * most[:, None, None])
  if not len(zero):
    return None
  hand, finger, bone = zero[0]
  end, some = 4 * finger + bone + 1, len(np.unique(zero[:, 0]))
  ends = ' to '.join(skeleton.JOINT_NAMES[i] for i in (end - 1 if bone else 0, end))
  return (
    f'{counted(len(zero), "bone")} of length 0 in {some} of {len(joints)} hands, first '
    f'{ends} of hand {hand}: leave out unknown joints'
  )


def stored_as_zero(joints: np.ndarray) -> np.ndarray:
  """Which joints (N, 21) are missing ones that are stored as 0, 0, 0.

  Those at exactly 0, 0, 0, but for the origin of hands that are relative to a joint:
  the one joint that is there in all hands, or the wrist where it is there, too. A wrist
  that is alone at 0, 0, 0 counts as an origin, and a hand of nothing but zeros tells
  nothing.

  Args:
    joints: (N, 21, 3) canonical joints in any unit.
  """
  zero = (joints == 0).all(axis=-1)
  blank = zero.all(axis=1)
  size = np.abs(joints).max(axis=(1, 2), initial=0, where=np.isfinite(joints))
  near = (np.abs(joints) <= 1e-6 * size[:, None, None]).all(axis=-1)
  unknown = ~np.isfinite(joints).all(axis=-1)
  always = (near | unknown | blank[:, None]).all(axis=0) & zero.any(axis=0)
  missing = zero & ~blank[:, None]
  if always[0] or always.sum() == 1:
    missing[:, np.argmax(always)] = False
  missing[zero.sum(axis=1) == 1, 0] = False
  return missing


def sample(joints: np.ndarray) -> np.ndarray:
  """Plenty of the hands that are whole."""
  whole = joints[np.isfinite(joints).all(axis=(1, 2))]
  return whole[:: math.ceil(len(whole) / _PLENTY) or 1]


def bones_of(joints: np.ndarray) -> np.ndarray:
  """Their lengths (n, 5, 4), on the host: files have any number of hands."""
  fingers = joints[:, 1:].reshape(len(joints), 5, 4, joints.shape[-1])
  wrists = np.repeat(joints[:, None, :1], 5, axis=1)
  return np.linalg.norm(
    np.diff(np.concatenate([wrists, fingers], axis=2), axis=2), axis=-1
  )
