import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bmc_jax import kinematics, skeleton
from tests.fixtures.hands import degenerate_hands, random_hands, slow_root_frames, unit


def _measures(joints):
  """All that a hand's pose gives, without its place in space."""
  return {
    'lengths': kinematics.bone_lengths(joints),
    'curvatures': kinematics.root_bone_curvatures(joints),
    'root_angles': kinematics.root_bone_angles(joints),
    'angles': kinematics.joint_angles(joints),
  }


MEASURES = jax.jit(_measures)


@functools.partial(jax.jit, static_argnames='frames')
def _rebuild(joints, frames='sequential'):
  bones = kinematics.bone_vectors(joints)
  lengths = kinematics.bone_lengths(joints)
  directions = bones[..., 0, :] / lengths[..., :1]
  angles = kinematics.joint_angles(joints, frames=frames)
  return kinematics.forward_kinematics(angles, lengths, directions, frames=frames)


def test_bones_are_child_minus_parent():
  joints = random_hands(0, 1).joints[0]
  bones = np.asarray(kinematics.bone_vectors(joints))
  for finger, name in enumerate(skeleton.FINGERS):
    chain = ['wrist'] + [n for n in skeleton.JOINT_NAMES if n.startswith(name)]
    chain = [skeleton.JOINT_NAMES.index(joint) for joint in chain]
    for bone in range(4):
      wanted = joints[chain[bone + 1]] - joints[chain[bone]]
      np.testing.assert_allclose(bones[finger, bone], wanted, atol=1e-6)


def test_forward_kinematics_matches_rotation_matrices(x64):
  hands = random_hands(1, 50, spread=18)
  joints = jax.jit(kinematics.forward_kinematics)(
    hands.angles,
    hands.lengths,
    7 * hands.roots,  # of which only directions count
  )
  np.testing.assert_allclose(joints, hands.joints, atol=1e-12)


def test_angles_and_lengths_are_those_the_hands_were_posed_with(x64):
  hands = random_hands(2, 50)
  measured = MEASURES(hands.joints)
  np.testing.assert_allclose(measured['angles'], hands.angles, atol=1e-10)
  np.testing.assert_allclose(measured['lengths'], hands.lengths, atol=1e-12)


@pytest.mark.parametrize('frames', kinematics.FRAMES)
def test_forward_kinematics_of_the_angles_returns_any_joints(frames, x64):
  joints = np.random.default_rng(0).normal(size=(100, 21, 3))
  rebuilt = _rebuild(joints, frames)
  np.testing.assert_allclose(rebuilt, joints - joints[:, :1], atol=1e-10)


@pytest.mark.parametrize('name', ['stb_train_joints', 'rhd_eval_joints'])
def test_forward_kinematics_of_the_angles_returns_real_hands(name, test_data, x64):
  path = test_data / 'data' / 'poses' / f'{name}.npy'
  if not path.is_file():
    pytest.skip(f'no real samples: there is no file {path}')
  joints = np.load(path)[::20].astype(np.float64)
  np.testing.assert_allclose(_rebuild(joints), joints - joints[:, :1], atol=1e-10)


def test_shortest_arc_frames_match_rotations_by_scipy(x64):
  hands = random_hands(3, 10, spread=30)
  arcs = jax.jit(functools.partial(kinematics.bone_frames, frames='shortest_arc'))
  frames = np.asarray(arcs(hands.joints))
  bones = np.asarray(kinematics.bone_vectors(hands.joints))
  for hand, finger in np.ndindex(10, 5):
    axes = slow_root_frames(hands.roots[hand])[finger]
    for bone in range(3):
      np.testing.assert_allclose(frames[hand, finger, bone], axes, atol=1e-10)
      direction = unit(bones[hand, finger, bone + 1])
      axis = np.cross(axes[2], direction)
      turn = Rotation.from_rotvec(unit(axis) * np.arccos(axes[2] @ direction))
      axes = turn.apply(axes)


@pytest.mark.parametrize('flexion, abduction, twist', [(60, 5, 2.9), (90, 20, 20.0)])
def test_frames_differ_by_a_twist_about_the_bone(flexion, abduction, twist, x64):
  hands = random_hands(4, 1)
  angles = np.zeros((1, 5, 3, 2))
  angles[:, :, 0] = np.deg2rad([flexion, abduction])
  joints = jax.jit(kinematics.forward_kinematics)(angles, hands.lengths, hands.roots)
  y = [
    np.asarray(jax.jit(lambda j, f=f: kinematics.bone_frames(j, frames=f))(joints))
    for f in kinematics.FRAMES
  ]
  cosine = (y[0] * y[1])[0, :, 1, 1].sum(-1)  # y axes of the DIP bones
  np.testing.assert_allclose(np.rad2deg(np.arccos(cosine)), twist, atol=0.05)


def test_a_bone_that_folds_back_turns_the_shortest_arc_about_y():
  joints = degenerate_hands()['flexion of pi']
  frames = kinematics.bone_frames(joints, frames='shortest_arc')
  np.testing.assert_allclose(frames[:, 1, 1], frames[:, 0, 1], atol=1e-3)


def test_unknown_frames_are_refused_in_a_sentence():
  hands = random_hands(0, 1)
  calls = (
    lambda **kw: kinematics.bone_frames(hands.joints, **kw),
    lambda **kw: kinematics.joint_angles(hands.joints, **kw),
    lambda **kw: kinematics.forward_kinematics(
      hands.angles, hands.lengths, hands.roots, **kw
    ),
  )
  for call in calls:
    with pytest.raises(ValueError, match="frames is 'arc'; choose one of"):
      call(frames='arc')


def test_angles_match_projections_in_a_slow_loop(x64):
  hands = random_hands(3, 20, spread=30)
  angles = np.asarray(MEASURES(hands.joints)['angles'])
  frames = np.asarray(jax.jit(kinematics.bone_frames)(hands.joints))
  bones = np.asarray(kinematics.bone_vectors(hands.joints))
  for index in np.ndindex(20, 5, 3):
    x, y, z = frames[index]
    bone = unit(bones[index[0], index[1], index[2] + 1])
    # As in the paper's section 3.1: project on the x-z plane; the octant gives signs.
    projected = bone - (bone @ y) * y
    flexion = np.arccos(np.clip(unit(projected) @ z, -1, 1)) * np.sign(bone @ x)
    abduction = np.arccos(np.clip(unit(projected) @ bone, -1, 1)) * np.sign(bone @ y)
    np.testing.assert_allclose(angles[index], [flexion, abduction], atol=1e-6)


def test_frames_are_rotations_with_z_along_the_parent_bone(x64):
  joints = np.random.default_rng(1).normal(size=(50, 21, 3))
  frames = np.asarray(jax.jit(kinematics.bone_frames)(joints))
  eye = np.broadcast_to(np.eye(3), frames.shape)
  np.testing.assert_allclose(frames @ frames.swapaxes(-1, -2), eye, atol=1e-10)
  np.testing.assert_allclose(np.linalg.det(frames), 1)
  bones = np.asarray(kinematics.bone_vectors(joints))[..., :3, :]
  bones = bones / np.linalg.norm(bones, axis=-1, keepdims=True)
  np.testing.assert_allclose(frames[..., 2, :], bones, atol=1e-12)


def test_root_frames_match_a_slow_loop(x64):
  roots = random_hands(4, 20).roots
  wanted = [slow_root_frames(root) for root in roots]
  np.testing.assert_allclose(jax.jit(kinematics.root_frames)(roots), wanted, atol=1e-12)


def test_curvatures_and_root_angles_match_a_slow_loop(x64):
  joints = np.random.default_rng(2).normal(size=(20, 21, 3))
  measured = MEASURES(joints)
  for hand in range(20):
    b = joints[hand, 1::4] - joints[hand, 0]
    n = [unit(np.cross(b[i + 1], b[i])) for i in range(4)]
    e = [n[0]] + [unit(n[i] + n[i - 1]) for i in (1, 2, 3)] + [n[3]]
    for i in range(4):
      step = b[i + 1] - b[i]
      curvature = (e[i + 1] - e[i]) @ step / np.linalg.norm(step) ** 2
      angle = np.arccos(unit(b[i]) @ unit(b[i + 1]))
      np.testing.assert_allclose(measured['curvatures'][hand, i], curvature, rtol=1e-8)
      np.testing.assert_allclose(measured['root_angles'][hand, i], angle, rtol=1e-8)


@pytest.mark.parametrize('angle', [1e-5, 1e-3])
def test_root_angles_near_zero_and_pi_keep_their_digits_in_float32(angle):
  joints = np.zeros((21, 3), np.float32)
  joints[1::4] = [
    [1, 0, 0],
    [np.cos(angle), np.sin(angle), 0],
    [-1, 0, 0],
    [1, 0, 0],
    [0, 1, 0],
  ]
  angles = np.float64(kinematics.root_bone_angles(joints))
  np.testing.assert_allclose(angles[0], angle, rtol=1e-4)
  np.testing.assert_allclose(np.pi - angles[1], angle, atol=3e-7)
  np.testing.assert_allclose(angles[2:], [np.pi, np.pi / 2], rtol=1e-6)


def test_curvature_of_a_round_palm_is_one_over_its_radius(x64):
  # Knuckles on a cylinder whose axis runs through the wrist along the hand, with the
  # wrist far away: the edge normals become the cylinder's normals.
  radius, turns = 2.5, np.linspace(-0.5, 0.5, 5)
  fingers = np.zeros((5, 4, 3))
  fingers[..., 0] = radius * np.sin(turns)[:, None]
  fingers[..., 1] = -1000
  fingers[..., 2] = -radius * np.cos(turns)[:, None]  # the back of the hand to -z
  joints = np.concatenate([[[0, 0, 0]], fingers.reshape(20, 3)])
  curvature = np.asarray(MEASURES(joints)['curvatures'])
  np.testing.assert_allclose(np.abs(curvature[1:3]), 1 / radius, rtol=0.02)
  assert np.all(curvature[1:3] > 0), 'arched is positive'


@given(seed=st.integers(0, 10**6), exponent=st.floats(-4, 4))
def test_rotation_translation_and_mirrored_left_hands_change_nothing(seed, exponent):
  rng = np.random.default_rng(seed)
  with jax.enable_x64(True):
    joints = rng.normal(size=(21, 3))
    measured = MEASURES(joints)
    turned = joints @ Rotation.random(rng=rng).as_matrix() + rng.normal(size=3)
    # A left hand is the mirror image; about any plane, not just x = 0.
    plane = unit(rng.normal(size=3))
    left = turned - 2 * (turned @ plane)[:, None] * plane
    for other in (turned, np.asarray(skeleton.mirror(left))):
      for name, value in MEASURES(other).items():
        np.testing.assert_allclose(value, measured[name], rtol=1e-7, atol=1e-7)
    scale = 10.0**exponent
    scaled = MEASURES(scale * joints)
    for name, power in (('angles', 0), ('root_angles', 0), ('lengths', 1)):
      np.testing.assert_allclose(
        scaled[name], scale**power * measured[name], rtol=1e-7, atol=1e-7 * scale**power
      )
    np.testing.assert_allclose(
      scale * scaled['curvatures'], measured['curvatures'], rtol=1e-7, atol=1e-7
    )


def test_a_left_hand_taken_for_a_right_one_bends_backwards(x64):
  hands = random_hands(5, 1)
  left = MEASURES(np.asarray(skeleton.mirror(hands.joints)))['angles']
  np.testing.assert_allclose(left[..., 0], -hands.angles[..., 0], atol=1e-10)


def _palm(joints):
  return (
    kinematics.palm_normals(joints),
    kinematics.edge_normals(joints),
    kinematics.root_bone_curvatures(joints),
    kinematics.root_bone_angles(joints),
  )


def _fingers(joints):
  return (
    kinematics.bone_lengths(joints),
    kinematics.bone_frames(joints),
    kinematics.joint_angles(joints),
  )


def _arcs(joints):
  return (
    kinematics.bone_frames(joints, frames='shortest_arc'),
    kinematics.joint_angles(joints, frames='shortest_arc'),
  )


def _value_and_gradient(f):
  """Values, and the gradient of a sum in which no two entries weigh the same."""

  def total(*arguments):
    values = f(*arguments)
    parts = [jnp.ravel(value) for value in jax.tree.leaves(values)]
    weights = [np.linspace(-1, 1.1, part.size, dtype=np.float32) for part in parts]
    return sum(w @ p for w, p in zip(weights, parts, strict=True)), values

  return jax.jit(
    lambda *args: jax.value_and_grad(total, range(len(args)), has_aux=True)(*args)
  )


@pytest.mark.parametrize('measure', [_palm, _fingers, _arcs])
def test_values_and_gradients_are_finite_for_degenerate_hands(measure):
  value_and_gradient = _value_and_gradient(measure)
  for case, joints in degenerate_hands().items():
    for leaf in jax.tree.leaves(value_and_gradient(joints)):
      assert np.isfinite(leaf).all(), case


def test_forward_kinematics_is_finite_with_finite_gradients_for_any_parts():
  value_and_gradient = _value_and_gradient(kinematics.forward_kinematics)
  hand = random_hands(9, 1)
  flat = np.repeat(hand.roots[:, :1], 5, axis=1)
  for roots in (hand.roots, flat, -hand.roots, 0 * flat):
    for angle in (0, np.pi / 2, -np.pi / 2, np.pi, -np.pi):
      for lengths in (hand.lengths, 0 * hand.lengths):
        angles = np.full((1, 5, 3, 2), angle) * [1, 0.5]
        for bend in (angles, angles[..., ::-1]):
          parts = (np.float32(part) for part in (bend, lengths, roots))
          for leaf in jax.tree.leaves(value_and_gradient(*parts)):
            assert np.isfinite(leaf).all()


def test_undefined_angles_are_zero_and_bones_along_y_abduct_by_a_right_angle():
  hands = degenerate_hands()
  assert not MEASURES(hands['all joints zero'])['angles'].any()
  along_y = np.rad2deg(MEASURES(hands['bones along y'])['angles'])
  # Float32 rounding decides how near to y the bone lies, but not its abduction.
  np.testing.assert_allclose(along_y[:, 0, 1], 90, atol=0.1)
  folded = np.rad2deg(MEASURES(hands['flexion of pi'])['angles'])
  np.testing.assert_allclose(np.abs(folded[:, 0, 0]), 180, atol=0.1)


@pytest.mark.parametrize('f', [_fingers, _arcs, _palm, kinematics.forward_kinematics])
def test_gradients_match_finite_differences(f, x64):
  hands = random_hands(6, 1)
  parts = hands.angles[0], hands.lengths[0], hands.roots[0]
  parts = parts if f is kinematics.forward_kinematics else (hands.joints[0],)
  value_and_gradient = _value_and_gradient(f)
  _, gradient = value_and_gradient(*parts)
  rng = np.random.default_rng(0)
  for _ in range(5):
    steps = [rng.normal(size=part.shape) for part in parts]
    ahead, behind = (
      value_and_gradient(*(p + e * s for p, s in zip(parts, steps, strict=True)))[0][0]
      for e in (1e-6, -1e-6)
    )
    slope = sum(np.sum(g * s) for g, s in zip(gradient, steps, strict=True))
    np.testing.assert_allclose((ahead - behind) / 2e-6, slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('shape', [(), (3,), (2, 3), (1,), (0,)])
def test_batches_and_vmap_agree(shape):
  n = int(np.prod(shape))
  joints = random_hands(7, n).joints.astype(np.float32).reshape(*shape, 21, 3)
  batched, mapped = MEASURES(joints), _measures
  for _ in shape:
    mapped = jax.vmap(mapped)
  for name, value in jax.jit(mapped)(joints).items():
    assert value.shape[: len(shape)] == shape
    np.testing.assert_allclose(value, batched[name], atol=2e-5)
