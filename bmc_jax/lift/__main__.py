r"""Lifts 2D hand keypoints of any tool to metric, plausible 3D hands.

    bmc-jax lift keypoints.json --out lifted
    bmc-jax lift openpose_output/ --images video.mp4 --smooth
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
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.outputs import check_output
from bmc_jax.console.parsing import command_parser
from bmc_jax.lift import cameras, sides, smoothed
from bmc_jax.lift import results as results_lib
from bmc_jax.lift.files import KeypointFile, read_keypoints
from bmc_jax.lift.lifter import KeypointLifter
from bmc_jax.lift.pictures import Pictures, detect_keypoints, is_of_pictures
from bmc_jax.limits import open_limits
from bmc_jax.predict import media
from bmc_jax.predict.detector import HandDetector
from bmc_jax.skeleton import JOINT_ORDERS
from bmc_jax.training.weights import WEIGHTS, save_weights

_USUAL_RATE = 30.0  # pictures a second


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
  parser.add_argument(
    '--intrinsics',
    help='fx,fy,cx,cy in pixels, or a JSON file, also one for each picture',
  )
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
  parser.add_argument(
    '--fps', type=float, help="pictures a second; if not given, the video's, or 30"
  )
  return parser


def _run(flags: argparse.Namespace, stack: contextlib.ExitStack) -> None:
  out = Path(flags.out).expanduser()
  named = flags.inputs if flags.detector else flags.images
  files = media.find_files(named) if named else []
  read = [*flags.inputs, flags.limits, flags.weights, flags.intrinsics]
  results_lib.check_outputs(out, read, files)
  if flags.adapt:
    check_output(out / results_lib.WEIGHTS, WEIGHTS, flags.weights)
  if flags.fps is not None and not 0 < flags.fps < np.inf:
    raise ValueError(f'--fps is {flags.fps}; give pictures a second, above 0.')
  cameras.check_given(flags.intrinsics)
  lifter = KeypointLifter.pretrained(*([flags.weights] if flags.weights else []))
  limits = open_limits(flags.limits)
  pictures = Pictures(files)
  found, is_right = (
    _detect(flags, files, stack) if flags.detector else _read(flags, pictures)
  )
  for note in found.notes:
    print(f'{note}.')
  for doubt in found.doubts:
    warn(f'{doubt}.')
  lift = functools.partial(
    cameras.lift_hands,
    found=found,
    is_right=is_right,
    given=cameras.read_cameras(flags.intrinsics, found, pictures),
    bone_length=flags.bone_length,
  )
  lines, hands = [], lift(lifter)
  if flags.adapt:
    lifter, line = _adapt(out, lifter, found, hands, is_right, limits)
    lines.append(line)
    hands = lift(lifter)
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
    fps = flags.fps or pictures.frame_rate() or _USUAL_RATE
    results, line = smoothed.smooth_hands(results, fps)
    lines.append(line)
  shown = pictures.draw(out / results_lib.OVERLAYS, results) if files else {}
  lines = [*results.summary(), *lines]
  results_lib.write_hands(out, results, found.notes, found.doubts)
  results_lib.write_page(out, results, lines, shown)
  print('\n'.join(lines))
  overlays = f', {results_lib.OVERLAYS}' if files else ''
  print(f'Written to {out}: {results_lib.HANDS}, {results_lib.PAGE}{overlays}.')


def _detect(
  flags: argparse.Namespace, files: Sequence[Path], stack: contextlib.ExitStack
) -> tuple[KeypointFile, np.ndarray]:
  """The hands that a detector finds, and their sides."""
  for name in ('images', 'image_size', 'order'):
    if getattr(flags, name):
      raise ValueError(
        f'--{name.replace("_", "-")} is of keypoints in a file: leave it out beside '
        '--detector.'
      )
  detector = stack.enter_context(contextlib.closing(HandDetector(flags.detector)))
  with tqdm(total=media.count_frames(files), unit='image') as bar:
    found = detect_keypoints(files, detector, bar.update)
  is_right, _ = sides.resolve_sides(found, flags.detector, flags.hand)
  return found, is_right


def _read(
  flags: argparse.Namespace, pictures: Pictures
) -> tuple[KeypointFile, np.ndarray]:
  """The hands of a file, and their sides."""
  if len(flags.inputs) != 1:
    raise ValueError(
      f'{len(flags.inputs)} inputs are given: give one file or folder of keypoints, or '
      'images with --detector.'
    )
  (path,) = flags.inputs
  if is_of_pictures(Path(path).expanduser()):
    raise ValueError(
      f'{path} holds pictures: give keypoints of them, with --images {path} to draw '
      "on, or --detector with MediaPipe's hand_landmarker.task."
    )
  size = cameras.parse_size(flags.image_size) if flags.image_size else None
  found = read_keypoints(
    path, order=flags.order, image_size=size, size_of=pictures.size_of
  )
  pictures.check_sizes(found)
  is_right, doubt = sides.resolve_sides(found, path, flags.hand)
  doubts = (*found.doubts, *([doubt] if doubt else []))
  return found._replace(doubts=doubts), is_right


def _adapt(out, lifter, found, hands, is_right, limits) -> tuple[KeypointLifter, str]:
  """The lifter that is adapted to the keypoints, or the same one if that did not help.

  Its weights are written, so that --weights takes them for other keypoints.
  """
  # Training takes longer to import.
  from bmc_jax.lift.adapt import adapt

  file = out / results_lib.WEIGHTS
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


if __name__ == '__main__':
  main()
