"""Files of 2D hand keypoints from any detector, dataset or annotation tool."""

from bmc_jax.lift.files.reading import KeypointFile, read_keypoints

__all__ = ['KeypointFile', 'read_keypoints']
