"""Hands to look at and to bend: a photo, a hand to turn, sliders, and the limits.

The page needs no other file and no network. Its arithmetic is `web/hand_math.js`, which
a test compares with `bmc_jax.kinematics` and `bmc_jax.constraints`.
"""

import base64
import dataclasses
import html
import io
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from bmc_jax import constraints, pose25d, skeleton
from bmc_jax.console.files import to_lists
from bmc_jax.limits import HandLimits
from bmc_jax.limits.types import REFERENCE_UNIT
from bmc_jax.plausibility import violations
from bmc_jax.report import document

_MAX_IMAGE = 640  # px
_QUALITY = 82


@dataclasses.dataclass(frozen=True)
class ViewedHand:
  """A hand on the page.

  Attributes:
    title: plain text.
    joints_3d: (21, 3) canonical joints in the camera's frame, in any unit; a left hand
      as it is seen.
    is_right: False for a left hand.
    image: (H, W, 3) uint8 RGB to show beside it, or None.
    intrinsics: (3, 3) of that image.
    truth_3d: (21, 3) the labelled hand in the same unit and frame, drawn grey, or None.
    notes: lines of plain text below the image.
  """

  title: str
  joints_3d: np.ndarray
  is_right: bool = True
  image: np.ndarray | None = None
  intrinsics: np.ndarray | None = None
  truth_3d: np.ndarray | None = None
  notes: Sequence[str] = ()


def write_viewer_page(
  path: str | os.PathLike[str],
  title: str,
  lines: Sequence[str],
  hands: Sequence[ViewedHand],
  limits: HandLimits,
  *,
  command: str,
) -> pathlib.Path:
  """Writes a page with the viewer.

  Args:
    path: the file to write.
    title: plain text.
    lines: plain text below the title.
    hands: at least one.
    limits: that they are compared with, in reference bones.
    command: what writes such a page, for its foot.

  Returns:
    The path.

  Raises:
    ValueError: there is no hand, or the limits are in another unit.
  """
  header = ''.join(f'<p>{html.escape(line)}</p>' for line in lines)
  sections = [('hands', 'Turn and bend', viewer_section(hands, limits))]
  return document.write_document(path, title, header, sections, command=command)


def viewer_section(hands: Sequence[ViewedHand], limits: HandLimits) -> str:
  """The viewer as HTML, for a page of `document.write_document`.

  Raises:
    ValueError: there is no hand, or the limits are in another unit.
  """
  if not hands:
    raise ValueError('The viewer needs at least one hand.')
  limits.metadata.check_fits_canonical_right_hands()
  if limits.metadata.unit != REFERENCE_UNIT:
    raise ValueError(
      f'The limits are in {limits.metadata.unit!r}; the viewer compares hands in '
      f'reference bones ({REFERENCE_UNIT!r}).'
    )
  data = {
    'limits': _limits(limits),
    'weights': dict(constraints.WEIGHTS),
    'names': {k: v.ravel().tolist() for k, v in violations.NAMES.items()},
    'hands': [_hand(hand, limits.metadata.reference) for hand in hands],
  }
  # No `<` may end the script element.
  text = json.dumps(data, separators=(',', ':'), allow_nan=False).replace(
    '<', '\\u003c'
  )
  options = ''.join(f'<option>{html.escape(hand.title)}</option>' for hand in hands)
  fingers = ''.join(
    f'<button type="button" data-finger="{i}" aria-pressed="false">{name}</button>'
    for i, name in enumerate(name.capitalize() for name in skeleton.FINGERS)
  )
  terms = ''.join(
    f'<dt>{label}</dt><dd class="soft">{_weight(name)}</dd>'
    f'<dd class="number" data-part="{name}"></dd>'
    for name, label in _TERMS.items()
  )
  filled = {'options': options, 'fingers': fingers, 'terms': terms, 'data': text}
  section = document.read_part('viewer.html')
  for name, value in filled.items():
    section = section.replace(f'<!--{name}-->', value)
  return section


_TERMS = {
  'bone_length': 'bone lengths',
  'root_bone': 'palm',
  'joint_angle': 'joint angles (radians)',
  'total': 'weighted sum',
}


def _weight(name: str) -> str:
  return f'weight {constraints.WEIGHTS[name]:g}' if name in constraints.WEIGHTS else ''


def _limits(limits: HandLimits) -> dict[str, Any]:
  arrays = {
    name: to_lists(getattr(limits, name), 5)
    for name in ('bone_lengths', 'curvatures', 'root_angles', 'hulls')
  }
  return arrays | {'frames': limits.metadata.frames}


def _hand(hand: ViewedHand, reference: tuple[int, int]) -> dict[str, Any]:
  """A hand as a right one in reference bones from its wrist on, and its image."""
  joints = np.asarray(hand.joints_3d, np.float64)
  skeleton.check_joints(joints, 'joints_3d')
  side = 1 if hand.is_right else -1
  scale = float(pose25d.scale_of(joints, reference))
  scale = scale if scale > 0 else 1.0  # of a hand of no size, or with NaN
  mirror = np.array([side, 1, 1]) / scale
  entry: dict[str, Any] = {
    'side': side,
    'joints': to_lists(((joints - joints[:1]) * mirror).ravel(), 4),
    'notes': list(hand.notes),
  }
  if hand.truth_3d is not None:
    truth = np.asarray(hand.truth_3d, np.float64)
    entry['truth'] = to_lists(((truth - truth[:1]) * mirror).ravel(), 4)
  if hand.image is not None and hand.intrinsics is not None:
    height, width = hand.image.shape[:2]
    entry |= {
      'image': _data_url(hand.image),
      'width': width,
      'height': height,
      'camera': to_lists(hand.intrinsics, 4),
      'root': to_lists(joints[0] / scale, 4),
    }
  return entry


def _data_url(image: np.ndarray) -> str:
  """A JPEG of at most 640 px; the page stretches it to the image's own size."""
  picture = Image.fromarray(np.ascontiguousarray(image))
  picture.thumbnail((_MAX_IMAGE, _MAX_IMAGE))
  buffer = io.BytesIO()
  picture.save(buffer, format='JPEG', quality=_QUALITY)
  return f'data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}'
