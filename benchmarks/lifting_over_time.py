"""How much lifted hands tremble, and how far off they are, with and without smoothing.

    python benchmarks/lifting_over_time.py

Ten seconds at 30 Hz of hands whose joints bend on smooth paths between drawn poses, a
second apart, while they turn and move before a camera. Their keypoints get the noise
and the missing joints of `data.procedural.detections`, drawn anew for each picture, and
every two seconds up to 14 pictures in a row are missing. A file of them goes through
`bmc-jax lift`, with and without `--smooth`.

Hands are scaled to the true size and compared relative to the wrist. What trembles is
told as the mean error of the acceleration, the second difference from picture to
picture (mm / picture^2; times 0.9 in m / s^2).
"""

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from bmc_jax import geometry, kinematics
from bmc_jax.console.tables import format_markdown
from bmc_jax.data.procedural import anyone, detections
from bmc_jax.data.procedural.draws import Draws
from bmc_jax.lift.__main__ import main as lift_main
from bmc_jax.lift.lifter import HAND_SIZE
from bmc_jax.pose25d import scale_of

TRACKS = 8
SECONDS, RATE = 10, 30
NOISE = (0.01, 0.02, 0.04)  # std of a joint, in half the hand's size in the picture
LONGEST = 14  # pictures missing in a row
TURN = 25.0  # degrees, std about each axis, from one second to the next
CAMERA = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
MM = 1000.0


class Tracks(NamedTuple):
  """Right hands over time."""

  joints_3d: np.ndarray  # (tracks, pictures, 21, 3) metres
  keypoints_2d: np.ndarray  # (tracks, pictures, 21, 2) px, as a detector finds them
  confidence: np.ndarray  # (tracks, pictures, 21)
  there: np.ndarray  # (tracks, pictures) bool


def moving_hand(seed: int) -> np.ndarray:
  """One hand on a smooth path, (pictures, 21, 3) metres."""
  rng = np.random.default_rng(seed)
  seconds = np.arange(SECONDS + 1)
  times = np.arange(SECONDS * RATE) / RATE
  poses = np.asarray(
    jax.vmap(_drawn)(jax.random.split(jax.random.key(seed), len(seconds)))
  )
  angles = np.asarray(kinematics.joint_angles(poses))
  path = PchipInterpolator(seconds, angles)(times)  # between the poses, never beyond
  lengths = kinematics.bone_lengths(poses[0])
  roots = geometry.normalize(kinematics.bone_vectors(poses[0])[:, 0])
  hands = jax.vmap(kinematics.forward_kinematics, (0, None, None))(path, lengths, roots)
  hands = np.asarray(hands, np.float64) * HAND_SIZE / np.asarray(lengths).sum()
  turns = np.deg2rad(TURN) * rng.normal(size=(len(seconds), 3))
  turning = RotationSpline(seconds, Rotation.from_rotvec(turns))(times).as_matrix()
  places = rng.normal([0, 0, 0.6], [0.05, 0.03, 0.05], (len(seconds), 3))
  middle = hands.mean(axis=1, keepdims=True)
  turned = np.einsum('tij,tkj->tki', turning, hands - middle)
  return turned + CubicSpline(seconds, places)(times)[:, None]


def _drawn(key):
  draws = Draws(key, normal=anyone.NUM_NORMAL, uniform=anyone.NUM_UNIFORM)
  return anyone.sample_hand(draws, anyone.Anyone()).joints_3d


def _detect(key, joints, detector):
  draws = Draws(key, normal=detections.NUM_NORMAL, uniform=detections.NUM_UNIFORM)
  hand = anyone.SeenHand(joints, joints[:, :2] / joints[:, 2:])
  return detections.sample_keypoints(draws, hand, detector)


def seen_tracks(noise: float) -> Tracks:
  """Moving hands as a detector sees them."""
  joints = np.stack([moving_hand(seed) for seed in range(TRACKS)])
  count, pictures = joints.shape[:2]
  detector = detections.Detector(noise=(noise, noise))
  in_bones = joints / scale_of(joints)[..., None, None]
  keys = jax.random.split(jax.random.key(count), count * pictures)
  rays, confidence = jax.jit(jax.vmap(lambda key, hand: _detect(key, hand, detector)))(
    keys, in_bones.reshape(-1, 21, 3)
  )
  there = np.ones((count, pictures), bool)
  rng = np.random.default_rng(0)
  for track in there:
    for start in range(0, pictures - RATE, 2 * RATE):
      first = start + rng.integers(5, RATE)
      track[first : first + rng.integers(1, LONGEST + 1)] = False
  pixels = np.asarray(rays).reshape(*joints.shape[:3], 2) * 900 + CAMERA[:2, 2]
  return Tracks(joints, pixels, np.asarray(confidence).reshape(joints.shape[:3]), there)


def lift(tracks: Tracks, *flags: str) -> np.ndarray:
  """Hands (tracks, pictures, 21, 3) metres as the command writes them, or NaN."""
  person, picture = np.nonzero(tracks.there)
  with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / 'tracks.npz'
    np.savez(
      file,
      keypoints_2d=tracks.keypoints_2d[tracks.there],
      confidence=tracks.confidence[tracks.there],
      is_right=np.ones(len(person)),
      frames=picture,
      person=person,
    )
    given = ','.join(f'{value:g}' for value in CAMERA[[0, 1, 0, 1], [0, 1, 2, 2]])
    with contextlib.redirect_stdout(io.StringIO()):
      lift_main([str(file), '--intrinsics', given, '--out', folder, *flags])
    written = json.loads((Path(folder) / 'hands.json').read_text())['hands']
  found = np.full(tracks.joints_3d.shape, np.nan)
  for hand in written:
    if hand['joints_3d'][0] is not None:
      found[hand['person'], hand['frame']] = hand['joints_3d']
  return found


def score(found: np.ndarray, truth: np.ndarray, where: np.ndarray) -> list[str]:
  """Hands, EPE and error of the acceleration in pictures (tracks, pictures)."""
  found, truth = (x - x[..., :1, :] for x in (found, truth))
  where = where & np.isfinite(found).all(axis=(2, 3))
  off = np.linalg.norm(found - truth, axis=-1)[where]
  second = np.diff(found, n=2, axis=1) - np.diff(truth, n=2, axis=1)
  three = where[:, 2:] & where[:, 1:-1] & where[:, :-2]
  trembling = np.linalg.norm(second, axis=-1)[three]
  return [str(where.sum()), f'{MM * off.mean():.1f}', f'{MM * trembling.mean():.1f}']


def rows(noise: float) -> list[list[str]]:
  """Of a noise: each picture alone, smoothed, and those that were missing."""
  tracks = seen_tracks(noise)
  alone, smooth = lift(tracks), lift(tracks, '--smooth')
  return [
    [f'{noise:g}', name, *score(found, tracks.joints_3d, where)]
    for name, found, where in (
      ('each picture alone', alone, tracks.there),
      ('`--smooth`, the same pictures', smooth, tracks.there),
      ('`--smooth`, the missing ones', smooth, ~tracks.there),
    )
  ]


def main() -> None:
  """Prints the table."""
  table = [['noise', '', 'hands', 'EPE mm', 'acceleration, mm / picture^2']]
  for noise in NOISE:
    table += rows(noise)
  print(format_markdown(table))


if __name__ == '__main__':
  main()
