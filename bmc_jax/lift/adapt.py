"""A lifter fitted to one's own 2D keypoints: the paper's method, with nothing labelled.

Half of each batch are drawn hands with 3D labels, as in the lifter's training; the
other half are the keypoints to adapt to, on which the constraints judge the 3D hands
(paper 3.1), and bones are asked to have the same proportions in all hands. A part of
the keypoints is held back and says whether it helped: it did if held-back hands break
the constraints clearly less, still lie under their keypoints, and agree no less about
the proportions of their bones. Where hands keep the constraints already there is
nothing to learn from them, and nothing is taken.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from bmc_jax import constraints, kinematics, pose25d
from bmc_jax.configs import lift as lift_config  # pyright: ignore
from bmc_jax.configs.procedural import LIFTER_BMC  # pyright: ignore
from bmc_jax.data import drawn, example, pipeline, sources
from bmc_jax.lift.lifter import KeypointLifter, as_right_hands, lift_batch
from bmc_jax.limits import HandLimits
from bmc_jax.models import PoseOutput
from bmc_jax.training import defaults, sharding
from bmc_jax.training.config import Config
from bmc_jax.training.loop import make_mesh
from bmc_jax.training.optimizers import create_optimizer
from bmc_jax.training.step import TrainState, make_train_step

STEPS = 1500
LEAST_HANDS = 100
"""Fewer tell too little of whoever they are from, and of whether it helped."""

_HELD_BACK, _BLOCKS = 0.2, 5
# Of the constraints' loss on what is held back: a share of it, and at least so much.
_LEAST_GAIN, _LEAST_CHANGE = 0.1, 0.005
_MOST_MOVED = 0.02  # keypoints may move further by so much, in sizes of the hand
_MOST_SPREAD = 1.1  # factor of the spread of bone lengths

SAME_BONES = 5.0
"""Weight of `same_bones_loss`."""


@dataclasses.dataclass(frozen=True)
class Check:
  """Hands that were held back, in the mean.

  Attributes:
    bmc: the constraints' loss, with the weights of `constraints.WEIGHTS`.
    moved: how far keypoints were moved, in RMS sizes of the hand.
    spread: how much the proportions of bones differ from hand to hand, the mean
      deviation of the logarithm of their lengths over their hand's.
  """

  bmc: float
  moved: float
  spread: float


@dataclasses.dataclass(frozen=True)
class Adapted:
  """What came of it.

  Attributes:
    lifter: the adapted one.
    before, after: the check of hands that were held back.
  """

  lifter: KeypointLifter
  before: Check
  after: Check

  @property
  def helped(self) -> bool:
    """Whether the adapted lifter is to be taken."""
    gain = self.before.bmc - self.after.bmc
    return (
      gain > max(_LEAST_GAIN * self.before.bmc, _LEAST_CHANGE)
      and self.after.moved < self.before.moved + _MOST_MOVED
      and self.after.spread < _MOST_SPREAD * self.before.spread
    )

  def describe(self) -> str:
    """What changed, in a sentence."""
    verdict = 'is taken' if self.helped else 'did not help and is not taken'
    bmc, moved, spread = (
      [getattr(one, name) for one in (self.before, self.after)]
      for name in ('bmc', 'moved', 'spread')
    )
    return (
      f'The adapted lifter {verdict}. On held-back hands the constraints cost '
      f'{bmc[0]:.3f} before and {bmc[1]:.3f} after, keypoints were moved by '
      f'{moved[0]:.1%} and {moved[1]:.1%} of the size of the hand, and bones differed '
      f'from hand to hand by {spread[0]:.1%} and {spread[1]:.1%}.'
    )


def adapt(
  lifter: KeypointLifter,
  keypoints_2d: np.ndarray,
  intrinsics: np.ndarray,
  limits: HandLimits,
  *,
  confidence: np.ndarray,
  is_right: np.ndarray,
  camera_known: bool,
  steps: int = STEPS,
  seed: int = 0,
) -> Adapted:
  """Trains a lifter on 2D keypoints.

  Args:
    lifter: to start from; it is not changed.
    keypoints_2d: (N, 21, 2) pixels, in the order of time if they are of a video.
    intrinsics: (N, 3, 3).
    limits: of the constraints, for the convention in which the joints are labelled.
    confidence: (N, 21), 0 where a keypoint is missing.
    is_right: (N,) bool.
    camera_known: whether the intrinsics are given and not guessed.
    steps: of training.
    seed: of the drawn hands and the order.

  Raises:
    ValueError: there are fewer than `LEAST_HANDS` hands.
    FloatingPointError: the training does not converge.
  """
  if len(keypoints_2d) < LEAST_HANDS:
    raise ValueError(
      f'{len(keypoints_2d)} hands are too few to adapt to; {LEAST_HANDS} are needed.'
    )
  batch = _right_hands(keypoints_2d, intrinsics, confidence, is_right, camera_known)
  held = _held_back(len(keypoints_2d))
  kept = {name: value[~held] for name, value in batch.items()}
  left_out = {name: value[held] for name, value in batch.items()}
  config = _config(lifter, steps, seed)
  data = pipeline.train_batches(
    drawn.ProceduralPosesSource(seed=seed + 2),
    sources.ArraySource(kept),
    batch_size=config.batch_size,
    seed=seed,
    num_threads=2,
  )
  mesh = make_mesh(config)
  optimizer = create_optimizer(config.optimizer, steps)
  params = jax.tree.map(jnp.array, lifter.variables['params'])  # a step donates them
  state = TrainState(jnp.zeros((), jnp.int32), params, {}, optimizer.init(params))
  step = make_train_step(config, lifter.model, optimizer, limits)
  for _ in tqdm(range(steps), desc='adapt', unit='step', dynamic_ncols=True):
    state, terms = step(state, sharding.put_batch(next(data), mesh))
  if not bool(terms['finite']):
    raise FloatingPointError('The loss is not finite: the lifter cannot be adapted.')
  adapted = KeypointLifter(lifter.model, {'params': state.params})
  before, after = (_check(one, left_out, limits) for one in (lifter, adapted))
  return Adapted(adapted, before, after)


def _config(lifter: KeypointLifter, steps: int, seed: int) -> Config:
  config = lift_config.get_config()
  config.seed = seed
  config.num_steps = steps
  config.bmc.update(LIFTER_BMC)
  defaults.add_term(
    config,
    'same_bones',
    f'{__name__}:same_bones_loss',
    weight=SAME_BONES,
    examples='2d',
  )
  config.optimizer.learning_rate = 3e-4
  config.optimizer.warmup_steps = min(50, steps // 10)
  return config


def same_bones_loss(output: PoseOutput, batch: example.Batch) -> jax.Array:
  """How far the proportions of each hand's bones are from the median hand's.

  Not from the paper: hands of one person have the same bones in every picture, and so,
  nearly, have those of all people whose joints are labelled alike. Bones that are seen
  from the side tell how long those are that point at the camera.

  Args:
    output: predicted hands.
    batch: `has_joints_3d` (b,), 0 for the hands that are compared.

  Returns:
    (b,) the mean over the bones of the logarithm's absolute difference.
  """
  lengths = kinematics.bone_lengths(output.joints_3d).reshape(-1, 20)
  ratios = jnp.log(jnp.maximum(lengths / lengths.sum(1, keepdims=True), 1e-3))
  own = jnp.where(batch['has_joints_3d'][:, None] > 0, jnp.nan, ratios)
  median = jax.lax.stop_gradient(jnp.nanmedian(own, axis=0, keepdims=True))
  return jnp.abs(ratios - median).mean(axis=1)


def _held_back(count: int) -> np.ndarray:
  """Which hands are held back, (N,): some blocks, as neighbours in time are alike."""
  place = np.arange(count) * _BLOCKS / count
  return place % 1 >= 1 - _HELD_BACK


def _right_hands(keypoints_2d, intrinsics, confidence, is_right, camera_known):
  """The keypoints as a batch of right hands without 3D labels."""
  present = (confidence > 0)[..., None]
  points, cameras = map(
    np.asarray,
    as_right_hands(np.where(present, keypoints_2d, 0), intrinsics, is_right),
  )
  count = len(points)
  fields = {
    'keypoints_2d': points,
    'observed_2d': points,
    'intrinsics': cameras,
    'confidence': confidence,
    'camera_known': np.full(count, float(camera_known)),
    'visibility': (confidence > 0).astype(float),
    'joints_3d': np.zeros((count, 21, 3)),
    'is_right': np.ones(count),
    'has_joints_3d': np.zeros(count),
  }
  batch: example.Batch = {k: v.astype(np.float32) for k, v in fields.items()}
  return batch | {'sample_id': np.array([f'hand/{i}' for i in range(count)])}


def _check(lifter: KeypointLifter, batch: example.Batch, limits: HandLimits) -> Check:
  joints, keypoints_2d, _, bones = lift_batch(
    lifter.variables,
    *(batch[k] for k in ('observed_2d', 'confidence', 'intrinsics', 'is_right')),
    batch['camera_known'],
    model=lifter.model,
  )
  joints = pose25d.in_reference_bones(joints)
  bmc = constraints.bmc_loss(joints, limits)[0]
  present = batch['confidence'] > 0
  points = np.where(present[..., None], batch['observed_2d'], np.nan)
  size = np.sqrt(
    np.nanmean((points - np.nanmean(points, 1, keepdims=True)) ** 2, (1, 2))
  )
  moved = np.linalg.norm(keypoints_2d - points, axis=-1) / size[:, None]
  lengths = np.asarray(bones).reshape(-1, 20)
  ratios = np.log(lengths / lengths.sum(axis=1, keepdims=True))
  return Check(
    float(jnp.mean(bmc)), float(np.nanmean(moved)), float(ratios.std(axis=0).mean())
  )
