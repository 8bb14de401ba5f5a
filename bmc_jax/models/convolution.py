"""Convolutions and pooling whose gradients are fast on CPUs, too.

XLA's gradients of strided convolutions, of 1x1 convolutions and of max-pooling take
most of a ResNet's training step on a CPU. As products of matrices and maxima of slices
they take half as long; other devices keep XLA's own (benchmarks/train_step.py).

They have gradients in reverse mode only (no `jax.jvp`). Where the greatest values of a
window of max-pooling are equal, they share the gradient on CPUs; elsewhere the first
has it all.
"""

import functools
from collections.abc import Callable

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
  return _with_cpu_gradient(
    functools.partial(_by_xla, stride=stride),
    functools.partial(_by_products, stride=stride),
  )(x, kernel)


def max_pool(x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 c']:
  """The greatest of each 3x3 window, at stride 2, padded by 1 on every side."""
  return _with_cpu_gradient(_max_pool_by_xla, _max_pool_by_slices)(x)


def _with_cpu_gradient(function: Callable, on_cpu: Callable) -> Callable:
  """`function`, but on CPUs with the gradient of `on_cpu`, which computes the same."""

  def gradient(function, cotangent, *arguments):
    return jax.vjp(function, *arguments)[1](cotangent)

  def backward(arguments, cotangent):
    return jax.lax.platform_dependent(
      cotangent,
      *arguments,
      cpu=functools.partial(gradient, on_cpu),
      default=functools.partial(gradient, function),
    )

  wrapped = jax.custom_vjp(function)
  wrapped.defvjp(lambda *arguments: (function(*arguments), arguments), backward)
  return wrapped


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


def _max_pool_by_xla(x):
  return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


def _max_pool_by_slices(x):
  """Along one axis after the other: six slices instead of nine."""
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
  for axis in (1, 2):
    count = (x.shape[axis] - 3) // 2 + 1
    slices = [_every(x, axis, i, 2, count) for i in range(3)]
    x = functools.reduce(jnp.maximum, slices)
  return x
