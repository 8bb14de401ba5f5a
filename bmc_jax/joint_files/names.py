"""Joint orders that are told by names of keypoints or columns."""

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
_LETTERS = dict(zip('timrlp', (*skeleton.FINGERS, 'little'), strict=True))
_WRIST_WORDS = ('wrist', 'root')
_HAND_WORDS = {'hand', 'right', 'left'}
# From base to tip; in an export each finger has four of them, or four numbers.
_PARTS = {'cmc': 0, 'mcp': 1, 'pip': 2, 'ip': 2, 'dip': 3, 'tip': 4}
_PARTS |= {'metacarpal': 0, 'proximal': 1, 'intermediate': 2, 'distal': 3}


def canonical_order(names: Sequence[str]) -> tuple[int, ...]:
  """Where 21 named keypoints have each canonical joint.

  Names such as `wrist`, `hand_root`, `thumb_cmc`, `INDEX_FINGER_MCP`, `PinkyTip`,
  `TMCP` or `right_forefinger1` (from base to tip) are understood. Numbers from 0 to 20,
  or from 1 to 21, are those of the canonical joints, wherever they stand.

  Args:
    names: of the keypoints.

  Returns:
    (21,) so that `keypoints[list(order)]` is canonical.

  Raises:
    ValueError: names say nothing, or some of them do, or two the same.
  """
  joints = [_read_name(name) for name in names]
  if not any(joints):
    return _by_number(names)
  places: dict[tuple[str, int], int] = {}
  for place, (name, joint) in enumerate(zip(names, joints, strict=True)):
    if joint is None or joint in places:
      trouble = 'is not understood' if joint is None else 'means the same as another'
      raise ValueError(f'the keypoint name {name!r:.40} {trouble}; {_REMEDY}')
    places[joint] = place
  chains = [sorted(key for key in places if key[0] == f) for f in skeleton.FINGERS]
  if [len(chain) for chain in chains] != [4] * 5 or ('wrist', 0) not in places:
    raise ValueError(
      'the keypoint names are not those of a wrist and of four joints for each of '
      f'{", ".join(skeleton.FINGERS)}'
    )
  return (places['wrist', 0], *(places[joint] for chain in chains for joint in chain))


_REMEDY = (
  f'name the keypoints as in {", ".join(skeleton.JOINT_NAMES[:3])}, or 0 to 20 for the '
  'canonical order'
)


def are_numbers(names: Sequence[str]) -> bool:
  """Whether names tell their joints by nothing but numbers."""
  return not any(map(_read_name, names))


def number_places(names: Sequence[str]) -> list[int] | None:
  """The places of names in the order of their numbers.

  Args:
    names: `7`, `kp_7`, `joint 7`...

  Returns:
    None unless they are numbered from 0 or 1 on, and alike but for that.
  """
  found = [re.fullmatch(r'(.*?)(\d+)(\D*)', name.strip()) for name in names]
  if not all(found) or len({(one[1], one[3]) for one in found if one}) != 1:
    return None
  numbers = [int(one[2]) for one in found if one]
  if sorted(numbers) not in [list(range(s, s + len(names))) for s in (0, 1)]:
    return None
  return sorted(range(len(names)), key=numbers.__getitem__)


def _by_number(names: Sequence[str]) -> tuple[int, ...]:
  places = number_places(names)
  if places is None:
    raise ValueError(
      f'the keypoint names ({", ".join(names[:3])}, ...) do not tell the joints; '
      f'{_REMEDY}'
    )
  return tuple(places)


def _read_name(name: str) -> tuple[str, int] | None:
  """The finger, or 'wrist', and a number that grows from base to tip."""
  words = re.findall(r'[a-z]+|\d+', re.sub(r'([a-z])([A-Z])', r'\1_\2', name).lower())
  words = [part for word in words for part in _spell_out(word)]
  fingers = {_FINGER_WORDS[word] for word in words if word in _FINGER_WORDS}
  is_hand = 'hand' in words and set(words) <= _HAND_WORDS
  if is_hand or not fingers and any(word in _WRIST_WORDS for word in words):
    return 'wrist', 0
  parts = [_PARTS[word] for word in words if word in _PARTS]
  parts = parts or [int(word) for word in words if word.isdigit()]
  return (fingers.pop(), parts[-1]) if len(fingers) == 1 and parts else None


def _spell_out(word: str) -> list[str]:
  """TMCP is the thumb's MCP."""
  short = word not in _PARTS and word[:1] in _LETTERS and word[1:] in _PARTS
  return [_LETTERS[word[0]], word[1:]] if short else [word]
