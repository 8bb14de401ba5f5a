"""The loss: which label and which half of the batch each of its terms depends on."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import constraints, geometry, kinematics, models, pose25d
from bmc_jax.limits import as_boxes, fit_limits
from bmc_jax.training import defaults, objective
from tests.fixtures.tiny_config import WEIGHTS

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


@functools.cache
def _hands():
  return _curled_hands(8)


@functools.cache
def _limits():
  return fit_limits(_curled_hands(300, seed=1), coverage=1.0)


def _config(**bmc):
  c = defaults.get_config()
  c.bmc.weights.update(WEIGHTS)
  c.bmc.mirror = 1.0
  c.bmc.update(bmc)
  return c


def _batch(joints=None, has_joints_3d=(1, 1, 1, 1, 0, 0, 0, 0)):
  intrinsics = np.array([[150, 0, 64], [0, 150, 64], [0, 0, 1]], np.float32)
  intrinsics = np.broadcast_to(intrinsics, (len(_hands()), 3, 3))
  return {
    'image': np.zeros((8, 1, 1, 3), np.float32),
    'joints_3d': 0.03 * (_hands() if joints is None else joints),
    'keypoints_2d': np.asarray(geometry.project(_hands(), intrinsics)),
    'visibility': np.ones((8, 21), np.float32),
    'intrinsics': intrinsics,
    'has_joints_3d': np.array(has_joints_3d, np.float32),
    'mask': np.ones(8, np.float32),
  }


def _prediction(noise: float = 1.0):
  """Keypoints and depths of the true hands, moved at random."""
  rng = np.random.default_rng(2)
  keypoints = _batch()['keypoints_2d'] + 3 * noise * rng.normal(size=(8, 21, 2))
  depth = _hands()[..., 2] - 15 + 0.5 * noise * rng.normal(size=(8, 21))
  return keypoints.astype(np.float32), depth.astype(np.float32)


@functools.cache
def _compiled(**bmc):
  """Terms, and the gradient of their weighted sum by keypoints and depths."""
  config, limits = _config(**bmc), _limits()

  @jax.jit
  @functools.partial(jax.grad, has_aux=True)
  def function(prediction, batch, weights):
    output = models.assemble(*prediction, batch['intrinsics'])
    terms = objective.compute_losses(output, batch, limits, config)
    return sum((weights[k] * v for k, v in terms.items()), jnp.zeros(())), terms

  return function


def _evaluate(batch, prediction, weights=None, **bmc):
  """Terms and gradient, by default with the weights of the end of the run."""
  default = objective.term_weights(_config(**bmc), jnp.ones(()))
  weights = {k: jnp.float32((weights or default).get(k, 0)) for k in default}
  gradient, terms = _compiled(**bmc)(prediction, batch, weights)
  return {name: float(value) for name, value in terms.items()}, gradient


def _same(a, b):
  return all(
    np.array_equal(x, y) and np.isfinite(x).all()
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  )


@pytest.mark.slow
@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
@pytest.mark.parametrize('labels', ['other', 'nan', 'nan in one joint', 'zero'])
def test_loss_and_gradient_do_not_depend_on_3d_labels_of_the_weak_half(joints, labels):
  changed = _hands().copy()
  changed[4:] = {
    'other': _hands()[4:][::-1] * 1.3,
    'nan': np.nan,
    'nan in one joint': np.where(np.arange(21)[:, None] == 5, np.nan, _hands()[4:]),
    'zero': 0,
  }[labels]
  wanted = _evaluate(_batch(), _prediction(), joints=joints)
  assert _same(wanted, _evaluate(_batch(changed), _prediction(), joints=joints))


def test_with_full_labels_the_second_half_does_teach_depth():
  changed = _hands().copy()
  changed[4:] = _hands()[4:][::-1]
  terms, other = (
    _evaluate(_batch(joints, np.ones(8)), _prediction())[0]
    for joints in (_hands(), changed)
  )
  assert terms['relative_depth'] != other['relative_depth']
  assert terms['keypoints_2d'] == other['keypoints_2d']


def test_supervised_terms_are_the_mean_errors_of_the_labelled_half():
  batch, (keypoints, depth) = _batch(), _prediction()
  terms, _ = _evaluate(batch, (keypoints, depth))
  relative = depth - depth[:, :1]
  scale = np.linalg.norm(_hands()[:, 10] - _hands()[:, 9], axis=-1)[:, None]
  true = (_hands()[..., 2] - _hands()[:, :1, 2]) / scale
  expected = np.abs(relative - true)[:4].mean()
  assert terms['relative_depth'] == pytest.approx(expected, rel=1e-4)
  error = np.abs(keypoints - batch['keypoints_2d']).mean()
  assert terms['keypoints_2d'] == pytest.approx(error * 2 / 128, rel=1e-4)
  root = pose25d.solve_root_depth(keypoints, relative, batch['intrinsics']).value
  expected = np.abs(np.clip(root, 3, 100) - _hands()[:, 0, 2] / scale[:, 0])[:4].mean()
  assert terms['root_depth'] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_options_of_the_angles_reach_the_loss():
  batch = _batch()
  triangle = np.float32([[0, 0], [0.6, 0], [0, 0.3]])
  limits = dataclasses.replace(_limits(), hulls=np.broadcast_to(triangle, (5, 3, 3, 2)))
  options = (
    {},
    {'hull_power': 2},
    {'hull_distance': 'chordal_l1'},
    {'shape': 'box'},
    {'stop_frame_gradient': True},
  )

  def measured(prediction, options):
    output = models.assemble(*prediction, batch['intrinsics'])
    terms = [
      objective.compute_bmc(output, batch, limits, _config(mirror=0.0, **changes))
      for changes in options
    ]
    terms = jnp.stack([term['bmc_joint_angle'] for term in terms])
    return terms, output.joints_3d[4:]

  terms, joints = jax.jit(lambda prediction: measured(prediction, options))(
    _prediction()
  )
  penalty = functools.partial(constraints.joint_angle_penalty, joints)
  wanted = [
    penalty(limits),
    penalty(limits, hull_power=2),
    penalty(limits, hull_distance='chordal_l1'),
    penalty(as_boxes(limits)),
    penalty(limits),
  ]
  np.testing.assert_allclose(terms, [value.mean() for value in wanted], rtol=1e-4)
  # Frames that are constants of the gradient change no value.
  ends = jax.jit(
    jax.jacrev(lambda prediction: measured(prediction, (options[0], options[-1]))[0])
  )
  _, (with_frames, without) = ends(_prediction())
  assert np.abs(with_frames - without).max() > 1e-4


def test_padding_counts_for_nothing():
  batch = {name: np.array(value) for name, value in _batch().items()}
  keypoints, depth = _prediction()
  batch['mask'] = np.array([1, 1, 1, 0, 1, 1, 0, 0], np.float32)
  terms, gradient = _evaluate(batch, (keypoints, depth))
  padding = batch['mask'] == 0
  assert not any(np.any(np.asarray(part)[padding]) for part in gradient)
  for array in (keypoints, depth, batch['keypoints_2d'], batch['joints_3d']):
    array[padding] *= 1.7
  assert terms == _evaluate(batch, (keypoints, depth))[0]


@pytest.mark.parametrize('joint', [0, 9, 10])
def test_a_hand_without_root_or_reference_bone_teaches_no_depth(joint):
  batch = _batch(has_joints_3d=[1] + 7 * [0])
  assert _evaluate(batch, _prediction())[0]['relative_depth'] > 0
  batch['visibility'][0, joint] = 0
  terms, _ = _evaluate(batch, _prediction())
  assert terms['relative_depth'] == terms['root_depth'] == 0


@pytest.mark.slow
@pytest.mark.parametrize('weak_only', [True, False])
def test_constraints_judge_the_weak_half_alone_if_asked(weak_only):
  keypoints, depth = _prediction()
  changed = depth.copy()
  changed[:4] *= 1.5
  terms, other = (
    _evaluate(_batch(), (keypoints, z), weak_only=weak_only)[0]
    for z in (depth, changed)
  )
  for name in WEIGHTS:
    assert (terms[f'bmc_{name}'] == other[f'bmc_{name}']) == weak_only, name
    assert terms[f'bmc_{name}'] > 0


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
def test_only_labelled_joints_keep_the_constraints_off_the_keypoints(joints):
  weights = {f'bmc_{name}': 1.0 for name in (*WEIGHTS, 'mirror')}
  _, gradient = _evaluate(_batch(), _prediction(), weights, joints=joints)
  keypoints, depth = gradient
  assert np.any(keypoints) == (joints != 'labelled')
  assert np.any(depth)


def _constraints_of(residual: float, prediction, joints: str):
  """The constraints' terms of hands that the refiner moves so many bones away."""
  batch = _batch() | {'keypoints_2d': prediction[0]}
  output = models.assemble(
    *prediction, batch['intrinsics'], refiner=lambda *inputs: inputs[-1] + residual
  )
  config = _config(joints=joints, mirror=0.0)
  return objective.compute_bmc(output, batch, _limits(), config)


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
def test_constraints_lead_the_refined_root_depth_to_plausible_hands(joints):
  weights = objective.term_weights(_config(joints=joints), jnp.ones(()))
  nearer, near, right = (
    sum(
      weights[name] * value
      for name, value in _constraints_of(residual, _prediction(noise=0), joints).items()
    )
    for residual in (-6, -5, 0)
  )
  assert nearer > near + 0.02 > right + 0.1


def test_the_refiner_is_led_to_the_root_depth_of_the_bones():
  for residual in (-30, -2, 0, 2):  # the first is behind the camera
    terms = _constraints_of(residual, _prediction(noise=0), 'labelled')
    assert abs(float(terms['bmc_root_depth']) - abs(residual)) < 0.3
  assert 'bmc_root_depth' not in objective.term_weights(_config(), jnp.ones(()))


def test_a_keypoint_without_a_label_is_judged_where_it_is_predicted():
  batch, (keypoints, depth) = _batch(), _prediction()
  weights = {f'bmc_{name}': 1.0 for name in WEIGHTS}
  known = {**batch, 'keypoints_2d': batch['keypoints_2d'].copy()}
  known['keypoints_2d'][5:7, 8] = keypoints[5:7, 8]
  wanted, _ = _evaluate(known, (keypoints, depth), weights, joints='labelled')
  batch['visibility'][5:7, 8] = 0
  batch['keypoints_2d'] = batch['keypoints_2d'].copy()
  batch['keypoints_2d'][5:7, 8] = np.nan
  found, gradient = _evaluate(batch, (keypoints, depth), weights, joints='labelled')
  for name in weights:
    assert found[name] == wanted[name] > 0
  assert not np.any(gradient[0])
  assert np.all(np.any(gradient[1][4:], axis=-1))


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
def test_a_lifters_hands_without_a_keypoint_are_not_judged(joints):
  batch = _batch()
  del batch['image']
  batch['visibility'][4:, 8] = 0
  output = models.assemble(*_prediction(), batch['intrinsics'])
  terms = objective.compute_bmc(output, batch, _limits(), _config(joints=joints))
  assert not any(np.any(value) for value in terms.values())


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
def test_constraints_are_next_to_zero_for_plausible_hands(joints):
  plausible, _ = _evaluate(_batch(), _prediction(noise=0), joints=joints)
  noisy, _ = _evaluate(_batch(), _prediction(), joints=joints)
  for name in WEIGHTS:
    assert plausible[f'bmc_{name}'] < 0.01 < noisy[f'bmc_{name}'], name


@pytest.mark.parametrize('joints', objective.JOINTS_FOR_BMC)
def test_the_mirror_term_is_exactly_zero_for_plausible_hands_alone(joints):
  keypoints, depth = _prediction(noise=0)
  terms, _ = _evaluate(_batch(), (keypoints, depth), joints=joints)
  assert terms['bmc_mirror'] == 0
  mirrored, _ = _evaluate(_batch(), (keypoints, -depth), joints=joints)
  relative = depth - depth[:, :1]
  # |z - (-z)|, the mean over joints and over the weak half.
  expected = 2 * np.abs(relative[4:]).mean()
  assert mirrored['bmc_mirror'] == pytest.approx(expected, rel=1e-4)


def test_the_mirror_term_pulls_towards_the_mirror_image():
  keypoints, depth = _prediction(noise=0)
  _, (_, gradient) = _evaluate(_batch(), (keypoints, -depth), {'bmc_mirror': 1.0})
  gradient, relative = np.asarray(gradient), depth - depth[:, :1]
  far = np.abs(relative) > 1e-3
  # The prediction is -relative: a step against the gradient goes to +relative.
  assert np.all((np.sign(gradient) == -np.sign(relative))[4:][far[4:]])
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
    ({'hull_distance': 'l2'}, "bmc.hull_distance is 'l2'; choose one of"),
    ({'shape': 'circle'}, "bmc.shape is 'circle'; choose one of"),
    ({'ramp_start': 0.7}, 'bmc.ramp_start and bmc.ramp_end are 0.7 and 0.6;'),
  ],
)
def test_a_wrong_value_is_told_in_a_sentence(changes, message):
  with pytest.raises(ValueError, match=message):
    objective.check_objective(_config(**changes))


def test_a_mirror_term_without_weights_to_compare_by_is_refused():
  config = _config(weights=dict.fromkeys(WEIGHTS, 0.0))
  with pytest.raises(ValueError, match='bmc.mirror compares'):
    objective.check_objective(config)
