"""ResNet 18 to 152 (He et al. 2016) as a feature extractor.

The structure is that of torchvision ("v1.5": the stride of a bottleneck sits in its
3x3 convolution), with torch's explicit paddings, and submodules are named after
torchvision's (`layer1.0.conv1` is `layer1_0/conv1` here), so that weights trained
elsewhere can be carried over name by name.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Blocks per stage, and whether the blocks are bottlenecks.
DEPTHS = {
  18: ((2, 2, 2, 2), False),
  34: ((3, 4, 6, 3), False),
  50: ((3, 4, 6, 3), True),
  101: ((3, 4, 23, 3), True),
  152: ((3, 8, 36, 3), True),
}
STEMS = ('imagenet', 'small', 'strided')
OUTPUT_STRIDES = (8, 16, 32)

conv_init = nn.initializers.variance_scaling(2.0, 'fan_out', 'truncated_normal')


def batch_norm(train: bool, dtype: jnp.dtype) -> Callable[..., nn.BatchNorm]:
  """Makes torch's BatchNorm: float32 parameters and statistics at any `dtype`.

  Args:
    train: True normalises by the batch's statistics and updates the running ones.
    dtype: type of the output.

  Returns:
    A constructor that takes the remaining arguments of `nn.BatchNorm`.
  """
  return functools.partial(
    nn.BatchNorm,
    use_running_average=not train,
    momentum=0.9,
    epsilon=1e-5,
    dtype=dtype,
  )


class PointwiseConv(nn.Module):
  """A 1x1 convolution without bias, as the product of two matrices.

  XLA's convolutions on CPUs take twice as long, their gradients more (benchmarks/
  train_step.py); on other devices it makes no difference.

  Attributes:
    features: channels of the output.
    stride: takes every so-manyth row and column.
    dtype: type of the computation.
  """

  features: int
  stride: int = 1
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 c2']:
    shape = (1, 1, x.shape[-1], self.features)
    kernel = self.param('kernel', conv_init, shape)
    x = x[:, :: self.stride, :: self.stride]
    return _product(x.astype(self.dtype), kernel[0, 0].astype(self.dtype))


@jax.custom_vjp
def _product(
  x: Float[Array, 'b h w c'], kernel: Float[Array, 'c c2']
) -> Float[Array, 'b h w c2']:
  return x @ kernel


def _product_forward(x, kernel):
  return x @ kernel, (x, kernel)


def _product_backward(saved, gradient):
  """As JAX would do it, but by matrices: with four axes XLA transposes them first."""
  x, kernel = saved
  rows, gradient_rows = (y.reshape(-1, y.shape[-1]) for y in (x, gradient))
  return gradient @ kernel.T, rows.T @ gradient_rows


_product.defvjp(_product_forward, _product_backward)


class ResNetBlock(nn.Module):
  """A residual block: two 3x3 convolutions, or a 1x1-3x3-1x1 bottleneck.

  Attributes:
    features: channels of the 3x3 convolution; a bottleneck puts out four times more.
    stride: stride of the block (in the first 3x3 of either kind).
    bottleneck: which of the two kinds.
    zero_init_residual: start the last BatchNorm's scale at zero, which makes the
      block the identity at first.
    dtype: type of the computation.
  """

  features: int
  stride: int = 1
  bottleneck: bool = False
  zero_init_residual: bool = True
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b h w c'], train: bool
  ) -> Float[Array, 'b h2 w2 c2']:
    norm = batch_norm(train, self.dtype)
    # (channels, kernel size, stride) of each convolution.
    plan = [(self.features, 3, self.stride), (self.features, 3, 1)]
    if self.bottleneck:
      plan = [
        (self.features, 1, 1),
        (self.features, 3, self.stride),
        (4 * self.features, 1, 1),
      ]
    y = x
    for i, (channels, size, stride) in enumerate(plan, start=1):
      y = _conv(channels, size, stride, self.dtype, name=f'conv{i}')(y)
      if i < len(plan):
        y = nn.relu(norm(name=f'bn{i}')(y))
      else:
        scale_init = nn.initializers.constant(0 if self.zero_init_residual else 1)
        y = norm(name=f'bn{i}', scale_init=scale_init)(y)
    if y.shape != x.shape:
      x = _conv(y.shape[-1], 1, self.stride, self.dtype, name='downsample_conv')(x)
      x = norm(name='downsample_bn')(x)
    return nn.relu(x + y)


class ResNet(nn.Module):
  """The convolutional part of a ResNet.

  Attributes:
    depth: 18, 34, 50, 101 or 152.
    width: channels of the stem and the first stage; 64 is the standard network.
    stem: 'imagenet' (7x7 convolution of stride 2, then max-pooling: stages of
      strides 4, 8, 16 and 32); for images of about 64 px 'small' (one 3x3 convolution
      of stride 2: strides 2, 4, 8 and 16) or 'strided' (two of them: strides 4, 8, 16
      and 32, without the max-pooling, whose gradient is slow on CPUs).
    output_stride: the coarsest stride; stages that would go beyond keep their
      resolution instead. Below 4x4 cells convolutions are slow on CPUs, so 16 suits
      64 px.
    zero_init_residual: start every residual block as the identity.
    dtype: type of the computation; parameters and statistics are float32.
  """

  depth: int = 50
  width: int = 64
  stem: str = 'imagenet'
  output_stride: int = 32
  zero_init_residual: bool = True
  dtype: jnp.dtype = jnp.float32

  def __post_init__(self):
    check(self.depth, self.stem, self.output_stride)
    super().__post_init__()

  @nn.compact
  def __call__(
    self, images: Float[Array, 'b height width 3'], train: bool = False
  ) -> tuple[Float[Array, 'b h w c'], ...]:
    """Computes the feature maps of the four stages.

    Args:
      images: normalised images of any size.
      train: True uses and updates the batch's statistics.

    Returns:
      The four stages' feature maps, finest first; the last is the network's output.
    """
    x = self._stem(images.astype(self.dtype), train)
    total_stride = 2 if self.stem == 'small' else 4
    blocks, bottleneck = DEPTHS[self.depth]
    stages = []
    for stage, num_blocks in enumerate(blocks):
      stride = 2 if stage > 0 and total_stride < self.output_stride else 1
      total_stride *= stride
      for block in range(num_blocks):
        x = ResNetBlock(
          features=self.width * 2**stage,
          stride=stride if block == 0 else 1,
          bottleneck=bottleneck,
          zero_init_residual=self.zero_init_residual,
          dtype=self.dtype,
          name=f'layer{stage + 1}_{block}',
        )(x, train)
      stages.append(x)
    return tuple(stages)

  def _stem(self, x: Float[Array, 'b height width 3'], train: bool):
    norm = batch_norm(train, self.dtype)
    size = 7 if self.stem == 'imagenet' else 3
    x = nn.relu(norm(name='bn1')(_conv(self.width, size, 2, self.dtype, 'conv1')(x)))
    if self.stem == 'imagenet':
      x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
    elif self.stem == 'strided':
      x = nn.relu(norm(name='bn2')(_conv(self.width, 3, 2, self.dtype, 'conv2')(x)))
    return x


def check(depth: int, stem: str, output_stride: int) -> None:
  """Raises a ValueError that lists the choices if one of a ResNet's is wrong."""
  for name, value, choices in [
    ('depth', depth, DEPTHS),
    ('stem', stem, STEMS),
    ('output_stride', output_stride, OUTPUT_STRIDES),
  ]:
    if value not in choices:
      raise ValueError(f'{name} is {value!r}; choose one of {list(choices)}.')


def _conv(features: int, size: int, stride: int, dtype: jnp.dtype, name: str):
  if size == 1:
    return PointwiseConv(features, stride, dtype, name=name)
  # Explicit padding, because 'SAME' pads strided convolutions unlike torch.
  pad = (size - 1) // 2
  return nn.Conv(
    features,
    (size, size),
    strides=(stride, stride),
    padding=((pad, pad), (pad, pad)),
    use_bias=False,
    kernel_init=conv_init,
    dtype=dtype,
    name=name,
  )
