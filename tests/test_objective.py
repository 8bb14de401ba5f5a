"""The loss: which label and which half of the batch each of its terms depends on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import geometry, kinematics, models, objective, pose25d
from bmc_jax.limits import fit_limits
from configs import base
from tests.tiny_config import WEIGHTS

LENGTHS = np.tile([2.7, 1.0, 0.7, 0.7], (5, 1)).astype(np.float32)
ROOTS = np.array(
  [[-0.7, -0.7, 0.1], [-0.3, -1, 0.1], [0, -1, 0], [0.3, -1, 0], [0.6, -1, 0.1]]
)


def _curled_hands(count: int, seed: int = 0) -> np.ndarray:
  """Hands (n, 21, 3) in reference bones, fingers bent inwards, 15 from the camera."""
  rng = np.random.default_rng(seed)
  angles = np.zeros((count, 5, 3, 2), np.float32)
  angles[..., 0] = rng.uniform(0.2, 1.2, (count, 5, 3))
  roots = ROOTS / np.linalg.norm(ROOTS, axis=-1, keepdims=True)
  joints = kinematics.forward_kinematics(
    angles,
    np.broadcast_to(LENGTHS, (count, 5, 4)),
    np.broadcast_to(roots.astype(np.float32), (count, 5, 3)),
  )
  return np.asarray(joints) + np.array([[[0, 0, 15]]], np.float32)


HANDS = _curled_hands(8)
LIMITS = fit_limits(_curled_hands(300, seed=1), coverage=1.0)


def _config(**bmc):
  c = base.get_config()
  c.bmc.weights.update(WEIGHTS)
  c.bmc.update(bmc)
  return c


def _batch(joints=HANDS, has_joints_3d=(1, 1, 1, 1, 0, 0, 0, 0)):
  intrinsics = np.array([[150, 0, 64], [0, 150, 64], [0, 0, 1]], np.float32)
  intrinsics = np.broadcast_to(intrinsics, (len(HANDS), 3, 3))
  return {
    'image': np.zeros((8, 1, 1, 3), np.float32),
    'joints_3d': 0.03 * joints,
    'keypoints_2d': np.asarray(geometry.project(HANDS, intrinsics)),
    'visibility': np.ones((8, 21), np.float32),
    'intrinsics': intrinsics,
    'has_joints_3d': np.array(has_joints_3d, np.float32),
    'mask': np.ones(8, np.float32),
  }


def _prediction(noise: float = 1.0):
  """Keypoints and depths of the true hands, moved at random."""
  rng = np.random.default_rng(2)
  keypoints = _batch()['keypoints_2d'] + 3 * noise * rng.normal(size=(8, 21, 2))
  depth = HANDS[..., 2] - 15 + 0.5 * noise * rng.normal(size=(8, 21))
  return keypoints.astype(np.float32), depth.astype(np.float32)


def _terms(config, batch, prediction):
  @jax.jit
  def terms(batch, prediction):
    output = models.assemble(*prediction, batch['intrinsics'])
    return objective.compute_losses(output, batch, LIMITS, config)

  return {name: float(value) for name, value in terms(batch, prediction).items()}


def _gradient(config, batch, prediction, weights=None):
  """Loss and gradient, by default under the weights of the end of the run."""
  weights = weights or objective.term_weights(config, jnp.ones(()))

  @jax.jit
  @jax.value_and_grad
  def loss(prediction, batch):
    output = models.assemble(*prediction, batch['intrinsics'])
    terms = objective.compute_losses(output, batch, LIMITS, config)
    terms = {name: terms[name] for name in weights.keys() & terms.keys()}
    return sum((weights[name] * v for name, v in terms.items()), jnp.zeros(()))

  return loss(prediction, batch)


def _same(a, b):
  return all(
    np.array_equal(x, y) and np.isfinite(x).all()
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
@pytest.mark.parametrize('labels', ['other', 'nan', 'nan in one joint', 'zero'])
def test_loss_and_gradient_do_not_depend_on_3d_labels_of_the_weak_half(joints, labels):
  config = _config(joints=joints, mirror=1.0)
  changed = HANDS.copy()
  changed[4:] = {
    'other': HANDS[4:][::-1] * 1.3,
    'nan': np.nan,
    'nan in one joint': np.where(np.arange(21)[:, None] == 5, np.nan, HANDS[4:]),
    'zero': 0,
  }[labels]
  wanted = _gradient(config, _batch(), _prediction())
  got = _gradient(config, _batch(changed), _prediction())
  assert _same(wanted, got)


def test_with_full_labels_the_second_half_does_teach_depth():
  changed = HANDS.copy()
  changed[4:] = HANDS[4:][::-1]
  terms, other = (
    _terms(_config(), _batch(joints, np.ones(8)), _prediction())
    for joints in (HANDS, changed)
  )
  assert terms['relative_depth'] != other['relative_depth']
  assert terms['keypoints_2d'] == other['keypoints_2d']


def test_supervised_terms_are_the_mean_errors_of_the_labelled_half():
  batch, (keypoints, depth) = _batch(), _prediction()
  terms = _terms(_config(), batch, (keypoints, depth))
  relative = depth - depth[:, :1]
  scale = np.linalg.norm(HANDS[:, 10] - HANDS[:, 9], axis=-1)[:, None]
  true = (HANDS[..., 2] - HANDS[:, :1, 2]) / scale
  expected = np.abs(relative - true)[:4].mean()
  assert terms['relative_depth'] == pytest.approx(expected, rel=1e-4)
  error = np.abs(keypoints - batch['keypoints_2d']).mean()
  assert terms['keypoints_2d'] == pytest.approx(error * 2 / 128, rel=1e-4)
  root = pose25d.solve_root_depth(keypoints, relative, batch['intrinsics']).value
  expected = np.abs(np.clip(root, 3, 100) - HANDS[:, 0, 2] / scale[:, 0])[:4].mean()
  assert terms['root_depth'] == pytest.approx(expected, rel=1e-4)


def test_padding_counts_for_nothing():
  batch = _batch(has_joints_3d=np.ones(8))
  wanted = _terms(
    _config(weak_only=False),
    {k: v[:5] for k, v in batch.items()},
    [part[:5] for part in _prediction()],
  )
  batch['mask'] = np.array([1] * 5 + [0] * 3, np.float32)
  got = _terms(_config(weak_only=False), batch, _prediction())
  for name, value in wanted.items():
    assert got[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize('joint', [0, 9, 10])
def test_a_hand_without_root_or_reference_bone_teaches_no_depth(joint):
  batch = _batch(has_joints_3d=[1] + 7 * [0])
  assert _terms(_config(), batch, _prediction())['relative_depth'] > 0
  batch['visibility'][0, joint] = 0
  terms = _terms(_config(), batch, _prediction())
  assert terms['relative_depth'] == terms['root_depth'] == 0


@pytest.mark.parametrize('weak_only', [True, False])
def test_constraints_judge_the_weak_half_alone_if_asked(weak_only):
  config, batch = _config(weak_only=weak_only), _batch()
  keypoints, depth = _prediction()
  changed = depth.copy()
  changed[:4] *= 1.5
  terms, other = (_terms(config, batch, (keypoints, z)) for z in (depth, changed))
  for name in WEIGHTS:
    assert (terms[f'bmc_{name}'] == other[f'bmc_{name}']) == weak_only, name
    assert terms[f'bmc_{name}'] > 0


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
def test_only_labelled_joints_keep_the_constraints_off_the_keypoints(joints):
  config, batch = _config(joints=joints, mirror=1.0), _batch()

  weights = {f'bmc_{name}': 1.0 for name in (*WEIGHTS, 'mirror')}
  _, (keypoints, depth) = _gradient(config, batch, _prediction(), weights)
  assert np.any(keypoints) == (joints != 'labelled')
  assert np.any(depth)


def test_constraints_are_zero_for_the_hands_that_the_limits_come_from():
  config = _config(weak_only=False)
  batch = _batch()
  limits = fit_limits(HANDS, coverage=1.0, num_vertices=24)

  @jax.jit
  def bmc(batch, prediction):
    output = models.assemble(*prediction, batch['intrinsics'])
    return objective.compute_bmc(output, batch, limits, config)

  terms = bmc(batch, _prediction(noise=0))
  for name in WEIGHTS:
    assert float(terms[f'bmc_{name}']) == pytest.approx(0, abs=2e-3), name


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
def test_the_mirror_term_is_exactly_zero_for_plausible_hands_alone(joints):
  config = _config(joints=joints, mirror=1.0)
  keypoints, depth = _prediction(noise=0)
  assert _terms(config, _batch(), (keypoints, depth))['bmc_mirror'] == 0
  mirrored = _terms(config, _batch(), (keypoints, -depth))['bmc_mirror']
  relative = depth - depth[:, :1]
  # |z - (-z)|, the mean over joints and over the weak half.
  assert mirrored == pytest.approx(2 * np.abs(relative[4:]).mean(), rel=1e-4)


def test_the_mirror_term_pulls_towards_the_mirror_image():
  config = _config(mirror=1.0)
  keypoints, depth = _prediction(noise=0)

  prediction = (keypoints, -depth)
  _, (_, gradient) = _gradient(config, _batch(), prediction, {'bmc_mirror': 1.0})
  gradient = np.asarray(gradient)
  away = np.abs(depth[:, 1:] - depth[:, :1]) > 1e-3
  # A step against the gradient makes the depth behind the root go to its negative.
  signs = np.sign(gradient[:, 1:]) * np.sign(-(depth[:, 1:] - depth[:, :1]))
  assert np.all(signs[4:][away[4:]] == 1)
  assert not gradient[:4].any()


def test_the_constraints_weights_ramp_from_zero_to_one():
  config = _config(ramp_start=0.3, ramp_end=0.6, mirror=2.0)
  for progress, gate in ((0, 0), (0.3, 0), (0.4, 1 / 3), (0.6, 1), (1, 1)):
    weights = objective.term_weights(config, jnp.asarray(progress))
    for name, weight in (WEIGHTS | {'mirror': 2.0}).items():
      assert weights[f'bmc_{name}'] == pytest.approx(gate * weight, abs=1e-5)
    assert weights['relative_depth'] == 5 and weights['keypoints_2d'] == 1
  for progress in np.linspace(0, 0.3, 7):
    assert objective.ramp(jnp.asarray(progress), 0.3, 0.6) == 0
  assert objective.ramp(jnp.asarray(0.5), 0.5, 0.5) == 0
  assert objective.ramp(jnp.asarray(0.51), 0.5, 0.5) == 1


@pytest.mark.parametrize(
  'changes, message',
  [
    ({'joints': 'true'}, "bmc.joints is 'true'; choose one of"),
    ({'hull_power': 3}, 'bmc.hull_power is 3; it must be 1 or 2.'),
    ({'ramp_start': 0.7}, 'bmc.ramp_start and bmc.ramp_end are 0.7 and 0.6;'),
  ],
)
def test_a_wrong_value_is_told_in_a_sentence(changes, message):
  with pytest.raises(ValueError, match=message):
    objective.check_objective(_config(**changes))


def test_a_mirror_term_without_weights_to_compare_by_is_refused():
  config = base.get_config()
  config.bmc.mirror = 1.0
  with pytest.raises(ValueError, match='bmc.mirror compares'):
    objective.check_objective(config)
