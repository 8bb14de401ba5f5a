"""What predictions are written as: one JSON file that names its units."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmc_jax.console.files import to_lists
from bmc_jax.console.outputs import Kind, write_text
from bmc_jax.predict.media import Frame, Unreadable
from bmc_jax.predict.predictor import HandPosePredictor, HandPrediction
from bmc_jax.skeleton import JOINT_NAMES

_MADE_BY = 'bmc_jax.predict'
_UNITS = {
  'keypoints_2d': "pixels of the input; the first pixel's centre is (0, 0)",
  'joints_3d': 'metres; camera axes: x right, y down, z away from the camera',
  'joints_3d_relative': 'metres from the wrist on; the same axes',
  'intrinsics': 'pixels',
  'box': 'pixels: left, top, right, bottom of the last crop',
}


def describe_hand(
  frame: Frame,
  hand: HandPrediction,
  camera: str,
  broken: Sequence[str],
  doubts: Sequence[str],
) -> dict[str, Any]:
  """A hand as it stands in the file.

  Args:
    frame: that it is in.
    hand: the prediction.
    camera: where the intrinsics are from.
    broken: what is implausible about it.
    doubts: about its camera and its box.
  """
  entry: dict[str, Any] = {'input': str(frame.path)}
  if frame.number is not None:
    entry |= {'frame': frame.number, 'seconds': round(frame.seconds or 0.0, 4)}
  return entry | {
    'hand': 'right' if hand.is_right else 'left',
    'is_right': int(hand.is_right),
    'keypoints_2d': to_lists(hand.keypoints_2d, 2),
    'joints_3d': to_lists(hand.joints_3d, 6),
    'joints_3d_relative': to_lists(hand.joints_3d_relative, 6),
    'conditioning': round(hand.conditioning, 6),
    'root_depth_from': hand.root_depth_from,
    'crosses_camera': hand.crosses_camera,
    'broken_limits': list(broken),
    'box': to_lists(hand.box, 2),
    'intrinsics': to_lists(hand.intrinsics, 4),
    'intrinsics_from': camera,
    'doubts': list(doubts),
  }


def write_predictions(
  path: Path,
  predictor: HandPosePredictor,
  hands: Sequence[dict[str, Any]],
  skipped: Sequence[Unreadable],
  *,
  bone_length_from: str,
) -> None:
  """Writes all hands.

  Args:
    path: of the JSON file.
    predictor: that made them.
    hands: of `describe_hand`.
    skipped: what has no prediction, and why.
    bone_length_from: where the assumed size of hands is from.
  """
  content = {
    'made_by': _MADE_BY,
    'row': str(predictor.row.folder),
    'joint_order': 'canonical',
    'joint_names': list(JOINT_NAMES),
    'units': _UNITS,
    'reference_bone_m': round(predictor.bone_length, 6),
    'reference_bone_from': bone_length_from,
    'num_hands': len(hands),
    'num_skipped': sum(item.count for item in skipped),
    'skipped': [
      {'input': item.name, 'images': item.count, 'reason': item.reason}
      for item in skipped
    ],
    'hands': list(hands),
  }
  text = json.dumps(content, indent=1)
  write_text(path, text, PREDICTIONS)


def _is_predictions(path: Path) -> bool:
  with path.open('rb') as file:
    return _MADE_BY.encode() in file.read(100)


PREDICTIONS = Kind('predictions', ('.json',), _is_predictions)
