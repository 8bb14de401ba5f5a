"""Contact sheets: hands fill their tiles, dots lie where the image has keypoints."""

import numpy as np
import pytest

from bmc_jax.data_prep import contact_sheet

TIPS = np.arange(4, 21, 4)  # no bones are drawn between them
LITTLE = np.array(contact_sheet.COLORS[4])


def _example(shape, tips):
  """A black image with a white square on the last of five fingertips (5, 2)."""
  image = np.zeros((*shape, 3), np.uint8)
  x, y = np.rint(tips[-1]).astype(int)
  image[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] = 255
  keypoints, visibility = np.zeros((21, 2), np.float32), np.zeros(21, np.float32)
  keypoints[TIPS], visibility[TIPS] = tips, 1
  return {'image': image, 'keypoints_2d': keypoints, 'visibility': visibility}


def _tips(center, size):
  unit = np.array([[-0.5, 0], [-0.3, -0.4], [0, -0.5], [0.5, -0.3], [0.2, 0.5]])
  return np.rint(unit * size + center)


def _middle(mask) -> np.ndarray:
  rows, columns = np.nonzero(mask)
  return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize('center', [(320, 240), (40, 40), (610, 450)])
def test_a_small_hand_fills_half_of_its_tile(center):
  tile = contact_sheet.draw_example(_example((480, 640), _tips(center, 50)))
  rows, columns = np.nonzero(np.ptp(tile.astype(int), axis=-1) > 60)
  assert 85 < np.ptp(columns) < 110 and 85 < np.ptp(rows) < 110


@pytest.mark.parametrize('shape', [(480, 640), (640, 200), (60, 640), (2000, 3000)])
@pytest.mark.parametrize('size', [40, 300])
@pytest.mark.parametrize('place', [(0.5, 0.5), (0.1, 0.1), (0.95, 0.9)])
def test_dots_lie_on_what_they_mark(shape, size, place):
  tips = _tips(np.array(shape[::-1]) * place, size)
  tips[-1] = np.clip(tips[-1], 5, np.array(shape[::-1]) - 6)  # others may lie outside
  tile = contact_sheet.draw_example(_example(shape, tips)).astype(int)
  assert tile.shape == (192, 192, 3)
  dot = np.abs(tile - LITTLE).max(axis=-1) < 40
  square = (tile.min(axis=-1) > 100) | dot
  np.testing.assert_allclose(_middle(dot), _middle(square), atol=1.0)


def test_of_a_hand_with_few_labels_all_of_the_image_is_shown():
  example = _example((480, 640), _tips((320, 240), 50))
  example['image'][:] = 9
  example['visibility'][TIPS[:-1]] = 0
  tile = contact_sheet.draw_example(example)
  assert tile[:144].min() > 0 and tile[144:].max() == 0
