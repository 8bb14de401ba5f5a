"""A hand detector: boxes and sides by MediaPipe's Hand Landmarker.

Needs the extra `detector`, and the model file that MediaPipe's documentation offers for
download as `hand_landmarker.task`. Only its boxes and sides are used. Some versions of
MediaPipe name the sides of a mirrored picture, so they are compared with the way in
which its own 3D hands bend.
"""

from pathlib import Path

import numpy as np

from bmc_jax.console.errors import warn
from bmc_jax.console.installation import how_to_add
from bmc_jax.limits.evidence import MIN_BEND, palm_bend
from bmc_jax.predict.boxes import Hand

MAX_HANDS = 4


class SideVote:
  """Whether sides are named as hands have them, or all of them the other way round.

  MediaPipe names the sides of 501 hands in photos but 2 consistently, in that version
  all the other way round. Of its own 3D hands 336 tell their side, 331 of them rightly:
  each single one is less sure than its name, all of them together tell what names mean.
  """

  def __init__(self):
    """Believes names until hands contradict them."""
    self._for = self._against = 0

  def __call__(self, named_right: bool, joints: np.ndarray) -> bool:
    """Whether a hand is a right one.

    Args:
      named_right: what its name says.
      joints: (21, 3) of it, in the camera's axes and any unit.
    """
    bend = palm_bend(joints)
    if abs(bend) > MIN_BEND:
      self._for += (bend > 0) == named_right
      self._against += (bend > 0) != named_right
    return named_right == (self._for >= self._against)

  def describe(self) -> str | None:
    """What contradicted the names, in a sentence."""
    if not self._against > self._for:
      return None
    return (
      f'the detector names the other side of {self._against} of '
      f'{self._for + self._against} hands that tell theirs, as of a mirrored picture; '
      'its sides are swapped.'
    )


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
        f'The detector needs MediaPipe ({error}): {how_to_add("detector")}.'
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
    self._sides = SideVote()
    self._image, self._rgb = mediapipe.Image, mediapipe.ImageFormat.SRGB

  def close(self) -> None:
    """Frees the model, which at Python's end would miss parts that are gone already.

    Warns if its sides had to be swapped.
    """
    if told := self._sides.describe():
      warn(told)
    self._landmarker.close()

  def __call__(self, image: np.ndarray) -> list[Hand]:
    """The hands in an image (H, W, 3) uint8 RGB; none if there are none."""
    hands = []
    for points, is_right in self.landmarks(image):
      box = np.concatenate([points.min(axis=0), points.max(axis=0)])
      hands.append(Hand(box.tolist(), is_right))
    return hands

  def landmarks(self, image: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """The same hands as (21, 2) pixels, and whether each is a right one."""
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image)
    found = self._landmarker.detect(self._image(image_format=self._rgb, data=data))
    hands = []
    parts = (found.hand_landmarks, found.hand_world_landmarks, found.handedness)
    for landmarks, world, sides in zip(*parts, strict=True):
      points = np.array([[point.x * width, point.y * height] for point in landmarks])
      joints = np.array([[point.x, point.y, point.z] for point in world])
      is_right = self._sides(sides[0].category_name == 'Right', joints)
      hands.append((points - 0.5, is_right))
    return hands
