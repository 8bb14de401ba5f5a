"""ResNet 10 to 152 (He et al. 2016) as a feature extractor.

The structure is that of torchvision ("v1.5": the stride of a bottleneck sits in its
3x3 convolution), with torch's explicit paddings, and submodules are named after
torchvision's (`layer1.0.conv1` is `layer1_0/conv1` here), so that weights trained
elsewhere can be carried over name by name.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from bmc_jax.models.batch_norm import BatchNorm
from bmc_jax.models.convolution import Conv

# Blocks per stage, and whether the blocks are bottlenecks.
DEPTHS = {
  10: ((1, 1, 1, 1), False),
  18: ((2, 2, 2, 2), False),
  34: ((3, 4, 6, 3), False),
  50: ((3, 4, 6, 3), True),
  101: ((3, 4, 23, 3), True),
  152: ((3, 8, 36, 3), True),
}
STEMS = ('imagenet', 'small', 'strided')
OUTPUT_STRIDES = (8, 16, 32)


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
    norm = functools.partial(BatchNorm, not train, dtype=self.dtype)
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
      y = Conv(channels, size, stride, self.dtype, name=f'conv{i}')(y)
      if i < len(plan):
        y = nn.relu(norm(name=f'bn{i}')(y))
      else:
        scale_init = nn.initializers.constant(0 if self.zero_init_residual else 1)
        y = norm(name=f'bn{i}', scale_init=scale_init)(y)
    if y.shape != x.shape:
      x = Conv(y.shape[-1], 1, self.stride, self.dtype, name='downsample_conv')(x)
      x = norm(name='downsample_bn')(x)
    return nn.relu(x + y)


class ResNet(nn.Module):
  """The convolutional part of a ResNet.

  Attributes:
    depth: 10, 18, 34, 50, 101 or 152.
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
    norm = functools.partial(BatchNorm, not train, dtype=self.dtype)
    size = 7 if self.stem == 'imagenet' else 3
    x = Conv(self.width, size, 2, self.dtype, name='conv1')(x)
    x = nn.relu(norm(name='bn1')(x))
    if self.stem == 'imagenet':
      # Nothing is below 0 here, so zeros around it pad as torch's -inf does; and
      # jax2onnx leaves out the padding of a pooling without a word.
      x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
      x = nn.max_pool(x, window_shape=(3, 3), strides=(2, 2))
    elif self.stem == 'strided':
      x = Conv(self.width, 3, 2, self.dtype, name='conv2')(x)
      x = nn.relu(norm(name='bn2')(x))
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
