"""The joint order of an export, read from the names of its keypoints."""

import re
from collections.abc import Sequence

from bmc_jax import skeleton

_FINGER_WORDS = {
  'thumb': 'thumb',
  'index': 'index',
  'forefinger': 'index',
  'fore': 'index',
  'pointer': 'index',
  'middle': 'middle',
  'ring': 'ring',
  'little': 'little',
  'pinky': 'little',
  'pinkie': 'little',
  'small': 'little',
}
_WRIST_WORDS = ('wrist', 'root')
# From base to tip; in an export each finger has four of them, or four numbers.
_PARTS = {'cmc': 0, 'mcp': 1, 'pip': 2, 'ip': 2, 'dip': 3, 'tip': 4}


def canonical_order(names: Sequence[str]) -> tuple[int, ...] | None:
  """Where 21 named keypoints have each canonical joint.

  Names such as `wrist`, `hand_root`, `thumb_cmc`, `INDEX_FINGER_MCP`, `PinkyTip` or
  `right_forefinger1` (from base to tip) are understood.

  Args:
    names: of the keypoints.

  Returns:
    (21,) so that `keypoints[list(order)]` is canonical; None if no name says anything,
    as `0`, `1`...

  Raises:
    ValueError: some names say something, but not all, or two the same.
  """
  joints = [_read_name(name) for name in names]
  if not any(joints):
    return None
  places: dict[tuple[str, int], int] = {}
  for place, (name, joint) in enumerate(zip(names, joints, strict=True)):
    if joint is None or joint in places:
      trouble = 'is not understood' if joint is None else 'means the same as another'
      raise ValueError(
        f'the keypoint name {name!r} {trouble}; name the keypoints as in '
        f'{", ".join(skeleton.JOINT_NAMES[:3])}, or 0 to 20 for the canonical order'
      )
    places[joint] = place
  chains = [sorted(key for key in places if key[0] == f) for f in skeleton.FINGERS]
  if [len(chain) for chain in chains] != [4] * 5 or ('wrist', 0) not in places:
    raise ValueError(
      'the keypoint names are not those of a wrist and of four joints for each of '
      f'{", ".join(skeleton.FINGERS)}'
    )
  return (places['wrist', 0], *(places[joint] for chain in chains for joint in chain))


def _read_name(name: str) -> tuple[str, int] | None:
  """The finger, or 'wrist', and a number that grows from base to tip."""
  words = re.findall(r'[a-z]+|\d+', re.sub(r'([a-z])([A-Z])', r'\1_\2', name).lower())
  if any(word in _WRIST_WORDS for word in words):
    return 'wrist', 0
  fingers = {_FINGER_WORDS[word] for word in words if word in _FINGER_WORDS}
  parts = [_PARTS[word] for word in words if word in _PARTS]
  parts = parts or [int(word) for word in words if word.isdigit()]
  return (fingers.pop(), parts[-1]) if len(fingers) == 1 and parts else None
