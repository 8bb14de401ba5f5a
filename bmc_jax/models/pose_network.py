"""The pose network: one RGB crop of a right hand to a 2.5D and a 3D hand."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax.models import resnet
from bmc_jax.models.heads import HeatmapHead, RegressionHead
from bmc_jax.models.output import (
  ROOT_DEPTH_BOUNDS,
  PoseOutput,
  assemble,
  check_geometry,
  check_size,
)
from bmc_jax.models.refiner import RootRefiner
from bmc_jax.pose25d import REFERENCE

HEADS = ('regression', 'heatmap')
# ImageNet's statistics, which pretrained backbones expect.
_IMAGE_MEAN = np.array([[[[0.485, 0.456, 0.406]]]], np.float32)
_IMAGE_STD = np.array([[[[0.229, 0.224, 0.225]]]], np.float32)


class PoseNetwork(nn.Module):
  """ResNet, 2.5D head, root depth and refiner (paper 3.2).

  The defaults are the paper's network; `head='heatmap'` learns faster on few images.

  Attributes:
    depth: of the ResNet: 10, 18, 34, 50, 101 or 152.
    width: channels of the ResNet's first stage.
    stem: 'imagenet', 'small' or 'strided' (see `ResNet`).
    output_stride: coarsest stride of the ResNet: 8, 16 or 32.
    head: 'regression' (the paper's) or 'heatmap' (Iqbal et al. 2018).
    head_channels: channels of the heatmap head.
    heatmap_stride: image pixels per heatmap cell: a power of two, at most
      `output_stride`.
    refine: correct the calculated root depth with the refiner.
    root: index of the root joint.
    reference: joints between which the distance is 1.
    root_depth_bounds: least and largest calculated root depth, reference bones.
    stop_root_gradient: let no gradient flow through the calculated root depth.
    stop_refiner_gradient: let no gradient flow through the refiner to what it sees.
    dtype: type of the convolutions; everything behind them is float32.
  """

  depth: int = 50
  width: int = 64
  stem: str = 'imagenet'
  output_stride: int = 32
  head: str = 'regression'
  head_channels: int = 64
  heatmap_stride: int = 4
  refine: bool = True
  root: int = 0
  reference: tuple[int, int] = REFERENCE
  root_depth_bounds: tuple[float, float] = ROOT_DEPTH_BOUNDS
  stop_root_gradient: bool = True
  stop_refiner_gradient: bool = True
  dtype: jnp.dtype = jnp.float32

  def __post_init__(self):
    if self.head not in HEADS:
      raise ValueError(f'head is {self.head!r}; choose one of {list(HEADS)}.')
    resnet.check(self.depth, self.stem, self.output_stride)
    strides = [2**i for i in range(6) if 2**i <= self.output_stride]
    if self.heatmap_stride not in strides:
      raise ValueError(
        f'heatmap_stride is {self.heatmap_stride}; choose one of {strides}'
        f' (at most output_stride, {self.output_stride}).'
      )
    check_size('width', self.width)
    check_size('head_channels', self.head_channels)
    check_geometry(self.root, self.reference, self.root_depth_bounds)
    if not jnp.issubdtype(self.dtype, jnp.floating):
      raise ValueError(f"dtype is {self.dtype}; name one such as 'bfloat16'.")
    super().__post_init__()

  def setup(self):
    self.backbone = resnet.ResNet(
      depth=self.depth,
      width=self.width,
      stem=self.stem,
      output_stride=self.output_stride,
      dtype=self.dtype,
    )
    if self.head == 'heatmap':
      self.pose_head = HeatmapHead(
        channels=self.head_channels, stride=self.heatmap_stride, dtype=self.dtype
      )
    else:
      self.pose_head = RegressionHead()
    self.refiner = RootRefiner() if self.refine else None

  def __call__(self, batch: Mapping[str, jax.Array], train: bool = False) -> PoseOutput:
    """Predicts hands.

    Args:
      batch: 'image' (b, height, width, 3), float, RGB in 0..1; 'intrinsics' (b, 3, 3)
        of that image. Other entries are not read.
      train: True normalises by the batch's statistics and updates the running ones
        (collection 'batch_stats'), and leaves the refined root depth as it is; False
        keeps hands in front of the camera (`models.output.assemble`).

    Returns:
      The prediction for each image.

    Raises:
      ValueError: the images are not float (b, height, width, 3), or the intrinsics not
        (b, 3, 3).
    """
    image = batch['image']
    if image.ndim != 4 or image.shape[-1] != 3:
      raise ValueError(
        f'image has shape {image.shape}; expected (batch, height, width, 3).'
      )
    if not jnp.issubdtype(image.dtype, jnp.floating):
      raise ValueError(f'image is {image.dtype}; convert it to float in 0..1 first.')
    x = (image - _IMAGE_MEAN) / _IMAGE_STD
    stages = self.backbone(x, train)
    keypoints_2d, depth = self.pose_head(stages, image.shape[1:3], train)
    return assemble(
      keypoints_2d,
      depth,
      batch['intrinsics'],
      refiner=self.refiner,
      root=self.root,
      reference=self.reference,
      bounds=self.root_depth_bounds,
      stop_root_gradient=self.stop_root_gradient,
      stop_refiner_gradient=self.stop_refiner_gradient,
      keep_in_front=not train,
    )
