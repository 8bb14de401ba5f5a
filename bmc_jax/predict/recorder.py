"""What becomes of predicted hands: overlays, one JSON file and one page."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.outputs import check_output
from bmc_jax.console.tables import counted
from bmc_jax.joint_files.flags import Poses
from bmc_jax.limits import HandLimits
from bmc_jax.plausibility import judgement
from bmc_jax.predict import files as files_lib
from bmc_jax.predict.media import Frame, Unreadable
from bmc_jax.predict.overlays import OverlayFiles
from bmc_jax.predict.predictor import HandPosePredictor, HandPrediction
from bmc_jax.predict.views import cut_picture
from bmc_jax.report import document
from bmc_jax.report.viewer_page import ViewedHand, write_viewer_page

PREDICTIONS, PAGE, OVERLAYS = 'predictions.json', 'page.html', 'overlays'

MAX_SHOWN = 24
"""Hands on the page, evenly spaced over the inputs."""

_AROUND = 1.6  # side of a picture on the page, in sizes of the hand
_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


def check_outputs(
  out: Path, files: Sequence[Path], read: Iterable[str | None] = ()
) -> None:
  """Checks, before anything is predicted, that nothing of others is written over.

  Args:
    out: folder that will be written.
    files: images and videos to predict.
    read: other files that are read.

  Raises:
    ValueError: an input or a file of others would be, or the folder cannot be written.
  """
  check_output(out / PREDICTIONS, files_lib.PREDICTIONS, *read)
  check_output(out / PAGE, document.PAGES)
  OverlayFiles(out / OVERLAYS).check(files)


@dataclasses.dataclass(frozen=True)
class _Record:
  frame: Frame  # without its image
  hand: HandPrediction
  camera: str
  doubts: Mapping[str, str]
  picture: np.ndarray | None
  picture_camera: np.ndarray | None

  @property
  def title(self) -> str:
    """What the page calls the hand."""
    return f'{self.frame.name}, {"right" if self.hand.is_right else "left"} hand'


class Recorder:
  """Takes hands frame by frame, and writes them."""

  def __init__(self, out: Path, predictor: HandPosePredictor, *, num_frames: int):
    """Prepares to write.

    Args:
      out: folder, made when something is written.
      predictor: that makes the predictions.
      num_frames: about how many there will be.
    """
    self._out = out
    self._predictor = predictor
    self._every = max(1, -(-num_frames // MAX_SHOWN))
    self._overlays = OverlayFiles(out / OVERLAYS)
    self._records: list[_Record] = []
    self.skipped: list[Unreadable] = []
    self.num_frames = 0

  @property
  def num_hands(self) -> int:
    """How many hands there are so far."""
    return len(self._records)

  def add(
    self, frame: Frame, hands: Sequence[tuple[HandPrediction, str, Mapping[str, str]]]
  ) -> None:
    """Takes the hands of the next frame, and draws them.

    Args:
      frame: the frame.
      hands: each with a word on where its intrinsics are from, and `View.doubts`.
    """
    shown = self.num_frames % self._every == 0
    self.num_frames += 1
    self._overlays.add(frame, [hand.keypoints_2d for hand, *_ in hands])
    bare = dataclasses.replace(frame, image=_NO_IMAGE)
    for hand, camera, doubts in hands:
      picture = _picture(frame, hand) if shown else (None, None)
      self._records.append(_Record(bare, hand, camera, doubts, *picture))

  def skip(self, item: Unreadable) -> None:
    """Takes note of what has no prediction."""
    self.num_frames += item.count
    self.skipped.append(item)

  def close(self) -> None:
    """Finishes the overlays."""
    self._overlays.close()

  def discard(self) -> None:
    """Drops what is not finished, after an error."""
    self._overlays.discard()

  def write(self, limits: HandLimits, limits_name: str, bone_from: str) -> list[str]:
    """Writes the JSON file and the page.

    Args:
      limits: that the hands are compared with.
      limits_name: what they are called.
      bone_from: where the size of the hands is from.

    Returns:
      What was predicted, in sentences.

    Raises:
      ValueError: there is no hand.
    """
    if not self._records:
      first = f': {self.skipped[0].reason}' if self.skipped else '.'
      images = counted(self.num_frames, 'image')
      raise ValueError(f'No hand was predicted in {images}{first}')
    judged = self._judge(limits)
    broken = [judged.describe(index) for index in range(self.num_hands)]
    files_lib.write_predictions(
      self._out / PREDICTIONS,
      self._predictor,
      [
        files_lib.describe_hand(
          record.frame,
          record.hand,
          record.camera,
          phrases,
          list(record.doubts.values()),
        )
        for record, phrases in zip(self._records, broken, strict=True)
      ],
      self.skipped,
      bone_length_from=bone_from,
    )
    summary = self._summary(judged, limits_name, bone_from)
    self._write_page(limits, broken, [*summary, *self.doubts()])
    return summary

  def doubts(self) -> list[str]:
    """What looks wrong about the hands and what they were predicted from."""
    found: dict[str, list[_Record]] = {}
    for record in self._records:
      for kind in record.doubts:
        found.setdefault(kind, []).append(record)
    lines = [
      f'{len(records)} of {self.num_hands} hands: {records[0].doubts[kind]} '
      f'({records[0].frame.name}).'
      for kind, records in found.items()
    ]
    return lines + self._root_depths()

  def _judge(self, limits: HandLimits) -> judgement.Judgement:
    joints = np.stack([record.hand.joints_3d for record in self._records]) * 1e3
    is_right = np.array([record.hand.is_right for record in self._records])
    joints = np.where(is_right[:, None, None], joints, skeleton.mirror(joints))
    whole = np.isfinite(joints).all(axis=(1, 2))
    poses = Poses(joints, is_right, whole, millimetres=True, note='predicted')
    return judgement.judge(poses, limits)

  def _summary(self, judged, limits_name: str, bone_from: str) -> list[str]:
    cameras = [record.camera for record in self._records]
    guessed = sum(camera != 'given' for camera in cameras)
    kept = int(np.sum(judged.found.judged & ~judged.broken.any(axis=1)))
    named = len({record.frame.name for record in self._records})
    bone = 1e3 * self._predictor.bone_length
    lines = [
      f'{counted(self.num_hands, "hand")} in {named} of '
      f'{counted(self.num_frames, "image")}; {counted(kept, "hand")} within all limits '
      f'of {limits_name}.',
      f'Lengths assume a middle MCP->PIP bone of {bone:.1f} mm ({bone_from}).',
    ]
    if guessed:
      lines.append(
        f'The focal length of {counted(guessed, "hand")} is not given but '
        f'{cameras[0]}: the depth is as uncertain as that.'
        if len(set(cameras)) == 1
        else f'The focal length of {counted(guessed, "hand")} is a guess.'
      )
    if self.skipped:
      count = sum(item.count for item in self.skipped)
      lines.append(f'{counted(count, "image")} without a prediction:')
      lines += [f'  {item.name}: {item.reason}' for item in self.skipped]
    return lines

  def _root_depths(self) -> list[str]:
    """Sentences on hands whose root depth can not be that of a hand."""
    hands = [record.hand for record in self._records]
    calculated = sum(hand.root_depth_from == 'calculated' for hand in hands)
    behind = sum(hand.crosses_camera for hand in hands)
    lines = []
    if calculated:
      lines.append(
        f'The refined root depth of {counted(calculated, "hand")} puts a joint at or '
        'behind the camera: the calculated one is taken (root_depth_from).'
      )
    if behind:
      lines.append(
        f'{counted(behind, "hand")} with a joint at or behind the camera all the same, '
        'which is wrong (crosses_camera).'
      )
    return lines

  def _write_page(self, limits, broken, summary) -> None:
    shown = [
      (record, phrases)
      for record, phrases in zip(self._records, broken, strict=True)
      if record.picture is not None
    ][:MAX_SHOWN]
    hands = [
      ViewedHand(
        title=record.title,
        joints_3d=record.hand.joints_3d,
        is_right=record.hand.is_right,
        image=record.picture,
        intrinsics=record.picture_camera,
        notes=(
          f'root depth {1e3 * record.hand.joints_3d[0, 2]:.0f} mm, camera '
          f'{record.camera}',
        ),
      )
      for record, _ in shown
    ]
    lines = [*summary]
    if len(hands) < self.num_hands:
      lines.append(f'Shown are {len(hands)} of {self.num_hands} hands.')
    write_viewer_page(
      self._out / PAGE,
      'Predicted hands',
      lines,
      hands,
      limits,
      command='bmc-jax predict',
    )


def _picture(frame: Frame, hand: HandPrediction) -> tuple[np.ndarray, np.ndarray]:
  """The part of a frame around a hand, and its camera."""
  box = np.asarray(hand.box, np.float64)
  side = _AROUND * np.max(box[2:] - box[:2])
  return cut_picture(frame.name, frame.image, hand.intrinsics, box, side=side)
