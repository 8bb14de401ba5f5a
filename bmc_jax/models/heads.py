"""Heads that turn feature maps into 2.5D hands: regression and soft-argmax heatmaps.

Both return keypoints in pixels of the input image (pixel centres at integers) and
depths in reference bones. Depths are relative only up to a constant here; the root's
value is subtracted where the output is assembled.
"""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bmc_jax.models.batch_norm import BatchNorm
from bmc_jax.models.convolution import Conv
from bmc_jax.skeleton import NUM_JOINTS

# Hands span about +-4 reference bones in depth, with a standard deviation near 2.
_DEPTH_SCALE = 2.0


class RegressionHead(nn.Module):
  """The paper's head: global average pooling and one dense layer."""

  @nn.compact
  def __call__(
    self,
    stages: Sequence[Float[Array, 'b h w c']],
    image_size: tuple[int, int],
    train: bool = False,
  ) -> tuple[Float[Array, 'b 21 2'], Float[Array, 'b 21']]:
    """Regresses keypoints and depths.

    Args:
      stages: feature maps, finest first; the last one is read.
      image_size: height and width of the image, px.
      train: not read; the heads share one signature.

    Returns:
      Keypoints (px) and depths (reference bones, up to a constant), float32.
    """
    x = jnp.mean(stages[-1].astype(jnp.float32), axis=(1, 2))
    x = nn.Dense(3 * NUM_JOINTS, name='dense')(x)
    x = x.reshape(x.shape[0], NUM_JOINTS, 3)
    # -1..1 covers the crop, whose pixel centres are 0..size-1.
    half = jnp.array([[[image_size[1], image_size[0]]]], jnp.float32) / 2
    keypoints_2d = (1 + x[..., :2]) * half - 0.5
    return keypoints_2d, _DEPTH_SCALE * x[..., 2]


class HeatmapHead(nn.Module):
  """Latent 2.5D heatmaps (Iqbal et al. 2018).

  The deepest feature map is upsampled step by step; each step adds the stage of that
  resolution where there is one. A joint's position is the expectation of its heatmap
  and its depth the expectation of its latent depth map under the same weights. The
  logits are sown into the collection 'heatmaps', for a loss on the maps themselves.

  Attributes:
    channels: channels of the upsampling path.
    stride: image pixels per heatmap cell, a power of two.
    dtype: type of the convolutions; softmax and expectations are float32.
  """

  channels: int = 64
  stride: int = 4
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(
    self,
    stages: Sequence[Float[Array, 'b h w c']],
    image_size: tuple[int, int],
    train: bool = False,
  ) -> tuple[Float[Array, 'b 21 2'], Float[Array, 'b 21']]:
    """Computes keypoints and depths from heatmaps.

    Args:
      stages: feature maps, finest first, each half as large as the one before.
      image_size: height and width of the image, px.
      train: True uses and updates the batch's statistics.

    Returns:
      Keypoints (px) and depths (reference bones, up to a constant), float32.
    """
    target = -(-image_size[0] // self.stride)
    conv = functools.partial(Conv, self.channels, dtype=self.dtype)
    x = conv(1, name='input')(stages[-1])
    skips = list(stages[:-1])
    level = 0
    while x.shape[1] < target or (skips and skips[-1].shape[1] == x.shape[1]):
      level += 1
      if not skips or skips[-1].shape[1] > x.shape[1]:
        x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
      if skips:
        skip = conv(1, name=f'skip{level}')(skips.pop())
        # Odd sizes: the stage has one row or column less than twice the coarser one.
        x = x[:, : skip.shape[1], : skip.shape[2]] + skip
      x = nn.relu(BatchNorm(not train, dtype=self.dtype, name=f'bn{level}')(x))
      x = conv(3, name=f'conv{level}')(x)
    x = nn.relu(BatchNorm(not train, dtype=self.dtype, name='bn_output')(x))
    x = nn.Conv(2 * NUM_JOINTS, (1, 1), dtype=self.dtype, name='output')(x)
    logits, depth = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    sharpness = jnp.exp(
      self.param('log_sharpness', nn.initializers.zeros, (1, 1, 1, NUM_JOINTS))
    )
    logits = logits * sharpness
    self.sow('heatmaps', 'logits', logits)
    keypoints_2d, weights = soft_argmax(logits, image_size)
    return keypoints_2d, _DEPTH_SCALE * jnp.sum(weights * depth, axis=(1, 2))


def soft_argmax(
  logits: Float[Array, 'b h w k'], image_size: tuple[int, int]
) -> tuple[Float[Array, 'b k 2'], Float[Array, 'b h w k']]:
  """Takes the expected position under the softmax over each heatmap.

  Args:
    logits: one map per joint; the cells divide the image evenly.
    image_size: height and width of the image, px.

  Returns:
    Positions (px, pixel centres at integers) and the softmax weights.
  """
  batch, height, width, joints = logits.shape
  flat = jax.nn.softmax(logits.reshape(batch, height * width, joints), axis=1)
  weights = flat.reshape(logits.shape)
  y = (jnp.arange(height) + 0.5) * (image_size[0] / height) - 0.5
  x = (jnp.arange(width) + 0.5) * (image_size[1] / width) - 0.5
  u = jnp.einsum('bhwk,w->bk', weights, x)
  v = jnp.einsum('bhwk,h->bk', weights, y)
  return jnp.stack([u, v], axis=-1), weights
