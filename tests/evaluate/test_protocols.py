"""Scores against SciPy and slow loops, and what the protocols leave out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from bmc_jax.evaluate import protocols
from bmc_jax.evaluate.protocols import PROTOCOLS, Hands, score
from tests.fixtures.hands import INTRINSICS, random_hands

pytestmark = pytest.mark.usefixtures('x64')

RANGES = {
  'auc_0_50': np.linspace(0, 50, 100),
  'auc_20_50': np.linspace(20, 50, 100),
  'auc_hand3d': np.linspace(0, 50, 20)[8:],
}


def _truth(seed, count):
  """Hands in mm, half a metre from the camera."""
  return 32 * random_hands(seed, count).joints + [20, -30, 550]


def _hands(seed, count=25, noise=14.0):
  rng = np.random.default_rng(seed)
  truth = _truth(seed, count)
  joints = truth * rng.uniform(0.9, 1.1, (count, 1, 1))
  joints += rng.normal(0, noise, truth.shape) + rng.normal(0, 20, (count, 1, 3))
  visibility = (rng.random((count, 21)) < 0.8).astype(float)
  visibility[:, [0, 9, 10]] = 1  # what alignments need
  visibility[0, [4, 8, 12, 16]] = 0  # one fingertip cannot be fitted
  scale = np.linalg.norm(truth[:, 10] - truth[:, 9], axis=-1)
  return Hands(joints, truth, visibility, scale)


def _align(name, joints, truth, visible, scale):
  """One hand, aligned with nothing but NumPy and SciPy."""
  if name == 'none':
    return joints
  if name in ('scale', 'root_scale'):
    joints = joints * scale / np.linalg.norm(joints[10] - joints[9])
    return joints if name == 'scale' else joints - joints[0] + truth[0]
  if name == 'root':
    return joints - joints[0] + truth[0]
  if name == 'scale_translation':
    joints = joints / np.linalg.norm(joints[9] - joints[0])
    joints = joints * np.linalg.norm(truth[9] - truth[0])
    return joints - joints[0] + truth[0]
  centre, centre_true = joints[visible].mean(axis=0), truth[visible].mean(axis=0)
  x, y = joints - centre, truth - centre_true
  a, b = x[visible], y[visible]
  if name == 'centroid':
    return x + centre_true
  if name == 'centroid_scale':
    (factor,) = np.linalg.lstsq(a.reshape(-1, 1), b.ravel(), rcond=None)[0]
    return factor * x + centre_true
  rotation, total = orthogonal_procrustes(a, b)
  if np.linalg.det(rotation) < 0 and name == 'procrustes':
    u, s, vt = np.linalg.svd(a.T @ b)
    rotation = u @ np.diag([1, 1, -1]) @ vt
    total = s[0] + s[1] - s[2]
  return total / (a * a).sum() * x @ rotation + centre_true


def _slow_score(hands, protocol):
  """EPE and areas by alignment, joint by joint and threshold by threshold."""
  found = {}
  for name in protocol.alignments:
    errors = {joint: [] for joint in protocol.joints}
    for joints, truth, visibility, scale in zip(*hands, strict=True):
      counted = [k for k in protocol.joints if visibility[k]]
      fitted = name.startswith(('centroid', 'procrustes'))
      if fitted and len(counted) < 3:
        continue
      if fitted:
        joints, truth = joints[list(protocol.joints)], truth[list(protocol.joints)]
        visible = np.array([k in counted for k in protocol.joints])
        aligned = _align(name, joints, truth, visible, scale)
        places = list(protocol.joints)
        for k in counted:
          difference = aligned[places.index(k)] - truth[places.index(k)]
          errors[k].append(np.sqrt((difference**2).sum()))
      else:
        aligned = _align(name, joints, truth, None, scale)
        for k in counted:
          errors[k].append(np.sqrt(((aligned[k] - truth[k]) ** 2).sum()))
    values = {'epe_mm': np.mean([np.mean(e) for e in errors.values()])}
    for area in protocol.thresholds:
      steps = RANGES[area]
      curve = [
        np.mean([sum(e <= t for e in joint) / len(joint) for joint in errors.values()])
        for t in steps
      ]
      size = 0.0
      for i in range(len(steps) - 1):
        size += (steps[i + 1] - steps[i]) * (curve[i] + curve[i + 1]) / 2
      values[area] = size / (steps[-1] - steps[0])
    found[name] = values
  return found


@pytest.mark.parametrize('sign, reflections', [(1, False), (-1, False), (-1, True)])
@pytest.mark.parametrize('name', PROTOCOLS)
def test_figures_match_scipy_and_slow_loops(name, sign, reflections):
  protocol = PROTOCOLS[name]
  if reflections:
    protocol = protocol.with_reflections()
  hands = _hands(1)
  hands = hands._replace(joints=hands.joints * [sign, 1, 1])
  scores = score(hands, protocol)
  wanted = _slow_score(hands, protocol)
  assert list(scores) == list(wanted)
  for alignment, values in wanted.items():
    got = scores[alignment]
    assert float(got.epe_mm) == pytest.approx(values.pop('epe_mm'), abs=1e-6)
    assert {k: float(v) for k, v in got.areas.items()} == pytest.approx(
      values, abs=1e-6
    )


@pytest.mark.parametrize('name', PROTOCOLS)
def test_perfect_predictions_have_no_error_and_an_area_of_one(name):
  hands = _hands(2)
  hands = hands._replace(joints=hands.truth)
  for result in score(hands, PROTOCOLS[name]).values():
    assert float(result.epe_mm) == pytest.approx(0, abs=1e-6)
    for value in result.areas.values():
      assert float(value) == pytest.approx(1, abs=1e-12)


def test_a_reflection_is_undone_only_if_it_is_allowed():
  truth = _truth(3, 20)
  mirrored = Hands(truth * [-1, 1, 1], truth, np.ones((20, 21)), np.full(20, 32.0))
  protocol = PROTOCOLS['freihand']
  proper = score(mirrored, protocol)
  allowed = score(mirrored, protocol.with_reflections())
  assert float(allowed['procrustes_reflected'].epe_mm) == pytest.approx(0, abs=1e-6)
  assert float(proper['procrustes'].epe_mm) > 3
  for name in ('none', 'scale'):
    assert allowed[name].epe_mm == proper[name].epe_mm


def test_reflections_are_those_of_the_public_code():
  """It divides by norms to which it adds 1e-8 m, and never looks at determinants."""
  hands = _hands(7)
  joints, truth = 1e-3 * hands.joints * [-1, 1, 1], 1e-3 * hands.truth
  errors = []
  for one, true in zip(joints, truth, strict=True):
    x, y = one - one.mean(axis=0), true - true.mean(axis=0)
    x_norm, y_norm = (np.sqrt((a * a).sum()) + 1e-8 for a in (x, y))
    rotation, scale = orthogonal_procrustes(x / x_norm, y / y_norm)
    aligned = x / x_norm @ rotation * scale * y_norm + true.mean(axis=0)
    errors.append(np.linalg.norm(aligned - true, axis=-1))
  all_labelled = Hands(1e3 * joints, 1e3 * truth, np.ones((25, 21)), hands.scale)
  found = score(all_labelled, PROTOCOLS['ho3d'].with_reflections())
  wanted = 1e3 * np.mean(errors)
  assert float(found['procrustes_reflected'].epe_mm) == pytest.approx(wanted, abs=1e-5)


def test_the_given_scale_moves_no_joint_in_the_image():
  hands = _hands(4, noise=0)
  hands = hands._replace(joints=hands.truth * np.linspace(0.5, 2, 25)[:, None, None])
  scores = score(hands, PROTOCOLS['freihand'])
  assert float(scores['none'].epe_mm) > 50
  assert float(scores['scale'].epe_mm) == pytest.approx(0, abs=1e-6)
  intrinsics = np.broadcast_to(INTRINSICS, (25, 3, 3))
  for name in ('freihand', 'ho3d'):
    parts = protocols.decompose(hands, PROTOCOLS[name], intrinsics)
    assert float(parts['keypoints_2d_px']) == pytest.approx(0, abs=1e-6)
    assert float(parts['depth_mm']) > 50


def test_image_and_depth_errors_are_those_computed_by_hand():
  hands = _hands(5)
  hands = hands._replace(visibility=np.ones_like(hands.visibility))
  cameras = INTRINSICS * np.ones((25, 1, 1))
  cameras[:, 0, 2] += np.arange(25)
  parts = protocols.decompose(hands, PROTOCOLS['stb'], cameras)
  pixels, depth, relative = [], [], []
  for one, true, (fx_row, fy_row, _) in zip(*hands[:2], cameras, strict=True):
    for k in range(21):
      u, u_true = (fx_row[0] * j[k, 0] / j[k, 2] for j in (one, true))
      v, v_true = (fy_row[1] * j[k, 1] / j[k, 2] for j in (one, true))
      pixels.append(np.hypot(u - u_true, v - v_true))
      depth.append(abs(one[k, 2] - true[k, 2]))
      relative.append(abs(one[k, 2] - one[0, 2] - true[k, 2] + true[0, 2]))
  assert {k: float(v) for k, v in parts.items()} == pytest.approx(
    {
      'keypoints_2d_px': np.mean(pixels),
      'depth_mm': np.mean(depth),
      'relative_depth_mm': np.mean(relative),
    }
  )
  tips = protocols.decompose(hands, PROTOCOLS['dexter_object'], cameras)
  assert set(tips) == {'keypoints_2d_px', 'depth_mm'}


def test_scores_are_jittable_and_keep_nan_out_of_the_areas_only():
  protocol = PROTOCOLS['ho3d']
  hands = _hands(6, count=4)
  plain = score(hands, protocol)
  jitted = jax.jit(lambda hands: score(hands, protocol))(hands)
  for name, result in plain.items():
    assert float(result.epe_mm) == pytest.approx(float(jitted[name].epe_mm))
  broken = hands._replace(joints=jnp.asarray(hands.joints).at[2, 9].set(jnp.nan))
  for name, result in score(broken, protocol).items():
    assert np.isnan(result.epe_mm), name
    assert float(result.areas['auc_0_50']) < float(plain[name].areas['auc_0_50'])
