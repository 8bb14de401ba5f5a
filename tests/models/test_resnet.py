"""The ResNet and its layers, checked against XLA, Flax, torch and published counts."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import models
from bmc_jax.models.batch_norm import BatchNorm
from bmc_jax.models.convolution import convolve
from bmc_jax.models.resnet import ResNet, ResNetBlock

# Published counts, with a classifier of 1000 classes.
PUBLISHED_PARAMETERS = {
  10: (5_418_792, 512),
  18: (11_689_512, 512),
  34: (21_797_672, 512),
  50: (25_557_032, 2048),
  101: (44_549_160, 2048),
  152: (60_192_808, 2048),
}


def _window(x, i, j, reach):
  top, left = max(2 * i - reach, 0), max(2 * j - reach, 0)
  return x[top : 2 * i + reach + 1, left : 2 * j + reach + 1]


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


@pytest.mark.parametrize('depth', PUBLISHED_PARAMETERS)
def test_resnets_have_the_published_number_of_parameters(depth):
  images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
  variables = jax.eval_shape(ResNet(depth).init, jax.random.key(0), images)
  total, features = PUBLISHED_PARAMETERS[depth]
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
