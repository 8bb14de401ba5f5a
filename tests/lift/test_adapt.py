"""`bmc-jax lift --adapt`: another lifter is taken only where it helped."""

import functools
import json

import numpy as np
import pytest

from bmc_jax.lift import adapt
from bmc_jax.lift.__main__ import main
from tests.fixtures.lifters import seen_hands, write_weights

COUNT = adapt.LEAST_HANDS


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Weights, and files with enough hands of both sides, and too few."""
  folder = tmp_path_factory.mktemp('adapt')
  write_weights(folder / 'w.npz')
  _, seen = seen_hands(1, COUNT)
  sides = np.arange(COUNT) % 3 > 0
  seen = np.where(sides[:, None, None], seen, seen * [-1, 1] + [639, 0])
  for name, rows in (('all', slice(None)), ('few', slice(1, None))):
    np.savez(folder / f'{name}.npz', keypoints_2d=seen[rows], is_right=sides[rows])
  return folder


def _lift(folder, *arguments, out, weights='w.npz', file='all.npz'):
  main(
    [
      *(str(folder / file), '--weights', str(folder / weights), '--out', str(out)),
      *('--intrinsics', '600,600,319.5,239.5', *arguments),
    ]
  )
  hands = json.loads((out / 'hands.json').read_text())['hands']
  return np.array([hand['joints_3d'] for hand in hands])


@pytest.mark.slow
def test_it_is_taken_and_written_only_if_it_helped(
  folder, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(adapt, 'adapt', functools.partial(adapt.adapt, steps=2))
  before = _lift(folder, out=tmp_path / 'before')
  monkeypatch.setattr(adapt.Adapted, 'helped', False)
  refused = _lift(folder, '--adapt', out=tmp_path / 'refused')
  np.testing.assert_array_equal(refused, before)
  assert not (tmp_path / 'refused' / 'lifter.npz').exists()
  assert 'did not help and is not taken' in capsys.readouterr().out
  assert 'not taken' in (tmp_path / 'refused' / 'page.html').read_text()
  monkeypatch.setattr(adapt.Adapted, 'helped', True)
  taken = _lift(folder, '--adapt', out=tmp_path / 'taken')
  assert np.abs(taken - before).max() > 1e-5
  assert f'Its weights are {tmp_path}/taken/lifter.npz' in capsys.readouterr().out
  weights = tmp_path / 'taken' / 'lifter.npz'
  again = _lift(folder, weights=weights, out=tmp_path / 'again')
  np.testing.assert_allclose(again, taken, atol=2e-3)  # they are in half precision
  with pytest.raises(SystemExit):
    _lift(folder, '--adapt', weights=weights, out=tmp_path / 'taken')
  assert 'lifter.npz is read, so it cannot be written' in capsys.readouterr().err


def test_too_few_hands_are_told(folder, tmp_path, capsys):
  with pytest.raises(SystemExit):
    _lift(folder, '--adapt', out=tmp_path / 'out', file='few.npz')
  assert f'{COUNT - 1} hands are too few to adapt to' in capsys.readouterr().err
  assert not (tmp_path / 'out').exists()


BEFORE = adapt.Check(bmc=1.0, moved=0.05, spread=0.1)


@pytest.mark.parametrize(
  ('after', 'helped'),
  [
    (adapt.Check(0.5, 0.05, 0.1), True),
    (adapt.Check(0.95, 0.05, 0.1), False),  # hardly less
    (adapt.Check(0.5, 0.08, 0.1), False),  # hands left their keypoints
    (adapt.Check(0.5, 0.05, 0.15), False),  # the hands of one person became many
    (adapt.Check(float('nan'), 0.05, 0.1), False),
  ],
)
def test_fewer_broken_constraints_are_not_all_that_counts(after, helped):
  assert adapt.Adapted(None, BEFORE, after).helped is helped


def test_nothing_is_learned_from_hands_that_keep_the_constraints_already():
  almost, kept = adapt.Check(0.001, 0.05, 0.1), adapt.Check(0.0, 0.05, 0.05)
  assert not adapt.Adapted(None, almost, kept).helped


def test_what_is_held_back_are_blocks_all_over():
  held = adapt._held_back(1000)
  assert 190 < held.sum() < 210
  edges = np.flatnonzero(np.diff(held.astype(int)))
  assert len(edges) == 9 and np.diff(edges).min() > 35
