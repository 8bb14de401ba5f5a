"""Experiments that run in seconds: a lifter on a pose file, or a small pose network.

python -m bmc_jax.main --config=tests/tiny_config.py:poses.npy --workdir=DIR
python -m bmc_jax.main --config=tests/tiny_config.py:FOLDER --workdir=DIR
"""

import ml_collections
import numpy as np

from configs import base
from tests import fixtures_data, fixtures_hands

CAMERA = {
  'fx': 300.0,
  'fy': 310.0,
  'cx': 160.0,
  'cy': 150.0,
  'width': 320,
  'height': 320,
}
WEIGHTS = {'bone_length': 5.0, 'root_bone': 0.5, 'joint_angle': 2.0}
NETWORK = {
  'depth': 18,
  'width': 4,
  'stem': 'strided',
  'output_stride': 8,
  'head': 'heatmap',
  'head_channels': 16,
}


def get_config(data: str) -> ml_collections.ConfigDict:
  """A lifter's experiment on a `.npy` file, a network's on a prepared dataset."""
  c = base.get_config()
  c.title = 'Tiny'
  c.num_steps = 20
  c.batch_size = 8
  c.log_every = 5
  c.checkpoint.every = 8  # falls between two rows of the log
  c.eval.every = 10
  c.eval.batch_size = 8
  c.bmc.ramp_start = 0.0
  c.bmc.ramp_end = 0.5
  c.optimizer.name = 'adamw'
  c.optimizer.schedule = 'cosine'
  c.optimizer.learning_rate = 1e-3
  if data.endswith('.npy'):
    c.model.name = 'keypoint_lifter'
    c.model.keypoint_lifter.update({'width': 32, 'depth': 1})
    source = {'kind': 'poses', 'path': data, 'camera': CAMERA, 'labels': '3d'}
    test = source
    c.augment_poses.rotation = 90.0
  else:
    c.image_size = 32
    c.model.pose_network.update(NETWORK)
    c.loss.heatmap = 1.0
    source = {'kind': 'tfds', 'path': data, 'split': 'train', 'labels': '3d'}
    test = source | {'split': 'test'}
  for name, spec in {
    'full': source,
    'weak': source | {'labels': '2d'},
    'val': test,
    'test': test,
  }.items():
    c.data[name] = ml_collections.ConfigDict(spec)
  c.limits.source = ml_collections.ConfigDict(source)
  base.add_row(c, 'source only', {'data': {'use_weak': False}}, group='tiny')
  base.add_row(c, '+ BMC', {'bmc': {'weights': WEIGHTS}}, group='tiny')
  return c


def write_poses(path, count: int = 40) -> str:
  """Writes a pose file of hands in all directions, half a metre away; its path."""
  joints = fixtures_hands.random_hands(0, count).joints
  np.save(path, (0.03 * joints + [0, 0, 0.5]).astype(np.float32))
  return str(path)


def write_images(path, *, train: int = 16, test: int = 5) -> str:
  """Prepares a dataset with the splits train and test; its folder."""
  splits = {
    'train': [fixtures_data.make_example(i, size=40) for i in range(train)],
    'test': [fixtures_data.make_example(100 + i, size=40) for i in range(test)],
  }
  return fixtures_data.prepare(path, splits)
