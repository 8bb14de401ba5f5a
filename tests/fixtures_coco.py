"""A COCO export as CVAT writes it, and ways to spoil it."""

import json

import numpy as np
from PIL import Image

from bmc_jax import skeleton
from tests import fixtures_readers

WIDTH, HEIGHT = 64, 48
NAMES = list(skeleton.JOINT_NAMES)


def make_points(seed: int) -> np.ndarray:
  """Keypoints (21, 2) inside the image, the first pixel's centre at (0.5, 0.5)."""
  return np.random.default_rng(seed).uniform([2, 2], [60, 44], (21, 2)).round(2)


def make_annotation(key, image, *, points=None, v=2, category=1, **fields):
  """An entry of `annotations`; points (21, 2), v one number or (21, 1)."""
  points = make_points(key) if points is None else points
  rows = np.concatenate([points, np.full((21, 1), v)], axis=1)
  return {
    'id': key,
    'image_id': image,
    'category_id': category,
    'keypoints': rows.ravel().tolist(),
    'num_keypoints': 21,
    'iscrowd': 0,
    'bbox': [0, 0, 10, 10],
  } | fields


def make_export():
  """Two images, the second with both hands."""
  return {
    'images': [
      {'id': i, 'file_name': f'{i}.png', 'width': WIDTH, 'height': HEIGHT}
      for i in (1, 2)
    ],
    'categories': [
      {'id': 1, 'name': 'right_hand', 'keypoints': NAMES},
      {'id': 2, 'name': 'Left hand', 'keypoints': NAMES},
    ],
    'annotations': [
      make_annotation(10, 1),
      make_annotation(11, 2),
      make_annotation(12, 2, category=2),
    ],
  }


def write_export(
  path, export=None, *, file='annotations/person_keypoints_default.json'
):
  """Writes the JSON below the folder."""
  (path / file).parent.mkdir(parents=True, exist_ok=True)
  (path / file).write_text(json.dumps(make_export() if export is None else export))


def write_images(folder):
  """The two images."""
  for number in (1, 2):
    fixtures_readers.write_image(folder / f'{number}.png', WIDTH, HEIGHT, 90 * number)


def spoil(path, table, index, **fields):
  """Changes an entry; a field of None is removed."""
  export = make_export()
  row = export[table][index] | fields
  export[table][index] = {key: value for key, value in row.items() if value is not None}
  write_export(path, export)


def write_photo(path, *, width, height, focal=None, orientation=None):
  """A black JPEG with EXIF data."""
  exif = Image.Exif()
  if focal:
    exif.get_ifd(0x8769)[0xA405] = focal
  if orientation:
    exif[0x0112] = orientation
  Image.new('RGB', (width, height)).save(path, 'JPEG', exif=exif)
