"""Limits that ship admit other people than those they were fitted on, and no others."""

import importlib
import json
import sys

import numpy as np
import pytest

from bmc_jax import limits, skeleton
from bmc_jax.limits import presets
from bmc_jax.plausibility import violations
from tests.fixtures.hands import random_hands
from tests.fixtures.session import ROOT


@pytest.fixture(scope='module')
def script(test_data):
  """The program that makes the limits."""
  if not (test_data / 'data' / 'detections').is_dir():
    pytest.skip('no real samples: there are no poses and detections')
  sys.path.insert(0, str(ROOT / 'benchmarks'))
  module = importlib.import_module('preset_limits')
  yield module
  sys.path.remove(str(ROOT / 'benchmarks'))
  del sys.modules['preset_limits']


def _keeps(joints, hand_limits):
  within = violations.measure_violations(joints, hand_limits).within()
  return np.all(list(within.values()), axis=0)


@pytest.mark.parametrize('name', ['mano', 'surface'])
def test_they_are_known_by_name_and_tell_their_origin(name):
  found = limits.open_limits(name)
  assert found == getattr(limits, f'{name}_limits')()
  assert 'widened: lengths by' in found.metadata.source
  found.metadata.check_fits_canonical_right_hands()
  content = json.loads((presets.FOLDER / f'{name}.json').read_text())
  assert len(json.dumps(content)) < 10_000  # limits alone, no poses
  # Hands of MANO's proportions, half bent, at any scale.
  hands = random_hands(0, 50, spread=3).joints
  assert _keeps(7 * hands, found).mean() > 0.9
  assert not _keeps(skeleton.mirror(hands), found).any()


@pytest.mark.slow
def test_mano_limits_admit_people_left_out_and_refuse_what_no_hand_can(script):
  fitted = script.make('mano', script.read_sets(script.LEFT_OUT))
  tests = script.read_tests()['mano']
  bones, hands = script.admitted(tests['DexYCB 7-8'], fitted)
  assert bones >= 0.99 and hands >= 0.95
  for name in ('FreiHAND', 'HO-3D'):
    for one in (fitted, limits.mano_limits()):
      bones, hands = script.admitted(tests[name], one)
      assert bones >= 0.99 and hands >= 0.95
  for one in (fitted, limits.mano_limits()):
    refused = script.refused(tests['DexYCB 7-8'][::20], one)
    assert refused['mirrored in depth'][0] >= 0.9
    # At the PIP of a finger, or at all joints of a finger or the thumb. MCP and DIP
    # alone can bend so far backwards.
    assert min(refused['PIP'][1:]) >= 0.9 and min(refused['all']) >= 0.9


@pytest.mark.slow
def test_surface_limits_admit_more_of_photos_than_the_literature(script):
  for joints in script.read_tests()['surface'].values():
    bones, hands = script.admitted(joints, limits.surface_limits())
    assert bones > 0.97 and hands > 0.5
    assert hands > 4 * script.admitted(joints, limits.clinical_limits())[1]
    assert script.refused(joints, limits.surface_limits())['mirrored in depth'][0] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize('name', ['mano', 'surface'])
def test_made_anew_they_are_the_same(name, script, tmp_path):
  made = script.make(name, script.read_sets())
  limits.save_limits(tmp_path / 'made.json', made)
  made = limits.load_limits(tmp_path / 'made.json')
  shipped = limits.open_limits(name)
  assert made.metadata.source == shipped.metadata.source
  for field in ('bone_lengths', 'curvatures', 'root_angles'):
    np.testing.assert_allclose(getattr(made, field), getattr(shipped, field), atol=1e-4)
  # Rounding may choose other corners for nearly the same hull.
  reach = [_reach(one.hulls) for one in (made, shipped)]
  difference = np.rad2deg(np.abs(reach[0] - reach[1]))
  assert np.mean(difference) < 0.05 and np.max(difference) < 2


def _reach(hulls):
  """How far hulls (5, 3, v, 2) reach in each of 64 directions."""
  turn = np.linspace(0, 2 * np.pi, 64)
  return (hulls @ np.stack([np.cos(turn), np.sin(turn)])).max(axis=-2)


def test_widening_moves_each_limit_by_its_margin():
  narrow = limits.fit_limits(random_hands(1, 200).joints)
  wide = limits.widen_limits(
    narrow, length=0.1, curvature=0.2, root_angle=0.05, angle=0.15
  )
  lengths = narrow.bone_lengths * np.array([0.9, 1.1])[:, None, None]
  lengths[:, 2, 1] = narrow.bone_lengths[:, 2, 1]  # the reference bone
  np.testing.assert_allclose(wide.bone_lengths, lengths)
  apart = np.array([[-1], [1]])
  np.testing.assert_allclose(wide.curvatures, narrow.curvatures + 0.2 * apart)
  np.testing.assert_allclose(wide.root_angles, narrow.root_angles + 0.05 * apart)
  for old, new in zip(
    narrow.hulls.reshape(15, -1, 2), wide.hulls.reshape(15, -1, 2), strict=True
  ):
    for turn in np.linspace(0, 2 * np.pi, 90):
      normal = np.array([np.cos(turn), np.sin(turn)])
      further = (new @ normal).max() - (old @ normal).max()
      assert 0.149 < further < 0.25  # a hull of few corners lies around a round one
  assert limits.widen_limits(narrow) == narrow
  with pytest.raises(ValueError, match='length has the value -0.1, but 0 or more'):
    limits.widen_limits(narrow, length=-0.1)
