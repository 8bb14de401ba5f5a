import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from bmc_jax import geometry, vector
from tests.fixtures.hands import INTRINSICS, random_hands

pytestmark = pytest.mark.usefixtures('full_compilation')

ANY_FLOAT = st.one_of(
  st.sampled_from([0.0, 1e-38, 1e-30, 1e-19, 1e-12, 1e-6, 1.0, 1e6, 1e12, 1e18]),
  st.floats(-(2.0**60), 2.0**60, width=32),
)
PRIMITIVES = {
  'safe_norm': lambda u, v: geometry.safe_norm(u),
  'normalize': lambda u, v: geometry.normalize(u),
  'safe_sqrt': lambda u, v: geometry.safe_sqrt(u),
  'safe_divide': lambda u, v: geometry.safe_divide(jnp.sign(u), v),
  'safe_atan2': geometry.safe_atan2,
  'vector.normalize': lambda u, v: vector.normalize(vector.Vector(*u)).x,
}
VALUE_AND_GRADIENT = {
  name: jax.jit(
    lambda u, v, f=f: (f(u, v), jax.grad(lambda *a: jnp.sum(f(*a)), (0, 1))(u, v))
  )
  for name, f in PRIMITIVES.items()
}


@pytest.mark.parametrize('name', PRIMITIVES)
@given(uv=hnp.arrays(np.float32, (2, 3), elements=ANY_FLOAT))
def test_primitives_are_finite_with_finite_gradients(name, uv):
  for leaf in jax.tree.leaves(VALUE_AND_GRADIENT[name](*uv)):
    assert np.isfinite(leaf).all()


def test_undefined_directions_are_zero_with_zero_gradient():
  zero = jnp.zeros(3)
  assert not jax.grad(geometry.safe_norm)(zero).any()
  assert not geometry.normalize(zero).any()
  assert not jax.jacobian(geometry.normalize)(zero).any()
  assert geometry.safe_divide(jnp.float32(1), jnp.float32(0)) == 0
  np.testing.assert_array_equal(
    geometry.normalize(jnp.float32([1e-7, 0, 0]), eps=1e-6), 0
  )


def test_primitives_match_numpy_away_from_zero():
  u, v = np.random.default_rng(0).normal(size=(2, 50, 3)).astype(np.float32)
  norm = np.linalg.norm(u, axis=-1)
  np.testing.assert_allclose(geometry.safe_norm(u), norm, rtol=1e-6)
  np.testing.assert_allclose(
    geometry.safe_norm(u, keepdims=True)[:, 0], norm, rtol=1e-6
  )
  np.testing.assert_allclose(geometry.normalize(u), u / norm[:, None], rtol=1e-6)
  np.testing.assert_allclose(geometry.safe_divide(u, v), u / v, rtol=1e-6)
  np.testing.assert_allclose(geometry.safe_atan2(u, v), np.arctan2(u, v), rtol=1e-5)


def test_atan2_of_float32_is_as_exact_as_float32():
  angle = np.linspace(-np.pi, np.pi, 100_001)
  size = np.random.default_rng(0).permutation(np.geomspace(1e-8, 1e8, angle.size))
  y, x = (size * np.sin(angle)).astype(np.float32), (size * np.cos(angle)).astype('f')
  wanted = np.arctan2(np.float64(y), np.float64(x))
  np.testing.assert_allclose(geometry.safe_atan2(y, x), wanted, rtol=4e-7, atol=0)
  y, x = (
    np.float32([0, -0.0, 1, -1, 2, np.nan, 1]),
    np.float32([-1, -2, 0, 0, 0, 1, np.nan]),
  )
  np.testing.assert_allclose(geometry.safe_atan2(y, x), np.arctan2(y, x), rtol=1e-7)


@pytest.mark.parametrize('name', PRIMITIVES)
def test_gradients_of_primitives_match_finite_differences(name, x64):
  u, v = np.random.default_rng(1).uniform(0.5, 2, (2, 3))
  check_grads(jax.jit(PRIMITIVES[name]), (u, v), order=2, modes=['fwd', 'rev'])


def _camera(rng, skew=0.0):
  k = INTRINSICS.copy()
  k[:2, :2] += rng.normal(0, 5, (2, 2)) * [[1, skew], [skew, 1]]
  return k


def _hands_before_a_camera(count):
  return 0.03 * random_hands(2, count).joints + [0.05, -0.03, 0.6]


@pytest.mark.parametrize('shape', [(), (3,), (2, 3)])
def test_projection_matches_homogeneous_matrices_and_backprojection_inverts_it(
  shape, x64
):
  rng = np.random.default_rng(0)
  n = int(np.prod(shape))
  joints = _hands_before_a_camera(n)
  cameras = np.stack([_camera(rng, skew=1.0) for _ in range(n)])
  homogeneous = np.stack([k @ j.T for k, j in zip(cameras, joints, strict=True)])
  wanted = (homogeneous[:, :2] / homogeneous[:, 2:]).transpose(0, 2, 1)
  joints, cameras = joints.reshape(*shape, 21, 3), cameras.reshape(*shape, 3, 3)
  keypoints = geometry.project(joints, cameras)
  np.testing.assert_allclose(keypoints, wanted.reshape(*shape, 21, 2), rtol=1e-12)
  back = geometry.backproject(keypoints, jnp.asarray(joints[..., 2]), cameras)
  np.testing.assert_allclose(back, joints, atol=1e-12)
  rays = geometry.camera_rays(keypoints, cameras)
  np.testing.assert_allclose(rays, joints[..., :2] / joints[..., 2:], atol=1e-12)


def test_cropping_the_image_and_changing_the_intrinsics_agree(x64):
  rng = np.random.default_rng(3)
  joints, k = _hands_before_a_camera(4), np.stack([INTRINSICS] * 4)
  affine = np.eye(3) + np.concatenate(
    [rng.normal(0, 1, (4, 2, 3)), np.zeros((4, 1, 3))], 1
  )
  moved = geometry.transform_keypoints(geometry.project(joints, k), affine)
  cropped = geometry.project(joints, geometry.transform_intrinsics(k, affine))
  np.testing.assert_allclose(cropped, moved, rtol=1e-12)
  homogeneous = np.concatenate([geometry.project(joints, k), np.ones((4, 21, 1))], -1)
  by_hand = np.einsum('bij,bnj->bni', affine, homogeneous)[..., :2]
  np.testing.assert_allclose(moved, by_hand, rtol=1e-12)


def test_points_on_the_camera_and_singular_intrinsics_stay_finite():
  zeros = jnp.zeros((21, 3))
  k = jnp.asarray(INTRINSICS, jnp.float32)
  for matrix in (k, jnp.zeros((3, 3))):
    for f, x in ((geometry.project, zeros), (geometry.camera_rays, zeros[:, :2])):
      total = jax.jit(jax.value_and_grad(lambda *a, f=f: f(*a).sum(), (0, 1)))
      value, gradient = total(x, matrix)
      assert np.isfinite(value) and all(np.isfinite(g).all() for g in gradient)
  np.testing.assert_array_equal(geometry.project(zeros, k)[0], k[:2, 2])
