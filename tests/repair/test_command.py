"""The command that repairs a file of hands."""

import numpy as np
import pytest

from bmc_jax import limits, pose25d, skeleton
from bmc_jax.joint_files.reading import read_joints
from bmc_jax.plausibility.violations import measure_violations
from bmc_jax.repair.__main__ import main
from tests.fixtures.hands import random_hands

SIDES = np.arange(6) % 3 > 0


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Noisy left and right hands in millimetres, one with a missing joint; limits."""
  folder = tmp_path_factory.mktemp('repair')
  hands = np.asarray(random_hands(5, 40).joints, np.float64)
  hands = hands / np.asarray(pose25d.scale_of(hands))[:, None, None]
  limits.save_limits(folder / 'limits.json', limits.fit_limits(hands, coverage=1.0))
  noise = np.random.default_rng(0).normal(size=(6, 21, 3))
  noisy = 30 * hands[:6] + 3 * noise * (np.arange(6) > 0)[:, None, None]
  noisy = np.where(SIDES[:, None, None], noisy, skeleton.mirror(noisy))
  noisy[3, 7] = np.nan
  joints = skeleton.reorder(noisy, 'canonical', 'mano')
  np.savez(folder / 'hands.npz', joints_mano=joints, is_right=SIDES)
  np.savez(folder / 'swapped.npz', joints_mano=joints, is_right=~SIDES)
  return folder


@pytest.mark.slow
def test_hands_come_back_plausible_near_and_on_their_side(folder, capsys):
  given = read_joints(folder / 'hands.npz')
  out = folder / 'repaired.npz'
  main(
    f'{folder}/hands.npz --limits {folder}/limits.json --unit mm --out {out}'.split()
  )
  found = read_joints(out)
  np.testing.assert_array_equal(found.is_right, SIDES)
  np.testing.assert_array_equal(found.joints_3d[3], given.joints_3d[3])
  whole = np.arange(6) != 3
  right = np.where(
    SIDES[:, None, None], found.joints_3d, skeleton.mirror(found.joints_3d)
  )
  broken = measure_violations(right[whole], limits.load_limits(folder / 'limits.json'))
  assert np.abs(broken.joint_angles).max() < np.deg2rad(0.5)
  assert np.abs(broken.bone_lengths).max() < 0.01
  moved = np.linalg.norm(found.joints_3d - given.joints_3d, axis=-1)
  assert 0.5 < np.median(moved[whole][1:]) < 10
  np.testing.assert_allclose(moved[0], 0, atol=1e-3)  # it was plausible
  with np.load(out) as arrays:
    np.testing.assert_allclose(arrays['displacement'][whole], moved[whole], atol=1e-3)
    assert (arrays['penalty_after'] <= arrays['penalty_before'] + 1e-6)[whole].all()
  printed = capsys.readouterr().out
  assert '6 hands, 1 of them with missing joints, left out' in printed
  assert '1 of 5 hands kept all limits before' in printed
  assert ' mm at most' in printed and str(out) in printed


@pytest.mark.slow
def test_joints_stay_on_their_rays_if_asked(folder, capsys):
  joints = read_joints(folder / 'hands.npz').joints_3d[1:2] + [0, 0, 500]
  np.save(folder / 'camera.npy', joints)
  command = f'{folder}/camera.npy --limits {folder}/limits.json --keep projection'
  main([*command.split(), '--handedness', 'right', '--out', f'{folder}/rays.csv'])
  found = read_joints(folder / 'rays.csv').joints_3d
  np.testing.assert_allclose(
    found[..., :2] / found[..., 2:], joints[..., :2] / joints[..., 2:], rtol=1e-5
  )
  assert np.abs(found - joints).max() > 0.1
  assert '% of the reference bone' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ('hands.npz --out hands.npz', 'is read, so it cannot be written'),
    ('hands.npz --out hands.txt', 'hands are written as'),
    ('none.npz --out x.npz', 'There is no file of joints'),
    ('hands.npz --weight -1 --out x.npz', '--weight is -1.0; it must be a number'),
    ('hands.npz --weight inf --out x.npz', '--weight is inf; it must be a number'),
    ('hands.npz --keep projection --out x.npz', 'projection needs joints in the frame'),
    ('hands.npz --out hands.npz/x.npz', 'hands.npz/x.npz cannot be written'),
    ('hands.npz --unit m --out x.npz', 'looks like millimetres, not metres'),
    ('swapped.npz --out x.npz', 'give --handedness swapped, or negate'),
    ('hands.npz --handedness swapped --out x.npz', 'give --handedness told, or'),
  ],
)
def test_a_mistake_is_told_in_one_sentence(
  folder, arguments, message, capsys, monkeypatch
):
  monkeypatch.chdir(folder)
  with pytest.raises(SystemExit) as end:
    main([*arguments.split(), '--limits', 'limits.json'])
  assert end.value.code == 2
  error = capsys.readouterr().err
  assert message in error and error.count('\n') == 1
  assert not (folder / 'x.npz').exists()
