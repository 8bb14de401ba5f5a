"""A picture of the first examples of each split, with their keypoints drawn in."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.tables import counted
from bmc_jax.data.sources import Source

from . import checks

TILE = 192  # px
COLUMNS = 8
CONTEXT = 2.0  # side of what is shown, in sizes of the box of the keypoints
MIN_SIDE = 32  # px of the image; fewer show nothing
# RGB of the bones, thumb to little.
COLORS = ((230, 70, 60), (240, 170, 40), (70, 180, 90), (60, 130, 230), (170, 90, 220))


def write(path: Path, splits: Mapping[str, Source], count: int = 16) -> None:
  """Writes a PNG with up to `count` evenly spaced examples of each split.

  The examples are drawn as a reader of the data gets them: as right hands.

  Args:
    path: of the PNG.
    splits: a source with images for each split's name.
    count: examples per split.
  """
  bands = []
  for name, source in splits.items():
    chosen = np.linspace(0, len(source) - 1, min(count, len(source))).astype(int)
    tiles = [draw_example(source[int(i)]) for i in chosen]
    bands += [_title(f'{name}: {counted(len(source), "example")}'), *_rows(tiles)]
  if not cv2.imwrite(str(path), cv2.cvtColor(np.vstack(bands), cv2.COLOR_RGB2BGR)):
    raise OSError(f'The contact sheet {path} cannot be written.')


def draw_example(example, size: int = TILE) -> np.ndarray:
  """The surroundings of the hand as (size, size, 3) uint8 with its skeleton.

  Args:
    example: with image (H, W, 3) uint8 and keypoints_2d (21, 2) in its pixels.
    size: side of the result; the longer side of what is shown fills it.
  """
  labelled = example['visibility'] > 0
  left, top, right, bottom = _window(
    example['keypoints_2d'][labelled], example['image'].shape
  )
  image = example['image'][top:bottom, left:right]
  ratio = size / max(image.shape[:2])
  tile = np.zeros((size, size, 3), np.uint8)
  method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
  resized = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=method)
  tile[: resized.shape[0], : resized.shape[1]] = resized
  keypoints = example['keypoints_2d'] - [left, top]
  points = (keypoints + 0.5) * ratio - 0.5
  # OpenCV reads 4 fractional bits when shift = 4.
  points = [tuple(int(round(16 * v)) for v in point) for point in points]
  for finger in range(len(skeleton.FINGERS)):
    chain = [0, *range(1 + 4 * finger, 5 + 4 * finger)]
    for start, end in zip(chain, chain[1:], strict=False):
      if labelled[start] and labelled[end]:
        cv2.line(tile, points[start], points[end], COLORS[finger], 1, cv2.LINE_AA, 4)
    for joint in chain:
      if labelled[joint]:
        cv2.circle(tile, points[joint], 24, COLORS[finger], -1, cv2.LINE_AA, 4)
  return tile


def _window(keypoints: np.ndarray, shape) -> tuple[int, int, int, int]:
  """Left, top, right, bottom of the part of an image to show.

  A square around the labelled keypoints (n, 2), or what the image has of it; all of the
  image if too few are labelled to tell the size of the hand.
  """
  limit = np.array([shape[1], shape[0]])
  if len(keypoints) < checks.MIN_KEYPOINTS:
    return 0, 0, int(limit[0]), int(limit[1])
  inside = np.clip(keypoints, 0, limit - 1)
  low, high = inside.min(axis=0), inside.max(axis=0)
  side = np.ceil(max(CONTEXT * np.max(high - low), MIN_SIDE))
  extent = np.minimum(side, limit).astype(int)
  corner = np.rint((low + high + 1 - extent) / 2)
  corner = np.clip(corner, 0, limit - extent).astype(int)
  return (*corner.tolist(), *(corner + extent).tolist())


def _rows(tiles: list[np.ndarray]) -> list[np.ndarray]:
  blank = np.zeros_like(tiles[0])
  tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
  return [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]


def _title(text: str) -> np.ndarray:
  band = np.full((32, TILE * COLUMNS, 3), 255, np.uint8)
  font = cv2.FONT_HERSHEY_SIMPLEX
  cv2.putText(band, text, (8, 22), font, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
  return band
