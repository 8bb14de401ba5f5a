"""Small made-up datasets in the original layouts, as builders read them."""

import cv2
import numpy as np
import scipy.io

from tests.fixtures_data import FLAT_HAND

CAMERA = (900.0, 905.0, 640.0, 360.0)
BOX = (400, 150, 480, 480)


def write_photos(path, count):
  """The layout of `hand_graph_cnn_real`; its joints in metres (N, 21, 3)."""
  (path / 'images').mkdir(parents=True)
  joints = np.zeros((count, 21, 3), np.float32)
  joints[..., :2] = FLAT_HAND
  joints[..., 2] = 0.45 + 0.001 * np.arange(count)[:, None]
  for index in range(count):
    image = np.full((256, 256, 3), index, np.uint8)
    cv2.imwrite(str(path / 'images' / f'{index:05d}.jpg'), image)
  scipy.io.savemat(path / 'pose_gt.mat', {'pose_gt': joints * 100})
  write_params(path, count)
  return joints


def write_params(path, count, **changed):
  """The file of cameras and names that belongs to `write_photos`."""
  params = {
    'image_path': [f'images/{i:05d}.jpg' for i in range(count)],
    'cam_param': np.tile(CAMERA, (count, 1)),
    'bbox': np.tile(BOX, (count, 1)),
  }
  scipy.io.savemat(path / 'params.mat', params | changed)
