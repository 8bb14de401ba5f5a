"""Hands that are drawn while a network trains: nothing is stored.

Example number i of a seed is always the same one, so that a training resumes exactly,
and any number of hosts sees the same batches.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax.data import example as example_lib
from bmc_jax.data.procedural import anyone as anyone_lib
from bmc_jax.data.procedural import detections
from bmc_jax.data.procedural.anyone import Anyone
from bmc_jax.data.procedural.detections import Detector
from bmc_jax.data.procedural.draws import Draws

MAX_COUNT = 2**30
_FOCAL, _CENTRE = 1000.0, 500.0  # px; a lifter sees rays alone
_BONE = 0.035  # metres, middle MCP -> PIP: keypoints do not tell how large a hand is


class ProceduralPosesSource:
  """Right hands of anybody (`data.procedural.anyone`) with 3D labels, and their 2D
  keypoints as a detector gives them (`data.procedural.detections`); no images.

  A batch has, beside the fields of `example.stack_examples`, `observed_2d` (B, 21, 2)
  px, `confidence` (B, 21), 0 where a keypoint is missing, and `camera_known` (B,).
  """

  def __init__(
    self,
    *,
    seed: int = 0,
    count: int = MAX_COUNT,
    anyone: Anyone = Anyone(),  # noqa: B008
    detector: Detector = Detector(),  # noqa: B008
  ):
    """Draws nothing yet.

    Args:
      seed: of all examples.
      count: how many there are.
      anyone: what hands are drawn from, or a mapping of what differs from the default.
      detector: how its keypoints err, likewise.

    Raises:
      ValueError: a value has no meaning.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
      raise ValueError(f'seed is {seed!r}; it must be a whole number from 0 on.')
    if not isinstance(count, int) or not 0 < count <= MAX_COUNT:
      raise ValueError(f'count is {count!r}; it must be a whole number, 1 to 2**30.')
    self._count = count
    self._draw = functools.partial(
      _draw,
      seed,
      anyone=options_of(Anyone, anyone, Anyone()),
      detector=options_of(Detector, detector, Detector()),
    )

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> example_lib.Example:
    return example_lib.row_of(self.batch([index]), 0)

  def batch(self, indices: Sequence[int]) -> example_lib.Batch:
    """Draws the examples of these numbers."""
    numbers = np.asarray(indices, np.int32)
    batch = jax.tree.map(np.asarray, self._draw(numbers))
    return batch | {'sample_id': np.array([f'drawn/{i}' for i in numbers])}


def options_of(kind, given, default):
  """A dataclass from itself, or from a mapping of what differs from a default.

  Raises:
    ValueError: a value that the dataclass does not have.
  """
  if given is None or isinstance(given, kind):
    return default if given is None else given
  known = [field.name for field in dataclasses.fields(kind)]
  if not isinstance(given, Mapping) or not set(given) <= set(known):
    raise ValueError(
      f'{kind.__name__.lower()} is {given!r}; it may set {", ".join(known)}.'
    )
  changed = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
  return dataclasses.replace(default, **changed)


@functools.partial(jax.jit, static_argnames=('anyone', 'detector'))
def _draw(seed, numbers, *, anyone: Anyone, detector: Detector):
  """A batch but for its names."""
  keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)
  hand, rays, confidence, known = jax.vmap(
    lambda key: _draw_one(key, anyone, detector)
  )(keys)
  ones = jnp.ones(len(numbers))
  camera = np.array([[_FOCAL, 0, _CENTRE], [0, _FOCAL, _CENTRE], [0, 0, 1]], np.float32)
  return {
    'joints_3d': hand.joints_3d * _BONE,
    'keypoints_2d': _FOCAL * hand.rays + _CENTRE,
    'observed_2d': _FOCAL * rays + _CENTRE,
    'confidence': confidence,
    'camera_known': known.astype(jnp.float32),
    'visibility': jnp.ones((len(numbers), 21)),
    'intrinsics': jnp.broadcast_to(camera, (len(numbers), 3, 3)),
    'is_right': ones,
    'has_joints_3d': ones,
  }


def _draw_one(key, anyone: Anyone, detector: Detector):
  draws = Draws(
    key,
    normal=anyone_lib.NUM_NORMAL + detections.NUM_NORMAL,
    uniform=anyone_lib.NUM_UNIFORM + detections.NUM_UNIFORM + 1,
  )
  hand = anyone_lib.sample_hand(draws, anyone)
  rays, confidence = detections.sample_keypoints(draws, hand, detector)
  return hand, rays, confidence, draws.chance(detector.camera)
