r"""Predicts 3D hands on images, folders of images and videos.

    bmc-jax predict photos/ --out predictions
    bmc-jax predict --checkpoint runs/quickstart --row '+ BMC' photos/

Without --checkpoint the network that ships predicts, which was trained on drawn hands.
Writes predictions.json (pixels and metres, named there), overlays/ with each image or
video under the hands drawn on it, and page.html, on which hands turn and bend.

The network sees a crop of one hand. Where that is comes from --box or --boxes, from a
--detector, or it is the whole image; a second pass crops around the joints that the
first one found. It takes hands for right ones unless --hand, --boxes or the detector
say otherwise. Without --intrinsics the focal length is that in the image's EXIF data,
or else guessed as its longer side; the file says which. No image tells how large a hand
is: it gets the median size of the hands that the row was tested on, or --bone-length.
With --lift the keypoint lifter that ships has a say in the depth of joints.
"""

import argparse
import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bmc_jax.console import compile_cache, interrupts
from bmc_jax.console.errors import USER_ERRORS, fail, warn
from bmc_jax.console.parsing import command_parser
from bmc_jax.console.tables import counted, shorten
from bmc_jax.data.cameras import check_for_image
from bmc_jax.limits import HandLimits, open_limits
from bmc_jax.predict import HandPosePredictor, HandPrediction, View, media, pretrained
from bmc_jax.predict.boxes import SIDES, Boxes, Hand, parse_box
from bmc_jax.predict.cameras import Cameras
from bmc_jax.predict.media import Frame, Unreadable
from bmc_jax.predict.predictor import BATCH_SIZE, PASSES
from bmc_jax.predict.recorder import Recorder, check_outputs
from bmc_jax.predict.smoothing import OneEuroFilter


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
  parser = command_parser('predict', __doc__)
  parser.add_argument('inputs', nargs='+', help='images, folders of them, videos')
  parser.add_argument(
    '--checkpoint', help='workdir of an experiment; else the network that ships'
  )
  parser.add_argument('--row', help='of its table; not needed if there is one only')
  parser.add_argument('--out', default='predictions', help='folder to write')
  where = parser.add_mutually_exclusive_group()
  where.add_argument('--box', help='of the hand in every image: left,top,right,bottom')
  where.add_argument('--boxes', help='JSON: {"photo.jpg": [l, t, r, b], ...}')
  where.add_argument('--detector', help="MediaPipe's hand_landmarker.task")
  parser.add_argument('--hand', choices=tuple(SIDES), default='right')
  parser.add_argument('--intrinsics', help='fx,fy,cx,cy of every image, or JSON')
  parser.add_argument(
    '--bone-length', type=float, help='metres, of the middle MCP->PIP bone'
  )
  parser.add_argument(
    '--limits', help="file, or 'mano', 'surface' or 'clinical'; else the experiment's"
  )
  parser.add_argument('--passes', type=int, default=PASSES, help='1: no second crop')
  parser.add_argument('--batch-size', type=int, default=BATCH_SIZE)
  parser.add_argument(
    '--lift', action='store_true', help='depth of the network and of the lifter, both'
  )
  parser.add_argument(
    '--smooth', action='store_true', help='videos: One-Euro filter over time'
  )
  return parser


def _run(flags: argparse.Namespace, stack: contextlib.ExitStack) -> None:
  files = media.find_files(flags.inputs)
  out = Path(flags.out).expanduser()
  check_outputs(out, files, [flags.boxes, flags.intrinsics, flags.limits])
  cameras = Cameras(flags.intrinsics, [media.Place(file) for file in files])
  find_hands = _hand_finder(flags, files, stack)
  predictor = _predictor(flags)
  limits, limits_name = _limits(flags.limits, predictor)
  predict = functools.partial(
    predictor.predict, batch_size=flags.batch_size, passes=flags.passes
  )
  if flags.lift:
    predict = _with_lifter(predict, predictor)
  total = media.count_frames(files)
  recorder = Recorder(out, predictor, num_frames=total)
  stack.callback(recorder.discard)
  smooth = _Smoother() if flags.smooth else None
  interrupted = False
  try:
    with tqdm(total=total, unit='image', dynamic_ncols=True) as bar:
      for part in _parts(media.read_frames(files), flags.batch_size):
        _predict_part(part, predict, cameras, find_hands, smooth, recorder)
        bar.update(len(part))
        if recorder.num_frames == len(part):  # the first ones
          stack.enter_context(interrupts.polite('what was predicted is written'))
  except KeyboardInterrupt:
    interrupted = True
    warn(
      'interrupted; what was predicted so far is written; the same command, run again, '
      'begins anew.'
    )
  recorder.close()
  source = 'given' if flags.bone_length else _of_test_set(predictor)
  print('\n'.join(recorder.write(limits, limits_name, source)))
  for doubt in recorder.doubts():
    warn(doubt)
  unseen = cameras.unseen() + (
    find_hands.unseen() if isinstance(find_hands, Boxes) else []
  )
  if unseen and not interrupted:
    warn(f'{counted(len(unseen), "frame")} named that no video has: {shorten(unseen)}.')
  print(f'Written to {flags.out}: predictions.json, page.html, overlays.')
  if interrupted:
    raise SystemExit(interrupts.EXIT_INTERRUPTED)


def _predictor(flags: argparse.Namespace) -> HandPosePredictor:
  """The network of a run, or the one that ships."""
  if flags.checkpoint:
    return HandPosePredictor.from_run(
      flags.checkpoint, flags.row, bone_length=flags.bone_length
    )
  if flags.row:
    raise ValueError('--row names a row of an experiment: give its --checkpoint, too.')
  return HandPosePredictor.pretrained(bone_length=flags.bone_length)


def _hand_finder(
  flags: argparse.Namespace, files: Sequence[Path], stack: contextlib.ExitStack
) -> Callable[[Frame], list[Hand]]:
  """What tells the hands of a frame."""
  if flags.boxes:
    return Boxes(flags.boxes, flags.hand, files)
  if flags.detector:
    # Its library is an extra.
    from bmc_jax.predict.detector import HandDetector

    detector = stack.enter_context(contextlib.closing(HandDetector(flags.detector)))
    return lambda frame: detector(frame.image)
  box = parse_box(flags.box) if flags.box else None
  return lambda frame: [Hand(box, SIDES[flags.hand])]


def _limits(name: str | None, predictor: HandPosePredictor) -> tuple[HandLimits, str]:
  """The limits that hands are compared with, and what they are called."""
  if name is None:
    own = predictor.row.folder.parent.parent / 'limits.json'
    shipped = pretrained.is_pretrained(predictor.row)
    name = str(own) if own.is_file() else pretrained.LIMITS if shipped else 'clinical'
  return open_limits(name), name


def _with_lifter(predict, predictor: HandPosePredictor) -> Callable:
  """Predicts, and refines the depth of the hands by the lifter that ships."""
  # A command of its own, which others do not wait for.
  from bmc_jax.lift import KeypointLifter
  from bmc_jax.lift.refined import refine_predictions

  error = predictor.framing.depth_error
  if not error:
    raise ValueError(
      'No hand of the test set has 3D labels, so that it is not known how far off the '
      "network's depth is, which --lift needs: leave it out."
    )
  lifter = KeypointLifter.pretrained()
  return lambda views: refine_predictions(lifter, predict(views), depth_error=error)


def _of_test_set(predictor: HandPosePredictor) -> str:
  if not predictor.framing.count:
    return 'the size of an adult, labelled as in MANO'
  hands = counted(predictor.framing.count, 'hand')
  return f'the median of {hands} of the test set'


def _parts(items: Iterable, size: int) -> Iterator[list]:
  """Lists of `size` items, the last one of what is left."""
  if size < 1:
    raise ValueError(f'--batch-size is {size}; the least is 1.')
  items = iter(items)
  while part := list(itertools.islice(items, size)):
    yield part


def _predict_part(part, predict, cameras, find_hands, smooth, recorder) -> None:
  """Predicts some frames and hands them to the recorder, in their order."""
  wanted = [_views(frame, cameras, find_hands) for frame in part]
  readable = [views for views in wanted if not isinstance(views, Unreadable)]
  hands = iter(predict([view for views in readable for view, _ in views]))
  for frame, views in zip(part, wanted, strict=True):
    if isinstance(views, Unreadable):
      recorder.skip(views)
      continue
    found = [next(hands) for _ in views]
    if smooth and frame.number is not None:
      found = [smooth(frame, place, hand) for place, hand in enumerate(found)]
    recorder.add(
      frame,
      [
        (hand, origin, view.doubts())
        for hand, (view, origin) in zip(found, views, strict=True)
      ],
    )


def _views(frame, cameras, find_hands) -> list[tuple[View, str]] | Unreadable:
  """The hands to predict in a frame, and where their intrinsics are from."""
  if isinstance(frame, Unreadable):
    return frame
  given = cameras.of(frame)
  camera, origin = frame.intrinsics, 'EXIF'
  if given is not None:
    camera, origin = given.matrix, 'given'
  elif camera is None:
    origin = 'guessed'
  views = [View(frame.image, camera, h.box, h.is_right) for h in find_hands(frame)]
  try:
    if given is not None:
      check_for_image(given, frame.image.shape[1], frame.image.shape[0])
    for view in views:
      view.check()
  except ValueError as error:
    return Unreadable(frame.name, str(error))
  if not views:
    told = 'no box is given' if isinstance(find_hands, Boxes) else 'no hand found'
    return Unreadable(frame.name, told)
  return [(view, origin) for view in views]


class _Smoother:
  """One filter for each hand of each video."""

  def __init__(self):
    self._filters: dict[tuple, OneEuroFilter] = {}

  def __call__(self, frame: Frame, place: int, hand: HandPrediction) -> HandPrediction:
    """The hand at a place in the frame's list, smoothed over the frames before."""
    key = (frame.path, place, hand.is_right)
    if key not in self._filters:
      self._filters[key] = OneEuroFilter()
    joints = self._filters[key](hand.joints_3d, frame.seconds)
    projected = joints @ np.asarray(hand.intrinsics, np.float64).T
    keypoints = projected[:, :2] / projected[:, 2:]
    return dataclasses.replace(hand, joints_3d=joints, keypoints_2d=keypoints)


if __name__ == '__main__':
  main()
