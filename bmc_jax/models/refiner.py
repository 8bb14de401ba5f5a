"""The refiner (paper 3.2): a small MLP that corrects the calculated root depth."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from bmc_jax.skeleton import NUM_JOINTS

# Rough spread of each input, which brings all 64 numbers to order one: depths in scale
# units, rays (tangents of the viewing angle), and the logarithm of the root depth
# about its usual value of some 15 reference bones (half a metre).
_DEPTH_SPREAD = 2.0
_RAY_SPREAD = 0.2
_USUAL_ROOT_DEPTH = 15.0


class RootRefiner(nn.Module):
  """Adds a learned residual to the calculated root depth.

  The input is the paper's: relative depths (21), rays of the keypoints (42) and the
  calculated root depth (1). The hidden layers use LayerNorm: it treats every sample by
  itself, so that batches of one work and the labelled and the weakly labelled half of a
  batch do not share statistics. The last layer starts at zero, so an untrained refiner
  returns the calculated depth unchanged.

  Attributes:
    hidden: widths of the hidden layers.
  """

  hidden: tuple[int, ...] = (128, 128)

  @nn.compact
  def __call__(
    self,
    relative_depth: Float[Array, '*b 21'],
    rays: Float[Array, '*b 21 2'],
    root_depth: Float[Array, '*b'],
  ) -> Float[Array, '*b']:
    """Refines root depths.

    Args:
      relative_depth: depths relative to the root, in reference bones.
      rays: viewing rays `K^-1 [u, v, 1]` without the constant 1.
      root_depth: calculated root depths, in reference bones.

    Returns:
      Refined root depths, in reference bones.
    """
    # The floor only guards the logarithm; calculated depths are positive.
    log_depth = jnp.log(jnp.maximum(root_depth, 1e-3) / _USUAL_ROOT_DEPTH)
    x = jnp.concatenate(
      [
        relative_depth / _DEPTH_SPREAD,
        rays.reshape(*rays.shape[:-2], 2 * NUM_JOINTS) / _RAY_SPREAD,
        log_depth[..., None],
      ],
      axis=-1,
    )
    for i, features in enumerate(self.hidden):
      x = nn.Dense(features, name=f'dense{i}')(x)
      x = nn.leaky_relu(nn.LayerNorm(name=f'norm{i}')(x))
    residual = nn.Dense(1, kernel_init=nn.initializers.zeros, name='residual')(x)
    return root_depth + residual[..., 0]
