"""Results of OpenPose and mmpose, and those in the form of COCO (also AlphaPose's).

All of them may hold whole bodies, of which the hands are kept.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bmc_jax.joint_files.arrays import plain_keys
from bmc_jax.lift.files import content as content_lib
from bmc_jax.lift.files.content import Content, Hand

_SIDES = {'left': 0.0, 'right': 1.0}


def read_openpose(content: Mapping) -> Content:
  """The hands of one picture as OpenPose writes them.

  Raises:
    ValueError: keypoints are of another form, or people have no hands.
  """
  hands, people = [], _rows(content['people'], 'people')
  for person in people:
    for side, number in _SIDES.items():
      for key in (f'hand_{side}_keypoints_2d', f'hand_{side}_keypoints'):
        if person.get(key):
          points = content_lib.from_flat(person[key], key)
          if len(points) != 21:
            raise ValueError(f'{key} has {len(points)} keypoints, but a hand has 21')
          own = content_lib.person_in(plain_keys(person))
          hands.append(Hand(points, side=number, person=own))
  if people and not hands:
    raise ValueError('its people have no keypoints of hands; run OpenPose with --hand')
  return Content('OpenPose', hands, scores=True)


def is_mmpose(content: Any) -> bool:
  """Whether it is a result of mmpose: of a video, a picture, or its instances alone."""
  if isinstance(content, Mapping):
    return 'instance_info' in content
  first = content[0] if isinstance(content, list) and content else None
  return isinstance(first, Mapping) and (
    'instances' in first or {'keypoints', 'keypoint_scores'} <= first.keys()
  )


def read_mmpose(content: Any) -> Content:
  """The hands of a picture or a video as mmpose writes them.

  Raises:
    ValueError: they are of another form.
  """
  names = None
  if isinstance(content, Mapping):
    names = _meta_names(content.get('meta_info'))
    content = content['instance_info']
  hands, named = [], []
  for frame, row in _instances(_rows(content, 'instance_info')):
    where = f'an instance of frame {frame}' if frame is not None else 'an instance'
    points = content_lib.as_points([row['keypoints']], where)
    if np.shape(row['keypoints'])[1:] != (2,):
      raise ValueError(f'{where}: its keypoints are no x and y each')
    scores = row['keypoint_scores']
    if not isinstance(scores, list) or len(scores) != points.shape[1]:
      raise ValueError(f'{where} has no keypoint_scores, one for each of its keypoints')
    points[0, :, 2] = content_lib.as_points([[0, 0, s] for s in scores], where)[0, :, 2]
    person = content_lib.person_in(plain_keys(row))
    box = content_lib.box_in(row.get('bbox'), is_xywh=False)
    found = content_lib.hands_of(points[0], names, where)
    for hand, side, is_named in found:
      own = box if len(points[0]) == len(hand) else None
      hands.append(Hand(hand, frame, side, None, person, own))
      named.append(is_named)
  order = content_lib.agreed_name(named)
  return Content('mmpose', hands, order, scores=True)


def _meta_names(meta: Any) -> list[str] | None:
  """The names of keypoints in the order of their numbers."""
  names = meta.get('keypoint_id2name') if isinstance(meta, Mapping) else None
  if not isinstance(names, Mapping) or not names:
    return None
  try:
    return [str(names[key]) for key in sorted(names, key=int)]
  except (TypeError, ValueError):
    raise ValueError('keypoint_id2name does not number its names') from None


def _instances(rows: Sequence[Mapping]) -> Iterator[tuple[Any, Mapping]]:
  for row in rows:
    frame, inner = None, [row]
    if 'instances' in row:
      frame = content_lib.frame_in(plain_keys(row))
      inner = _rows(row['instances'], 'instances')
    for instance in inner:
      if not {'keypoints', 'keypoint_scores'} <= instance.keys():
        raise ValueError(
          f'expected instances with keypoints and keypoint_scores, found one with '
          f'{", ".join(map(str, instance)):.60}'
        )
      yield frame, instance


def is_coco_results(content: Any) -> bool:
  """Whether it is a list of COCO's results."""
  first = content[0] if isinstance(content, list) and content else None
  return isinstance(first, Mapping) and {'image_id', 'keypoints'} <= first.keys()


def read_coco_results(content: list) -> Content:
  """The hands of a list of COCO's results.

  Raises:
    ValueError: they are of another form.
  """
  hands = []
  for number, row in enumerate(_rows(content, 'results')):
    where = f'result {number}'
    if not {'image_id', 'keypoints'} <= row.keys():
      raise ValueError(f'{where} has no image_id or no keypoints')
    keys = plain_keys(row)
    points = content_lib.from_flat(row['keypoints'], where)
    box = content_lib.box_in(keys.get('bbox', keys.get('box')), is_xywh=True)
    frame, person = content_lib.as_number(row['image_id']), content_lib.person_in(keys)
    for hand, side, _ in content_lib.hands_of(points, None, where):
      own = box if len(points) == len(hand) else None
      told = side if not math.isnan(side) else content_lib.told_side(row)
      hands.append(Hand(hand, frame, told, content_lib.size_in(row), person, own))
  return Content('COCO results', hands, scores=True)


def _rows(value: Any, name: str) -> Sequence[Mapping]:
  if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
    raise ValueError(f'{name} is no list of objects')
  return value
