"""Claims about the networks, checked against published counts and known answers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import geometry, models, pose25d
from bmc_jax.models.output import assemble
from bmc_jax.models.refiner import RootRefiner
from bmc_jax.models.resnet import ResNet

INTRINSICS = jnp.array([[90.0, 0, 31.5], [0, 90, 31.5], [0, 0, 1]])
TINY = {'name': 'pose_network', 'depth': 10, 'width': 4, 'stem': 'strided'}
TINY |= {'output_stride': 16, 'head': 'heatmap', 'head_channels': 8}


def _batch(size=1, side=32):
  image = jax.random.uniform(jax.random.key(0), (size, side, side, 3))
  return {'image': image, 'intrinsics': jnp.tile(INTRINSICS, (size, 1, 1))}


def _poses(size=4):
  noise = jax.random.normal(jax.random.key(1), (size, 21, 2))
  return {
    'keypoints_2d': 32 + 10 * noise,
    'intrinsics': jnp.tile(INTRINSICS, (size, 1, 1)),
  }


@functools.cache
def _untrained(**options):
  """What an untrained model says of a batch of two, or of four poses."""
  batch = _poses() if options['name'] == 'keypoint_lifter' else _batch(2)
  return _apply(models.create_model(options), batch)


def _apply(model, batch):
  example = batch if 'keypoints_2d' in batch else _batch()
  variables = jax.jit(model.init)(jax.random.key(0), example)
  return jax.jit(model.apply)(variables, batch)


@pytest.mark.slow
def test_bfloat16_keeps_parameters_statistics_and_geometry_in_float32():
  model = models.create_model({**TINY, 'dtype': 'bfloat16'})
  batch = _batch(2)
  variables = jax.jit(model.init)(jax.random.key(0), batch)
  train = functools.partial(model.apply, train=True, mutable=['batch_stats'])
  output, updates = jax.jit(train)(variables, batch)
  for leaf in jax.tree.leaves((variables, output, updates)):
    assert leaf.dtype in (jnp.float32, jnp.bool_)
    assert jnp.all(jnp.isfinite(leaf))
  # The features themselves are of the asked type.
  stages = ResNet(18, width=4, dtype=jnp.bfloat16)
  shapes, _ = jax.eval_shape(stages.init_with_output, jax.random.key(0), batch['image'])
  assert {s.dtype for s in shapes} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize('head', ['regression', 'heatmap'])
@pytest.mark.parametrize(('size', 'side'), [(1, 32), (2, 45)])
def test_the_network_takes_a_batch_of_one_and_odd_sizes(head, size, side):
  output = _apply(models.create_model({**TINY, 'head': head}), _batch(size, side))
  assert output.keypoints_2d.shape == (size, 21, 2)
  assert output.joints_3d.shape == (size, 21, 3)
  assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(output))
  # Untrained, keypoints lie about the middle of the image.
  assert jnp.all(jnp.abs(output.keypoints_2d.mean((0, 1)) - side / 2) < side / 4)


@pytest.mark.parametrize('root', [0, 9])
def test_the_roots_relative_depth_is_exactly_zero(root):
  for options in (TINY, {'name': 'keypoint_lifter', 'width': 16}):
    depth = _untrained(**options, root=root).relative_depth
    assert jnp.all(depth[:, root] == 0)
    assert jnp.std(depth) > 1e-3


def test_the_refiner_starts_as_the_identity_and_then_adds_a_residual():
  refiner = RootRefiner()
  poses = _poses()
  rays = geometry.camera_rays(poses['keypoints_2d'], poses['intrinsics'])
  depth = jax.random.normal(jax.random.key(2), (4, 21))
  root_depth = jnp.array([3.0, 12.0, 20.0, 100.0])
  variables = jax.jit(refiner.init)(jax.random.key(0), depth, rays, root_depth)
  kernels = jax.tree.leaves(variables['params']['dense0']['kernel'])
  assert kernels[0].shape == (64, 128)
  np.testing.assert_array_equal(
    refiner.apply(variables, depth, rays, root_depth), root_depth
  )
  variables['params']['residual']['bias'] += 2.5
  refined = refiner.apply(variables, depth, rays, root_depth)
  np.testing.assert_allclose(refined, root_depth + 2.5, rtol=1e-6)


@pytest.mark.parametrize('stop', [True, False])
@pytest.mark.parametrize('through', ['root', 'refiner'])
def test_gradients_flow_back_through_the_root_depth_only_if_asked(through, stop):
  poses = _poses()
  depth = 0.1 * jax.random.normal(jax.random.key(3), (4, 21))
  # The other way back is closed.
  stops = {'stop_root_gradient': True, 'stop_refiner_gradient': True}
  stops[f'stop_{through}_gradient'] = stop

  def refiner(relative_depth, rays, root_depth):
    return root_depth + relative_depth.mean(-1) + rays.sum((-2, -1))

  def root_depth(keypoints_2d, depth):
    output = assemble(
      keypoints_2d, depth, poses['intrinsics'], refiner=refiner, **stops
    )
    return output.root_depth.sum()

  gradients = jax.jit(jax.grad(root_depth, (0, 1)))(poses['keypoints_2d'], depth)
  for gradient in gradients:
    assert bool(jnp.all(gradient == 0)) is stop


@pytest.mark.parametrize(
  'options',
  [
    pytest.param(TINY, marks=pytest.mark.slow),
    {'name': 'keypoint_lifter', 'width': 16},
  ],
)
def test_both_models_take_the_calculated_root_depth_of_hands_that_cross_the_camera(
  options,
):
  model = models.create_model(options)
  batch = _poses(2) if options['name'] == 'keypoint_lifter' else _batch(2)
  variables = jax.jit(model.init)(jax.random.key(0), batch)
  if options['name'] == 'keypoint_lifter':
    variables['params']['root']['bias'] -= 20.0  # of the logarithm
  else:
    variables['params']['refiner']['residual']['bias'] -= 200.0
  found = jax.jit(model.apply)(variables, batch)
  assert found.root_depth_replaced.all()
  np.testing.assert_array_equal(found.root_depth, found.root_depth_calculated)
  np.testing.assert_allclose(
    found.joints_3d[..., 2], found.relative_depth + found.root_depth[:, None]
  )


def test_only_the_refined_root_depth_of_hands_that_cross_the_camera_is_replaced():
  poses = _poses(3)
  depth = 0.1 * jax.random.normal(jax.random.key(3), (3, 21))
  residual = jnp.array([-0.1, -200.0, jnp.nan])

  def predict(keep_in_front):
    return assemble(
      poses['keypoints_2d'],
      depth,
      poses['intrinsics'],
      refiner=lambda *inputs: inputs[-1] + residual,
      keep_in_front=keep_in_front,
    )

  kept, trained = predict(True), predict(False)
  np.testing.assert_array_equal(kept.root_depth_replaced, [False, True, False])
  np.testing.assert_array_equal(
    kept.root_depth - kept.root_depth_calculated,
    [trained.root_depth[0] - trained.root_depth_calculated[0], 0, np.nan],
  )
  assert not trained.root_depth_replaced.any() and trained.root_depth[1] < 0


@pytest.mark.parametrize('stop', [True, False])
def test_gradients_are_finite_when_all_keypoints_coincide(stop):
  refiner = RootRefiner()
  zeros = jnp.zeros((2, 21))
  variables = jax.jit(refiner.init)(
    jax.random.key(0), zeros, jnp.zeros((2, 21, 2)), jnp.ones(2)
  )

  def loss(keypoints_2d, depth):
    output = assemble(
      keypoints_2d,
      depth,
      jnp.tile(INTRINSICS, (2, 1, 1)),
      refiner=lambda *inputs: refiner.apply(variables, *inputs),
      stop_root_gradient=stop,
      stop_refiner_gradient=stop,
    )
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(output))

  grad = jax.jit(jax.value_and_grad(loss, (0, 1)))
  for keypoints_2d in (jnp.zeros((2, 21, 2)), jnp.full((2, 21, 2), 31.5)):
    value, gradients = grad(keypoints_2d, zeros)
    assert jnp.isfinite(value)
    assert all(jnp.all(jnp.isfinite(g)) for g in gradients)


def test_the_lifters_gradients_are_finite_when_all_keypoints_coincide():
  model = models.create_model({'name': 'keypoint_lifter', 'width': 16})
  batch = _poses()
  batch['keypoints_2d'] = jnp.full((4, 21, 2), 31.5)
  variables = jax.jit(model.init)(jax.random.key(0), batch)

  def loss(params, keypoints_2d):
    output = model.apply({'params': params}, {**batch, 'keypoints_2d': keypoints_2d})
    return jnp.sum(output.joints_3d**2)

  gradients = jax.jit(jax.grad(loss, (0, 1)))(
    variables['params'], batch['keypoints_2d']
  )
  assert all(jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(gradients))


def test_the_lifter_passes_keypoints_through_and_ignores_crops():
  model = models.create_model({'name': 'keypoint_lifter', 'width': 32})
  batch = _poses()
  variables = jax.jit(model.init)(jax.random.key(0), batch)
  apply = jax.jit(model.apply)
  output = apply(variables, batch)
  np.testing.assert_array_equal(output.keypoints_2d, batch['keypoints_2d'])
  crop = jnp.array([[2.5, 0, -40], [0, 2.5, 7], [0, 0, 1]])
  affine = jnp.tile(crop, (4, 1, 1))
  cropped = {
    'keypoints_2d': geometry.transform_keypoints(batch['keypoints_2d'], affine),
    'intrinsics': geometry.transform_intrinsics(batch['intrinsics'], affine),
  }
  again = apply(variables, cropped)
  np.testing.assert_allclose(again.relative_depth, output.relative_depth, atol=1e-4)
  np.testing.assert_allclose(again.joints_3d, output.joints_3d, rtol=1e-3, atol=1e-3)


def test_predicted_joints_project_onto_the_predicted_keypoints():
  output = _untrained(**TINY, root=0)
  projected = geometry.project(output.joints_3d, jnp.tile(INTRINSICS, (2, 1, 1)))
  np.testing.assert_allclose(projected, output.keypoints_2d, atol=1e-2)


@pytest.mark.parametrize(
  ('config', 'message'),
  [
    ({'name': 'posenet'}, r"'posenet'; choose one of \['keypoint_lifter', 'pose_net"),
    ({'depth': 50}, 'model name is None'),
    ({**TINY, 'widht': 4}, r"no option \['widht'\]; its options are \['depth', 'width"),
    ({**TINY, 'head': 'heat'}, r"head is 'heat'; choose one of \['regression'"),
    ({**TINY, 'depth': 20}, r'depth is 20; choose one of \[10, 18, 34, 50, 101, 152\]'),
    ({**TINY, 'stem': 'big'}, "stem is 'big'; choose one of"),
    ({**TINY, 'output_stride': 64}, 'output_stride is 64; choose one of'),
    (
      {**TINY, 'heatmap_stride': 3},
      r'heatmap_stride is 3; choose one of \[1, 2, 4, 8, 16\]',
    ),
    ({**TINY, 'dtype': 'int32'}, "dtype is int32; name one such as 'bfloat16'"),
    ({**TINY, 'width': 0}, 'width is 0; it must be at least 1'),
    ({**TINY, 'head_channels': -1}, 'head_channels is -1; it must be'),
    ({'name': 'keypoint_lifter', 'width': 0}, 'width is 0; it must be at least 1'),
    ({'name': 'keypoint_lifter', 'depth': -1}, 'depth is -1; it must be at least 0'),
    ({'name': 'keypoint_lifter', 'root': 30}, 'root is 30; it must be a joint'),
    ({**TINY, 'root': -1}, 'root is -1; it must be a joint'),
    ({**TINY, 'reference': [9, 30]}, r'reference is two .* not \(9, 30\)'),
    ({**TINY, 'reference': [9, 9]}, 'reference is two different joints'),
    ({**TINY, 'reference': [9]}, 'reference is two different joints'),
    ({**TINY, 'root_depth_bounds': (100.0, 3.0)}, r'depth_bounds are \(100.0, 3.0\)'),
    ({**TINY, 'root_depth_bounds': (3.0, float('nan'))}, 'depth_bounds are'),
    ({**TINY, 'dtype': 'float23'}, "dtype is 'float23'; name one such as 'bfloat16'"),
  ],
)
def test_a_wrong_model_config_is_told_in_a_sentence(config, message):
  with pytest.raises(ValueError, match=message):
    models.create_model(config)


@pytest.mark.parametrize(
  ('config', 'change', 'message'),
  [
    (TINY, {'image': jnp.zeros((32, 32, 3))}, r'image has shape \(32, 32, 3\)'),
    (TINY, {'image': jnp.zeros((1, 32, 32, 3), jnp.uint8)}, 'image is uint8; convert'),
    (TINY, {'intrinsics': INTRINSICS}, r'intrinsics has shape \(3, 3\); expected \(1'),
    (
      {'name': 'keypoint_lifter'},
      {'keypoints_2d': jnp.zeros((1, 20, 2))},
      r'keypoints_2d has shape \(1, 20, 2\); expected \(batch, 21, 2\)',
    ),
  ],
)
def test_a_wrong_shape_is_told_in_a_sentence(config, change, message):
  model = models.create_model(config)
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(model.init, jax.random.key(0), {**_batch(), **change})


@pytest.mark.parametrize(
  'config', [TINY | {'head': 'regression'}, {'name': 'keypoint_lifter', 'width': 8}]
)
def test_a_batch_of_none_gives_hands_of_none(config):
  one = {**_batch(), 'keypoints_2d': jnp.zeros((1, 21, 2))}
  none = {name: value[:0] for name, value in one.items()}
  model = models.create_model(config)
  variables = jax.eval_shape(model.init, jax.random.key(0), one)
  output = jax.eval_shape(model.apply, variables, none)
  assert output.joints_3d.shape == (0, 21, 3)


@pytest.mark.usefixtures('full_compilation')
def test_the_roots_own_depth_error_has_no_gradient():
  """Compiled, Z/s - Z/s may become a fused operation whose result is not quite 0."""
  poses = _poses(16)
  noise = jax.random.normal(jax.random.key(2), (16, 21, 4))
  depth, joints = noise[..., 3], noise[..., :3].at[..., 2].add(15.0)

  @jax.jit
  @jax.grad
  def gradient(bias, depth, joints):
    output = assemble(
      poses['keypoints_2d'], depth + 2 * bias[None], poses['intrinsics']
    )
    target = pose25d.to_pose25d(joints, poses['intrinsics'])
    return jnp.abs(output.relative_depth - target.relative_depth).sum()

  root, *others = gradient(jnp.zeros(21), depth, joints)
  assert root == -sum(others)
