"""Files of 3D hand joints from any detector or dataset: what is in them, and in which
joint order, unit and side.
"""

from bmc_jax.joint_files.reading import JointFile, read_joints
from bmc_jax.joint_files.sides import likely_sides
from bmc_jax.joint_files.units import check_unit, find_unit
from bmc_jax.joint_files.writing import write_joints

__all__ = [
  'JointFile',
  'check_unit',
  'find_unit',
  'likely_sides',
  'read_joints',
  'write_joints',
]
