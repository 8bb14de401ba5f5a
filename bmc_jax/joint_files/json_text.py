"""Hands in JSON, with MediaPipe's results among it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.joint_files.arrays import Content, as_hands, plain_keys, side

_AXES = 'xyz'
# Of JSON objects, in lower case and without underscores; the first one found counts.
_HAND_KEYS = (
  'worldlandmarks',
  'handworldlandmarks',
  'multihandworldlandmarks',
  'landmarks',
  'handlandmarks',
  'multihandlandmarks',
  'joints3d',
  'joints',
)
_SIDE_KEYS = ('handedness', 'multihandedness', 'isright', 'sideisright')


def read_json(file: Path) -> Content:
  """Nested lists, points {x, y, z}, or objects with landmarks or joints.

  Raises:
    ValueError: it is no JSON, or of another form.
  """
  try:
    return _read_results(json.loads(file.read_text(encoding='utf-8-sig')))
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise ValueError(f'this is not valid JSON ({error})') from None
  except RecursionError:
    raise ValueError('its lists are nested too deeply to be hands') from None


def _read_results(content: Any) -> Content:
  order = None
  if isinstance(content, Mapping) and isinstance(content.get('hands'), list):
    order, content = content.get('joint_order'), content['hands']  # bmc_jax.predict's
  results = content if isinstance(content, list) else [content]
  if not any(_is_result(result) for result in results):
    return Content(as_hands(_coordinates(content)))
  hands: list[np.ndarray] = []
  sides: list[float] = []
  for number, result in enumerate(results):
    if not _is_result(result):
      raise ValueError(f'expected objects with landmarks, found {result!r:.40}')
    keys = plain_keys(result)
    key = next((name for name in _HAND_KEYS if name in keys), None)
    if key is None:
      raise ValueError(
        f'expected an entry worldLandmarks, landmarks or joints, found '
        f'{", ".join(result) or "none"}'
      )
    values = _coordinates(keys[key])
    if values:  # an image without a hand has an empty list
      hands.append(as_hands(values))
      sides += _result_sides(keys, len(hands[-1]), number)
  if not hands:
    raise ValueError('it holds no hand')
  return Content(np.concatenate(hands), sides, order)


def _result_sides(keys: dict[str, Any], count: int, number: int) -> list[float]:
  """The sides of the hands of one result; one alone is that of all its hands."""
  told = next((keys[name] for name in _SIDE_KEYS if name in keys), None)
  if not isinstance(told, list) or not told:
    return [side(told)] * count
  if len(told) != count:
    raise ValueError(f'result {number} has {count} hands, but {len(told)} sides')
  return [side(one) for one in told]


def _is_result(value: Any) -> bool:
  return isinstance(value, Mapping) and not {'x', 'y', 'z', 'landmark'} & set(value)


def _coordinates(value: Any) -> Any:
  """Nested lists of numbers: points {x, y, z} become [x, y, z], null becomes NaN."""
  if isinstance(value, Mapping):
    if set(value) == {'landmark'}:  # MediaPipe's older Python results
      return _coordinates(value['landmark'])
    if not set(_AXES) <= set(value):
      raise ValueError(f'{dict(value)!r:.40} is no point with x, y and z')
    value = [value[axis] for axis in _AXES]
  if isinstance(value, list):
    return [_coordinates(entry) for entry in value]
  return math.nan if value is None else value
