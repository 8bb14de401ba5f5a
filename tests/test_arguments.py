"""What the pure functions make of integers, lists, 16-bit floats and wrong shapes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import (
  constraints,
  geometry,
  kinematics,
  limits,
  metrics,
  pose25d,
  skeleton,
)
from tests.fixtures.hands import INTRINSICS, as_users_call, random_hands
from tests.fixtures.whole_programs import plain

HANDS = np.round(100 * random_hands(0, 8).joints + [0, 0, 900])
PIXELS, DEPTHS = np.round(HANDS[..., :2]), HANDS[..., 2]
CAMERAS = np.broadcast_to(INTRINSICS, (8, 3, 3))
LIMITS = limits.clinical_limits()


@pytest.mark.parametrize(
  'function, arguments',
  [
    (kinematics.bone_lengths, (HANDS,)),
    (geometry.project, (HANDS, CAMERAS)),
    (geometry.camera_rays, (PIXELS, CAMERAS)),
    (kinematics.root_bone_angles, (HANDS,)),
    (geometry.transform_keypoints, (PIXELS, CAMERAS)),
    (geometry.transform_intrinsics, (CAMERAS, CAMERAS)),
    (pose25d.lift, (PIXELS, DEPTHS, DEPTHS[:, 0], CAMERAS)),
    (metrics.epe, (HANDS, HANDS[::-1])),
    (metrics.procrustes_align, (HANDS, HANDS[::-1])),
    (lambda x: constraints.interval_penalty(x, 3.0, 5.0), (HANDS,)),
    (skeleton.mirror, (HANDS,)),
  ],
)
def test_integers_and_lists_give_what_floats_give(function, arguments):
  wanted = function(*(np.float32(a) for a in arguments))
  with as_users_call():
    integers = function(*(np.int32(a) for a in arguments))
    lists = function(*(np.int32(a).tolist() for a in arguments))
  for got in (integers, lists):
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('dtype', [jnp.float16, jnp.bfloat16])
def test_16_bit_floats_neither_overflow_nor_fail(dtype):
  digits = float(jnp.finfo(dtype).eps)
  rays = geometry.camera_rays(jnp.asarray(PIXELS, dtype), jnp.asarray(CAMERAS, dtype))
  wanted = (PIXELS - INTRINSICS[:2, 2]) / np.diagonal(INTRINSICS)[:2]
  np.testing.assert_allclose(rays, wanted, atol=4 * digits)
  truth = jnp.asarray(HANDS / 100, dtype)
  aligned = metrics.procrustes_align(2 * truth, truth)
  np.testing.assert_allclose(aligned, HANDS / 100, atol=20 * digits)
  # More joints than 16 bits can count.
  assert metrics.auc(metrics.pck(jnp.zeros(70_000, dtype))) == pytest.approx(1)


def test_rays_undo_an_image_turned_by_a_right_angle():
  turn = np.array([[0.0, -1, 30], [1, 0, 40], [0, 0, 1]])
  turned = geometry.transform_intrinsics(CAMERAS, np.broadcast_to(turn, (8, 3, 3)))
  rays = geometry.camera_rays(geometry.project(HANDS, turned), turned)
  np.testing.assert_allclose(rays, HANDS[..., :2] / HANDS[..., 2:], atol=1e-5)


REFUSED = {
  r'joints_3d has the shape \(3,\), but \(\.\.\., n, 3\)': lambda: geometry.project(
    HANDS[0, 0], INTRINSICS
  ),
  r'keypoints_2d has the shape \(8, 21, 3\), but': lambda: geometry.camera_rays(
    HANDS, CAMERAS
  ),
  r'intrinsics has the shape \(4, 3, 3\), but .* \(8, 3, 3\)': lambda: geometry.project(
    HANDS, CAMERAS[:4]
  ),
  r'intrinsics has the shape \(8, 3, 3\), but .* \(3, 3\)': (
    lambda: geometry.camera_rays(PIXELS[0], CAMERAS)
  ),
  r'depth has the shape \(21,\), but .* \(8, 21\)': (
    lambda: geometry.backproject(PIXELS, DEPTHS[0], CAMERAS)
  ),
  r'affine has the shape \(2, 3\), but': lambda: geometry.transform_keypoints(
    PIXELS, INTRINSICS[:2]
  ),
  r'affine has the shape \(3, 2\), but': lambda: geometry.transform_intrinsics(
    CAMERAS, INTRINSICS[:, :2]
  ),
  r'root is 30; it must be a joint': lambda: pose25d.to_pose25d(
    HANDS, CAMERAS, root=30
  ),
  r'pck_curve has the shape \(50,\), but its thresholds \(100,\)': lambda: metrics.auc(
    np.ones(50)
  ),
  'An area needs thresholds that span a range': lambda: metrics.auc(
    np.ones(1), np.array([20.0])
  ),
  'that span a range, two at least': lambda: metrics.auc(np.ones(3), np.full(3, 20.0)),
  r'intrinsics has the shape \(2, 3\), but \(\.\.\., 3, 3\)': lambda: geometry.project(
    HANDS[0], INTRINSICS[:2]
  ),
  r'joints_3d has the shape \(8, 21, 2\)': lambda: geometry.project(PIXELS, CAMERAS),
  r'root_depth has the shape \(8, 1\), but .* calls for \(8,\)': lambda: pose25d.lift(
    PIXELS, DEPTHS, DEPTHS[:, :1], CAMERAS
  ),
  r'relative_depth has the shape \(8, 20\), but .* calls for \(8, 21\)': (
    lambda: pose25d.solve_root_depth(PIXELS, DEPTHS[:, :20], CAMERAS)
  ),
  r'intrinsics has the shape \(4, 3, 3\), but keypoints_2d .* \(8, 21, 2\)': (
    lambda: pose25d.solve_root_depth(PIXELS, DEPTHS, CAMERAS[:4])
  ),
  r'the least and the largest depth, not \(30, 3\)': (
    lambda: pose25d.solve_root_depth(PIXELS, DEPTHS, CAMERAS, bounds=(30, 3))
  ),
  r'angles has the shape \(5, 3\), but \(\.\.\., 5, 3, 2\)': (
    lambda: kinematics.forward_kinematics(
      np.zeros((5, 3)), np.ones((5, 4)), np.ones((5, 3))
    )
  ),
  r'two different joints of 0 to 20, not \(9, 30\)': lambda: pose25d.scale_of(
    HANDS, (9, 30)
  ),
  r'two different joints of 0 to 20, not \(9, 9\)': lambda: limits.fit_limits(
    HANDS, reference=(9, 9)
  ),
  r'coverage is a share in \(0, 1\], not 2': lambda: limits.fit_limits(
    HANDS, coverage=2
  ),
  r'shape \(21,\), but \(\.\.\., 21, n\)': lambda: skeleton.reorder(
    np.zeros(21), 'mano'
  ),
  r'shape \(\), but \(\.\.\., 21, 3\)': lambda: skeleton.mirror(np.float32(3)),
}


@pytest.mark.parametrize('sentence', REFUSED)
def test_wrong_shapes_and_joints_are_refused_in_a_sentence(sentence):
  with plain(), as_users_call(), pytest.raises(ValueError, match=sentence):
    REFUSED[sentence]()


@pytest.mark.parametrize('index', [21, -1, 1.0, True, None])
def test_a_root_that_is_no_joint_is_refused_in_a_sentence(index):
  functions = (
    lambda: metrics.root_relative(HANDS, index),
    lambda: metrics.root_align(HANDS, HANDS, index),
    lambda: pose25d.to_pose25d(HANDS, CAMERAS, root=index),
  )
  with plain(), as_users_call():
    for function in functions:
      with pytest.raises(ValueError, match=f'^root is {index}; .* from 0 to 20'):
        function()


@pytest.mark.parametrize('pair', [(9, 99), (9, 9), (-1, 9), (9.0, 10), (9,), (1, 2, 2)])
def test_a_reference_that_is_no_two_joints_is_refused_in_a_sentence(pair):
  functions = (
    lambda: metrics.rescale(HANDS, np.ones(8), pair),
    lambda: pose25d.to_pose25d(HANDS, CAMERAS, reference=pair),
    lambda: pose25d.solve_root_depth(PIXELS, DEPTHS, CAMERAS, reference=pair),
  )
  with plain(), as_users_call():
    for function in functions:
      with pytest.raises(ValueError, match='^reference is two .* joints of 0 to 20'):
        function()


def test_of_fewer_joints_there_are_fewer_roots_and_references():
  with plain(), as_users_call():
    with pytest.raises(ValueError, match='root is 16; .* from 0 to 15'):
      metrics.root_relative(HANDS[:, :16], 16)
    with pytest.raises(ValueError, match='joints of 0 to 15, not'):
      metrics.rescale(HANDS[:, :16], np.ones(8), (9, 16))


@pytest.mark.parametrize('wrong', [INTRINSICS.T, np.zeros((3, 3))])
def test_what_are_no_intrinsics_is_refused_unless_traced(wrong):
  cameras = np.stack([INTRINSICS] * 7 + [wrong])
  functions = {
    geometry.project: (HANDS,),
    geometry.camera_rays: (PIXELS,),
    geometry.pixels_to_rays: (PIXELS,),
    geometry.backproject: (PIXELS, DEPTHS),
    pose25d.to_pose25d: (HANDS,),
    pose25d.lift: (PIXELS, DEPTHS, DEPTHS[:, 0]),
    pose25d.solve_root_depth: (PIXELS, DEPTHS),
  }
  with plain(), as_users_call():
    for function, arguments in functions.items():
      with pytest.raises(ValueError, match=r'^intrinsics need .* 1 of 8 have not'):
        function(*arguments, cameras)
      jax.eval_shape(function, *arguments, cameras)
  skeleton.check_intrinsics(np.full((3, 3), np.nan))


@pytest.mark.parametrize(
  'penalty',
  [
    constraints.bmc_loss,
    constraints.bone_length_penalty,
    constraints.root_bone_penalty,
    constraints.joint_angle_penalty,
  ],
)
def test_what_are_no_limits_of_right_hands_is_refused_in_a_sentence(penalty):
  metadata = dataclasses.replace(LIMITS.metadata, handedness='left')
  with as_users_call():
    with pytest.raises(TypeError, match="'limits.json', but .*load_lim"):
      penalty(HANDS, 'limits.json')
    with pytest.raises(ValueError, match="for 'left' hands, but"):
      penalty(HANDS, dataclasses.replace(LIMITS, metadata=metadata))


def test_nothing_is_promoted_where_jax_is_told_not_to():
  confidence = np.ones((8, 21), np.float32)
  with jax.numpy_dtype_promotion('strict'):
    gradient = jax.jit(
      jax.grad(
        lambda hands: constraints.bmc_loss(hands, LIMITS, confidence=confidence)[
          0
        ].sum()
      )
    )
    assert gradient(np.float32(HANDS)).dtype == jnp.float32


def test_points_that_nearly_touch_the_camera_have_a_finite_gradient():
  for z in (1e-6, 1e-13, 1e-18, 1e-30):
    point = jnp.float32([[0.3, -0.2, z]])
    gradient = jax.grad(lambda x: geometry.project(x, CAMERAS[0]).sum())(point)
    assert np.isfinite(gradient).all(), z
