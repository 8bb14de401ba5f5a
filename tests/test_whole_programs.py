"""Functions give the same op by op, as users call them, as compiled in one program."""

import jax
import numpy as np
import pytest

from bmc_jax import constraints, geometry, kinematics, limits, metrics, pose25d
from tests.fixtures import whole_programs
from tests.fixtures.hands import INTRINSICS, wild_hands

HANDS = (wild_hands(0, 3) + [0, 0, 20]).astype(np.float32)
CAMERA = np.broadcast_to(INTRINSICS.astype(np.float32), (3, 3, 3))
LIMITS = limits.clinical_limits()
CALLS = {
  'project': lambda: geometry.project(HANDS, CAMERA),
  'to_pose25d': lambda: pose25d.to_pose25d(HANDS, CAMERA),
  'root depth': lambda: pose25d.solve_root_depth(
    *pose25d.to_pose25d(HANDS, CAMERA)[:2], CAMERA
  ),
  'angles': lambda: kinematics.joint_angles(HANDS),
  'palm': lambda: kinematics.root_bone_curvatures(HANDS),
  'box penalty': lambda: constraints.joint_angle_penalty(HANDS, LIMITS, hull_power=2),
  'alignment': lambda: metrics.procrustes_align(HANDS, HANDS[::-1]),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', CALLS)
def test_op_by_op_and_as_a_whole_give_the_same(name):
  whole = jax.tree.leaves(CALLS[name]())
  with whole_programs.plain():
    plain = jax.tree.leaves(CALLS[name]())
  for a, b in zip(whole, plain, strict=True):
    np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-4)
