"""A hand detector: boxes and sides by MediaPipe's Hand Landmarker.

Needs the extra `detector`, and the model file that MediaPipe's documentation offers for
download as `hand_landmarker.task`. Only its boxes and sides are used.
"""

from pathlib import Path

import numpy as np

from bmc_jax.predict.boxes import Hand

MAX_HANDS = 4


class HandDetector:
  """Finds the hands in images."""

  def __init__(self, model: str):
    """Loads the model.

    Args:
      model: path of `hand_landmarker.task`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: MediaPipe is not installed, or does not know the file.
    """
    file = Path(model).expanduser()
    if not file.is_file():
      raise FileNotFoundError(
        f"There is no detector {file}: name MediaPipe's hand_landmarker.task."
      )
    try:
      import mediapipe  # pyright: ignore[reportMissingImports]
      from mediapipe.tasks.python import (  # pyright: ignore[reportMissingImports]
        BaseOptions,
        vision,
      )
    except ImportError as error:
      raise ValueError(
        f"The detector needs MediaPipe ({error}): pip install 'bmc_jax[detector]'."
      ) from None
    options = vision.HandLandmarkerOptions(
      base_options=BaseOptions(model_asset_path=str(file)), num_hands=MAX_HANDS
    )
    try:
      self._landmarker = vision.HandLandmarker.create_from_options(options)
    except (RuntimeError, ValueError) as error:
      raise ValueError(
        f'{file} is no hand landmarker of MediaPipe ({error}).'
      ) from None
    self._image, self._rgb = mediapipe.Image, mediapipe.ImageFormat.SRGB

  def close(self) -> None:
    """Frees the model, which at Python's end would miss parts that are gone already."""
    self._landmarker.close()

  def __call__(self, image: np.ndarray) -> list[Hand]:
    """The hands in an image (H, W, 3) uint8 RGB; none if there are none."""
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image)
    found = self._landmarker.detect(self._image(image_format=self._rgb, data=data))
    hands = []
    for landmarks, sides in zip(found.hand_landmarks, found.handedness, strict=True):
      points = np.array([[point.x * width, point.y * height] for point in landmarks])
      box = np.concatenate([points.min(axis=0), points.max(axis=0)]) - 0.5
      hands.append(Hand(box.tolist(), sides[0].category_name == 'Right'))
    return hands
