r"""Lifts 2D hand keypoints of any tool to metric, plausible 3D hands.

    bmc-jax lift keypoints.json --out lifted
    bmc-jax lift openpose_output/ --images video.mp4 --smooth --fps 25
    bmc-jax lift photos/ --detector hand_landmarker.task

The input is a file of keypoints (MediaPipe, OpenPose, mmpose, COCO, tables, arrays: see
docs/keypoint_files.md), a folder of OpenPose's, or, with a --detector, images and
videos. Written are hands.json (pixels and metres, named there), page.html, on which
hands turn and bend, and, where there are --images, overlays/.

Nobody's keypoints tell everything. The side of a hand has to be told, by the file or
by --hand. Without --intrinsics the focal length is guessed as the longer side of the
picture. No picture tells how large a hand is: its bones together are 0.75 m long, or as
--bone-length says.
"""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.parsing import command_parser
from bmc_jax.lift import results as results_lib
from bmc_jax.lift import sides, tracks
from bmc_jax.lift.files import KeypointFile, read_keypoints
from bmc_jax.lift.lifter import KeypointLifter, LiftedHands
from bmc_jax.lift.pictures import Pictures, detect_keypoints
from bmc_jax.limits import open_limits
from bmc_jax.predict import media
from bmc_jax.predict.boxes import parse_numbers
from bmc_jax.skeleton import JOINT_ORDERS


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  flags = _parser().parse_args(argv)
  compile_cache.enable()
  try:
    with contextlib.ExitStack() as stack:
      _run(flags, stack)
  except USER_ERRORS as error:
    fail(str(error))


def _parser() -> argparse.ArgumentParser:
  parser = command_parser('lift', __doc__)
  parser.add_argument(
    'inputs', nargs='+', help='a file or folder of keypoints; or images and videos'
  )
  parser.add_argument('--out', default='lifted', help='folder to write')
  parser.add_argument('--order', choices=sorted(JOINT_ORDERS), help='of the joints')
  parser.add_argument(
    '--hand', choices=sides.CHOICES, default='auto', help='the side; auto: as told'
  )
  parser.add_argument('--image-size', help='width,height, if the file does not tell')
  parser.add_argument('--intrinsics', help='fx,fy,cx,cy of every picture, in pixels')
  parser.add_argument(
    '--bone-length', type=float, help='metres, of the middle MCP->PIP bone'
  )
  parser.add_argument('--images', nargs='+', help='pictures or the video to draw on')
  parser.add_argument('--detector', help="MediaPipe's hand_landmarker.task")
  parser.add_argument(
    '--limits', default='surface', help="'surface', 'mano', 'clinical' or a file"
  )
  parser.add_argument('--weights', help='of another lifter')
  parser.add_argument(
    '--adapt',
    action='store_true',
    help='train the lifter on these very keypoints and the limits, for some minutes',
  )
  parser.add_argument(
    '--smooth', action='store_true', help='smooth hands over time, bridge short gaps'
  )
  parser.add_argument('--fps', type=float, default=30.0, help='pictures a second')
  return parser


def _run(flags: argparse.Namespace, stack: contextlib.ExitStack) -> None:
  out = Path(flags.out).expanduser()
  given = flags.inputs if not flags.detector else []
  results_lib.check_outputs(out, *given, flags.limits)
  if not 0 < flags.fps < np.inf:
    raise ValueError(f'--fps is {flags.fps}; give pictures a second, above 0.')
  lifter = KeypointLifter.pretrained(*([flags.weights] if flags.weights else []))
  limits = open_limits(flags.limits)
  found, is_right, pictures = _read(flags, stack)
  for note in found.notes:
    print(f'{note}.')
  for doubt in found.doubts:
    warn(f'{doubt}.')
  lines = []
  hands = _lift(flags, lifter, found, is_right)
  if flags.adapt:
    lifter, line = _adapt(out, lifter, found, hands, is_right, limits)
    lines.append(line)
    hands = _lift(flags, lifter, found, is_right)
  results = results_lib.Results(
    hands=hands,
    is_right=is_right,
    frames=found.frames,
    person=found.person,
    bridged=np.zeros(len(is_right), bool),
    limits=limits,
    limits_name=flags.limits,
  )
  if flags.smooth:
    results, line = _smooth(results, flags.fps)
    lines.append(line)
  shown = pictures.draw(out / results_lib.OVERLAYS, results) if pictures else {}
  lines = [*results.summary(), *lines]
  results_lib.write_hands(out, results, found.notes)
  written = results_lib.HANDS
  if results_lib.shown_rows(results):
    results_lib.write_page(out, results, lines, shown)
    written += f', {results_lib.PAGE}'
  print('\n'.join(lines))
  print(f'Written to {out}: {written}{", overlays" if pictures else ""}.')


def _read(
  flags: argparse.Namespace, stack: contextlib.ExitStack
) -> tuple[KeypointFile, np.ndarray, Pictures | None]:
  """The keypoints, their sides, and the pictures they are from, if there are some."""
  if flags.detector:
    # Its library is an extra.
    from bmc_jax.predict.detector import HandDetector

    files = media.find_files(flags.inputs)
    detector = stack.enter_context(contextlib.closing(HandDetector(flags.detector)))
    with tqdm(total=media.count_frames(files), unit='image') as bar:
      found = detect_keypoints(files, detector, bar.update)
    is_right = found.is_right > 0
    if flags.hand in ('right', 'left'):
      is_right = np.full(len(is_right), flags.hand == 'right')
    elif flags.hand == 'swapped':
      is_right = ~is_right
    return found, is_right, Pictures(files, found)
  if len(flags.inputs) != 1:
    raise ValueError(
      f'{len(flags.inputs)} inputs are given: give one file or folder of keypoints, or '
      'images with --detector.'
    )
  (path,) = flags.inputs
  place = Path(path)
  if media.is_image(place) or media.is_video(place):
    raise ValueError(
      f'{path} is a picture: give a file of keypoints, or --detector with '
      "MediaPipe's hand_landmarker.task."
    )
  size = flags.image_size
  if size is not None:
    size = _pair(size)
  found = read_keypoints(path, order=flags.order, image_size=size)
  is_right, doubt = sides.resolve_sides(found, path, flags.hand)
  if doubt:
    warn(f'{doubt}.')
  files = media.find_files(flags.images) if flags.images else []
  return found, is_right, Pictures(files, found) if files else None


def _pair(text: str) -> tuple[float, float]:
  try:
    width, height = (float(part) for part in text.replace('x', ',').split(','))
  except ValueError:
    raise ValueError(
      f'--image-size is {text!r}; give width,height in pixels, as in 640,480.'
    ) from None
  return width, height


def _lift(flags, lifter: KeypointLifter, found: KeypointFile, is_right) -> LiftedHands:
  """Lifts all hands, those of one picture size at a time."""
  options = {'bone_length': flags.bone_length}
  if flags.intrinsics:
    fx, fy, cx, cy = parse_numbers(flags.intrinsics, '--intrinsics', 'fx,fy,cx,cy')
    camera = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return lifter(
      found.keypoints_2d,
      confidence=found.confidence,
      is_right=is_right,
      intrinsics=camera,
      **options,
    )
  sizes = np.asarray(found.image_sizes, np.float64)
  if np.isnan(sizes).any():
    raise ValueError(
      'The size of the pictures is not known, from which the camera is guessed: give '
      '--image-size width,height, or better --intrinsics fx,fy,cx,cy.'
    )
  parts = []
  rows = []
  for size in np.unique(sizes, axis=0):
    same = np.flatnonzero((sizes == size).all(axis=1))
    rows.append(same)
    parts.append(
      lifter(
        found.keypoints_2d[same],
        confidence=found.confidence[same],
        is_right=is_right[same],
        image_size=(size[0], size[1]),
        **options,
      )
    )
  back = np.argsort(np.concatenate(rows))
  return LiftedHands(
    *(np.concatenate(field)[back] for field in zip(*parts, strict=True))
  )


def _adapt(out, lifter, found, hands, is_right, limits) -> tuple[KeypointLifter, str]:
  """The lifter that is adapted to the keypoints, or the same one if that did not help.

  Its weights are written, so that --weights takes them for other keypoints.
  """
  # Training takes longer to import.
  from bmc_jax.lift.adapt import adapt
  from bmc_jax.training.weights import check_weights_output, save_weights

  file = out / results_lib.WEIGHTS
  check_weights_output(str(file))
  adapted = adapt(
    lifter,
    found.keypoints_2d,
    hands.intrinsics,
    limits,
    confidence=found.confidence,
    is_right=is_right,
    camera_known=bool(hands.camera_known.all()),
  )
  if not adapted.helped:
    return lifter, adapted.describe()
  save_weights(file, adapted.lifter.variables)
  return adapted.lifter, f'{adapted.describe()} Its weights are {file}.'


def _smooth(
  results: results_lib.Results, fps: float
) -> tuple[results_lib.Results, str]:
  """Smooths every hand over time and bridges short gaps."""
  numbers = tracks.frame_numbers(results.frames)
  if numbers is None:
    raise ValueError(
      '--smooth needs pictures in the order of time, whose names differ in a number '
      f'only: here are {results.frames[0]!r} and others.'
    )
  lifted = np.isfinite(results.hands.joints_3d).all(axis=(1, 2))
  before, after, parts = [], [], []
  for rows in tracks.split_tracks(numbers, results.is_right, results.person):
    rows = rows[lifted[rows]]
    if not len(rows):
      continue
    seconds = numbers[rows] / fps
    joints = tracks.smooth(results.hands.joints_3d[rows], seconds)
    before.append(tracks.jitter(results.hands.joints_3d[rows], seconds))
    after.append(tracks.jitter(joints, seconds))
    parts.append((rows, joints, *tracks.bridge(joints, seconds, 1 / fps)))
  smoothed = results_lib.merge_tracks(results, parts, fps)
  if not np.isfinite(before).any():
    return smoothed, 'Too few pictures follow each other to measure how joints tremble.'
  first, last = (1e3 * np.nanmedian(values) for values in (before, after))
  return smoothed, (
    f'Smoothing made joints tremble by {last:.2f} mm in place of {first:.2f} mm '
    '(median third difference of their places).'
  )


if __name__ == '__main__':
  main()
