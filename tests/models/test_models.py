"""Claims about the networks, checked against published counts and known answers."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import geometry, models, pose25d
from bmc_jax.models.batch_norm import BatchNorm
from bmc_jax.models.convolution import convolve
from bmc_jax.models.heads import HeatmapHead, soft_argmax
from bmc_jax.models.output import assemble
from bmc_jax.models.refiner import RootRefiner
from bmc_jax.models.resnet import ResNet, ResNetBlock

# torchvision's published counts, with a classifier of 1000 classes.
TORCHVISION_PARAMETERS = {
  18: (11_689_512, 512),
  34: (21_797_672, 512),
  50: (25_557_032, 2048),
  101: (44_549_160, 2048),
  152: (60_192_808, 2048),
}
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


def _window(x, i, j, reach):
  top, left = max(2 * i - reach, 0), max(2 * j - reach, 0)
  return x[top : 2 * i + reach + 1, left : 2 * j + reach + 1]


@functools.cache
def _untrained(**options):
  """What an untrained model says of a batch of two, or of four poses."""
  batch = _poses() if options['name'] == 'keypoint_lifter' else _batch(2)
  return _apply(models.create_model(options), batch)


def _apply(model, batch):
  example = batch if 'keypoints_2d' in batch else _batch()
  variables = jax.jit(model.init)(jax.random.key(0), example)
  return jax.jit(model.apply)(variables, batch)


def _assert_same_gradients(ours, other, *inputs, tolerance=2e-5):
  """Asserts that two functions and their gradients agree."""

  def value_and_gradients(function):
    y, pull_back = jax.vjp(function, *inputs)
    return y, pull_back(jnp.cos(y))

  for a, b in zip(
    jax.tree.leaves(jax.jit(lambda: value_and_gradients(ours))()),
    jax.tree.leaves(jax.jit(lambda: value_and_gradients(other))()),
    strict=True,
  ):
    assert a.shape == b.shape and a.dtype == b.dtype
    scale = tolerance * jnp.abs(b.astype(jnp.float32)).max()
    np.testing.assert_allclose(
      a.astype(jnp.float32), b.astype(jnp.float32), atol=float(scale)
    )


@pytest.mark.parametrize('side', [7, 8])
@pytest.mark.parametrize(('size', 'stride'), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
def test_convolutions_are_those_of_xla(size, stride, side):
  x = jax.random.normal(jax.random.key(0), (2, side, side + 2, 5))
  kernel = jax.random.normal(jax.random.key(1), (size, size, 5, 3))
  pad = ((size // 2, size // 2),) * 2
  _assert_same_gradients(
    lambda x, kernel: convolve(x, kernel, stride),
    lambda x, kernel: jax.lax.conv_general_dilated(
      x, kernel, (stride, stride), pad, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    ),
    x,
    kernel,
  )


@pytest.mark.parametrize(
  ('dtype', 'tolerance'), [('float32', 2e-5), ('bfloat16', 0.02)]
)
def test_batch_normalisation_is_that_of_flax(dtype, tolerance):
  x = 3 + 2 * jax.random.normal(jax.random.key(0), (4, 5, 6, 7))
  scale, bias = jax.random.normal(jax.random.key(1), (2, 7))
  params = {'scale': scale, 'bias': bias}
  statistics = {'mean': bias, 'var': scale**2}
  options = {'momentum': 0.9, 'epsilon': 1e-5, 'dtype': jnp.dtype(dtype)}

  def training(module, params, x):
    variables = {'params': params, 'batch_stats': statistics}
    return module.apply(variables, x, mutable=['batch_stats'])

  ours, flax = (m(False, **options) for m in (BatchNorm, nn.BatchNorm))
  _assert_same_gradients(
    lambda params, x: training(ours, params, x)[0],
    lambda params, x: training(flax, params, x)[0],
    params,
    x.astype(dtype),
    tolerance=tolerance,
  )
  for a, b in zip(
    *(
      jax.tree.leaves(jax.jit(lambda m=m: training(m, params, x)[1])())
      for m in (ours, flax)
    ),
    strict=True,
  ):
    np.testing.assert_allclose(a, b, rtol=2e-3 if dtype == 'bfloat16' else 1e-5)
  ours, flax = (m(True, **options) for m in (BatchNorm, nn.BatchNorm))
  variables = {'params': params, 'batch_stats': statistics}
  found, wanted = jax.jit(lambda: [m.apply(variables, x) for m in (ours, flax)])()
  assert found.dtype == wanted.dtype == dtype
  np.testing.assert_allclose(
    found.astype(jnp.float32), wanted.astype(jnp.float32), atol=10 * tolerance
  )


@pytest.mark.parametrize('depth', TORCHVISION_PARAMETERS)
def test_resnets_have_torchvisions_number_of_parameters(depth):
  images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
  variables = jax.eval_shape(ResNet(depth).init, jax.random.key(0), images)
  total, features = TORCHVISION_PARAMETERS[depth]
  classifier = (features + 1) * 1000
  assert models.count_parameters(variables['params']) == total - classifier


@pytest.mark.parametrize(
  ('stem', 'output_stride', 'strides'),
  [
    ('imagenet', 32, (4, 8, 16, 32)),
    ('imagenet', 8, (4, 8, 8, 8)),
    ('small', 32, (2, 4, 8, 16)),
    ('strided', 16, (4, 8, 16, 16)),
  ],
)
@pytest.mark.parametrize('side', [64, 75])
def test_stages_have_the_promised_strides(stem, output_stride, strides, side):
  resnet = ResNet(18, width=4, stem=stem, output_stride=output_stride)
  images = jnp.zeros((2, side, side, 3))
  stages, _ = jax.eval_shape(resnet.init_with_output, jax.random.key(0), images)
  expected = [
    (2, -(-side // s), -(-side // s), 4 * 2**i) for i, s in enumerate(strides)
  ]
  assert [stage.shape for stage in stages] == expected


def test_strided_convolutions_and_pooling_pad_as_torch_does():
  resnet = ResNet(18, width=1)
  images = jax.random.uniform(jax.random.key(0), (1, 32, 32, 3))
  variables = jax.jit(resnet.init)(jax.random.key(0), images)
  variables['params']['conv1']['kernel'] = jnp.ones((7, 7, 3, 1))
  # Residual blocks start as the identity: the first stage is the pooled stem.
  pooled = jax.jit(lambda v: resnet.apply(v, images)[0])(variables)[0, :, :, 0]
  # Torch pads both sides alike: window i is centred on row 2i ('SAME' is not).
  image = np.asarray(images[0].sum(-1))
  stem = np.array(
    [[_window(image, i, j, 3).sum() for j in range(16)] for i in range(16)]
  )
  expected = [[_window(stem, i, j, 1).max() for j in range(8)] for i in range(8)]
  np.testing.assert_allclose(pooled, np.array(expected) / np.sqrt(1 + 1e-5), rtol=1e-5)


@pytest.mark.parametrize('zero_init', [True, False])
def test_residual_blocks_start_as_the_identity_if_asked(zero_init):
  block = ResNetBlock(features=4, zero_init_residual=zero_init)
  x = jax.random.uniform(jax.random.key(0), (1, 8, 8, 4))
  y, _ = block.init_with_output(jax.random.key(1), x, train=False)
  assert bool(jnp.all(x == y)) is zero_init


@pytest.mark.slow
def test_bfloat16_keeps_parameters_statistics_and_geometry_in_float32():
  model = models.create_model({**TINY, 'dtype': 'bfloat16'})
  batch = _batch(2)
  variables = jax.jit(model.init)(jax.random.key(0), batch)
  train = functools.partial(model.apply, train=True, mutable=['batch_stats'])
  output, updates = jax.jit(train)(variables, batch)
  for leaf in jax.tree.leaves((variables, output, updates)):
    assert leaf.dtype == jnp.float32
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


def test_soft_argmax_of_a_peak_is_its_pixel():
  cells = np.random.default_rng(0).integers(0, 16, (5, 21, 2))
  logits = np.zeros((5, 16, 16, 21), np.float32)
  for b, k in np.ndindex(5, 21):
    logits[b, cells[b, k, 1], cells[b, k, 0], k] = 1e4
  # A cell of 4 pixels, such as 0 to 3, has its centre at 1.5.
  keypoints_2d, weights = soft_argmax(jnp.asarray(logits), (64, 64))
  np.testing.assert_allclose(keypoints_2d, 4 * cells + 1.5, atol=1e-4)
  np.testing.assert_allclose(weights.sum((1, 2)), 1, atol=1e-6)


def test_heatmap_keypoints_follow_a_shift_of_the_features():
  head = HeatmapHead(channels=8, stride=4)
  rng = np.random.default_rng(0)
  coarse = np.zeros((1, 16, 16, 8), np.float32)
  coarse[0, 4:6, 6:8] = 1e4 * rng.standard_normal((2, 2, 8))
  stages = [np.zeros((1, 32, 32, 4), np.float32), coarse]
  moved = [stages[0], np.roll(coarse, (3, 2), (1, 2))]

  @jax.jit
  def run(stages, moved):
    variables = head.init(jax.random.key(0), stages, (128, 128))
    return [head.apply(variables, each, (128, 128)) for each in (stages, moved)]

  (keypoints_2d, depth), (keypoints_moved, depth_moved) = run(stages, moved)
  # Joints whose map answers to the features with a peak; the others stay flat.
  peaked = np.ptp(keypoints_2d - keypoints_moved, axis=-1)[0] > 1
  assert peaked.sum() > 5
  shift = (keypoints_moved - keypoints_2d)[0, peaked]
  np.testing.assert_allclose(shift, np.tile([16.0, 24.0], (len(shift), 1)), atol=1e-2)
  np.testing.assert_allclose(depth[0, peaked], depth_moved[0, peaked], rtol=1e-4)


@pytest.mark.parametrize('stride', [2, 4, 8, 16])
def test_heatmaps_have_the_asked_stride(stride):
  head = HeatmapHead(channels=8, stride=stride)
  stages = [jnp.ones((1, s, s, 4)) for s in (16, 8, 4, 4)]

  def run(stages):
    variables = head.init(jax.random.key(0), stages, (64, 64))
    return head.apply(variables, stages, (64, 64), capture_intermediates=True)[1]

  state = jax.eval_shape(run, stages)
  maps = state['intermediates']['output']['__call__'][0]
  assert maps.shape == (1, 64 // stride, 64 // stride, 42)


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
