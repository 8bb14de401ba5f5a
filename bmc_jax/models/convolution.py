"""Convolutions whose gradients are fast on CPUs, too.

XLA's gradients of 1x1 and of strided convolutions take half of a ResNet's training step
on a CPU. As products of matrices they take much less; on other devices strided
convolutions keep XLA's own (benchmarks/train_step.py). There are gradients in reverse
mode only (no `jax.jvp`).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_kernel_init = nn.initializers.variance_scaling(2.0, 'fan_out', 'truncated_normal')


class Conv(nn.Module):
  """A convolution without bias, padded like torch's.

  Attributes:
    features: channels of the output.
    size: of the kernel, odd.
    stride: along both axes.
    dtype: type of the computation.
  """

  features: int
  size: int
  stride: int = 1
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 c2']:
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.param('kernel', _kernel_init, shape)
    return convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride)


def convolve(
  x: Float[Array, 'b h w c'], kernel: Float[Array, 'k k c c2'], stride: int
) -> Float[Array, 'b h2 w2 c2']:
  """A convolution, padded like torch's: by (k - 1) / 2 on every side.

  'SAME' would pad strided convolutions unlike torch.

  Args:
    x: feature maps.
    kernel: k is odd.
    stride: along both axes.

  Raises:
    ValueError: k is even.
  """
  if kernel.shape[0] % 2 == 0:
    raise ValueError(f'The kernel is {kernel.shape}; its size must be odd.')
  if kernel.shape[0] == 1:
    return _by_products(x, kernel, stride=stride)
  if stride == 1:
    return _by_xla(x, kernel, stride=stride)
  return _strided(x, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _strided(x, kernel, stride):
  return _by_xla(x, kernel, stride=stride)


def _strided_forward(x, kernel, stride):
  return _by_xla(x, kernel, stride=stride), (x, kernel)


def _strided_backward(stride, saved, cotangent):
  def gradients_of(convolution, x, kernel, cotangent):
    _, pull_back = jax.vjp(functools.partial(convolution, stride=stride), x, kernel)
    return pull_back(cotangent)

  return jax.lax.platform_dependent(
    *saved,
    cotangent,
    cpu=functools.partial(gradients_of, _by_products),
    default=functools.partial(gradients_of, _by_xla),
  )


_strided.defvjp(_strided_forward, _strided_backward)


def _by_xla(x, kernel, *, stride):
  pad = kernel.shape[0] // 2
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    window_strides=(stride, stride),
    padding=((pad, pad), (pad, pad)),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def _by_products(x, kernel, *, stride):
  """The sum of a matrix product for each row of the kernel."""
  size, _, channels, features = kernel.shape
  pad = size // 2
  height, width = ((n - 1) // stride + 1 for n in x.shape[1:3])
  x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  columns = [_every(x, 2, j, stride, width) for j in range(size)]
  x = jnp.concatenate(columns, axis=-1) if size > 1 else columns[0]
  kernel = kernel.reshape(size, size * channels, features)
  rows = [_every(x, 1, i, stride, height) for i in range(size)]
  return functools.reduce(jnp.add, map(_product, rows, kernel))


def _every(x, axis, start, stride, count):
  """`count` slices along an axis, `stride` apart."""
  end = start + stride * (count - 1) + 1
  return jax.lax.slice_in_dim(x, start, end, stride, axis)


@jax.custom_vjp
def _product(
  x: Float[Array, 'b h w c'], matrix: Float[Array, 'c c2']
) -> Float[Array, 'b h w c2']:
  return x @ matrix


def _product_forward(x, matrix):
  return x @ matrix, (x, matrix)


def _product_backward(saved, cotangent):
  """As JAX would do it, but by matrices: with four axes XLA transposes them first."""
  x, matrix = saved
  rows, cotangent_rows = (y.reshape(-1, y.shape[-1]) for y in (x, cotangent))
  return cotangent @ matrix.T, rows.T @ cotangent_rows


_product.defvjp(_product_forward, _product_backward)
