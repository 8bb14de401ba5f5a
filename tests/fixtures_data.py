"""Small made-up datasets for the tests of the data code."""

import cv2
import numpy as np
import tensorflow_datasets as tfds

from bmc_jax.data import example as example_lib

# Hue-separated colours of the dots at joints 0, 4, 8, 12 and 20 (RGB).
DOT_JOINTS = (0, 4, 8, 12, 20)
DOT_COLORS = np.array(
  [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], np.uint8
)
FLAT_HAND = np.array(
  [[0.0, 0.09]]  # wrist, below the fingers
  + [
    [0.022 * (finger - 2) * (1 + 0.12 * part), 0.01 - 0.03 * part - 0.01 * finger]
    for finger in range(5)
    for part in range(4)
  ]
)


def make_joints(rng: np.random.Generator) -> np.ndarray:
  """A flat hand with bent fingers (21, 3) in metres, half a metre from the camera."""
  joints = np.concatenate([FLAT_HAND, rng.uniform(-0.01, 0.01, (21, 1))], axis=1)
  joints += [0, 0, 0.5]
  joints[:, :2] += rng.uniform(-0.01, 0.01, 2)
  return joints.astype(np.float32)


def make_example(index: int, *, size: int = 80, is_right: bool = True) -> dict:
  """An example whose image shows a coloured dot at five joints, on grey."""
  rng = np.random.default_rng(index)
  joints = make_joints(rng)
  intrinsics = np.array(
    [[1.4 * size, 0, 0.51 * size], [0, 1.5 * size, 0.49 * size], [0, 0, 1]], np.float32
  )
  homogeneous = joints @ intrinsics.T
  keypoints = homogeneous[:, :2] / homogeneous[:, 2:]
  return {
    'image': draw_dots(keypoints, size),
    'joints_3d': joints,
    'keypoints_2d': keypoints.astype(np.float32),
    'visibility': np.ones(21, np.float32),
    'intrinsics': intrinsics,
    'is_right': np.array([is_right], np.float32),
    'has_joints_3d': np.ones(1, np.float32),
    'sample_id': f'hand_{index:04d}',
  }


def draw_dots(keypoints: np.ndarray, size: int, sigma: float = 2.0) -> np.ndarray:
  """Smooth dots of `DOT_COLORS`, exact to a fraction of a pixel, on mid-grey."""
  v, u = np.mgrid[:size, :size]
  image = np.full((size, size, 3), 128.0)
  for joint, color in zip(DOT_JOINTS, DOT_COLORS, strict=True):
    distance = (u - keypoints[joint, 0]) ** 2 + (v - keypoints[joint, 1]) ** 2
    weight = np.exp(-distance / (2 * sigma**2))[..., None]
    image = image + weight * (color.astype(float) - 128)
  return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def find_dots(image: np.ndarray) -> np.ndarray:
  """Centres (5, 2) in pixels of the dots in an image (S, S, 3) of [0, 1]."""
  difference = np.asarray(image, float) - 128 / 255
  v, u = np.mgrid[: image.shape[0], : image.shape[1]]
  found = []
  for color in DOT_COLORS:
    direction = (color.astype(float) - 128) / 128
    # How far the colour goes in this direction, and in no other.
    along = difference @ direction
    across = np.linalg.norm(difference - along[..., None] * direction / 3, axis=-1)
    weight = np.where((along > 0.3) & (across < 0.3 * along), along, 0)
    weight = weight / max(weight.sum(), 1e-9)  # a dot may be out of the image
    found.append([(weight * u).sum(), (weight * v).sum()])
  return np.array(found)


def encode_png(image: np.ndarray) -> bytes:
  return cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def prepare(path, splits: dict[str, list[dict]], encoding: str = 'png') -> str:
  """Writes examples (images as arrays or as bytes) as a TFDS dataset; its folder."""

  class TinyHands(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Made-up hands."""

    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      return tfds.core.DatasetInfo(
        builder=self,
        features=example_lib.features(encoding=encoding),
        disable_shuffling=True,
      )

    def _split_generators(self, dl_manager):
      return {name: self._generate_examples(rows) for name, rows in splits.items()}

    def _generate_examples(self, rows):
      for index, row in enumerate(rows):
        image = row['image']
        encoded = image if isinstance(image, bytes) else encode_png(image)
        yield index, row | {'image': encoded}

  builder = TinyHands(data_dir=str(path), file_format='array_record')
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(try_download_gcs=False)
  )
  return str(builder.data_path)
