"""What the tests of dataset readers share: hands in metres, images, commands."""

import cv2
import numpy as np

from data_prep import build as build_lib
from tests.fixtures_hands import random_hands


def make_hands(seed: int, count: int, *, bone: float = 0.03) -> np.ndarray:
  """Right hands (count, 21, 3) in metres, about 0.6 m before the camera.

  Args:
    seed: of the random numbers.
    count: of the hands.
    bone: length of the reference bone in metres; it varies by a tenth.
  """
  rng = np.random.default_rng(seed)
  sizes = bone * rng.uniform(0.9, 1.1, (count, 1, 1))
  joints = random_hands(seed, count).joints * sizes
  joints -= joints.mean(axis=1, keepdims=True)
  return joints + [0, 0, 0.6] + rng.normal(0, 0.02, (count, 1, 3))


def slow_projection(joints, intrinsics) -> np.ndarray:
  """Pixels (n, 2) of points (n, 3), one by one."""
  (fx, skew, cx), (_, fy, cy), _ = np.asarray(intrinsics, float)
  return np.array(
    [[(fx * x + skew * y) / z + cx, fy * y / z + cy] for x, y, z in joints]
  )


def write_image(path, width: int, height: int, shade: int = 128) -> None:
  """An image of one colour; the folder is made if need be."""
  path.parent.mkdir(parents=True, exist_ok=True)
  cv2.imwrite(str(path), np.full((height, width, 3), shade % 256, np.uint8))


def failure(arguments: list[str], out, capsys) -> str:
  """Runs the command line, which must fail and leave nothing; its message."""
  assert build_lib.main([*arguments, '--out', str(out)]) == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith('error: ') and message.endswith('.')
  assert not out.exists() or not list(out.rglob('*'))
  return message
